"""TCL: equal to the public code on its own weights; nothing sees the future; whatever else is asked changes nothing."""

import re
from functools import partial

import numpy as np
import polars as pl
import pytest
import torch
from small_streams import meetings
from torch.testing import assert_close

from tenfold.cli import main
from tenfold.data.graphs import read_interactions
from tenfold.metrics.temporal import rank_figures
from tenfold.ops.one_query_attention import attend, reference
from tenfold.registry import load_class
from tenfold.systems.tcl import ranking
from tenfold.systems.tcl.pairs import PAIR, pair_numbers
from tenfold.systems.tcl.pictures import trees
from tenfold.systems.tcl.synthetic import relay, strangers
from tenfold.systems.tcl.system import TCL, platt
from tenfold.tasks.link_prediction.data import Links, Queries
from tenfold.tasks.link_prediction.evaluation import rank

# The public code -----------------------------------------------------------------------------------------------------


def public_tcl(file):
    """The fixture's network, its graph, and what it answers."""
    held = np.load(file)
    state = {name: torch.from_numpy(held[name]) for name in held.files if name.startswith(("encoder.", "predictor."))}
    ends = {"source": held["events_src"], "destination": held["events_dst"], "time": held["events_time"]}
    frame = pl.DataFrame(ends)
    return held, state, frame


def test_the_public_network_gives_the_same(public, tmp_path):
    held, state, frame = public_tcl(public / "tcl" / "public_tcl_parity.npz")
    np.save(tmp_path / "edges.npy", held["edge_features"])
    np.save(tmp_path / "nodes.npy", held["node_features"])
    graph = read_interactions(
        frame, bipartite=False, edge_features=tmp_path / "edges.npy", node_features=tmp_path / "nodes.npy"
    )
    system = TCL.from_dyglib(state, graph)
    pairs = list(zip(held["query_src"].tolist(), held["query_dst"].tolist(), held["query_time"].tolist(), strict=True))
    assert_close(system.score(pairs), held["logit"].astype(np.float64).ravel(), rtol=0, atol=1e-5)


# All candidates at once ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [{}, {"preset": "paper", "self_blocks": 2, "readout": "query"}, {"self_blocks": 0}])
def test_ranking_all_candidates_equals_scoring_each_pair(chosen, monkeypatch):
    system = TCL(**{"dim": 16, "past.depth": 2, "past.most": 3, **chosen})
    graph = meetings(300, people=40)
    system.fit(graph, max_epochs=1, accelerator="cpu", progress="none")
    if system.network.same is not None:
        torch.nn.init.normal_(system.network.same)
    links = system.prepare(graph, "time")
    queries = links.queries(links.rows.test[::3])
    fast = system.scores(links, queries, links.destinations)
    each = np.tile(links.destinations.astype(np.int64), (len(queries.sources), 1))
    assert_close(fast, system.scores(links, queries, each), rtol=0, atol=1e-5)
    for name, size in (("AHEAD", 5), ("TREES", 3), ("TOGETHER", 2), ("ROWS", 7)):  # in small pieces
        monkeypatch.setattr(ranking, name, size)
    assert_close(system.scores(links, queries, links.destinations), fast, rtol=0, atol=1e-5)
    blocks = links.queries(links.rows.test[::3], block=4)
    assert_close(
        system.scores(links, blocks, links.destinations), system.scores(links, blocks, each), rtol=0, atol=1e-5
    )


def one_query(n=150, table=40, keys=5, width=8, marked=False):
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(3))
    counts = (draw(table).abs() * 4).long().clamp(max=keys)
    counts[:2] = torch.tensor([0, keys])
    rows = (draw(n).abs() * 20).long().clamp(max=table - 1)
    assert 0 in rows and 1 in rows and len(rows.unique()) < n
    given = (draw(n, 1 + keys) > 1, draw(2, 2, width)) if marked else ()
    kept = draw(table, 2, keys, width), draw(table, 2, keys, width)
    return draw(n, 2, width), (draw(n, 2, width), draw(n, 2, width)), *kept, counts, rows, *given


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("keys, width", [(5, 8), (14, 16), (33, 3)])
def test_one_query_for_many_rows_of_keys(marked, keys, width):
    """The compiled loop against the definition, rows without any key among them."""
    arguments = one_query(keys=keys, width=width, marked=marked)
    assert_close(attend(*arguments), reference(*arguments), rtol=0, atol=2e-6)


def test_one_query_with_logits_far_apart():
    query, own, keys, *rest = one_query()
    arguments = 40 * query, own, keys, *rest
    assert_close(attend(*arguments), reference(*arguments), rtol=0, atol=2e-5)


def test_a_query_that_is_no_number_answers_none():
    query, *rest = one_query()
    query[7, 1, 2] = torch.nan
    found = attend(query, *rest).isnan()
    assert found[7, 1].all() and found.sum() == query.shape[2]


# What is known of the pair before anything is trained -----------------------------------------------------------------


