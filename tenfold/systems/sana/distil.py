"""Texts for the edits to learn from, written by a network that writes token by token (sequence-level distillation, Kim
and Rush 2016): of many ways to say a thing it takes one, which is easier to learn where all tokens come at once (Gu et
al. 2018, 2019).
"""

from collections.abc import Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.systems.sana.skeleton import Sketcher, hand_on
from tenfold.tasks.table_text.baselines.generators import Generator as Network
from tenfold.tasks.table_text.encoding import FARTHEST, KEY_UNKNOWN, PAD, Numbers
from tenfold.tasks.table_text.options import SearchOptions
from tenfold.tasks.table_text.training import Pair, Pairs, bounded
from tenfold.training import Stage

if TYPE_CHECKING:
    from tenfold.systems.sana.system import SANA

AT_ONCE = 64  # texts
OF_TEXTS = SearchOptions()  # skeletons have rules of their own


def distilled(
    system: "SANA", stage: Any, pairs: Sequence[Pair], skeletons: Sequence[Sequence[int]], sketcher: Sketcher | None
) -> Generator[Stage, None, list[Pair]]:
    """Each pair with the text that the network writes, or with its own where that is empty.

    The network reads a pair's skeleton behind its table.  stage: makes a stage of training of a name, a network, a loss
    and data.  sketcher: the network begins with its weights, where there is one.
    """
    network = Network(system.sizes["words"], system.sizes["keys"], system.options.network, "also")
    if sketcher is not None:
        hand_on(sketcher, network.encoder, network.writer)
    told = [Pair(with_skeleton(pair.table, own), pair.text) for pair, own in zip(pairs, skeletons, strict=True)]
    loss = partial(network.loss, smoothing=system.options.training.smoothing)
    yield stage(name="teacher", network=network, loss=loss, data=Pairs(told))
    written: dict[bytes, list[int]] = {}
    new = {pair.table.rows.tobytes(): pair.table for pair in told}
    order = sorted(new, key=lambda name: (new[name].rows.shape[1], name))
    for first in range(0, len(order), AT_ONCE):
        names = order[first : first + AT_ONCE]
        best = network.search([new[name] for name in names], OF_TEXTS, beam=1, longest=system.options.text.longest)
        for name, tokens in zip(names, best.tokens[:, 0].tolist(), strict=True):
            written[name] = [token for token in tokens if token != PAD]
    texts = [written[pair.table.rows.tobytes()] for pair in told]
    return [pair._replace(text=bounded(text) if text else pair.text) for pair, text in zip(pairs, texts, strict=True)]


def with_skeleton(table: Numbers, skeleton: Sequence[int]) -> Numbers:
    """The table with the skeleton as one more value behind its end, under a key of its own."""
    count = len(skeleton)
    places = [min(i + 1, FARTHEST) for i in range(count)]
    more = np.array([list(skeleton), [KEY_UNKNOWN] * count, places, places[::-1]], np.int64).reshape(4, count)
    return table._replace(rows=np.concatenate((table.rows, more), axis=1))
