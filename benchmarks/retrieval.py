"""The best ten items of a user: scores of all by torch, and faiss exact, IVF and HNSW, by the size of the catalogue.

d = 64, one vector a user, 16 users at once, as a service answers them; items around 1,000 centres, users sums of three
items. Index and all scores take turns. `_ratio`: seconds of all scores by seconds of the index, more is faster; where
it passes 1 is where `auto` may take it (IVF_FROM in tasks/next_item/retrieval.py). `_recall`: of the true first ten.
"""

import time
from typing import Any, cast

import numpy as np
import torch

from benchmarks import harness
from tenfold.tasks.next_item.retrieval import IVF_FROM, Retrieval

SIZES, WIDTH, USERS, CENTRES, K = (10_000, 25_000, 50_000, 100_000, 200_000), 64, 16, 1_000, 10
HNSW_TO = 100_000  # items, beyond which its building takes minutes
TURNS = 60


class Items:
    """As much of a system as an index asks for."""

    by_products = True

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(count)
        centres = rng.normal(size=(CENTRES, WIDTH)).astype(np.float32)
        table = centres[rng.integers(0, CENTRES, count + 1)] + 0.6 * rng.normal(size=(count + 1, WIDTH))
        self.table = torch.from_numpy(table.astype(np.float32))

    def item_table(self) -> torch.Tensor:
        return self.table

    def vectors_of(self, user: torch.Tensor) -> torch.Tensor:
        return user.unsqueeze(-2)


def all_scores(table: torch.Tensor, users: torch.Tensor) -> np.ndarray:
    scores = users @ table.T
    scores[:, 0] = -torch.inf
    return scores.topk(K).indices.numpy()


def measured(items: int, turns: int) -> dict[str, float]:
    made, found = Items(items), dict[str, float]()
    rng = np.random.default_rng(0)
    users = made.table[1 + torch.from_numpy(rng.integers(0, items, (turns, USERS, 3)))].sum(2)
    kinds = ("exact", "ivf", "hnsw") if items <= HNSW_TO else ("exact", "ivf")
    for kind in kinds:
        started = time.perf_counter()
        index = Retrieval(cast(Any, made), cast(Any, kind))
        found[f"{kind}_{items}_build_s"] = time.perf_counter() - started
        seconds, hits = {"index": list[float](), "all": list[float]()}, list[float]()
        for some in users:
            started = time.perf_counter()
            numbers, _ = index.best(some, K, barred=np.zeros(0, np.int64))
            seconds["index"].append(time.perf_counter() - started)
            started = time.perf_counter()
            true = all_scores(made.table, some)
            seconds["all"].append(time.perf_counter() - started)
            hits += [len(set(a) & set(b)) / K for a, b in zip(numbers, true, strict=True)]
        theirs, ours = harness.median(seconds["all"]), harness.median(seconds["index"])
        found |= {f"{kind}_{items}_ms": 1e3 * ours, f"{kind}_{items}_ratio": theirs / ours}
        found |= {f"{kind}_{items}_recall": float(np.mean(hits)), f"all_{items}_ms": 1e3 * theirs}
    return found


def main() -> None:
    quick = harness.arguments(__doc__).quick
    figures: dict[str, float] = {}
    for items in SIZES[::2][:2] if quick else SIZES:
        figures |= measured(items, 5 if quick else TURNS)
    harness.report("retrieval", figures, notes=[f"`auto` takes ivf from {IVF_FROM:,} items."])


if __name__ == "__main__":
    main()
