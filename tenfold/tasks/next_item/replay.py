"""A log read into states: all of a user's events at once, users of about one length together, in the chunked form.

The log is cut into parts of users. A part is one transaction, which holds the users' states and a note that the part is
done, so that a replay that died goes on behind the last part, and no event counts twice. What is in the store of these
users before is replaced.

Shapes: U users of a part, E events.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tenfold.data.events import Events, read_events
from tenfold.data.options import ReadOptions
from tenfold.data.packing import alike
from tenfold.errors import OptionError, StateError
from tenfold.streaming import Store, blank, key_of, open_store, pack_many

if TYPE_CHECKING:
    from tenfold.tasks.next_item.task import NextItem

USERS_AT_ONCE = 16_384  # of a part, at most
BYTES_AT_ONCE = 256 << 20  # of a part's states, about
CELLS = 1 << 14  # events in one pass through the network: what it holds of them stays in the cache
PROGRESS = b"\0replay"  # no user's key begins so


class Replayed(NamedTuple):
    users: int
    events: int
    unknown: int  # events of items that the system does not know
    parts: int
    went_on: int  # parts that were done before


def replay(
    system: "NextItem",
    log: Any,
    states: str | Path | Store | None,
    *,
    shard: tuple[int, int] = (0, 1),
    read_options: ReadOptions | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Replayed:
    """shard: (i, n), i from 0: only users whose key's hash says so; n processes, each with its own i, do it all, each
    into a store of its own or into one that they share. Raises DataError, OptionError, StateError.
    """
    if not system.state_size:
        raise OptionError(f"a {type(system).__name__} keeps no states; replay is for systems that stream")
    if not 0 <= shard[0] < shard[1]:
        raise OptionError(f"a shard is i of n, written i/n with i from 0 to n - 1; found {shard[0]}/{shard[1]}")
    events = log if isinstance(log, Events) else read_events(log, read_options)
    known = events.recoded(system.vocabularies)
    with open_store(states) as store:
        return _into(system, known, store, shard, tell)


def _into(
    system: "NextItem", events: Events, store: Store, shard: tuple[int, int], tell: Callable[[str], None]
) -> Replayed:
    fingerprint, size = system.fingerprint(), system.state_size
    ids, lengths = events.users.ids(np.arange(1, len(events.users) + 1)), np.diff(events.offsets)
    mine = np.flatnonzero(lengths > 0)
    if shard[1] > 1:
        of_shard = np.array([_shard(key_of(ids[user]), shard[1]) for user in mine])
        mine = mine[of_shard == shard[0]]
    order = mine[np.argsort(lengths[mine], kind="stable")]  # users of about one length beside each other
    per_part = max(1, min(USERS_AT_ONCE, BYTES_AT_ONCE // (4 * size)))
    parts = [order[start : start + per_part] for start in range(0, len(order), per_part)]
    name = PROGRESS + b"%d/%d" % shard
    about = {"model": fingerprint, "log": events.fingerprint, "parts": len(parts)}
    done = _done(store, name, about)
    unknown = 0
    for number, part in enumerate(parts):
        unknown += int(sum((events.items[events.offsets[u] : events.offsets[u + 1]] == 0).sum() for u in part))
        if number < done:
            continue
        rows = _states(system, events, part, fingerprint, size)
        some = rows["events"] > 0
        keys = [key_of(ids[user]) for user in part[some]]
        note = json.dumps(about | {"done": number + 1}).encode()
        store.put_many(dict(zip(keys, pack_many(rows[some]), strict=True)) | {name: note})
        tell(f"part {number + 1} of {len(parts)}: {len(part):,} users, {int(lengths[part].sum()):,} events")
    store.delete_many([name])
    return Replayed(len(order), int(lengths[order].sum()) - unknown, unknown, len(parts), done)


def _states(system: "NextItem", events: Events, part: np.ndarray, fingerprint: str, size: int) -> np.ndarray:
    """The records (U,) of these users after all their events."""
    from tenfold.tasks.next_item.evaluation import padded, padded_times

    rows = blank(len(part), fingerprint=fingerprint, size=size)
    start, stop = events.offsets[part], events.offsets[part + 1]
    for some in alike(stop - start, CELLS):
        changed, items = rows[some], padded(events.items, start[some], stop[some])
        more: dict[str, Any] = {}
        times = None if events.times is None else padded_times(events.times, events.items, start[some], stop[some])
        if system.uses_times:
            more["times"] = np.full(items.shape, np.nan) if times is None else np.where(items > 0, times, np.nan)
        system.advance(changed, items, **more)
        count = (items > 0).sum(1)
        changed["events"] = count
        changed["item"] = np.where(count > 0, items[np.arange(len(items)), np.maximum(count - 1, 0)], 0)
        if times is not None:
            changed["time"] = np.where(count > 0, np.where(items > 0, times, -np.inf).max(1), np.nan)
        rows[some] = changed
    return rows


def _done(store: Store, name: bytes, about: dict[str, Any]) -> int:
    (note,) = store.get_many([name])
    if note is None:
        return 0
    found = json.loads(note)
    done = found.pop("done")
    if found != about:
        raise StateError(
            "the store holds the beginning of another replay (another log, model or number of shards); go on with that "
            "one, or replay into an empty store"
        )
    return done


def _shard(key: bytes, shards: int) -> int:
    from zlib import crc32

    return crc32(key) % shards


def prequential(system: "NextItem", log: Events) -> dict[str, float]:
    """How well each event was foreseen from those before it: figures over all events of the log, the model as it is.

    Events that it was fitted on may be among them.
    """
    from tenfold.data.splits import Queries, split
    from tenfold.metrics.ranking import figures
    from tenfold.tasks.next_item.evaluation import rank

    known = log.recoded(system.vocabularies)
    lengths = np.diff(known.offsets)
    every = Queries(np.repeat(np.arange(len(lengths)), lengths), np.arange(len(known.items), dtype=np.int64))
    k = min(10, len(system.vocabularies["items"]))
    ranked = rank(system, split(known, "none"), every, k=k)
    return {name: float(values.mean()) for name, values in figures(ranked.above, ranked.tied, [k]).items()}
