"""Verdicts from intervals, and claims from the room to the table: arms shared, problems told."""

import json
import types
from dataclasses import replace

import numpy as np
import pytest
from conftest import ring_walks

from tenfold import cli
from tenfold.claims import (
    AtLeast,
    AtLeastBy,
    AtMost,
    Bound,
    Claim,
    Measurements,
    Reported,
    SlopeAtMost,
    Within,
    chosen,
    listed,
    plot,
    run_claims,
    table,
)
from tenfold.errors import OptionError
from tenfold.metrics.bootstrap import t_quantile
from tenfold.metrics.evaluation import Statistic
from tenfold.tasks.next_item.baselines.counted import Popularity
from tenfold.tasks.next_item.baselines.gru4rec import GRU4Rec
from tenfold.tasks.next_item.baselines.item_pairs import FirstOrderMarkov
from tenfold.training import Budget
from tenfold.version import code_commit


def runs(first, second, seeds=5, users=400, noise=0.1):
    rng = np.random.default_rng(1)
    return [
        {"a": first + noise * rng.standard_normal(users), "b": second + noise * rng.standard_normal(users)}
        for _ in range(seeds)
    ]


def verdict(expectation, figures):
    return expectation.finding(figures, same_units=False).verdict


def test_verdicts_of_two_arms():
    at_least = AtLeast(first="a", times=1.1, second="b")
    assert verdict(at_least, runs(1.3, 1.0)) == "holds"
    assert verdict(at_least, runs(1.0, 1.0)) == "does not hold"
    assert verdict(at_least, runs(1.1, 1.0)) == "inconclusive"
    within = Within(first="a", share=0.05, second="b")
    assert verdict(within, runs(1.0, 1.0)) == "holds"
    assert verdict(within, runs(1.2, 1.0)) == verdict(within, runs(0.8, 1.0)) == "does not hold"
    assert verdict(within, runs(1.0, 1.0, users=5, noise=0.5)) == "inconclusive"


def test_verdicts_by_difference_and_of_figures_of_which_less_is_better():
    by = AtLeastBy(first="a", points=0.05, second="b")
    found = by.finding(runs(0.6, 0.5), same_units=True)
    assert found.verdict == "holds" and found.about == "a - b" and found.value == pytest.approx(0.1, abs=0.01)
    assert (found.holds_from, found.holds_to) == (0.05, np.inf) and found.low < found.value < found.high
    assert verdict(by, runs(0.51, 0.5)) == "does not hold" and verdict(by, runs(0.55, 0.5)) == "inconclusive"
    assert verdict(AtLeastBy(first="a", points=1, second="b"), [{"a": 3.0, "b": 1.0}]) == "holds"
    assert verdict(AtLeastBy(first="a", points=-0.05, second="b"), runs(-0.5, -0.5)) == "holds"  # below 0 as well
    most = AtMost(first="a", times=0.9, second="b")
    assert verdict(most, runs(0.8, 1.0)) == "holds" and verdict(most, runs(1.0, 1.0)) == "does not hold"


def test_a_statistic_of_the_whole_set_is_claimed_like_a_mean():
    rng = np.random.default_rng(0)

    def median(shift):
        values = shift + rng.random(300)
        return Statistic(lambda weights: float(np.median(np.repeat(values, weights.astype(int)))), 300)

    figures = [{"a": median(2.0), "b": median(1.0)} for _ in range(3)]
    found = AtLeast(first="a", times=1.5, second="b").finding(figures, same_units=True)
    assert found.verdict == "holds" and found.low < found.value < found.high
    assert found.value == pytest.approx(2.5 / 1.5, abs=0.1)
    low, high = Reported().finding(figures, same_units=True).intervals["b"]
    assert low < 1.5 < high


