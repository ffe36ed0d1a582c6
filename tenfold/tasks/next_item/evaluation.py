"""Ranks of held-out events, chunk by chunk: no users x items matrix is ever held.

A query is one held-out event; its history is all that the user did before. Queries whose whole history fits into what a
causal method looks at share one pass over the longest of them; the others get a pass of their own or, with a stride of
s, share one with those of the same s places of a user's history: as texts are measured with a sliding window.

Shapes: Q queries, P passes, L events of the longest pass in a chunk, V items (column 0 is padding).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tenfold.data.options import ReadOptions
from tenfold.data.packing import alike
from tenfold.data.splits import Queries, Split
from tenfold.errors import DataError, OptionError
from tenfold.metrics.evaluation import Evaluation
from tenfold.metrics.ranking import Coverage, check_ks, default_ks, figures, ranks_and_shown
from tenfold.metrics.sampled import check_sampled, draw_sampled_negatives, keys_of, sampled_ranks
from tenfold.tasks.next_item import answers, groups
from tenfold.tasks.next_item.answers import Recommender

SAMPLED_SEED = 0  # of the sampled protocol: its negatives are the same for every system and every run


class Ranked(NamedTuple):
    """One row for each query, in the order of the queries, and what was shown to anybody."""

    user: np.ndarray  # (Q,)
    above: Tensor  # (Q,), items that score higher than the target
    tied: Tensor  # (Q,), items that score the same, the target among them
    untrained: np.ndarray  # (Q,), whether no training event holds the target: it counts as a miss
    coverage: float  # share of the catalogue that stands in somebody's first k
    few: int = 0  # users who have fewer items left than are sampled

    def per_user(self, by_event: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Figures (Q,), averaged within users: (users,)."""
        _, user = np.unique(self.user, return_inverse=True)
        count = np.bincount(user)
        return {name: np.bincount(user, values.numpy()) / count for name, values in by_event.items()}


