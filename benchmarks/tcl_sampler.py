"""TCL's sampler: the 20 most recent neighbours of 800 nodes, one training batch of DyGLib's, on CollegeMsg.

Partners, events and times, oldest first, in one thread; the moments are turned into cuts within what is measured.
Beside it DyGLib's own sampler (a checkout in $TENFOLD_PEERS/yule-BUAA+DyGLib), on the same queries in the same process.
`vectorised` is torch on the CPU, `compiled` a loop. `200k` are 200 moments of 1,000 candidates each. `tree` is a
dependency tree of depth 5 after its root is known, deduplicated, ordered, with its attention mask. Seconds are the
processor's, of one thread, which others on the machine move less than the clock's.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks import harness
from benchmarks.rivals import dyglib as rival
from tenfold.data.graphs import TemporalGraph, read_interactions
from tenfold.ops import dependency_trees, temporal_sampling
from tenfold.ops.temporal_index import TemporalIndex

K = 20
QUERIES = 800


def main() -> None:
    quick = harness.arguments(__doc__).quick
    torch.set_num_threads(1)
    graph = read_interactions(harness.data("tcl/CollegeMsg.txt.gz"))
    index = TemporalIndex(graph.sources, graph.destinations, graph.times, graph.size)
    nodes, moments = training_batch(graph)
    ours = vectorised(index, nodes, moments), compiled(index, nodes, moments)
    agree(index, nodes, moments)
    rival = dyglib(graph, nodes, moments)
    sides = [side for side in (*ours, rival) if side is not None]
    repeats = 20 if quick else 200
    seconds = in_turns(sides, repeats)
    figures = {"vectorised_ms": 1e3 * seconds[0], "compiled_ms": 1e3 * seconds[1]}
    notes = []
    if rival is None:
        notes.append("DyGLib is not here: python -m benchmarks.peers says how it is had.")
    else:
        figures |= {
            "dyglib_ms": 1e3 * seconds[2],
            "vectorised_speedup_vs_dyglib": seconds[2] / seconds[0],
            "speedup_vs_dyglib": seconds[2] / seconds[1],
        }
    figures |= many(index, graph, 5 if quick else 20) | trees(index, 5 if quick else 20)
    figures |= large(1_000_000 if quick else 10_000_000)
    harness.report("tcl_sampler", figures, notes=notes)


def training_batch(graph: TemporalGraph) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of 200 events in the middle, and of as many with another destination."""
    rows = np.arange(40_000, 40_200)
    others = np.random.default_rng(0).choice(graph.destinations, len(rows))
    nodes = np.concatenate([graph.sources[rows], graph.destinations[rows], graph.sources[rows], others])
    return nodes.astype(np.int32), np.tile(graph.times[rows], 4)


def compiled(index: TemporalIndex, nodes: np.ndarray, moments: np.ndarray) -> Callable[[], Any]:
    return lambda: temporal_sampling.recent(index, nodes, index.cuts(moments), K)


def vectorised(index: TemporalIndex, nodes: np.ndarray, moments: np.ndarray) -> Callable[[], Any]:
    packed, asked, when = index.packed, torch.from_numpy(nodes).long(), torch.from_numpy(moments)
    times = packed.times[1:].contiguous()
    return lambda: temporal_sampling.recent_vectorised(packed, asked, torch.searchsorted(times, when), K)


def agree(index: TemporalIndex, nodes: np.ndarray, moments: np.ndarray) -> None:
    one, other = vectorised(index, nodes, moments)(), compiled(index, nodes, moments)()
    for tensor, array in zip(one, other, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)


def dyglib(graph: TemporalGraph, nodes: np.ndarray, moments: np.ndarray) -> Callable[[], Any] | None:
    sampler = rival.recent_neighbours(graph)
    if sampler is None:
        return None
    found = sampler.get_historical_neighbors(nodes, moments, K)
    ours = compiled(TemporalIndex(graph.sources, graph.destinations, graph.times, graph.size), nodes, moments)()
    np.testing.assert_array_equal(found[0], ours.partners)
    np.testing.assert_array_equal(found[1], ours.events)
    return lambda: sampler.get_historical_neighbors(nodes, moments, K)


def in_turns(sides: list[Callable[[], Any]], repeats: int) -> list[float]:
    """The median seconds of each, called in turns."""
    took: list[list[float]] = [[] for _ in sides]
    for turn in range(repeats + 3):
        for side, own in zip(sides, took, strict=True):
            started = time.process_time()
            side()
            if turn >= 3:
                own.append(time.process_time() - started)
    return [harness.median(own) for own in took]


def many(index: TemporalIndex, graph: TemporalGraph, repeats: int) -> dict[str, float]:
    candidates = np.unique(graph.destinations)[:1000].astype(np.int32)
    cuts = np.repeat(np.arange(50_000, 50_200), 1000)
    nodes = np.tile(candidates, 200)
    out = temporal_sampling.recent(index, nodes, cuts, K)
    (again,) = in_turns([lambda: temporal_sampling.recent(index, nodes, cuts, K, out=out)], repeats)
    (anew,) = in_turns([lambda: temporal_sampling.recent(index, nodes, cuts, K)], repeats)
    return {"compiled_200k_ms": 1e3 * again, "compiled_200k_new_arrays_ms": 1e3 * anew}


def trees(index: TemporalIndex, repeats: int) -> dict[str, float]:
    roots = np.arange(20_001, 40_001, dtype=np.int32)
    (seconds,) = in_turns([lambda: dependency_trees.trees(index, roots, 5, 31)], repeats)
    chased, previous = torch.from_numpy(roots), index.packed.previous
    (chase,) = in_turns([lambda: dependency_trees.chase(previous, chased, 5)], repeats)
    return {"tree_us": 1e6 * seconds / len(roots), "chase_us": 1e6 * chase / len(roots)}


def large(events: int) -> dict[str, float]:
    """Building the tables of a random stream, and growing them."""
    rng = np.random.default_rng(0)
    nodes = events // 100
    ends = rng.integers(1, nodes + 1, (2, events)).astype(np.int32)
    times = np.sort(rng.uniform(0, 1e8, events))
    started = time.process_time()
    index = TemporalIndex(*ends, times, nodes)
    built, later = time.process_time() - started, times[-1] + np.arange(1.0, 100_001)
    started = time.process_time()
    index.append(ends[0, :100_000], ends[1, :100_000], later)
    grown = (time.process_time() - started) / 100_000
    return {"events_in_large_index": events, "build_large_s": built, "append_us": 1e6 * grown}


if __name__ == "__main__":
    main()