def test_a_number_against_repeats_has_the_interval_of_the_repeats():
    repeats = [{"once": 2.0, "often": np.array([1.0, 1.1, 0.9, 1.05, 0.95])}]
    found = AtLeast(first="once", times=1.5, second="often").finding(repeats, same_units=True)
    assert found.verdict == "holds" and 1.5 < found.low < 2 < found.high < 2.5


def test_a_ratio_of_figures_below_nothing_is_refused():
    with pytest.raises(OptionError, match="of figures below 0 a ratio says nothing"):
        verdict(AtLeast(first="a", times=1.0, second="b"), runs(-2.0, -2.2))


def test_the_finding_tells_the_ratio_and_the_means():
    found = AtLeast(first="a", times=1.1, second="b").finding(runs(1.3, 1.0), same_units=True)
    assert found.about == "a / b" and found.low < found.value < found.high
    assert found.value == pytest.approx(1.3, abs=0.01)
    assert found.others == pytest.approx({"a": 1.3, "b": 1.0}, abs=0.01)
    assert (found.holds_from, found.holds_to) == (1.1, np.inf)


def test_single_numbers_are_exact_and_repeats_have_an_interval():
    exact = AtLeast(first="old", times=60, second="new").finding([{"old": 512e6, "new": 7.5e6}], same_units=True)
    assert exact.verdict == "holds" and exact.low == exact.high == pytest.approx(512 / 7.5)
    most = Bound(figure="ms", at_most=2.0)
    assert verdict(most, [{"ms": 1.9}]) == "holds" and verdict(most, [{"ms": 2.1}]) == "does not hold"
    beside = most.finding([{"ms": 1.9, "of others": np.array([2.0, 4.0])}], same_units=True)
    assert beside.others == {"of others": 3.0} and beside.value == 1.9
    assert verdict(most, [{"ms": [1.5, 1.6, 1.7]}]) == "holds"
    assert verdict(most, [{"ms": [1.0, 2.9, 2.1]}]) == "inconclusive"
    assert verdict(Bound(figure="ms", at_least=1.0), [{"ms": 0.5}]) == "does not hold"


def test_a_slope_is_that_of_the_logarithms():
    sizes = np.array([4e3, 8e3, 16e3, 64e3])
    rng = np.random.default_rng(2)
    linear = np.column_stack([sizes, *(3 * sizes * (1 + 0.05 * rng.random((5, 4))))])
    square = np.column_stack([sizes, 2e-3 * sizes**2])
    expectation = SlopeAtMost(figure="seconds", slope=1.1)
    found = expectation.finding([{"seconds": linear}], same_units=True)
    assert (
        found.verdict == "holds" and found.low < found.value < found.high and found.value == pytest.approx(1, abs=0.05)
    )
    found = expectation.finding([{"seconds": square}], same_units=True)
    assert found.verdict == "does not hold" and found.low == found.high == pytest.approx(2)
    wild = np.column_stack([sizes, *(sizes ** rng.uniform(0.8, 1.4, (3, 1)))])
    assert verdict(expectation, [{"seconds": wild}]) == "inconclusive"


def claim(events, **changes):
    fields = {
        "name": "C1",
        "says": "a network equals itself",
        "source": "Table 2",
        "data": lambda size, seed: events,
        "arms": lambda size: {"one": GRU4Rec(GRU4Rec.tiny), "two": GRU4Rec(GRU4Rec.tiny)},
        "budget": lambda size: Budget(max_epochs=1, progress="none"),
        "metric": "hr@10",
        "seeds": {"cpu": 3, "quick": 2},
        "expect": Within(first="one", share=0.01, second="two"),
    }
    return Claim(**(fields | changes))


