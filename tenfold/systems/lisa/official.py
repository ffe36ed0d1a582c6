"""Checkpoints of the authors' code (libertyeagle/LISA) as fitted systems that give equal outputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import ArtifactError, OptionError, nearest
from tenfold.options import parse, presets
from tenfold.systems.lisa.options import Options
from tenfold.systems.lisa.system import LISA

NAMES = {
    "item_embeddings.lookup_table": "item.weight",
    "pq_encoding_module.codebooks": "codebooks.codewords",
    "pq_encoding_module.bilinear_weights": "codebooks.similarity",
    "target_pq_encoding_module.codebooks": "target_codebooks.codewords",
    "target_pq_encoding_module.bilinear_weights": "target_codebooks.similarity",
    "q_proj_weights": "attention.query",
    "k_proj_weights": "attention.key",
    "v_proj_weights": "attention.value",
    "input_seq_positional_embedding.pos_emb_table.lookup_table": "position.table",
    "linear1.weight": "feed_forward.inner.weight",
    "linear1.bias": "feed_forward.inner.bias",
    "linear2.weight": "feed_forward.outer.weight",
    "linear2.bias": "feed_forward.outer.bias",
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
}
LEFT_OUT = (
    "cumsum_with_decay.decay_weight",
    "input_seq_positional_embedding.pos_vector",
)  # an option, and 0, 1, 2, ...


def from_official(checkpoint: str | Path | Mapping[str, Tensor], preset: str) -> LISA:
    """checkpoint: a file that their `save_model` wrote, or its state dict; preset: base, soft or mini.

    Their item numbers 1 .. V - 1 are the ids. Raises ArtifactError for a layout that is not theirs or that has parts
    LISA does without (quantised positions, batch norm), OptionError for a preset that there is not.
    """
    if preset not in presets(Options):
        raise OptionError(f"there is no preset '{preset}'; {nearest(preset, presets(Options))}")
    theirs = _state(checkpoint)
    unknown = [name for name in theirs if name not in NAMES and name not in LEFT_OUT]
    needed = ["item_embeddings.lookup_table", "pq_encoding_module.codebooks"]
    needed += ["q_proj_weights", "k_proj_weights", "v_proj_weights"]
    needed += ["target_pq_encoding_module.codebooks"] if preset == "mini" else []
    missing = [name for name in needed if name not in theirs]
    if unknown or missing:
        what = f"holds {unknown[0]}" if unknown else f"lacks {missing[0]}"
        raise ArtifactError(f"this is no checkpoint of a {preset} model in the authors' layout: it {what}")
    system = LISA(_options(theirs, preset))
    items = len(theirs["item_embeddings.lookup_table"]) - 1
    system.sizes = {"items": items}
    system.vocabularies = {"items": Vocabulary(pl.Series(range(1, items + 1)))}
    system.statistics = {"item_counts": torch.ones(items + 1, dtype=torch.int64)}  # theirs are not told
    network = system._network = system.build().eval()
    ours = {NAMES[name]: weight for name, weight in theirs.items() if name in NAMES}
    for name in ("attention.query", "attention.key", "attention.value"):
        ours[name] = ours[name].view(-1, *ours[name].shape[-2:])  # one for all codebooks has two axes there
    ours |= {"attention.rate": network.attention.rate, "steps": network.steps}
    wanted = network.state_dict()
    for name in [*wanted, *(name for name in ours if name not in wanted)]:
        there, fits = (tuple(x[name].shape) if name in x else "none" for x in (ours, wanted))
        if there != fits:
            raise ArtifactError(
                f"this is no checkpoint of a {preset} model in the authors' layout: {name} is {there}, needed {fits}"
            )
    network.load_state_dict(ours)
    return system


def _state(checkpoint: str | Path | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if not isinstance(checkpoint, str | Path):
        return checkpoint
    try:
        found: Any = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch says of a file that is none
        raise ArtifactError(f"{checkpoint} cannot be read as a checkpoint: {error}") from None
    found = found.get("model_state_dict", found) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or not all(isinstance(x, Tensor) for x in found.values()):
        raise ArtifactError(f"{checkpoint} holds no weights by name, as the authors' save_model writes them")
    return found


def _options(theirs: Mapping[str, Tensor], preset: str) -> Options:
    books, words, dim = theirs["pq_encoding_module.codebooks"].shape
    positions = theirs.get("input_seq_positional_embedding.pos_emb_table.lookup_table")
    values: dict[str, Any] = {
        "preset": preset,
        "dim": dim,
        "codebooks.books": books,
        "codebooks.words": words,
        "attention.decay": float(theirs.get("cumsum_with_decay.decay_weight", torch.tensor(0.0)).abs()),
        "attention.shared": theirs["q_proj_weights"].dim() == 2,
        "positions": positions is not None,
        "loss.name": "bce",
        "dropout": 0.1,
    }
    if positions is not None:
        values["training.length"] = len(positions)
    if preset == "mini":
        values["codebooks.target_words"] = theirs["target_pq_encoding_module.codebooks"].shape[1]
    return parse(Options, values)
