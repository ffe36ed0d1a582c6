"""The task: nothing sees the future, rules are what they say, false pairs are false, answers name their past."""

import json
import pickle
from functools import partial

import numpy as np
import polars as pl
import pytest
import torch
from small_streams import meetings

from tenfold.compare import compare
from tenfold.data.graphs import TemporalGraph, read_interactions
from tenfold.errors import DataError, OptionError, UnknownIdError
from tenfold.registry import load_class
from tenfold.systems.tcl.options import Options
from tenfold.systems.tcl.system import TCL
from tenfold.tasks.link_prediction.data import Links
from tenfold.tasks.link_prediction.negatives import candidates, false_pairs, near_partners
from tenfold.tasks.link_prediction.options import LinkLoss
from tenfold.tasks.link_prediction.trained import BothWays, LinkSamples, TrainedLinks
from tenfold.training import Draw

RULES = ("recency", "partners-partners", "edgebank", "pair-count", "common-partners", "popular-partner")


def frame(rows):
    return pl.DataFrame(rows, schema=["source", "destination", "time"], orient="row")


def links(graph, split="time"):
    return Links.of(graph, split, graph.vocabularies, {})


def rows_of(graph):
    ends = zip(graph.ids(graph.sources), graph.ids(graph.destinations), graph.times.tolist(), strict=True)
    return list(ends)


@pytest.fixture(scope="module")
def fitted():
    return TCL(TCL.tiny).fit(meetings(), max_epochs=2, accelerator="cpu", progress="none")


# The strict past -----------------------------------------------------------------------------------------------------

QUESTIONS = [("p1", "p2", 700.0), ("p3", "p9", 700.0), ("p5", "p5", 455.0), ("p2", "p7", 900.5)]


def refitted(system, graph, scale=1.0):
    """The same weights over another past."""
    other = TCL(system.options)
    other.vocabularies, other.sizes, other.budget = graph.vocabularies, system.sizes, system.budget
    made = other.prepare(graph, "time")
    other.statistics = other.training_statistics(made) | {"unit": system.statistics["unit"] * scale}
    other._network = system.network
    return other


@pytest.mark.parametrize("neighbourhood", ["tree", "recent"])
def test_what_comes_later_changes_nothing(neighbourhood):
    chosen = {"past.kind": neighbourhood, "past.most": 5}
    system = TCL(TCL.tiny).set_params(**chosen).fit(meetings(), max_epochs=1, accelerator="cpu", progress="none")
    rows = rows_of(meetings())
    garbage = [row if row[2] < 700 else (row[1], rows[n % 7][0], row[2]) for n, row in enumerate(rows)]
    other = refitted(system, read_interactions(frame(garbage)))
    asked = [question for question in QUESTIONS if question[2] <= 700]
    np.testing.assert_array_equal(other.score(asked), system.score(asked))
    assert (other.score(QUESTIONS[-1:]) != system.score(QUESTIONS[-1:])).all()


def test_who_else_is_asked_changes_nothing(fitted):
    together = fitted.score(QUESTIONS)
    for question, score in zip(QUESTIONS, together, strict=True):
        assert fitted.score([question])[0] == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(("shift", "scale"), [(1.6e9, 1.0), (0.0, 1000.0)])
def test_another_clock_gives_the_same(fitted, shift, scale):
    moved = frame([(u, v, t * scale + shift) for u, v, t in rows_of(meetings())])
    other = refitted(fitted, read_interactions(moved), scale)
    asked = [(u, v, t * scale + shift) for u, v, t in QUESTIONS]
    np.testing.assert_allclose(other.score(asked), fitted.score(QUESTIONS), atol=1e-5)
    if scale != 1:
        again = TCL(TCL.tiny).fit(read_interactions(moved), max_epochs=2, accelerator="cpu", progress="none")
        np.testing.assert_allclose(again.score(asked), fitted.score(QUESTIONS), atol=1e-3)


