"""The shop: how long it takes to draw and what it takes up, and whether there is in it what is said to be.

Drawing is measured in fresh processes, imports and writing included: the whole shop and 10,000 pictures by two
processes, events by one; the first one also compiles. What events older than the last 50 are worth is measured by an
observer that counts: it knows the catalogue, what followed what in all training events, and a customer's own history,
once whole and once only its last 50 events. How much of the way from the best simple rule to the oracle SASRec goes,
within ten minutes, is measured by fitting it (not if quick).
"""

import os
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import harness
from tenfold.metrics.bootstrap import mean_interval, quantiles, resampled_means
from tenfold.shop import Shop

WINDOW = 50
DRAW = """
import sys
from tenfold.shop import Shop
folder, users, events, processes, *only = sys.argv[1:]
shop = Shop(users=int(users), events=int(events), processes=int(processes), progress=False)
shop.write(folder, only=only or None)
"""
PICTURES = """
from tenfold.shop import Shop
from tenfold.shop.simulation import pool_of
from tenfold.shop.tables import TABLES, draw_table
if __name__ == "__main__":
    options = Shop(pictures=10_000, pixels=64).options
    with pool_of(2) as pool:
        assert sum(map(len, draw_table(TABLES["pictures"], options, pool))) == 10_000
"""


def drawn(folder: Path, users: int, events: int, *only: str, **environment: str) -> harness.Child:
    """A folder written by a fresh process: with all its tables and by two of them, or only some by one."""
    script = folder.with_suffix(".py")  # not -c: the processes it starts read it again
    script.write_text(f'if __name__ == "__main__":\n{textwrap.indent(DRAW, "    ")}')
    sizes = str(users), str(events), "1" if only else "2"
    return harness.child([sys.executable, script, folder / f"{users}", *sizes, *only], env=environment)


def speed(folder: Path, quick: bool) -> dict[str, float]:
    drawn(folder / "warm", 1_000, 200_000)  # compiled from here on
    events = drawn(folder / "events", 1_000, 200_000, "events")
    million = drawn(folder / "million", 5_000, 1_000_000, "events")
    size = sum(path.stat().st_size for path in (folder / "warm" / "1000").iterdir())
    figures = {"default_mb": size / 1e6, "default_events_s": events.seconds, "events_1m_s": million.seconds}
    if not quick:
        figures["default_s"] = harness.median([drawn(folder / f"usual{n}", 1_000, 200_000).seconds for n in range(3)])
        first = drawn(folder / "first", 1_000, 200_000, NUMBA_CACHE_DIR=str(folder / "cache"))
        figures["default_first_s"] = first.seconds
        script = folder / "pictures.py"
        script.write_text(PICTURES)
        figures["pictures_10k_64px_s"] = harness.child([sys.executable, script]).seconds
        most = drawn(folder / "most", 50_000, 10_000_000, "events")
        figures |= {"events_10m_s": most.seconds, "events_10m_gib": most.peak_gib}
    return figures


class Observer:
    """Scores items from a history alone: what follows the last item of each theme and style, the customer's own
    favourites there, and what sells there; most weight is on the theme and style of the last event."""

    def __init__(self, shop: Shop) -> None:
        self.counts, self.item = shop.ground.counts, shop.drawn.item
        self.segment, items = shop.ground.catalog.segment, shop.options.items
        self.ends = self.counts.cumsum()
        self.follows = np.zeros((items, items), np.float32)
        sold = np.zeros(items)
        for end, count in zip(self.ends, self.counts, strict=True):
            latest: dict[int, int] = {}
            for i in self.item[end - count : end - 2 * (count // 10)].tolist():
                g = int(self.segment[i])
                if g in latest:
                    self.follows[latest[g], i] += 1
                latest[g] = i
                sold[i] += 1
        self.follows /= np.maximum(self.follows.sum(1, keepdims=True), 1)
        self.sells = sold / np.maximum(np.bincount(self.segment, weights=sold)[self.segment], 1)

    def scores(self, history: np.ndarray) -> np.ndarray:
        """history (L,) -> (V,)."""
        own = np.bincount(history, minlength=len(self.segment)).astype(np.float64)
        own -= 0.5 * np.bincount(history[-8:], minlength=len(own))  # what was just seen is less likely again
        latest = dict(zip(self.segment[history].tolist(), history.tolist(), strict=True))  # the last item of each
        shares = np.bincount(self.segment, weights=own)
        expected = 0.2 * self.sells + 0.6 * own / np.maximum(shares, 1e-9)[self.segment]
        weight = np.zeros(len(shares))
        weight[list(latest)] = 0.02
        weight[self.segment[history[-1]]] = 1.0
        expected += 0.5 * sum(self.follows[i] for i in latest.values())
        return weight[self.segment] * expected + 1e-4 * self.sells

    def hits(self, window: int | None) -> np.ndarray:
        """Each customer's mean hit rate at 10 over the last tenth of the history, at most ten events of it."""
        hits = []
        for end, count in zip(self.ends, self.counts, strict=True):
            held = int(count // 10)
            places = range(end - held, end, max(1, held // 10))
            found = []
            for at in places:
                begin = end - count if window is None else max(end - count, at - window)
                scores = self.scores(self.item[begin:at])
                found.append((scores > scores[self.item[at]]).sum() < 10)
            if found:
                hits.append(np.mean(found))
        return np.array(hits)


def sasrec(shop: Shop, folder: Path) -> tuple[float, tuple[float, float]]:
    """The share of the way from repeat-last, the best rule, to the oracle, at Hit@10 of last events; its interval."""
    from tenfold.systems import load_class

    shop.write(folder, only=["events"])
    log = str(folder / "events.parquet")
    system = load_class("sasrec")(
        **{"dim": 64, "training.length": 200, "training.batch_size": 32, "training.lr": 0.002}
    )
    system.fit(log, split="loo", max_seconds=600, max_epochs=1_000, patience=10)
    rule = load_class("repeat-last")()
    rule.fit(log, split="loo")
    oracle = shop.truth().filter(pl.col("last"))["hit_10"].to_numpy()
    table = np.stack([fit.evaluate(log).per_unit["hr@10"] for fit in (system, rule)] + [oracle], axis=1)  # (U, 3)

    def share(means: np.ndarray) -> np.ndarray:
        return (means[..., 0] - means[..., 1]) / (means[..., 2] - means[..., 1])

    return float(share(table.mean(0))), quantiles(share(resampled_means(table)))


def main() -> None:
    quick = harness.arguments(__doc__).quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = speed(folder, quick)
        shop = Shop(users=300, events=60_000) if quick else Shop()
        truth = shop.learnable["loo"]
        figures |= {"gap_at_10": truth.gap(10), "oracle_at_10": truth.oracle[1]}
        figures["best_rule_at_10"] = truth.oracle[1] - truth.gap(10)
        observer = Observer(shop)
        whole, recent = observer.hits(None), observer.hits(WINDOW)
        gain = mean_interval(whole - recent)
        figures |= {"observer_at_10": float(whole.mean()), "old_events_gain": float((whole - recent).mean())}
        notes = [
            f"The observer's gain from events older than the last {WINDOW} lies in {gain[0]:.3f} .. {gain[1]:.3f}."
        ]
        if not quick:
            figures["sasrec_share_of_gap"], interval = sasrec(shop, folder / "sasrec")
            notes.append(
                f"SASRec's share of the gap lies in {interval[0]:.2f} .. {interval[1]:.2f}; ten minutes at most."
            )
    notes.append(f"A machine of {os.cpu_count()} cores.")
    harness.report("shop", figures, notes=notes)


if __name__ == "__main__":
    main()