def ready(graph, **chosen):
    """A system before its first step: weights as `stages` leaves them when training begins."""
    system = TCL(**{"dim": 16, "past.depth": 2, "past.most": 3, **chosen})
    system.vocabularies = system.learn_vocabularies(graph)
    made = system.prepare(graph, "time")
    system.sizes, system.statistics = system.infer_sizes(made), system.training_statistics(made)
    torch.manual_seed(0)
    system._network = system.build()
    next(system.stages(made))
    return system, made


def test_before_the_first_step_the_network_is_above_the_best_rule():
    graph = relay(nodes=60, events=3_000)
    system, made = ready(graph)
    rule, latest = (load_class(name)().fit(graph) for name in ("partners-partners", "recency"))
    rows = made.rows.validation

    def mrr(method):
        ranks = rank(method, made, rows, made.queries(rows), made.destinations)
        return rank_figures(ranks.above, ranks.tied)["mrr"].mean()

    assert mrr(system) > 0.97 * mrr(rule) > 3 * mrr(latest)
    again, _ = ready(graph)
    assert torch.equal(again.network.of_pair.straight.weight, system.network.of_pair.straight.weight)


def test_where_nothing_repeats_it_is_above_popularity():
    """What rules of repeats know is worse than nothing here."""
    graph = strangers(nodes=80, events=1_200)
    system, made = ready(graph)
    rows = made.rows.validation
    assert not made.repeats(np.arange(len(graph))).any()

    def mrr(method):
        ranks = rank(method, made, rows, made.queries(rows), made.destinations)
        return rank_figures(ranks.above, ranks.tied)["mrr"].mean()

    popular, latest = (mrr(load_class(name)().fit(graph)) for name in ("popular-partner", "recency"))
    assert mrr(system) > 3 * popular > 3 * latest


def test_first_weights_are_the_best_of_their_sum():
    """Against the definition: the softmax over every destination, which the sum of a few stands for."""
    graph = relay(nodes=40, events=1_500)
    system, made = ready(graph)
    rows = made.rows.train[150:]
    tokens, every = system.tokens(made), made.destinations.astype(np.int64)
    numbers = tokens.pairs(made.queries(rows), every[None]).double()
    true = torch.from_numpy(np.searchsorted(every, graph.destinations[rows]))

    def lost(weights):
        return torch.nn.functional.cross_entropy(numbers @ weights, true).item()

    found = system.network.of_pair.straight.weight[0].detach().double()
    best = lost(found)
    assert best < 0.6 * np.log(len(every))
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        assert lost(found + 0.5 * torch.randn(PAIR, generator=generator, dtype=torch.float64)) > best


def test_a_place_in_a_list_is_three_numbers():
    rows = [("a", "b", 1.0), ("a", "c", 2.0), ("c", "d", 3.0), ("c", "b", 4.0), ("a", "e", 5.0), ("e", "f", 6.0)]
    graph = read_interactions(pl.DataFrame(rows, schema=["source", "destination", "time"], orient="row"))
    made = Links.of(graph, "none", graph.vocabularies, {})
    queries = Queries(graph.source_numbers(["a"]), np.array([9.0]), np.array([6]))
    asked = graph.destination_numbers(["e", "c", "f", "d"]).astype(np.int64)[None]
    met, by_last, by_second = pair_numbers(made, queries, asked, 1.0, 2.0)[0, :, 16:25].reshape(4, 3, 3).unbind(1)
    places = {"met": [1, 2, 0, 0], "by_last": [0, 0, 1, 0], "by_second": [0, 0, 0, 2]}
    for found, place in zip((met, by_last, by_second), map(np.array, places.values()), strict=True):
        expected = np.stack([place > 0, *((place > 0) * np.exp(-place / fade) for fade in (3, 12))], axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_whose_turn_it_is_and_who_is_about():
    rows = [("a", "b", 1.0), ("b", "a", 2.0), ("a", "c", 3.0), ("c", "d", 5.0), ("e", "f", 6.0)]
    graph = read_interactions(pl.DataFrame(rows, schema=["source", "destination", "time"], orient="row"))
    made = Links.of(graph, "none", graph.vocabularies, {})
    queries = Queries(graph.source_numbers(["a"]), np.array([9.0]), np.array([5]))
    asked = graph.destination_numbers(["b", "c", "f", "a"]).astype(np.int64)[None]
    found = pair_numbers(made, queries, asked, 1.0, 2.0)[0, :, 30:].T
    newest = np.exp(-np.array([2, 1, 1, 1]) / 3) * [1, 1, 0, 0]  # c was met last, then b; f and itself never
    due = np.array([1, 0, 0, 0])  # b had the last word, and is not the newest
    ago = np.log1p([7.0, 4.0, 3.0, 6.0]) / 3  # since b's, c's, f's and a's own last interaction
    expected = [due, due * newest, due * 0, ago, ago * [1, 1, 0, 0], ago * newest]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-6)


