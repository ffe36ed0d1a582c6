"""The compiled loops of temporal_index.py, temporal_sampling.py, dependency_trees.py and pair_facts.py.

What they mean is said there. All stand in one file, because numba looks for changes at a loop's own file only.

Events are numbered 1..E in order of time, 0 is none; a node's entries are events[begin[node] : end[node]].
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import njit

from tenfold.splitmix import GOLDEN

MOST = 63  # events of a tree: the bits of one whole number
BITS = 8  # of the table in which a tree's events are found
SLOTS = 1 << BITS
RECENT = 20  # entries of a past that common partners are looked for in
NEVER = -1e9  # log popularity of who was never met


def loop(function: Callable[..., Any], **more: Any) -> Any:
    compiler = cast(Any, njit)
    try:
        return compiler(cache=True, error_model="numpy", nogil=True, **more)(function)
    except RuntimeError:  # there is nowhere to keep it
        return compiler(error_model="numpy", nogil=True, **more)(function)


def any_order(function: Callable[..., Any]) -> Any:
    """A loop whose sums may be taken in whatever order is fastest; NaN and infinity are still what they are."""
    return loop(function, fastmath={"reassoc", "contract", "nsz"})


def without_nan(function: Callable[..., Any]) -> Any:
    """A loop that may take it that no number is NaN."""
    return loop(function, fastmath={"nnan", "nsz"})


@loop
def build(sources, destinations, times, begin, end, tie, partners, events, previous):  # type: ignore[no-untyped-def]
    """Fills begin, end, tie (N + 1,), partners, events (2 E,) and previous (E + 1, 2): a counting sort by node.

    What `_enter` reads of a node's earlier entries, and of their times, would be somewhere else in memory for each end
    of each event. Here events come in order, so that an event is of the newest moment if it is not before that moment's
    first; and each node's last event, and its last of an earlier moment, stand side by side, until all are in where
    `begin` will be.
    """
    count, seen = len(sources), begin.view(np.int32).reshape(-1, 2)
    for e in range(count):
        end[sources[e]] += 1
        end[destinations[e]] += 1
    total = 0
    for node in range(len(end)):
        held = end[node]
        end[node] = tie[node] = total
        total += held
    first = 1  # event of the moment
    for event in range(1, count + 1):
        if event > 1 and times[event - 2] < times[event - 1]:
            first = event
        for side in range(2):
            node, partner = sources[event - 1], destinations[event - 1]
            if side == 1:
                node, partner = partner, node
            place, last = end[node], seen[node, 0]
            if 0 < last < first:
                tie[node], seen[node, 1] = place, last
            seen[node, 0], previous[event, side] = event, seen[node, 1]
            partners[place], events[place], end[node] = partner, event, place + 1
    begin[0] = 0
    for node in range(1, len(end)):
        begin[node] = end[node - 1]


@loop
def _enter(event, node, partner, times, begin, end, tie, partners, events):  # type: ignore[no-untyped-def]
    """Puts an event behind a node's others; returns the last one of a strictly earlier time, or 0."""
    place = end[node]
    if place > begin[node] and times[events[place - 1] - 1] < times[event - 1]:
        tie[node] = place  # where the entries of the newest moment begin
    partners[place], events[place] = partner, event
    end[node] = place + 1
    return events[tie[node] - 1] if tie[node] > begin[node] else 0


@loop
def append(first, count, sources, destinations, times, begin, end, room, tie, partners, events, previous, used):  # type: ignore[no-untyped-def]
    """Enters events first + 1 .. count. A node whose room is full moves behind all others, into twice as much.

    Returns how many events are in, and how much of the arrays is used: fewer than `count` where they are full.
    """
    for e in range(first, count):
        for node in (sources[e], destinations[e]):
            held = end[node] - begin[node]
            if room[node] - end[node] >= 2:  # a self loop enters twice
                continue
            wanted = 2 * held + 4
            if used + wanted > len(events):
                return e, used
            partners[used : used + held] = partners[begin[node] : end[node]]
            events[used : used + held] = events[begin[node] : end[node]]
            tie[node] += used - begin[node]
            begin[node], end[node], room[node] = used, used + held, used + wanted
            used += wanted
        for side in range(2):
            node, partner = (sources[e], destinations[e]) if side == 0 else (destinations[e], sources[e])
            previous[e + 1, side] = _enter(e + 1, node, partner, times, begin, end, tie, partners, events)
    return count, used


@loop
def _stop(node, cut, begin, end, events):  # type: ignore[no-untyped-def]
    """Behind the node's last entry whose event is among the first `cut`."""
    low, high = begin[node], end[node]
    if low < high and events[high - 1] <= cut:  # the newest, which a stream asks for
        return high
    while low < high:
        middle = (low + high) >> 1
        if events[middle] <= cut:
            low = middle + 1
        else:
            high = middle
    return low


