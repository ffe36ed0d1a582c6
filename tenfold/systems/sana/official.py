"""Weights of the authors' checkpoints (fairseq 0.9, github.com/logicwong/sana) as ours: their names, and their rows.

Their numbers begin with BOS 0, padding 1, EOS 2, UNK 3; words follow, then <ins>, <sep>, and a thousand markers of
places, without a row. Ours begin with padding 0, BOS, EOS, UNK, INS, SEP (tasks/table_text/encoding.py), so rows change
places. Networks for them have `network.norm=post`. A key's bias is left out: it cancels under the softmax.

    sketcher.load_state_dict(sketch_weights(torch.load("checkpoint_best.pt")["model"], words, keys, places))
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tenfold.errors import ArtifactError
from tenfold.tasks.table_text.encoding import FARTHEST
from tenfold.tasks.table_text.network import MOST_PLACES

Weights = Mapping[str, Tensor]
PADDING, END = 1, 2  # in each of their four dictionaries


def sketch_weights(
    theirs: Weights, words: Sequence[int], keys: Sequence[int], places: Sequence[int]
) -> dict[str, Tensor]:
    """Of a Sketcher, from `sketch_model`.

    words: their number of each of our tokens from 1 on: BOS, EOS, UNK, INS, SEP and the vocabulary.  keys: of each of
    our keys from 1 on: the end, the unknown one, and the others.  places: of the places 1 to 35 within a value, in the
    dictionaries of both ends.
    Raises ArtifactError where a weight is missing.
    """
    found = _encoder(theirs, words, keys, places) | _decoder(theirs, words, "writer.")
    found["writer.query.weight"] = _of(theirs, "decoder.Q.weight")
    found["writer.query.bias"] = _of(theirs, "decoder.Q.bias")
    found["writer.point.weight"] = _of(theirs, "decoder.K.weight")
    return found


def edit_weights(
    theirs: Weights, words: Sequence[int], keys: Sequence[int], places: Sequence[int]
) -> dict[str, Tensor]:
    """Of an Editor, from `refinement_model` whose three heads share all layers; arguments as of `sketch_weights`."""
    own = [name for name in theirs if name.startswith(("decoder.layers_msk", "decoder.layers_del"))]
    if own:
        raise ArtifactError(
            f"the checkpoint has layers of one head alone ({own[0]}); expected one decoder for all three, as the "
            "authors' scripts train it"
        )
    found = _encoder(theirs, words, keys, places) | _decoder(theirs, words, "")
    found["room.weight"] = _of(theirs, "decoder.embed_mask_ins.weight")
    found["deletion.weight"] = _of(theirs, "decoder.embed_word_del.weight")
    return found


def _encoder(theirs: Weights, words: Sequence[int], keys: Sequence[int], places: Sequence[int]) -> dict[str, Tensor]:
    if len(places) != FARTHEST:
        raise ArtifactError(f"found numbers of {len(places)} places within a value, expected those of 1 to {FARTHEST}")
    found = {
        "encoder.word.weight": _rows(theirs, "encoder.src_embed_tokens.weight", [PADDING, *words]),
        "encoder.key.weight": _rows(theirs, "encoder.field_embed_tokens.weight", [PADDING, *keys]),
        # our end of a table has place 0 in its value; theirs has the token EOS there
        "encoder.start.weight": _rows(theirs, "encoder.lpos_embed_tokens.weight", [END, *places]),
        "encoder.end.weight": _rows(theirs, "encoder.rpos_embed_tokens.weight", [END, *places]),
        "encoder.join.weight": _of(theirs, "encoder.mlp.weight"),
        "encoder.join.bias": _of(theirs, "encoder.mlp.bias"),
        "encoder.places": _places(theirs, "encoder.embed_positions.weight"),
    }
    for name in _layers(theirs, "encoder.layers."):
        found |= _block(theirs, name, "encoder.blocks.blocks." + name.split(".")[2], cross=False)
    return found


def _decoder(theirs: Weights, words: Sequence[int], prefix: str) -> dict[str, Tensor]:
    found = {
        f"{prefix}word.weight": _rows(theirs, "decoder.embed_tokens.weight", [PADDING, *words]),
        f"{prefix}places": _places(theirs, "decoder.embed_positions.weight"),
    }
    for name in _layers(theirs, "decoder.layers."):
        found |= _block(theirs, name, f"{prefix}blocks.blocks." + name.split(".")[2], cross=True)
    return found


def _layers(theirs: Weights, prefix: str) -> list[str]:
    """'decoder.layers.0' and so on, in order."""
    numbers = {int(name.removeprefix(prefix).split(".")[0]) for name in theirs if name.startswith(prefix)}
    if not numbers:
        raise ArtifactError(f"the checkpoint has no weight '{prefix}0...'; give the 'model' of one that fairseq wrote")
    return [f"{prefix}{number}" for number in sorted(numbers)]


def _block(theirs: Weights, name: str, own: str, *, cross: bool) -> dict[str, Tensor]:
    attention = {part: f"{name}.self_attn.{part}_proj" for part in "qkv"}
    found = {
        f"{own}.attention.qkv.weight": torch.cat([_of(theirs, f"{attention[part]}.weight") for part in "qkv"]),
        f"{own}.attention.qkv.bias": torch.cat([_of(theirs, f"{attention[part]}.bias") for part in "qkv"]),
    }
    names = {
        "self_attn.out_proj": "attention.out", "self_attn_layer_norm": "norm1", "fc1": "feed_forward.inner",
        "fc2": "feed_forward.outer", "final_layer_norm": "norm2",
    }  # fmt: skip
    if cross:
        names |= {
            "encoder_attn.q_proj": "cross.query", "encoder_attn.v_proj": "cross.value",
            "encoder_attn.out_proj": "cross.out", "encoder_attn_layer_norm": "norm3",
        }  # fmt: skip
        found[f"{own}.cross.key.weight"] = _of(theirs, f"{name}.encoder_attn.k_proj.weight")
    for their, our in names.items():
        found |= {f"{own}.{our}.{kind}": _of(theirs, f"{name}.{their}.{kind}") for kind in ("weight", "bias")}
    return found


def _places(theirs: Weights, name: str) -> Tensor:
    """Their first place has the row behind that of padding."""
    rows = _of(theirs, name)[PADDING + 1 :][:MOST_PLACES]
    return torch.cat((rows, rows.new_zeros(MOST_PLACES - len(rows), rows.shape[1])))


def _rows(theirs: Weights, name: str, numbers: Sequence[int]) -> Tensor:
    table = _of(theirs, name)
    if max(numbers) >= len(table):
        raise ArtifactError(
            f"'{name}' has {len(table):,} rows, and a number is {max(numbers):,}; give its own dictionary's"
        )
    return table[torch.tensor(numbers)]


def _of(theirs: Weights, name: str) -> Tensor:
    if name not in theirs:
        raise ArtifactError(
            f"the checkpoint has no weight '{name}'; give the 'model' of one that the authors' code wrote"
        )
    return theirs[name]