def measure(
    system: Recommender,
    data: Any,
    *,
    split: str | None = None,
    part: Literal["test", "validation"] = "test",
    ks: Sequence[int] | None = None,
    exclude_seen: bool = False,
    sampled: int = 0,
    by: Literal["none", "history", "gap", "span"] = "none",
    gap_of: str = "category",
    stride: int = 1,
    read_options: ReadOptions | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Evaluation:
    """The arguments are those of `NextItem.evaluate`. Raises DataError, NotFittedError, OptionError."""
    _ = system.network  # refuses a system that was not fitted before any file is read
    items = len(system.vocabularies["items"])
    ks = ks or default_ks(items, sampled)
    check_ks(ks, items)
    check_sampled(sampled, ks, items)
    if stride < 1:
        raise OptionError(f"stride is a number of events, 1 or more; found {stride}")
    dataset = system.read(data, read_options, **(inputs or {}))
    prepared = system.prepare(dataset, split or system.fitted.get("split") or system.splits[0])
    queries = prepared.queries(part)
    if len(queries.user) == 0:
        raise DataError(f"split '{prepared.name}' leaves no {part} event in this log; choose another split")
    ranked = rank(system, prepared, queries, k=max(ks), exclude_seen=exclude_seen, sampled=sampled, stride=stride)
    named = f"sampled-{sampled}" if sampled else ""
    by_event = figures(ranked.above, ranked.tied, ks, items=items, protocol=named)
    among = f"{sampled} items that the user never had" if sampled else f"the whole catalogue of {items:,} items"
    protocol = (
        f"split {prepared.name}, {part} part: {len(queries.user):,} events of {len(np.unique(queries.user)):,} users, "
        f"each ranked among {among}, items seen before {'left out' if exclude_seen else 'in the ranking'}"
    )
    if stride > 1 and system.context is not None and system.causal:
        protocol += f", after {max(system.context - stride + 1, 1):,} to {system.context:,} events or all there are"
    notes = system.data_notes(dataset, prepared)
    if system.log_of(dataset) != system.fitted.get("log"):
        notes.append("this is not the log that the system was fitted on")
    elif prepared.fingerprint != system.fitted["data"]:
        notes.append(f"fitted on split {system.fitted['split']}: events tested here may have been trained on")
    if ranked.untrained.any():
        notes.append(_untrained(ranked, by_event))
    if ranked.few:
        notes.append(
            f"{ranked.few:,} of {len(np.unique(ranked.user)):,} users have fewer than {sampled:,} items that they "
            f"never had: theirs are ranked among all of these"
        )
    per_user = ranked.per_user(by_event)
    if prepared.name in ("time", "spans"):
        notes += _warm_and_cold(prepared, np.unique(ranked.user), per_user)
    if by != "none":
        notes += groups.sentences(prepared.events, queries, by, gap_of, by_event)
    whole = {} if sampled else {f"coverage@{max(ks)}": ranked.coverage}  # nobody has a share of it
    return Evaluation.of(per_user, whole=whole, protocol=protocol, notes=notes)


def _untrained(ranked: Ranked, by_event: dict[str, Tensor]) -> str:
    said = f"{ranked.untrained.mean():.1%} of these events are of items without a training event, counted as misses"
    if ranked.untrained.all():
        return said
    without = {name: float(values[~ranked.untrained].mean()) for name, values in by_event.items()}
    return f"{said}; over the other events: {_told(without)}"


def _warm_and_cold(split: Split, user: np.ndarray, per_user: dict[str, np.ndarray]) -> list[str]:
    """How those of these users fare who have a training event, and those who have none."""
    warm, notes = split.train_end[user] > split.events.offsets[user], list[str]()
    for of, these in (("with", warm), ("without", ~warm)):
        if these.any():
            means = {name: float(values[these].mean()) for name, values in per_user.items()}
            notes.append(f"{int(these.sum()):,} users {of} training events: {_told(means)}")
    return notes


def _told(means: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in means.items() if not name.startswith("recall"))


def places(
    system: Recommender, split: Split, part: Literal["test", "validation"] = "test", k: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Of each held-out event (Q,): its place in the whole ranking, below k where it stands among the first k, a tie
    counting half; and how many events before it its user last had the same item, 0 for never."""
    queries = split.queries(part)
    ranked = rank(system, split, queries, k=k)
    since = groups.gaps(split.events, split.events.items.astype(np.int64), queries)
    return (ranked.above.double() + ranked.tied.double() / 2).numpy(), since


def rank(
    system: Recommender,
    split: Split,
    queries: Queries,
    *,
    k: int,
    exclude_seen: bool = False,
    sampled: int = 0,
    stride: int = 1,
) -> Ranked:
    """sampled: 0 ranks among the whole catalogue, n among n items drawn once for each user that the user never had.
    stride: as of `passes`."""
    events, items = split.events, len(system.vocabularies["items"])
    target = torch.from_numpy(events.items[queries.position].astype(np.int64))  # 0: an item that the system never saw
    untrained = system.statistics["item_counts"][target] == 0
    target[untrained] = 0  # whose rank would be luck
    above, tied = torch.zeros_like(target), torch.zeros_like(target)
    drawn = np.zeros((0, 0))
    if sampled:
        user_keys = keys_of(events.users.ids(np.arange(1, len(events) + 1)))
        item_keys = keys_of(system.vocabularies["items"].ids(np.arange(1, items + 1)))
        drawn = draw_sampled_negatives(
            events.items, events.offsets, queries.user, items, n=sampled, seed=SAMPLED_SEED, user_keys=user_keys,
            item_keys=item_keys,
        )  # fmt: skip
    coverage = Coverage(items)
    for chunk, scores in scored(system, split, queries, stride):
        wanted = target[chunk].to(scores.device)
        if sampled:
            found = sampled_ranks(scores, wanted, torch.from_numpy(drawn[chunk]).to(scores.device))
        else:
            seen = seen_items(split, queries, chunk).to(scores.device) if exclude_seen else None
            found = ranks_and_shown(scores, wanted, k, coverage, seen)
        above[chunk], tied[chunk] = (x.cpu() for x in found)
    few = len(np.unique(queries.user[(drawn == 0).any(1)])) if sampled else 0
    return Ranked(queries.user, above, tied, untrained.numpy(), coverage.share(), few)


@torch.no_grad()
def scored(system: Recommender, split: Split, queries: Queries, stride: int = 1) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Chunks of queries, as indices (C,), and their scores (C, V + 1). Every query comes once, the short passes first.

    Items that the system does not know (number 0) are left out of the histories; a query whose history holds no other
    is answered by popularity.
    """
    events, device = split.events, system.device
    start, stop, of_query = passes(system, split, queries, stride)
    known = np.concatenate([[0], np.cumsum(events.items != 0)])  # known events before each place of the log
    column = known[queries.position] - known[start[of_query]] - 1  # a query is answered after the event before it
    by_pass = np.argsort(of_query, kind="stable")
    first = np.searchsorted(of_query[by_pass], np.arange(len(start) + 1))
    rows_at_once = answers.scores_at_once(len(system.vocabularies["items"]))
    for chosen in alike(known[stop] - known[start], answers.EVENTS_AT_ONCE):
        rows = torch.from_numpy(padded(events.items, start[chosen], stop[chosen])).to(device)
        clock = None
        if system.uses_times and events.times is not None:
            clock = torch.from_numpy(padded_times(events.times, events.items, start[chosen], stop[chosen])).to(device)
        mine = np.concatenate([by_pass[first[p] : first[p + 1]] for p in chosen])
        row = np.repeat(np.arange(len(chosen)), first[chosen + 1] - first[chosen])
        at = column[mine]
        asked = torch.from_numpy(row).to(device), torch.from_numpy(np.maximum(at, 0)).to(device)
        begin = 0
        for scores in system.scores_at(rows, *asked, rows_at_once, **system.timed(clock)):
            part = slice(begin, begin := begin + len(scores))
            if (at[part] < 0).any():
                scores[torch.from_numpy(at[part] < 0).to(device)] = system.popularity().to(scores)
            yield mine[part], scores


def passes(
    system: Recommender, split: Split, queries: Queries, stride: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of what is read for each pass (P,), (P,), and the pass that answers each query (Q,).

    stride: of a causal method whose answers look at the last `context` events, so many places of a user's history are
    answered in one pass over that many events, each after up to stride - 1 events fewer.
    """
    offsets, last = split.events.offsets[queries.user], queries.position
    if system.context is not None and system.causal:
        stride = min(stride, system.context)
        last = offsets + (queries.position - offsets) // stride * stride + stride - 1  # of its stretch
    start = offsets if system.context is None else np.maximum(offsets, last - system.context)
    # One key for each pass: a user's shared one, those that start alike, or the query's own.
    own = start if system.causal else np.arange(len(start))
    key = np.where((start == offsets) & system.causal, queries.user, len(split.events) + own)
    _, of_query = np.unique(key, return_inverse=True)
    count = int(of_query.max(initial=-1)) + 1
    begin, end = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    begin[of_query] = start
    np.maximum.at(end, of_query, queries.position)
    return begin, end, of_query


def padded(items: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """The known items of items[start:stop] for each row, padded with 0 on the right: (P, L >= 1)."""
    lengths = stop - start
    columns = np.arange(max(int(lengths.max(initial=0)), 1))
    real = columns < lengths[:, None]
    rows = np.where(real, items[np.where(real, start[:, None] + columns, 0)], 0).astype(np.int64)
    if np.count_nonzero(rows) < lengths.sum():  # unknown ones in between: the known ones move up
        rows = np.take_along_axis(rows, np.argsort(rows == 0, axis=1, kind="stable"), axis=1)
    return rows


def padded_times(times: np.ndarray, items: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """The times of the events that `padded` gives: (P, L) float64, 0 on the right."""
    lengths = stop - start
    columns = np.arange(max(int(lengths.max(initial=0)), 1))
    places = np.where(columns < lengths[:, None], start[:, None] + columns, 0)
    known = (columns < lengths[:, None]) & (items[places] != 0)
    order = np.argsort(~known, axis=1, kind="stable")
    return np.take_along_axis(np.where(known, times[places], 0.0), order, axis=1)


def seen_items(split: Split, queries: Queries, chunk: np.ndarray) -> Tensor:
    """What each query's user had before: (C, S), padded with 0."""
    begin = split.events.offsets[queries.user[chunk]]
    return torch.from_numpy(padded(split.events.items, begin, queries.position[chunk]))