def test_a_block_sees_what_was_before_it():
    found = links(meetings())
    rows = found.rows.test
    assert found.queries(rows).cuts.tolist() == rows.tolist()  # no two at once
    assert found.queries(rows, block=5).cuts.tolist() == [rows[n // 5 * 5] for n in range(len(rows))]
    same = read_interactions(frame([(1, 2, 0.0), (1, 3, 5.0), (1, 4, 5.0), (2, 3, 9.0)]))
    tied = links(same, "none")
    assert tied.queries(np.arange(4)).cuts.tolist() == [0, 1, 1, 3]
    assert sorted(same.ids(tied.same_moment(np.array([1]))[:, 1])) == [3, 4]


# Rules ---------------------------------------------------------------------------------------------------------------


def order(name, past, source, **options):
    """Destinations that the rule prefers, ties as sets."""
    graph = read_interactions(frame(past))
    system = load_class(name)(**options).fit(graph, split="none")
    scores = {each.node: each.score for each in system.predict_links(source, k=99)}
    return [
        {node for node, own in scores.items() if own == score} for score in sorted(set(scores.values()), reverse=True)
    ]


PAST = [(1, 2, 0.0), (1, 3, 1.0), (1, 2, 2.0), (4, 1, 3.0), (3, 5, 4.0), (2, 5, 5.0), (6, 4, 6.0)]  # destinations 1..5


def test_rules_order_as_they_say():
    assert order("recency", PAST, 1)[:3] == [{4}, {2}, {3}]  # who met it last counts, too
    assert order("recency", PAST, 1, both=False)[:2] == [{2}, {3}]
    assert order("pair-count", PAST, 1) == [{2}, {3}, {1, 4, 5}]
    assert order("edgebank", PAST, 1) == [{2, 3}, {1, 4, 5}]
    assert order("edgebank", PAST, 1, memory="threshold") == [{2}, {1, 3, 4, 5}]
    assert order("edgebank", PAST, 6, memory="window", window=0.2) == [{4}, {1, 2, 3, 5}]
    assert order("partners-partners", PAST, 5)[0] == {1}  # 5 met 2 last, whom 1 met
    assert order("popular-partner", PAST, 6, half_life=1e9)[0] <= {2, 5}


@pytest.mark.parametrize("name", RULES)
def test_rules_never_see_what_comes_later(name):
    rows = rows_of(meetings())
    garbage = [row if row[2] < 700 else (row[1], row[0], row[2]) for row in rows]
    found = []
    for past in (rows, garbage):
        graph = read_interactions(frame(past))
        made = Links.of(graph, "none", meetings().vocabularies, {})
        queries = made.queries(np.flatnonzero(graph.times == 690.0))
        rule = load_class(name)(half_life=100.0) if name not in ("edgebank",) else load_class(name)()
        found.append(rule.scores(made, queries, np.arange(1, 13)))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("name", "blocks", "figures"),
    [
        ("CollegeMsg.txt.gz", 0, {"edgebank": (0.080, 0.212), "recency": (0.644, 0.774), "pair-count": (0.243, 0.456)}),
        ("wikipedia_edges.txt.gz", 200, {"edgebank": (0.4947, 0.796)}),
    ],
)
@pytest.mark.slow
def test_rules_have_the_published_figures(public, name, blocks, figures):
    graph = read_interactions(public / "tcl" / name, bipartite=name.startswith("wiki"))
    for rule, (mrr, hit) in figures.items():
        found = load_class(rule)().fit(graph).evaluate(graph, block=blocks, ties="average", pairs=())
        assert found["mrr(average rank)"] == pytest.approx(mrr, abs=6e-4 if mrr != 0.4947 else 6e-5)
        assert found["hit@10(average rank)"] == pytest.approx(hit, abs=6e-4)


# Parts and false pairs -----------------------------------------------------------------------------------------------


def test_the_inductive_split_keeps_new_nodes_out_of_training():
    found = links(meetings(200, people=30), "inductive")
    graph = found.graph
    later = np.concatenate([found.rows.validation, found.rows.test])
    new = ~found.met[1:]
    assert new.sum() >= 3 and len(found.rows.train) < 140
    assert np.isin(np.flatnonzero(new) + 1, np.concatenate([graph.sources[later], graph.destinations[later]])).any()


def test_the_inductive_split_has_the_public_counts(public):
    graph = read_interactions(public / "tcl" / "CollegeMsg.txt.gz", bipartite=False)
    found = links(graph, "inductive")
    new = ~(found.met[graph.sources] & found.met[graph.destinations])
    sizes = [len(part) for part in found.rows]
    assert sizes == [34_352, 8_975, 8_976] and [int(new[part].sum()) for part in found.rows[1:]] == [5_002, 5_932]


@pytest.mark.parametrize(
    "kind", ["random", "historical", "inductive", "historical_edges", "dyglib_random", "dyglib_historical"]
)
def test_false_pairs_are_false_and_keyed(kind):
    found = links(meetings(400, people=9))
    graph, rows = found.graph, found.rows.test
    false = false_pairs(found, rows, kind, seed=3)
    there = false.there
    assert there.sum() > (0 if kind == "inductive" else 20)
    pair = list(zip(graph.sources[rows][there], graph.destinations[rows][there], strict=True))
    drawn = list(zip(false.sources[there].tolist(), false.destinations[there].tolist(), strict=True))
    if not kind.startswith("dyglib"):
        assert all(one != other for one, other in zip(pair, drawn, strict=True))
        again = false_pairs(found, rows[5:9], kind, seed=3)
        np.testing.assert_array_equal(again.destinations, false.destinations[5:9])
    if kind in ("historical", "inductive"):
        for (source, destination), row in zip(drawn, rows[there], strict=True):
            before = slice(0, int(row))
            assert ((graph.sources[before] == source) & (graph.destinations[before] == destination)).any()


def test_candidates_are_random_ones_and_earlier_partners():
    found = links(meetings())
    rows, queries = found.rows.test, found.queries(found.rows.test)
    asked = candidates(found, rows, queries.cuts, 6, 4, 0)
    assert asked.shape == (len(rows), 10) and (asked[:, :6] > 0).all()
    np.testing.assert_array_equal(candidates(found, rows[2:5], queries.cuts[2:5], 6, 4, 0), asked[2:5])
    for row, own in zip(rows, asked[:, 6:], strict=True):
        mine = found.graph.destinations[: int(row)][found.graph.sources[: int(row)] == found.graph.sources[row]]
        assert set(own[own > 0].tolist()) <= set(mine.tolist())


# Evaluation ----------------------------------------------------------------------------------------------------------


def test_evaluation_has_all_its_figures(fitted):
    found = fitted.evaluate(meetings(), candidates="sampled", random=5, historical=2, pairs=("random", "dyglib_random"))
    assert {"mrr(7 sampled)", "hit@10(7 sampled)", "ap(random)", "auc(random)", "ap(dyglib_random)"} <= found.keys()
    assert "mrr of rules without training: recency 0." in found.notes[-1] and "5 random destinations" in found.protocol
    whole = fitted.evaluate(meetings(), ties="average", rules=False)
    assert "everything strictly earlier is seen; ranked among all 12 destinations" in whole.protocol
    by_kind = [value for name, value in whole.items() if name.startswith("mrr(average rank)(")]
    assert by_kind and min(by_kind) <= whole["mrr(average rank)"] <= max(by_kind)
    assert whole.intervals["mrr(average rank)"][0] < whole["mrr(average rank)"] < whole.intervals["ap(random)"][1]
    some = fitted.evaluate(meetings(), most=5, rules=False, pairs=())
    assert len(some.per_unit["mrr"]) == 5 and "5 of them" in some.protocol


def written(folder, kind, rows, asked, graph):
    """A file of false partners, asked (n, C), each by its id."""
    ends = [graph.ids(column[rows]) for column in (graph.sources, graph.destinations)]
    lists = [[v for v, number in zip(graph.ids(np.maximum(own, 1)), own, strict=True) if number] for own in asked]
    columns = {"source": ends[0], "destination": ends[1], "time": graph.times[rows].tolist()}
    path = folder / f"asked.{kind}"
    if kind == "npz":
        np.savez(path, negatives=np.array(lists), **{name: np.array(own) for name, own in columns.items()})
    elif kind == "pkl":
        path.write_bytes(
            pickle.dumps(dict(zip(zip(*columns.values(), strict=True), map(np.array, lists), strict=True)))
        )
    else:
        made = pl.DataFrame(columns | {"negatives": lists})
        made.write_parquet(path) if kind == "parquet" else made.write_ndjson(path)
    return path


@pytest.mark.parametrize("kind", ["npz", "parquet", "jsonl", "pkl"])
def test_false_partners_of_a_file_are_those_that_are_ranked(tmp_path, kind):
    rows = [(1 + n % 5, 6 + (n * n + n // 7) % 4, float(n)) for n in range(90)]
    graph = read_interactions(frame(rows), bipartite=False)
    system = load_class("recency")().fit(graph)
    made = system.prepare(graph, "time")
    tested_rows = made.rows.test
    most = 0 if kind == "npz" else 3  # an array has no lists of unequal length
    asked = candidates(made, tested_rows, made.index.cuts(graph.times[tested_rows]), 5, most, 0)
    path = written(tmp_path, kind, tested_rows, asked, graph)
    drawn = system.evaluate(graph, candidates="sampled", random=5, historical=most, pairs=())
    found = system.evaluate(graph, negatives=str(path), pairs=())
    assert found["mrr(5 stored)" if not most else f"mrr({asked.shape[1]} stored)"] == next(iter(drawn.values()))
    assert f"ranked among the false partners of {path}" in found.protocol
    with pytest.raises(
        DataError, match=r"no false partners for \d+ of the \d+ .* measured, the first of them \d -> \d"
    ):
        system.evaluate(graph, part="validation", negatives=str(path), pairs=())


def test_files_of_false_partners_that_do_not_fit_are_refused_in_a_sentence(tmp_path, fitted):
    def refused(path):
        with pytest.raises(DataError) as error:
            fitted.evaluate(meetings(), negatives=str(path), pairs=(), rules=False)
        return str(error.value)

    pl.DataFrame({"source": ["p1"], "time": [1.0]}).write_parquet(tmp_path / "few.parquet")
    assert "holds source, time; expected source, destination, time and negatives" in refused(tmp_path / "few.parquet")
    assert "cannot be read as false partners" in refused(tmp_path / "absent.parquet")
    assert "are read from .npz" in refused(tmp_path / "asked.csv")
    (tmp_path / "runs.pkl").write_bytes(pickle.dumps({(1, 2, 3.0): print}))
    assert "asks for builtins.print" in refused(tmp_path / "runs.pkl")
    made = links(meetings())
    path = written(tmp_path, "jsonl", made.rows.test, np.ones((len(made.rows.test), 1), np.int64), made.graph)
    path.write_text(path.read_text().replace('"negatives":["', '"negatives":["nobody-'))
    assert "names the partner 'nobody-p" in refused(path)


@pytest.mark.parametrize(
    "protocol",
    [
        {},
        {"candidates": "sampled", "random": 5, "pairs": ("historical_edges", "dyglib_random"), "most": 4},
        {"ties": "average", "pairs": ("inductive",), "part": "validation", "block": 3},
    ],
)
def test_figures_have_their_names_before_anything_is_fitted(fitted, protocol):
    found = fitted.evaluate(meetings(), rules=False, **protocol)
    assert set(TCL.figure_names(meetings(), rules=False, **protocol)) == set(found)


def test_a_figure_that_there_is_not_is_refused_before_the_fit(monkeypatch):
    monkeypatch.setattr(TCL, "fit", None)
    with pytest.raises(OptionError, match=r"no figure 'mrr@10'; did you mean 'mrr'"):
        compare(meetings(), {"one": TCL(TCL.tiny)}, metric="mrr@10")


# Learning ------------------------------------------------------------------------------------------------------------


class Pairs(TrainedLinks):
    """Batches are the pairs themselves; the score of one is a function of both."""

    options: Options
    tiny = TCL.tiny

    def build(self):
        return None

    def collate(self, links, queries, candidates):
        return torch.from_numpy(np.stack([np.broadcast_to(queries.sources[:, None], candidates.shape), candidates]))

    def score_batch(self, batch):
        return torch.sin(3.0 * batch[0] + batch[1] * batch[1])


@pytest.mark.parametrize("name", ["infonce", "bce"])
def test_a_symmetric_loss_has_false_sources_of_the_destination_too(name):
    graph, loss = meetings(), LinkLoss(name=name, negatives=3, symmetric=True)
    system = Pairs(Options(loss=loss))
    samples = LinkSamples(system, links(graph), np.arange(10, 40))
    draw = Draw(1, 2, np.arange(30))
    there, back = samples.batch(draw)
    assert there.shape == (2, 30, 4) and back.shape == (2, 90, 1)
    true = graph.destinations[10:40]
    assert (back[1].view(30, 3).numpy() == true[:, None]).all()
    others = back[0].view(30, 3).numpy()
    assert (others != graph.sources[10:40, None]).all() and len(np.unique(others)) > 6
    assert set(others.ravel()) <= set(graph.sources[links(graph).rows.train].tolist())
    total, weight = system.loss(BothWays(there, back))
    expected = 0.0
    for n in range(30):
        score = [float(np.sin(3.0 * u + v * v)) for u, v in there[:, n].T.tolist()]
        turned = [score[0], *(float(np.sin(3.0 * u + v * v)) for u, v in back[:, 3 * n : 3 * n + 3, 0].T.tolist())]
        for each in (score, turned):
            if name == "infonce":
                expected += (np.log(np.exp(each).sum()) - each[0]) / 2
            else:
                expected += (np.log1p(np.exp(-each[0])) + np.log1p(np.exp(each[1:])).mean()) / 2
    assert float(total) == pytest.approx(expected, rel=1e-5) and float(weight) == 30
    with pytest.raises(DataError, match="one source only"):
        one = read_interactions(frame([("a", f"b{n % 4}", float(n)) for n in range(20)]))
        LinkSamples(system, links(one), np.arange(10)).batch(Draw(0, 0, np.arange(10)))


def test_near_partners_are_as_they_are_defined():
    graph = meetings(120)
    made = links(graph)
    rows = made.rows.train[10:]
    found = near_partners(made, made.queries(rows))
    assert (np.sort(found, axis=1)[:, :-1] <= np.sort(found, axis=1)[:, 1:]).all()
    for row, own in zip(rows, found, strict=True):
        past = list(zip(graph.sources[:row].tolist(), graph.destinations[:row].tolist(), strict=True))
        asked = graph.times[:row] < graph.times[row]
        past = [pair for pair, there in zip(past, asked, strict=True) if there]

        def partners(node, past=past):
            return [v if u == node else u for u, v in past if node in (u, v)][::-1]

        mine = partners(graph.sources[row])
        expected = {*mine[:20]} | {v for w in [*dict.fromkeys(mine)][:2] for v in partners(w)[:12]}
        allowed = set(graph.destinations[made.rows.train].tolist())
        assert sorted(own[own > 0].tolist()) == sorted(expected & allowed)


def test_pairs_that_are_drawn_often_count_less():
    """Drawn many times, each with its offset: what a softmax adds up is what it would be of all at once."""
    graph = meetings()
    samples = LinkSamples(Pairs(Options(loss=LinkLoss(negatives=6, historical=0.5))), links(graph), np.arange(20, 64))
    rows, every = samples.rows, samples.links.training_destinations
    true = graph.destinations[rows].astype(np.int64)
    near = near_partners(samples.links, samples.links.queries(rows))
    sums, plain = np.zeros((2, len(rows), 13))
    for epoch in range(400):
        asked = samples._false(Draw(0, epoch, np.arange(len(rows))), rows, near, true)
        weights = np.exp(samples._offsets(asked, near))
        for column, weight in zip(asked.T, weights.T, strict=True):
            sums[np.arange(len(rows)), column] += weight
            plain[np.arange(len(rows)), column] += 1

    def uneven(found):
        there = np.isin(np.arange(13), every) & (np.arange(13) != true[:, None])
        shares = np.where(there, found, np.nan)
        return np.nanmean(np.nanstd(shares, axis=1) / np.nanmean(shares, axis=1))

    assert uneven(sums) < 0.1 < 2 * uneven(sums) < uneven(plain)


def test_false_sources_are_none_that_meet_the_destination_then():
    rows = [(f"u{n % 9}", f"v{n // 3 % 5}", float(n // 3)) for n in range(90)]  # three meet one destination at once
    graph = read_interactions(frame(rows))
    samples = LinkSamples(Pairs(Options(loss=LinkLoss(negatives=4, symmetric=True))), links(graph), np.arange(60))
    others = samples._false_sources(Draw(0, 0, np.arange(60)), np.arange(60)).reshape(60, 4)
    at_once = graph.sources[:60].reshape(20, 3).repeat(3, axis=0)
    assert np.mean((others[:, :, None] == at_once[:, None, :]).any((1, 2))) < 0.1  # four draws of 3 in 9 each


def test_nothing_to_measure_is_said(fitted):
    with pytest.raises(DataError, match="no test part, so that there is nothing to measure"):
        fitted.evaluate(meetings(), split="none")
    one = read_interactions(frame([(n % 3, 9, float(n)) for n in range(20)]))
    with pytest.raises(DataError, match="one destination only"):
        load_class("recency")().fit(one).evaluate(one)
    with pytest.raises(DataError, match="trains on one destination only"):
        TCL(TCL.tiny).fit(one, max_epochs=1)


# Answers -------------------------------------------------------------------------------------------------------------


def test_predict_links(fitted):
    found = fitted.predict_links("p1", at=905.0, k=4, evidence=2)
    assert len(found) == 4 and [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    assert not found.cold and all(0 < e.weight <= 1 and e.time < 905 for p in found for e in p.evidence)
    assert found[0].score == pytest.approx(fitted.score([("p1", found[0].node, 905.0)])[0], rel=1e-6)
    seen = {v for u, v, _ in rows_of(meetings()) if u == "p1"} | {u for u, v, _ in rows_of(meetings()) if v == "p1"}
    fresh = fitted.predict_links("p1", k=12, exclude_seen=True)
    assert {p.node for p in fresh} == {f"p{n}" for n in range(1, 13)} - seen
    assert [p.node for p in fitted.predict_links("p1", candidates=["p4", "p4"])] == ["p4"]
    assert len(fitted.predict_links("p1", k=12, shortlist=3)) == 3
    assert fitted.predict_links("nobody", k=1).cold and fitted.predict_links("p1", at=-5.0, k=1).cold
    other = [p.score for p in fitted.predict_links("p1", at=500.0, k=4)]
    assert other != [p.score for p in found]  # the moment counts


def test_what_cannot_be_answered_is_said(fitted):
    with pytest.raises(DataError, match="the list of candidates is empty"):
        fitted.predict_links("p1", candidates=[])
    with pytest.raises(UnknownIdError, match="no node 'p99' among the candidates"):
        fitted.predict_links("p1", candidates=["p99"])
    with pytest.raises(UnknownIdError, match="there is no node 'p0'"):
        fitted.predict_links("p0", on_unseen="refuse")
    with pytest.raises(DataError, match="a moment is nan"):
        fitted.predict_links("p1", at=float("nan"))
    with pytest.raises(OptionError, match="k = 0"):
        fitted.predict_links("p1", k=0)
    with pytest.raises(DataError, match="no pairs to score"):
        fitted.score([])
    with pytest.raises(OptionError, match="write NODE or NODE,TIME"):
        fitted.answer("p1,tomorrow")


def test_a_stream_goes_on_and_is_kept(tmp_path):
    rows = rows_of(meetings(130, people=15))
    old, new = rows[:91], rows[91:]
    begun = read_interactions(frame(old))
    live = TCL(TCL.tiny).fit(begun, max_epochs=1, accelerator="cpu", progress="none")
    for first in range(0, len(new), 7):
        live.observe(new[first : first + 7])
    whole = refitted(live, read_interactions(frame(rows)))
    asked = [("p1", "p4", 1295.0), ("p2", "p7", 1000.0), ("p5", "p9", 1299.0)]
    np.testing.assert_allclose(live.score(asked), whole.score(asked), atol=1e-6)
    live.save(tmp_path)
    np.testing.assert_array_equal(TCL.load(tmp_path).score(asked), live.score(asked))
    assert TCL.load(tmp_path).predict_links("p1", k=2) == live.predict_links("p1", k=2)
    with pytest.raises(DataError, match="earlier than the last one that is known"):
        live.observe([("p1", "p2", 5.0)])


def test_two_sides_and_new_ids_in_a_stream():
    rows = [(f"u{n % 5}", f"i{(n * 3) % 7}", float(n)) for n in range(60)]
    graph = read_interactions(frame(rows), bipartite=True)
    live = load_class("recency")().fit(graph, split="none")
    live.observe([("u9", "i0", 60.0), ("u9", "new", 61.0)])
    assert [p.node for p in live.predict_links("u9", k=2)] == ["new", "i0"]
    with pytest.raises(DataError, match="is of one kind, and the system was fitted on two sides"):
        live.evaluate(read_interactions(frame(rows), bipartite=False))


def test_files_of_questions(fitted, tmp_path):
    pl.DataFrame({"source": ["p1", "p2"], "time": [700.0, 900.0]}).write_csv(tmp_path / "asked.csv")
    assert fitted.predict(tmp_path / "asked.csv", tmp_path / "found.jsonl", k=2, evidence=1) == 2
    first = json.loads((tmp_path / "found.jsonl").read_text().splitlines()[0])
    assert first["source"] == "p1" and len(first["destination"]) == len(first["score"]) == len(first["because"]) == 2
    assert first["destination"] == [p.node for p in fitted.predict_links("p1", at=700.0, k=2)]
    frame(QUESTIONS).write_csv(tmp_path / "pairs.csv")
    fitted.predict(tmp_path / "pairs.csv", tmp_path / "scores.parquet")
    scores = pl.read_parquet(tmp_path / "scores.parquet")
    np.testing.assert_allclose(scores["score"].to_numpy(), fitted.score(QUESTIONS), atol=1e-6)
    pl.DataFrame({"source": ["p1", "p77"], "time": [700.0, 900.0]}).write_csv(tmp_path / "asked.csv")
    with pytest.raises(UnknownIdError, match=r"asked\.csv, line 3: there is no node 'p77'"):
        fitted.predict(tmp_path / "asked.csv", tmp_path / "found.jsonl", on_unseen="refuse")
    noted = fitted.predict(tmp_path / "asked.csv", tmp_path / "found.jsonl")
    assert "1 of 2 sources have no past" in noted.notes[0]


# Files ---------------------------------------------------------------------------------------------------------------


def test_features_in_npy_files(tmp_path):
    rows = [(3, 1, 5.0), (1, 2, 1.0), (2, 3, 9.0)]
    read = partial(read_interactions, frame(rows), bipartite=False)
    np.save(tmp_path / "edges.npy", np.arange(8.0).reshape(4, 2))
    np.save(tmp_path / "nodes.npy", np.arange(8.0).reshape(4, 2))
    graph: TemporalGraph = read(edge_features=tmp_path / "edges.npy", node_features=tmp_path / "nodes.npy")
    assert graph.features.tolist() == [[4, 5], [2, 3], [6, 7]]  # the rows were sorted by time
    assert graph.node_features.tolist() == [[0, 0], [6, 7], [2, 3], [4, 5]]  # nodes in the file's order: 3, 1, 2
    assert graph.fingerprint != read().fingerprint
    np.save(tmp_path / "mapped.npy", np.arange(8, dtype=np.float32).reshape(4, 2))
    mapped = read_interactions(frame(sorted(rows, key=lambda row: row[2])), edge_features=tmp_path / "mapped.npy")
    assert isinstance(mapped.features.base, np.memmap) and mapped.features.tolist() == [[2, 3], [4, 5], [6, 7]]
    system = TCL(TCL.tiny)
    system.vocabularies = system.learn_vocabularies(mapped)
    made = system.prepare(mapped, "none")
    kept = system.training_statistics(made)["past_features"]
    assert np.shares_memory(kept.numpy(), mapped.features)  # none of it was read into memory
    system.sizes, system.statistics = system.infer_sizes(made), system.training_statistics(made)
    streams = system.tokens(made).streams(np.array([1]), np.array([3]), np.array([99.0]))
    expected = np.where(streams.event[0] > 0, mapped.features[:, 1][streams.event[0] - 1], 0)
    np.testing.assert_array_equal(streams.features[0, :, 1], expected)
    assert expected.any()
    more = graph.recoded({"entities": graph.entities.extended(meetings(3, people=3).entities)})
    assert more.node_features.shape == (7, 2) and more.node_features[1].tolist() == [6, 7]
    with pytest.raises(DataError, match="has 4 rows and the polars frame 2 interactions"):
        read_interactions(frame(rows[:2]), edge_features=tmp_path / "edges.npy")
    np.save(tmp_path / "bad.npy", np.array([[1.0], [np.nan], [1], [1]]))
    with pytest.raises(DataError, match=r"bad\.npy, row 1: a feature is NaN"):
        read(node_features=tmp_path / "bad.npy")
    with pytest.raises(DataError, match="no row for the node 3"):
        np.save(tmp_path / "few.npy", np.zeros((3, 1)))
        read(node_features=tmp_path / "few.npy")
    with pytest.raises(DataError, match="interaction 2: it is at 1 and the one before it at 5; sort the file by time"):
        read(require_sorted=True)