def test_arms_are_fitted_once_and_shared_between_claims(events, monkeypatch):
    fits, fit = [], GRU4Rec.fit
    monkeypatch.setattr(GRU4Rec, "fit", lambda self, *a, **k: fits.append(k["budget"].seed) or fit(self, *a, **k))
    measurements = Measurements()
    first = measurements.measure(claim(events), "cpu")
    assert first.verdict == "holds" and first.seeds == 3 and fits == [0, 1, 2]
    measurements.measure(claim(events, metric="mrr", protocol={"exclude_seen": True}), "cpu")
    assert fits == [0, 1, 2]
    measurements.measure(claim(events, split="stream"), "quick")
    measurements.measure(claim(ring_walks(users=23)), "quick")
    measurements.measure(claim(events, budget=lambda size: Budget(max_epochs=2, progress="none")), "quick")
    wider = GRU4Rec(GRU4Rec.tiny).set_params(dim=6)
    measurements.measure(claim(events, arms=lambda size: {"one": wider, "two": wider}), "quick")
    assert fits == [0, 1, 2] + 4 * [0, 1]


def test_there_is_no_verdict_of_fewer_than_three_seeds(events):
    arms = {"one": FirstOrderMarkov(), "two": Popularity()}
    asked = claim(events, arms=lambda size: arms, expect=AtLeast(first="one", times=1, second="two"))
    found = Measurements().measure(asked, "quick")
    assert found.finding.verdict == "inconclusive" and found.finding.low > 1
    assert Measurements().measure(asked, "cpu").finding.verdict == "holds"


def test_the_figures_are_those_of_the_test_part_by_the_protocol_named(events):
    arms = {"one": FirstOrderMarkov(), "two": Popularity()}
    asked = claim(events, arms=lambda size: arms, metric="mrr", protocol={"exclude_seen": True}, split="stream")
    measurements = Measurements()
    with_seen = measurements.measure(replace(asked, protocol={}), "quick").finding
    found = measurements.measure(asked, "quick").finding
    assert with_seen.others["two"] != found.others["two"]
    for name, system in arms.items():
        own = system.clone().fit(events, split="stream").evaluate(events, part="test", exclude_seen=True)["mrr"]
        assert found.others[name] == pytest.approx(own)
    assert found.value == pytest.approx(found.others["one"] / found.others["two"])


def test_seeds_that_draw_data_of_their_own_have_users_of_their_own():
    asked = []

    class Watching(Within):
        def finding(self, figures, *, same_units):
            asked.append((same_units, [len(run["one"]) for run in figures]))
            return super().finding(figures, same_units=same_units)

    fields = {
        "seeds": {"quick": 2},
        "expect": Watching(first="one", share=0.5, second="two"),
        "arms": lambda size: ARMS,
    }
    ARMS = {"one": Popularity(), "two": Popularity()}  # noqa: N806
    Measurements().measure(claim(None, data=lambda size, seed: ring_walks(users=31 + seed), **fields), "quick")
    Measurements().measure(claim(ring_walks(users=19), **fields), "quick")
    assert asked == [(False, [31, 32]), (True, [19, 19])]


def test_claims_are_measured_told_and_written(events, tmp_path, capsys):
    told = []
    claims = [
        claim(events),
        Claim(name="C2", says="it is small", source="section 4", expect=Bound(figure="bytes", at_most=10),
              measure=lambda size: {"bytes": {"quick": 11, "cpu": 9}[size]}),
        Claim(name="C3", says="what it costs", source="-", expect=Reported(),
              measure=lambda size: {"seconds": [1.0, 3.0], "users": 5}),
        Claim(name="C4", says="it breaks", source="-", expect=Reported(), measure=lambda size: {}["nothing"]),
    ]  # fmt: skip
    results = run_claims("gru4rec", claims=claims, output=tmp_path, log=told.append)
    assert [result.verdict for result in results] == ["holds", "holds", "reported", "not measured"]
    printed = capsys.readouterr().out
    assert all(claim.name in printed for claim in claims) and "it is small" in printed
    assert results[2].finding.others == {"seconds": 2.0, "users": 5.0}
    assert "KeyError: 'nothing'" in results[3].problem and any("C4: not measured" in line for line in told)
    text = (tmp_path / "claims_gru4rec_cpu.json").read_text()
    written = json.loads(text, parse_constant=pytest.fail)  # no NaN, no Infinity
    assert [one["verdict"] for one in written["claims"]] == [result.verdict for result in results]
    assert written["claims"][1]["holds_from"] is None and written["claims"][1]["holds_to"] == 10
    assert (tmp_path / "claims_gru4rec_cpu.png").read_bytes().startswith(b"\x89PNG")
    assert len(plot(results).axes) == 3 and table(results).row_count == listed(claims).row_count == 4

    assert "in <lambda>" in written["claims"][3]["traceback"] and any("in <lambda>" in line for line in told)
    assert all(one["commit"] == code_commit() for one in written["claims"])

    only = run_claims("gru4rec", claims=claims, only=["C2"], quick=True, log=told.append)
    assert [result.verdict for result in only] == ["(does not hold; quick, does not count)"] and not only[0].counts


