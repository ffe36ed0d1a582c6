"""Skeletons for stage 2 to learn from, of networks that were trained on other tables: as at a user's, they err."""

from collections.abc import Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from tenfold.systems.sana.skeleton import Sketcher
from tenfold.tasks.table_text.encoding import Numbers
from tenfold.tasks.table_text.training import Pair, Pairs, bounded
from tenfold.training import Stage

if TYPE_CHECKING:
    from tenfold.systems.sana.system import SANA


def crossfitted(
    system: "SANA", stage: Any, pairs: Sequence[Pair], skeletons: Sequence[list[int]]
) -> Generator[Stage, None, list[list[int]] | None]:
    """Skeletons of each part from a network that was trained on the others; none where `sketch.crossfit` is 0.

    stage: makes a stage of training of a name, a network, a loss and data.  skeletons: those of the texts.
    """
    folds = system.options.sketch.crossfit
    if not folds:
        return None
    found: list[list[int]] = [[] for _ in pairs]
    part = np.array([hash_of(pair.table) % folds for pair in pairs])
    for fold in range(folds):
        sketcher = Sketcher(system.sizes["words"], system.sizes["keys"], system.options.network)
        own = [
            Pair(pair.table, bounded(each))
            for pair, each, of in zip(pairs, skeletons, part, strict=True)
            if each and of != fold
        ]
        yield stage(
            name=f"sketch {fold + 1} of {folds}",
            network=sketcher,
            loss=partial(system.sketch_loss, sketcher),
            data=Pairs(own),
        )
        rows = np.flatnonzero(part == fold).tolist()
        for row, tokens in zip(rows, system.sketched(sketcher, [pairs[i].table for i in rows], beam=1), strict=True):
            found[row] = tokens
    return found


def hash_of(table: Numbers) -> int:
    """The same for equal tables, in every process."""
    return crc32(table.rows.tobytes())
