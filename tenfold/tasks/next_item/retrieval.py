"""The best k items of a user's vectors without a score for each item of the catalogue: an index of faiss.

    exact   all products, by faiss
    ivf     items in about 4 sqrt(V) cells; the cells nearest to a vector are looked at (Sivic and Zisserman, ICCV 2003)
    hnsw    a graph of near items that is walked (Malkov and Yashunin, arXiv 1603.09320)
    auto    below IVF_FROM items no index: scores of all of them, by torch; from there on ivf

How much ivf and hnsw look at is chosen when they are built: twice as much until RECALL of the true first ten is found,
for vectors that are mixed of items. A user with several vectors gets the best over them, each item once. Items whose
score has something beside the product, as those have that a user had before, are scored one by one.

Shapes: N users, M vectors of each, V items (0 is padding), d width.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from tenfold.errors import OptionError
from tenfold.tasks.next_item.answers import Recommender

Kind = Literal["auto", "none", "exact", "ivf", "hnsw"]
IVF_FROM = 50_000  # items; it is as fast as all scores from 10,000 on (benchmarks/retrieval.py), and misses a few
RECALL, PROBES, MIXED = 0.99, 512, 3  # of the first ten; vectors it is measured with, each the sum of so many items
NEIGHBOURS, CONSTRUCTION = 32, 80  # of hnsw: links of an item, and candidates for them while it is built
MOST_LEFT_OUT = 1_000  # items that one user is not shown; with more all items are scored
TRAINED_ON = 64  # items of each cell, of which its centre is a mean


def retrieval_of(system: Recommender, kind: Kind) -> "Retrieval | None":
    """None where all items are to be scored. Raises OptionError where this kind is not to be had."""
    if kind not in get_args(Kind):
        raise OptionError(f"retrieval is {', '.join(get_args(Kind))}; found {kind!r}")
    few = len(system.vocabularies["items"]) < IVF_FROM
    if kind == "none" or (kind == "auto" and (few or not system.by_products)):
        return None
    if not system.by_products:
        raise OptionError(f"a {type(system).__name__} with these options does not score items by products of vectors; "
                          "leave retrieval at none")  # fmt: skip
    try:
        return Retrieval(system, "ivf" if kind == "auto" else kind)
    except ModuleNotFoundError:
        if kind == "auto":
            return None
        raise OptionError("retrieval by an index needs faiss; install it with: pip install 'tenfold[serve]'") from None


class Retrieval:
    """Of the items' vectors as they are now; a system that learns afterwards needs another."""

    def __init__(self, system: Recommender, kind: Literal["exact", "ivf", "hnsw"]) -> None:
        import faiss

        self.system, self.kind = system, kind
        table = system.item_table().detach()[1:].cpu().float().contiguous().numpy()
        self.items, self.recall, self.looked_at = len(table), 1.0, "all items"
        self.table = table
        width, metric = table.shape[1], faiss.METRIC_INNER_PRODUCT
        self.index: Any = faiss.IndexFlatIP(width)
        if kind == "ivf":
            cells = int(min(max(4 * self.items**0.5, 1), max(self.items // 39, 1)))  # 39: what k-means wants of each
            self.index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, metric)
            rng = np.random.default_rng(0)
            self.index.train(table[np.sort(rng.permutation(self.items)[: TRAINED_ON * cells])])
        elif kind == "hnsw":
            self.index = faiss.IndexHNSWFlat(width, NEIGHBOURS, metric)
            self.index.hnsw.efConstruction = CONSTRUCTION
        self.index.add(table)
        if kind != "exact":
            self._look_at_enough(table)

    def _look_at_enough(self, table: np.ndarray) -> None:
        """Twice as many cells, or candidates, until enough of the true first ten are among those found."""
        rng, k = np.random.default_rng(1), min(10, self.items)
        mixed = table[rng.integers(0, self.items, (PROBES, MIXED))].sum(1)
        true = torch.topk(torch.from_numpy(mixed) @ torch.from_numpy(table).T, k).indices.numpy()
        looked_at, most = (1, self.index.nlist) if self.kind == "ivf" else (16, 1024)
        while True:
            self._look_at(looked_at)
            found = self.index.search(mixed, k)[1]
            self.recall = float(np.mean([len(set(a) & set(b)) / k for a, b in zip(true, found, strict=True)]))
            if self.recall >= RECALL or looked_at >= most:
                return
            looked_at = min(2 * looked_at, most)

    def _look_at(self, count: int) -> None:
        if self.kind == "ivf":
            self.index.nprobe, self.looked_at = count, f"{count} of {self.index.nlist} cells"
        else:
            self.index.hnsw.efSearch, self.looked_at = count, f"{count} candidates"

    def __str__(self) -> str:
        return f"{self.kind}: {self.looked_at} looked at, recall of the first ten {self.recall:.3f}"

    @torch.no_grad()
    def best(
        self, users: Tensor, k: int, *, barred: np.ndarray, seen: Sequence[np.ndarray] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """The numbers (N, k) of the best items and their scores; 0 and -inf where fewer were found: there are no
        more, or what was looked at holds no more.

        users: as `Recommender.scores` takes them.  barred: items that nobody is shown; seen: each user's, or none.
        """
        vectors = self.system.vectors_of(users)
        n, m, width = vectors.shape
        numbers, scores = np.zeros((n, k), np.int64), np.full((n, k), -np.inf, np.float32)
        if not n:
            return numbers, scores
        more = self.system.beside_products(users)
        others = None if more is None else (more.cpu().float().numpy(), vectors[:, 0].float().cpu().numpy())
        most = 0 if others is None else int((others[0][:, 1:] != 0).sum(1).max())
        asked = min(k + most + len(barred) + max(map(len, seen), default=0), self.items)
        near, found = self.index.search(vectors.float().reshape(n * m, width).cpu().numpy(), asked)
        near, found = near.reshape(n, m * asked), found.reshape(n, m * asked) + 1  # 0: it looked at too few
        if m > 1:
            order = np.argsort(-near, axis=1, kind="stable")
            near, found = np.take_along_axis(near, order, 1), np.take_along_axis(found, order, 1)
        if others is not None:
            near, found = self._with_others(near, found, *others)
        for row in range(n):
            left_out, count = {0, *barred.tolist(), *(seen[row].tolist() if len(seen) else ())}, 0
            for place, item in enumerate(found[row].tolist()):
                if count == k:
                    break
                if item not in left_out:
                    numbers[row, count], scores[row, count] = item, near[row, place]
                    left_out.add(item)  # of several vectors that find it the best is first
                    count += 1
        return numbers, scores

    def _with_others(
        self, near: np.ndarray, found: np.ndarray, more: np.ndarray, vectors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Products near (N, A) of the items found (N, A), and scores of all that have something beside their product,
        more (N, V + 1); best first, 0 and -inf behind them."""
        scored, numbers = list[np.ndarray](), list[np.ndarray]()
        for row, own in enumerate(more):
            (items,) = np.nonzero(own)
            items = items[items > 0]
            plain = (found[row] > 0) & (own[found[row]] == 0)
            score = np.concatenate([near[row, plain], self.table[items - 1] @ vectors[row] + own[items]])
            order = np.argsort(-score, kind="stable")
            scored.append(score[order])
            numbers.append(np.concatenate([found[row, plain], items])[order])
        longest = max(map(len, scored))
        return (
            np.stack([np.pad(each, (0, longest - len(each)), constant_values=-np.inf) for each in scored]),
            np.stack([np.pad(each, (0, longest - len(each))) for each in numbers]),
        )