# Probabilities, pictures, the verb ------------------------------------------------------------------------------------


def test_platt_finds_the_curve():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4000, generator=generator, dtype=torch.float64) * 2
    true = torch.rand(4000, generator=generator, dtype=torch.float64) < (1.5 * scores - 0.5).sigmoid()
    slope, offset = platt(scores[true], scores[~true]).tolist()
    assert slope == pytest.approx(1.5, abs=0.15) and offset == pytest.approx(-0.5, abs=0.15)


@pytest.fixture(scope="module")
def fitted():
    return TCL(TCL.tiny).fit(meetings(), max_epochs=2, accelerator="cpu", progress="none")


def test_probabilities_and_anomalies_go_with_scores(fitted):
    pairs = [("p1", f"p{n}", 905.0) for n in range(2, 13)]
    score, probability, anomaly = fitted.score(pairs), fitted.probability(pairs), fitted.anomaly(pairs)
    assert ((probability > 0) & (probability < 1)).all()
    slope = float(fitted.network.calibration[0])
    assert (np.sign(slope) * np.diff(probability[np.argsort(score)]) >= -1e-12).all()
    np.testing.assert_allclose(anomaly, -np.log(probability), rtol=1e-9)


def test_embeddings_do_not_depend_on_who_else_is_asked(fitted):
    both = fitted.embed(["p1", "p2", "nobody"], at=500.0)
    assert both.shape == (3, 16)
    np.testing.assert_allclose(fitted.embed(["p2"], at=500.0)[0], both[1], atol=1e-6)
    assert (fitted.embed(["p2"], at=900.0) != fitted.embed(["p2"], at=500.0)).any()


def test_vectors_are_exported(tmp_path, capsys):
    rows = [(n % 5, 10 + n % 3, 10.0 * n) for n in range(60)]
    graph = read_interactions(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"))
    system = TCL(TCL.tiny).set_params(share_streams=False).fit(graph, max_epochs=1, accelerator="cpu", progress="none")
    system.save(tmp_path / "tcl")
    words = ["graph", "embed", str(tmp_path / "tcl"), "-o", str(tmp_path / "vectors.parquet"), "--at", "300"]
    assert main(words) == 0 and "8 nodes" in capsys.readouterr().err
    found = pl.read_parquet(tmp_path / "vectors.parquet")
    assert found["side"].to_list() == ["source"] * 5 + ["destination"] * 3 and found["node"].n_unique() == 8
    assert_close(found["vector"][0].to_numpy().copy(), system.embed([0], 300.0)[0])
    item = int(found["node"][6])
    assert_close(found["vector"][6].to_numpy().copy(), system.embed([item], 300.0, side="destination")[0])
    assert main([*words[:4], str(tmp_path / "vectors.csv")]) == 2
    assert ".parquet" in capsys.readouterr().err
    load_class("recency")().fit(graph).save(tmp_path / "rule")
    assert main(["graph", "embed", str(tmp_path / "rule"), *words[3:]]) == 2
    assert "have no vectors" in capsys.readouterr().err


def test_attention_is_shared_out_over_both_trees(fitted):
    links = fitted.past
    queries = fitted._queries(["p1"], [905.0], "cold")
    weights = fitted.attention(links, queries, 4)
    mine = {e for n in (queries.sources[0], 4) for e in links.index.events[links.index.begin[n] : links.index.end[n]]}
    assert 0 < sum(weights.values()) <= 1 and max(weights) <= queries.cuts[0] and set(weights) & mine


def test_the_trees_of_a_question_are_drawn(fitted):
    (axes,) = trees(fitted, "p1", "p4", 905.0).axes
    assert axes.get_title() == "Why p1 would meet p4" and len(axes.collections) >= 4


def test_graph_stats(tmp_path, capsys):
    rows = [(f"u{n % 3}", f"i{n % 2}", n * 10) for n in range(40)]
    pl.DataFrame(rows, schema=["user", "item", "time"], orient="row").write_csv(tmp_path / "log.csv")
    assert main(["graph", "stats", str(tmp_path / "log.csv"), "-o", str(tmp_path / "stats.png")]) == 0
    found = capsys.readouterr().out
    assert re.search(r"repeat share, test +1\b", found) and re.search(r"interactions +40\b", found)
    assert (tmp_path / "stats.png").stat().st_size > 5_000
    assert main(["graph", "stats", str(tmp_path / "none.csv")]) == 2


def test_relay_is_answered_two_steps_away():
    graph = relay(nodes=40, events=3_000)
    rule = load_class("partners-partners")().fit(graph).evaluate(graph, pairs=())
    latest = load_class("recency")().fit(graph).evaluate(graph, pairs=())
    assert rule["hit@1"] > 0.4 > 0.15 > latest["hit@1"]  # the last partner may have met somebody since
    assert relay(nodes=40, events=300, seed=1).fingerprint != relay(nodes=40, events=300).fingerprint
