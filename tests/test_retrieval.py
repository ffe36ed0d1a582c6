"""The best items by an index: the same as by all scores, nothing that is left out, several vectors of a user."""

import sys

import numpy as np
import pytest
import torch

from tenfold import GRU4Rec, LimaRec
from tenfold.errors import OptionError
from tenfold.tasks.next_item import retrieval
from tenfold.tasks.next_item.retrieval import Retrieval, retrieval_of

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def several(events):
    return LimaRec(dim=8, heads=2, interests=3).fit(events, max_epochs=1, progress="none", accelerator="cpu")


@pytest.fixture(scope="module")
def counting(events):
    fitted = LimaRec(dim=8, heads=2).fit(events, max_epochs=1, progress="none", accelerator="cpu")
    with torch.no_grad():  # one epoch opens the gate a little only
        fitted.network.counts.gate.bias -= 0.5
        fitted.network.counts.gate.weight += 0.5
    return fitted


@pytest.fixture(scope="module")
def one(events):
    return GRU4Rec(GRU4Rec.tiny).fit(events, max_epochs=1, progress="none", accelerator="cpu")


class Catalogue:
    """What `Retrieval` asks of a system: items around 40 centres, users with M vectors."""

    by_products = True

    def __init__(self, items, width=16, seed=0):
        rng = np.random.default_rng(seed)
        centres = rng.normal(size=(40, width))
        table = centres[rng.integers(0, 40, items)] + 0.5 * rng.normal(size=(items, width))
        self.table = torch.from_numpy(np.concatenate([np.zeros((1, width)), table]).astype(np.float32))
        self.vocabularies = {"items": range(items)}

    def item_table(self):
        return self.table

    def vectors_of(self, user):
        return user

    def beside_products(self, user):
        return None


def brute_force(catalogue, users, k, barred=(), seen=()):
    scores = (users @ catalogue.table.T).amax(1)
    scores[:, [0, *barred]] = -torch.inf
    for row, own in enumerate(seen):
        scores[row, own] = -torch.inf
    best = scores.topk(k)
    return best.indices.numpy(), best.values.numpy()


@pytest.mark.parametrize("vectors", [1, 4])
def test_exact_is_brute_force_by_the_best_vector(vectors):
    catalogue = Catalogue(700)
    users = torch.randn(9, vectors, 16, generator=torch.Generator().manual_seed(1))
    barred, seen = np.array([3, 700, 0]), [np.arange(row * 40 + 1, row * 40 + 30) for row in range(9)]
    for k in (1, 10, 600):
        numbers, scores = Retrieval(catalogue, "exact").best(users, k, barred=barred, seen=seen)
        true, values = brute_force(catalogue, users, k, [3, 700], seen)
        np.testing.assert_array_equal(numbers, true)
        np.testing.assert_allclose(scores, values, atol=1e-5)
    nothing, scores = Retrieval(catalogue, "exact").best(users, 700, barred=barred, seen=seen)
    assert (nothing[:, 671:] == 0).all() and np.isinf(scores[:, 671:]).all()  # fewer are left than were asked for
    assert len(Retrieval(catalogue, "exact").best(users[:0], 5, barred=barred)[0]) == 0


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_what_looks_at_few_items_finds_nearly_all(kind):
    catalogue = Catalogue(6_000)
    index = Retrieval(catalogue, kind)
    assert index.recall >= retrieval.RECALL and kind in str(index) and "recall" in str(index)
    if kind == "ivf":
        assert index.index.nprobe < index.index.nlist
    users = catalogue.table[1::60].reshape(50, 2, 16)
    numbers, scores = index.best(users, 10, barred=np.array([7]))
    true, _ = brute_force(catalogue, users, 10, [7])
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(numbers, true, strict=True)]) > 0.95
    assert 7 not in numbers and (np.diff(scores, axis=1) <= 0).all()
    assert all(len(set(row)) == 10 for row in numbers)  # found by two vectors, told once


@pytest.mark.parametrize("kind", ["exact", "ivf", "hnsw"])
@pytest.mark.parametrize("which", ["one", "several", "counting"])
def test_a_session_answers_alike(kind, which, request):
    system = request.getfixturevalue(which)
    plain, indexed = system.open(keep_seen=20), system.open(keep_seen=20, retrieval=kind)
    assert plain.retrieval is None and indexed.retrieval is not None
    for session in (plain, indexed):
        session.update_many(["u", "u", "w"], ["r0i0", "r0i1", "r1i2"])
    users = ["u", "nobody", "w"]
    for how in ({}, {"exclude": ["r0i2", "no item"]}, {"exclude_seen": True}, {"candidates": ["r1i0", "r0i3"], "k": 2}):
        ours, theirs = (session.recommend_many(users, **{"k": 5} | how) for session in (indexed, plain))
        for a, b in zip(ours, theirs, strict=True):
            assert [each.item for each in a] == [each.item for each in b] and a.by_popularity == b.by_popularity
            np.testing.assert_allclose([each.score for each in a], [each.score for each in b], rtol=1e-4, atol=1e-6)
    interests = indexed.recommend_many(users, k=4, explain=True)[0].interests
    assert (interests is not None) == (which != "one")


def test_a_long_list_is_as_long_as_by_all_scores(one):
    """An index that looks at one cell of many does not hold as many items as are asked for."""
    import faiss

    plain, indexed = one.open(), one.open(retrieval="exact")
    table = one.item_table().detach()[1:].numpy()
    few = faiss.IndexIVFFlat(faiss.IndexFlatIP(table.shape[1]), table.shape[1], 4, faiss.METRIC_INNER_PRODUCT)
    few.train(table)
    few.add(table)
    indexed.retrieval.index = few  # looks at one cell of four
    for session in (plain, indexed):
        session.update("u", "r0i0")
    items = len(one.vocabularies["items"])
    ours, theirs = (session.recommend("u", k=items) for session in (indexed, plain))
    assert len(ours) == items and [each.item for each in ours] == [each.item for each in theirs]
    narrow = Retrieval(Catalogue(6_000), "ivf")
    narrow.index.nprobe = 1
    numbers, scores = narrow.best(torch.randn(3, 1, 16), 2_000, barred=np.zeros(0, np.int64))
    assert (numbers == 0).any(1).all() and np.isinf(scores[numbers == 0]).all()


def test_auto_takes_an_index_where_it_pays(one, monkeypatch):
    assert retrieval_of(one, "auto") is None
    monkeypatch.setattr(retrieval, "IVF_FROM", 5)
    assert retrieval_of(one, "auto").kind == "ivf"
    monkeypatch.setitem(sys.modules, "faiss", None)  # not installed
    assert retrieval_of(one, "auto") is None
    with pytest.raises(OptionError, match=r"needs faiss; install it with: pip install 'tenfold\[serve\]'"):
        one.open(retrieval="hnsw")


def test_what_has_no_products_is_named(events, one):
    soft = LimaRec(interests=2, **{"interest.read": "logsumexp", "dim": 8}).fit(
        events, max_epochs=1, progress="none", accelerator="cpu"
    )
    with pytest.raises(OptionError, match="a LimaRec with these options does not score items by products of vectors"):
        soft.open(retrieval="ivf")
    assert soft.open(retrieval="auto").retrieval is None
    with pytest.raises(OptionError, match="retrieval is auto, none, exact, ivf, hnsw; found 'annoy'"):
        one.open(retrieval="annoy")
