"""What answers need of a fitted LISA, and nothing of training, as a folder.

    export(system, "runs/served")
    Compact.load("runs/served").recommend(history=["i9", "i4"], k=10)

The codes of all items stand one after another without gaps (packing.py); compact.py answers from them.
"""

from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import polars as pl
import torch

from tenfold import artifact
from tenfold.artifact import Exported
from tenfold.errors import OptionError
from tenfold.systems.lisa.compact import CodedNetwork, Compact, keeps_items
from tenfold.systems.lisa.packing import pack_codes
from tenfold.systems.lisa.system import LISA
from tenfold.version import VERSION


@torch.no_grad()
def export(system: LISA, folder: str | Path) -> Exported:
    """Write what serving needs, in float32; `Compact.load(folder)` answers from it.

    Raises NotFittedError, OptionError for what is no LISA and for the folder of another system, OutputError.
    """
    folder = Path(folder)
    if not isinstance(system, LISA) or isinstance(system, Compact):
        raise OptionError(f"a fitted LISA is exported; found a {type(system).__name__}")
    if (folder / "config.json").exists() and (kind := artifact.read_config(folder)["system"]) != Compact.__name__:
        raise OptionError(f"{folder} holds a {kind}, whose files an export would replace; export to another folder")
    network, options, books = system.network, system.options, system.options.codebooks
    weights = {name: weight.float() for name, weight in artifact.own_weights(network).items()}
    files, notes = {"items.parquet": _items(system)}, []
    if keeps_items(options):
        megabytes = 4 * network.item.weight.numel() / 1e6
        notes.append(
            f"soft codes and raw targets need the items themselves: their table is exported, {megabytes:,.3g} MB in "
            f"float32; preset base or mini needs codes only"
        )
    else:
        catalogue, bare = network.catalogue(), CodedNetwork(options)
        weights |= {"scores": catalogue.tables.scores.float(), "values": catalogue.tables.values.float()}
        weights = {name: weights[name] for name in artifact.own_weights(bare)}
        made, makers = "the tables T and V", "the projections that make them"
        small, large = (made, makers) if bare.tabled else (makers, made)
        notes.append(f"{small} are exported, which are smaller than {large}")
        files["history_codes.bin"] = pack_codes(catalogue.history.codes[1:], books.words)
        if network.target_codebooks is not None:
            files["target_codes.bin"] = pack_codes(system.target_codes(), books.target_words)
    codebooks = {n: w for n, w in weights.items() if n in ("codebooks.codewords", "target_codebooks.codewords")}
    files["codebooks.safetensors"] = artifact.pack(codebooks)
    files["model.safetensors"] = artifact.pack({n: w for n, w in weights.items() if n not in codebooks})
    about = {
        "system": Compact.__name__,
        "version": VERSION,
        "options": asdict(options),
        "sizes": system.sizes,
        "fitted": {name: value for name, value in system.fitted.items() if name != "history"},
        "fingerprint": system.fingerprint(),
    }
    artifact.write(folder, about, files)
    written = artifact.read_config(folder)["files"] | {"config": "config.json"}
    return Exported({name: (folder / file).stat().st_size for name, file in written.items()}, notes)


def _items(system: LISA) -> bytes:
    """Ids and how often each was trained on, as Parquet."""
    ids, counts = system.vocabularies["items"].series, system.statistics["item_counts"][1:]
    content = BytesIO()
    pl.DataFrame({"id": ids, "count": counts.cpu().numpy()}).write_parquet(content, statistics=False)
    return content.getvalue()