def test_several_seeds_of_the_same_units_are_not_more_users():
    users = np.random.default_rng(0).random(200)
    one, five = ([{"figure": users}] * seeds for seeds in (1, 5))
    for expectation in (Bound(figure="figure", at_least=0), Reported(figure="figure")):
        found = [expectation.finding(runs, same_units=True) for runs in (one, five)]
        assert (found[0].low, found[0].high) == pytest.approx((found[1].low, found[1].high))


def test_seeds_that_a_claim_measures_on_units_of_their_own_are_what_its_interval_is_over():
    rng = np.random.default_rng(0)
    seeds = [{"first": np.repeat(own, 50) + rng.random(50), "second": np.zeros(50)} for own in (1.0, 1.2, 0.9, 1.1)]
    by = {"expect": AtLeastBy(first="first", points=0.5, second="second"), "measure": lambda size: seeds}
    found = {}
    for same in (True, False):
        claim = Claim(name="C", says="", source="", same_units=same, **by)
        found[same] = run_claims("gru4rec", claims=[claim], log=lambda line: None)[0].finding
    means = np.array([run["first"].mean() for run in seeds])
    half = t_quantile(3) * means.std(ddof=1) / 2
    assert (found[False].low, found[False].high) == pytest.approx((means.mean() - half, means.mean() + half))
    assert found[True].value == found[False].value and found[True].low != pytest.approx(found[False].low)


def test_seeds_that_differ_widen_an_interval():
    rng = np.random.default_rng(0)
    users = rng.random(2_000)
    differ = [{"figure": users + 0.1 * rng.standard_normal()} for _ in range(5)]
    for expectation in (Bound(figure="figure", at_least=0), Reported(figure="figure")):
        alone, all_five = (expectation.finding(runs, same_units=True) for runs in (differ[:1], differ))
        assert all_five.high - all_five.low > 4 * (alone.high - alone.low)


