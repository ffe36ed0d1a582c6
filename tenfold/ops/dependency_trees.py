"""What an interaction depends on: the tree of earlier interactions of both its ends, each once (TCL, section 3.1).

A query (node, cut) hangs on the node's last event, its root; an event hangs, with each of its two sides, on that side's
`previous` event. Level 1 is the root, level l + 1 the previous events of level l. An event that is met on several ways
stands once, where it is nearest; within a level the newest is first, and what is beyond `most` events is dropped from
the end. `reach` says which events of the tree each side of each event depends on: the paper's attention mask.

Shapes: Q queries, M = most events of a tree.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tenfold.errors import OptionError
from tenfold.ops import temporal_loops as loops
from tenfold.ops.temporal_index import Packed, TemporalIndex


class Trees(NamedTuple):
    events: np.ndarray  # (Q, M) int32, 0 for none
    depths: np.ndarray  # (Q, M) int32, from 1
    children: np.ndarray  # (Q, M) int32: the event, one level up, that each is the previous one of; 0 is the query
    reach: np.ndarray  # (Q, M, 2) int64: bit j is set where this side of the event depends on event j of the tree


class TreeTensors(NamedTuple):
    events: Tensor  # (Q, M)
    depths: Tensor  # (Q, M)
    reach: Tensor  # (Q, M, 2, M) bool


def roots(index: TemporalIndex, nodes: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The last event of each node among the first `cut`; 0 where there is none."""
    found = np.empty(len(nodes), np.int32)
    loops.roots(nodes, cuts, index.begin, index.end, index.events, found)
    return found


def trees_reference(index: TemporalIndex, roots: np.ndarray, depth: int, most: int) -> Trees:
    """As it is defined, with sets."""
    shape = (len(roots), most)
    found = _trees(np.zeros, shape)
    previous = index.previous
    for q, root in enumerate(roots.tolist()):
        listed, child = ([(root, 1)] if root else []), {root: 0}
        for level in range(2, depth + 1):
            here = set()
            for event in [event for event, at in listed if at == level - 1]:
                for before in previous[event].tolist():
                    if before and before not in child:
                        child[before] = event
                        here.add(before)
            listed += [(event, level) for event in sorted(here, reverse=True)]
        listed = listed[:most]
        place = {event: j for j, (event, _) in enumerate(listed)}

        def depends_on(event: int, side: int, place: dict[int, int] = place) -> set[int]:
            before = int(previous[event, side])
            if before not in place:
                return set()
            return {place[before]} | depends_on(before, 0) | depends_on(before, 1)

        for j, (event, level) in enumerate(listed):
            found.events[q, j], found.depths[q, j], found.children[q, j] = event, level, child[event]
            for side in range(2):
                found.reach[q, j, side] = sum(1 << other for other in depends_on(event, side))
    return found


def trees(index: TemporalIndex, roots: np.ndarray, depth: int, most: int) -> Trees:
    """Compiled. As wide as the largest tree of the batch. Raises OptionError."""
    check_size(depth, most)
    shape = (len(roots), most)
    found = _trees(np.empty, shape)
    widest = loops.trees(roots, index.previous, depth, most, *found)
    return Trees(*(x[:, :widest] for x in found))


def _trees(made: Callable[..., np.ndarray], shape: tuple[int, int]) -> Trees:
    events, depths, children = (made(shape, np.int32) for _ in range(3))
    return Trees(events, depths, children, made((*shape, 2), np.int64))


def check_size(depth: int, most: int) -> None:
    """Raises OptionError."""
    if depth < 1 or not 1 <= most <= loops.MOST:
        raise OptionError(f"a tree has a depth of 1 or more and 1 to {loops.MOST} events; found {depth} and {most}")


def chase(previous: Tensor, roots: Tensor, depth: int) -> Tensor:
    """roots (Q,) -> (Q, 2 ** depth - 1) events in the order of a heap, equal ones as often as they are met."""
    level = roots.long().unsqueeze(1)
    slots = [level]
    for _ in range(depth - 1):
        level = previous[level].flatten(1).long()
        slots.append(level)
    return torch.cat(slots, dim=1)


def trees_vectorised(packed: Packed, roots: Tensor, depth: int, most: int) -> TreeTensors:
    """A few operations on any device: chase the pointers, keep the first of equal events, sort, close `previous`."""
    check_size(depth, most)
    slots = chase(packed.previous, roots, depth)  # (Q, 2 ** depth - 1)
    level = torch.arange(1, slots.shape[1] + 1, device=slots.device).log2().floor().long() + 1
    earlier = torch.ones(len(level), len(level), dtype=torch.bool, device=slots.device).tril(-1)
    again = ((slots.unsqueeze(2) == slots.unsqueeze(1)) & earlier).any(
        2
    )  # heap order is by level: the first is nearest
    none = again | (slots == 0)
    width = len(packed.times)
    order = (level * width + (width - 1 - slots)).masked_fill(none, 2**62).argsort(dim=1)[:, :most]
    gone = none.gather(1, order)
    events, depths = slots.gather(1, order).masked_fill(gone, 0), level[order].masked_fill(gone, 0)
    parents = packed.previous[events].long()  # (Q, M, 2)
    direct = (parents.unsqueeze(3) == events[:, None, None, :]) & (parents.unsqueeze(3) > 0)  # (Q, M, 2, M)
    reach, step = direct, direct.any(2).float()  # what an event depends on, by either side
    for _ in range(most):
        wider = direct | ((direct.float().flatten(1, 2) @ step) > 0).unflatten(1, direct.shape[1:3])
        if torch.equal(wider, reach):
            break
        reach, step = wider, wider.any(2).float()
    return TreeTensors(events, depths, reach)