@loop
def cuts(times, count, asked, found):  # type: ignore[no-untyped-def]
    """For each moment the number of events before it; moments in order are found in a step or two each."""
    last = np.int64(0)
    for q in range(len(asked)):
        t = asked[q]
        low, high = np.int64(0), np.int64(count)
        if last < count and times[last] < t:  # look forward from the one before, in doubling steps
            step = np.int64(1)
            low = last + 1
            while low + step < count and times[low + step] < t:
                low += step + 1
                step *= 2
            high = min(low + step, count)
        elif last == 0 or times[last - 1] < t:
            low = high = last
        while low < high:
            middle = (low + high) >> 1
            if times[middle] < t:
                low = middle + 1
            else:
                high = middle
        found[q] = last = low


@loop
def recent(nodes, cut, begin, end, partners, events, times, found_partners, found_events, found_times):  # type: ignore[no-untyped-def]
    """One counter walks through all three results; unsigned, because a signed one could count from the end."""
    k, one = found_events.shape[1], np.uint64(1)
    into_partners, into_events, into_times = (
        found_partners.reshape(-1),
        found_events.reshape(-1),
        found_times.reshape(-1),
    )
    at = np.uint64(0)
    for q in range(len(nodes)):
        stop = _stop(nodes[q], cut[q], begin, end, events)
        count = min(stop - begin[nodes[q]], k)
        for _ in range(k - count):
            into_partners[at], into_events[at], into_times[at] = 0, 0, 0
            at += one
        for place in range(np.uint64(stop - count), np.uint64(stop)):
            event = events[place]
            into_partners[at], into_events[at], into_times[at] = partners[place], event, times[np.uint64(event) - one]
            at += one


@loop
def drawn(nodes, cut, draws, rate, begin, end, partners, events, times, found_partners, found_events, found_times):  # type: ignore[no-untyped-def]
    """draws (Q, k), each row ascending: so are the places that they choose."""
    k = found_events.shape[1]
    for q in range(len(nodes)):
        node = nodes[q]
        first = begin[node]
        stop = _stop(node, cut[q], begin, end, events)
        if stop == first:
            found_partners[q], found_events[q], found_times[q] = 0, 0, 0
            continue
        newest, total = times[events[stop - 1] - 1], 0.0
        if rate > 0.0:
            for place in range(first, stop):
                total += np.exp(-rate * np.float64(newest - times[events[place] - 1]))
        place, sofar = first, 0.0
        if rate > 0.0:
            sofar = np.exp(-rate * np.float64(newest - times[events[place] - 1]))
        for j in range(k):
            if rate > 0.0:
                while place < stop - 1 and sofar <= draws[q, j] * total:
                    place += 1
                    sofar += np.exp(-rate * np.float64(newest - times[events[place] - 1]))
            else:
                place = first + np.int64(draws[q, j] * (stop - first))
            event = events[place]
            found_partners[q, j], found_events[q, j], found_times[q, j] = partners[place], event, times[event - 1]


@loop
def roots(nodes, cut, begin, end, events, found):  # type: ignore[no-untyped-def]
    for q in range(len(nodes)):
        stop = _stop(nodes[q], cut[q], begin, end, events)
        found[q] = events[stop - 1] if stop > begin[nodes[q]] else 0


@loop
def trees(roots, previous, depth, most, found, depths, children, reach):  # type: ignore[no-untyped-def]
    """Level by level, each event once: found, depths, children (Q, M), reach (Q, M, 2). Returns the most found."""
    widest = 0
    level, named_by = np.empty(2 * MOST + 1, np.int32), np.empty(2 * MOST + 1, np.int32)
    held, place, order = np.zeros(SLOTS, np.int32), np.empty(SLOTS, np.int32), np.empty(MOST + 1, np.int64)
    for q in range(len(roots)):
        found[q], depths[q], children[q], reach[q] = 0, 0, 0, 0
        if roots[q] == 0:
            continue
        held[:] = 0
        found[q, 0], depths[q, 0], count, first = roots[q], 1, 1, 0
        slot = _slot(held, roots[q])
        held[slot], place[slot] = roots[q], 0
        for d in range(2, depth + 1):
            here = 0
            for j in range(first, count):
                for side in range(2):
                    event = previous[found[q, j], side]
                    slot = _slot(held, event)
                    if event == 0 or held[slot] == event:
                        continue
                    held[slot] = event
                    at = here
                    while at > 0 and level[at - 1] < event:
                        level[at], named_by[at] = level[at - 1], named_by[at - 1]
                        at -= 1
                    level[at], named_by[at] = event, found[q, j]
                    here += 1
            first, last = count, min(count + here, most)
            for i in range(here):
                slot = _slot(held, level[i])
                place[slot] = MOST + 1  # beyond `most`, unless
                if count + i < last:
                    place[slot] = count + i
                    found[q, count + i], depths[q, count + i], children[q, count + i] = level[i], d, named_by[i]
            count = last
            if here == 0 or count == most:
                break
        _close(found[q], count, previous, reach[q], held, place, order)
        widest = max(widest, count)
    return widest