def test_what_was_measured_earlier_stays_in_the_file(tmp_path, monkeypatch):
    def bytes_are(value, at_most=10):
        expect = Bound(figure="bytes", at_most=at_most)
        return [
            Claim(name=name, says="small", source="-", expect=expect, measure=lambda size: {"bytes": value})
            for name in ("C1", "C2", "C3")
        ]

    def written(claims, only=()):
        told.clear()
        run_claims("gru4rec", claims=claims, only=only, output=tmp_path, log=told.append)
        found = json.loads((tmp_path / "claims_gru4rec_cpu.json").read_text())
        return {one["name"]: one["value"] for one in found["claims"]}

    told: list[str] = []
    assert written(bytes_are(1)) == {"C1": 1, "C2": 1, "C3": 1}
    assert list(written(bytes_are(2), ["C2"]).items()) == [("C1", 1), ("C2", 2), ("C3", 1)]
    assert not any(line.startswith("claims_gru4rec") for line in told)
    assert written(bytes_are(3, at_most=9), ["C3"]) == {"C3": 3}  # the others expected something else
    assert "claims_gru4rec_cpu.json: claimed otherwise by now, and left out: C1, C2" in told
    path = tmp_path / "claims_gru4rec_cpu.json"
    noted = [replace(one, note="known today") for one in bytes_are(3, at_most=9)]
    assert written(noted, ["C1"]) == {"C1": 3, "C3": 3}
    assert {one["note"] for one in json.loads(path.read_text())["claims"]} == {"known today"}
    monkeypatch.setattr("tenfold.claims.code_commit", lambda: "abc")
    assert written(bytes_are(3, at_most=9), ["C1"]) == {"C1": 3, "C3": 3}
    assert any(line.startswith(f"{path.name}: kept as measured at another commit than abc: C3") for line in told)
    older = json.loads(path.read_text())
    for one in older["claims"]:
        del one["traceback"], one["commit"], one["intervals"]  # as files were written at first
    path.write_text(json.dumps(older))
    assert written(bytes_are(3, at_most=9), ["C1"]) == {"C1": 3, "C3": 3}
    path.write_text(path.read_text().replace('"version": "', '"version": "0'))
    assert written(bytes_are(3, at_most=9), ["C1"]) == {"C1": 3}
    assert f"{path.name} is of another version or machine; left out of it: C3" in told
    path.write_text("{cut short")
    assert written(bytes_are(4), ["C1"]) == {"C1": 4}
    assert f"{path.name} cannot be read: what it held is left out" in told


def test_parts_measured_at_the_same_time_share_a_file_and_a_plot(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("tenfold.claims.plot", lambda results: drawn.append(list(results)) or plot(results))
    fields = {"says": "small", "source": "-", "expect": Bound(figure="bytes", at_most=2)}

    def measure_first_then_second(size):
        """While the first is measured, another call measures the second."""
        run_claims("gru4rec", claims=claims, only=["C2"], output=tmp_path, log=lambda line: None)
        return {"bytes": 1}

    def breaks(size):
        raise FileNotFoundError("no such file")

    claims = [
        Claim(name="C1", measure=measure_first_then_second, **fields),
        Claim(name="C2", measure=lambda size: {"bytes": [1.0, 3.0, 2.0]}, **fields),
        Claim(name="C3", measure=breaks, **fields),
    ]
    run_claims("gru4rec", claims=claims, only=["C3"], output=tmp_path, log=lambda line: None)
    run_claims("gru4rec", claims=claims, only=["C1"], output=tmp_path, log=lambda line: None)
    written = json.loads((tmp_path / "claims_gru4rec_cpu.json").read_text())["claims"]
    assert [one["verdict"] for one in written] == ["holds", "inconclusive", "not measured"]
    last = drawn[-1]
    assert [(each.claim.name, each.verdict) for each in last] == [(one["name"], one["verdict"]) for one in written]
    assert [each.to_dict() for each in last] == written  # what is read back is what was found
    assert len(plot(last).axes) == 2


def test_a_claim_is_named_with_or_without_its_part(events):
    claims = [claim(events, name=name) for name in ("C1", "C1 fp64", "C10", "C7 Base", "C7 Mini")]

    def names(*only):
        return [each.name for each in chosen(claims, only)]

    assert names("C1") == ["C1", "C1 fp64"] and names("C1 fp64") == ["C1 fp64"]
    assert names("C7 Mini", "C10") == ["C10", "C7 Mini"] and len(names()) == 5
    with pytest.raises(OptionError, match="there is no claim 'C7 B'; did you mean 'C7 Base'"):
        names("C7 B")


@pytest.mark.parametrize("error", [ImportError, FileNotFoundError, TypeError, AssertionError])
def test_a_claim_that_breaks_leaves_the_others(error, events):
    def breaks(size):
        raise error("a package is missing")

    broken = claim(
        events, name="C2", measure=breaks, data=None, arms=None, budget=None, expect=Bound(figure="x", at_most=1)
    )
    result = Measurements().measure(broken, "quick")
    assert result.finding is None and f"{error.__name__}: a package is missing" in result.problem
    assert "in breaks" in result.trace


def test_the_command_ends_with_one_where_a_claim_could_not_be_measured(monkeypatch, capsys, tmp_path):
    def breaks(size):
        raise FileNotFoundError("no such file")

    fields = {"data": None, "arms": None, "budget": None, "expect": Reported()}
    broken = claim(None, name="C2", measure=breaks, **fields)
    right = claim(None, name="C3", measure=lambda size: {"x": 1.0}, **fields)
    monkeypatch.setattr("tenfold.claims.claims_of", lambda name: [broken, right])
    assert cli.main(["claims", "gru4rec"]) == 1
    out, err = capsys.readouterr()
    assert "in breaks" in out + err and "error: could not be measured: C2" in err and "C3" in out
    assert "printed and not kept; -o FOLDER" in err
    assert cli.main(["claims", "gru4rec", "--only", "C3", "-o", str(tmp_path)]) == 0
    assert "not kept" not in capsys.readouterr().err and (tmp_path / "claims_gru4rec_cpu.json").exists()


def test_a_plot_without_figures_says_so():
    assert plot([]).axes[0].texts[0].get_text() == "no claim was measured"


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"only": ["C9"]}, "there is no claim 'C9'; there are C1"),
        ({"size": "tpu"}, "there is no size 'tpu'; did you mean 'gpu'"),
    ],
)
def test_what_cannot_be_measured_is_refused(events, arguments, sentence):
    with pytest.raises(OptionError, match=sentence):
        run_claims("gru4rec", claims=[claim(events)], log=lambda line: None, **arguments)


