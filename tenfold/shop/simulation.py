"""A whole shop's events: customers in shards, one after another or on several processes, to the same values."""

import itertools
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.catalog import Catalog, draw_catalog
from tenfold.shop.customers import Drawn, draw_counts, draw_events, draw_habits
from tenfold.shop.market import Market, build_market
from tenfold.shop.options import Options
from tenfold.shop.truth import FIGURES, test_events

SHARD = 500_000  # events: enough to be worth sending to a process, few enough that progress is seen
BIG = 1_000_000  # events from which on progress is shown unless told otherwise


class Ground(NamedTuple):
    """What all customers share, and how many events each has."""

    catalog: Catalog
    market: Market
    counts: NDArray[np.int64]


@lru_cache(maxsize=2)
def ground(options: Options) -> Ground:
    catalog = draw_catalog(options)
    return Ground(catalog, build_market(catalog, options), draw_counts(options))


def draw(options: Options, *, processes: int = 1, progress: bool | None = None) -> Drawn:
    """Every customer's events, in the order of customers."""
    counts = ground(options).counts
    shards = list(_shards(counts, processes))
    events, tests = int(counts.sum()), int(test_events(counts).sum())
    whole = Drawn(
        item=np.empty(events, np.int32),
        time=np.empty(events, np.int64),
        action=np.empty(events, np.int8),
        truth=np.empty((tests, FIGURES), np.float32),
    )
    at, tested = 0, 0
    shown = events >= BIG if progress is None else progress
    with pool_of(processes if len(shards) > 1 else 1) as pool, bar(f"{events:,} events", events, shown=shown) as tell:
        tasks = itertools.repeat(options), *zip(*shards, strict=True)
        for part in (pool.map if pool else map)(draw_shard, *tasks):  # in order, as they are ready
            for name, place in zip(Drawn._fields, (at, at, at, tested), strict=True):
                values = getattr(part, name)
                getattr(whole, name)[place : place + len(values)] = values
            at, tested = at + len(part.item), tested + len(part.truth)
            tell(at)
    return whole


def draw_shard(options: Options, first: int, last: int) -> Drawn:
    shared = ground(options)
    return draw_events(options, shared.market, draw_habits(options, shared.market, shared.counts, first, last))


def _shards(counts: NDArray[np.int64], processes: int) -> Iterator[tuple[int, int]]:
    """Customers first .. last - 1, of about as many events each; at least one shard a process."""
    size = min(SHARD, max(1, -(-int(counts.sum()) // processes)))
    number = (counts.cumsum() - 1) // size
    borders = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(counts)]
    yield from itertools.pairwise(borders)


@contextmanager
def pool_of(processes: int) -> Iterator[ProcessPoolExecutor | None]:
    """None where one process is enough."""
    if processes <= 1:
        yield None
        return
    pool = ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )  # Ctrl-C reaches the workers too; it is answered here
    try:
        yield pool
    finally:  # also on Ctrl-C: what has not begun does not begin
        pool.shutdown(cancel_futures=True)


@contextmanager
def bar(what: str, total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Progress on the terminal, if it is to be shown; what is yielded is told how much is done."""
    if not shown:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"drawing {what}", total=total)
        yield lambda done: progress.update(task, completed=done)