@loop
def _slot(held, event):  # type: ignore[no-untyped-def]
    """Where an event stands in a table of SLOTS, of which at most half are taken, or would stand."""
    slot = (np.uint64(event) * GOLDEN) >> np.uint64(64 - BITS)
    while held[slot] != 0 and held[slot] != event:
        slot = (slot + np.uint64(1)) & np.uint64(SLOTS - 1)
    return slot


@loop
def _close(found, count, previous, reach, held, place, order):  # type: ignore[no-untyped-def]
    """reach (M, 2): as bits, which events each side of each depends on; the oldest first, so theirs are known."""
    for n in range(count):
        j, at = count - 1 - n, n  # the deepest are mostly the oldest
        while at > 0 and found[order[at - 1]] > found[j]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = j
    for n in range(count):
        j = order[n]
        for side in range(2):
            event, bits = previous[found[j], side], np.int64(0)
            slot = _slot(held, event)
            if event and held[slot] == event and place[slot] < count:
                parent = place[slot]
                bits = reach[parent, 0] | reach[parent, 1] | (np.int64(1) << parent)
            reach[j, side] = bits


@loop
def fading(begin, end, events, destinations, times, origin, rate, logs, counts):  # type: ignore[no-untyped-def]
    for node in range(len(begin)):
        total, count = NEVER, 0
        for place in range(begin[node], end[node]):
            event = events[place]
            # the first entry of a self loop is its source's
            again = place + 1 < end[node] and events[place + 1] == event
            if destinations[event - 1] == node and not again:
                at = rate * (np.float64(times[event - 1]) - origin)
                count += 1
                total = at if count == 1 else total + np.log1p(np.exp(at - total)) if at - total < 30 else at
            logs[place], counts[place] = total, count


@loop
def facts(sources, cuts, candidates, begin, end, partners, events, senders, takers, logs, counts, marks, found):  # type: ignore[no-untyped-def]
    """marks (N + 1, 8), all 0 before and after: what is known of a node while one query is answered."""
    for q in range(len(sources)):
        u, cut = sources[q], cuts[q]
        first, stop = begin[u], _stop(u, cut, begin, end, events)
        place, met = stop - 1, 0
        last, second = 0, 0
        while place >= first:
            v, event = partners[place], events[place]
            if marks[v, 4] == 0:
                met += 1
                marks[v, 4] = met
                if met == 1:
                    last = v
                elif met == 2:
                    second = v
            if senders[event - 1] == u and takers[event - 1] == v:
                marks[v, 0] = max(marks[v, 0], event)
                marks[v, 2] += 1
            else:
                marks[v, 1] = max(marks[v, 1], event)
                marks[v, 3] += 1
            if stop - place <= RECENT:
                marks[v, 7] = 1
            place -= 1
        for hop in range(2):
            w = last if hop == 0 else second
            if w > 0:
                met = 0
                for place in range(_stop(w, cut, begin, end, events) - 1, begin[w] - 1, -1):
                    v = partners[place]
                    if v != u and marks[v, 5 + hop] == 0:
                        met += 1
                        marks[v, 5 + hop] = met
        row = 0 if len(candidates) == 1 else q
        for c in range(candidates.shape[1]):
            v = candidates[row, c]
            if v == 0:
                continue
            one = found[q, c]
            for fact in range(7):
                one[fact] = marks[v, fact]
            start, stop_v = begin[v], _stop(v, cut, begin, end, events)
            if stop_v > start:
                one[9], one[10], one[11] = logs[stop_v - 1], counts[stop_v - 1], events[stop_v - 1]
                one[12] = 1.0 if partners[stop_v - 1] == u else 0.0
            else:
                one[9] = NEVER
            for place in range(max(start, stop_v - RECENT), stop_v):
                w = partners[place]
                if marks[w, 7] == 1:
                    again = False
                    for before in range(max(start, stop_v - RECENT), place):
                        again = again or partners[before] == w
                    if not again:
                        one[7] += 1
                        one[8] += 1.0 / np.log(2.0 + _stop(w, cut, begin, end, events) - begin[w])
        _clear(u, begin[u], stop, partners, marks)
        for hop in range(2):
            w = last if hop == 0 else second
            if w > 0:
                _clear(w, begin[w], _stop(w, cut, begin, end, events), partners, marks)


@loop
def _clear(node, first, stop, partners, marks):  # type: ignore[no-untyped-def]
    for place in range(first, stop):
        marks[partners[place]] = 0