def test_claims_stand_in_the_room_of_their_system(events, monkeypatch):
    with pytest.raises(OptionError, match="'gru4rec' makes no claims"):
        run_claims("gru4rec")
    with pytest.raises(OptionError, match="there is no system 'gru4rek'"):
        run_claims("gru4rek")
    room = types.ModuleType("a_room.claims")
    room.CLAIMS = [claim(events, arms=lambda size: {"one": Popularity(), "two": Popularity()})]
    monkeypatch.setitem(__import__("sys").modules, "a_room.claims", room)
    monkeypatch.setitem(__import__("sys").modules, "a_room", types.ModuleType("a_room"))
    room.__spec__ = __import__("importlib").machinery.ModuleSpec("a_room.claims", None)
    system = types.ModuleType("a_room.system")
    system.Method = Popularity
    monkeypatch.setitem(__import__("sys").modules, "a_room.system", system)
    from tenfold import systems

    monkeypatch.setitem(systems.SYSTEMS, "method", systems.Row("a_room.system:Method", "something", "-"))
    assert [result.verdict for result in run_claims("method", log=lambda line: None)] == ["holds"]


def test_a_claim_measures_or_fits_and_not_both(events):
    with pytest.raises(OptionError, match="claim C1 needs either `measure`, or `data`, `arms` and `budget` together"):
        claim(events, budget=None)
    with pytest.raises(OptionError, match="claim C1 needs either"):
        claim(events, measure=lambda size: {"a": 1.0})


def test_a_measure_may_bring_a_run_for_each_seed():
    """They are seeds as those of arms are: of fewer than three there is no verdict, of one mapping there is."""

    def asked(found):
        expect = AtLeastBy(first="one", points=0.0, second="two")
        return Claim(name="C1", says="more", source="-", expect=expect, measure=lambda size: found)

    rng = np.random.default_rng(1)
    runs = [{"one": rng.random(50) + 1, "two": rng.random(50)} for _ in range(3)]
    for count, verdict in ((3, "holds"), (2, "inconclusive"), (1, "inconclusive")):
        result = Measurements().measure(asked(runs[:count]), "cpu")
        assert (result.seeds, result.verdict) == (count, verdict)
    assert Measurements().measure(asked(runs[0]), "cpu").verdict == "holds"
