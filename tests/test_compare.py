"""Arms as text, and a comparison whose every number is computed again another way."""

import json
import time
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from another_task import Scales, weighings
from conftest import ring_walks
from rich.console import Console

from tenfold.arms import PeakMemory, parse_arm, parse_arms
from tenfold.compare import compare
from tenfold.data.events import Events
from tenfold.data.splits import split
from tenfold.errors import DataError, OptionError, OutputError
from tenfold.metrics.bootstrap import difference_interval, mean_interval
from tenfold.metrics.evaluation import Evaluation
from tenfold.metrics.intervals import interval, samples
from tenfold.report import comparison_section
from tenfold.tasks.next_item.baselines.counted import Popularity
from tenfold.tasks.next_item.baselines.gru4rec import GRU4Rec
from tenfold.tasks.next_item.baselines.item_pairs import FirstOrderMarkov
from tenfold.training import Budget

BUDGET = Budget(max_epochs=2, progress="none")
TINY = "gru4rec:dim=8,training.length=12,training.batch_size=16"


@pytest.fixture(scope="module")
def comparison(events):
    return compare(events, ["popularity", f"net={TINY}", "markov"], budget=BUDGET, exclude_seen=True)


@pytest.mark.parametrize(
    "text, label, options",
    [
        ("popularity", "popularity", {}),
        (TINY, TINY, {"dim": "8", "training.length": "12", "training.batch_size": "16"}),
        ("ours = gru4rec: dim = 8 , loss.name=bce", "ours", {"dim": "8", "loss.name": "bce"}),
    ],
)
def test_an_arm_is_read(text, label, options):
    arm = parse_arm(text)
    assert (arm.label, dict(arm.given)) == (label, options)
    assert isinstance(arm.system(), arm.kind)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("populerity", "there is no system 'populerity'; did you mean 'popularity'"),
        ("gru4rec:dims=8", "arm 'gru4rec:dims=8': there is no option 'dims'; did you mean 'dim'"),
        ("a=gru4rec:dim=-8", "arm 'a': option dim = '-8'"),
        ("gru4rec:dim", "sets nothing; write NAME=VALUE"),
        ("gru4rec:", "'gru4rec:' cannot be read as an arm"),
        ("=gru4rec", "'=gru4rec' cannot be read as an arm"),
        ("", "'' cannot be read as an arm"),
    ],
)
def test_an_arm_that_is_none_is_refused_before_anything_is_read(text, sentence):
    with pytest.raises(OptionError, match=sentence):
        compare("no/such/file.csv", ["popularity", text])


def test_systems_and_labels_are_arms_too():
    system = GRU4Rec(dim=8)
    one, two = parse_arms({"a": system, "b": "popularity"})
    assert (one.label, dict(one.given), two.label) == ("a", {"dim": 8}, "b")
    assert parse_arms([system])[0].options == system.options
    with pytest.raises(OptionError, match="two arms are called 'popularity'"):
        parse_arms(["popularity", "popularity"])
    with pytest.raises(OptionError, match="there is no arm; name at least one"):
        parse_arms([])


def test_every_number_is_that_of_the_arm_alone(comparison, events):
    alone = {
        "popularity": Popularity().fit(events),
        "net": GRU4Rec(parse_arm(TINY).options).fit(events, budget=BUDGET),
        "markov": FirstOrderMarkov().fit(events),
    }
    per_unit = {label: system.evaluate(events, exclude_seen=True).per_unit for label, system in alone.items()}
    best = max(per_unit, key=lambda label: per_unit[label]["ndcg@10"].mean())
    valid = {label: system.evaluate(events, part="validation", exclude_seen=True) for label, system in alone.items()}
    assert comparison.reference == best == max(valid, key=lambda label: valid[label]["ndcg@10"])
    assert (comparison.count, comparison.seeds) == (len(events), 1)
    assert [row.label for row in comparison.rows] == sorted(per_unit, key=lambda n: -per_unit[n]["ndcg@10"].mean())
    for row in comparison.rows:
        for name, values in per_unit[row.label].items():
            assert row.figures[name] == pytest.approx(values.mean())
            width = 0.15 * (row.intervals[name][1] - row.intervals[name][0])
            assert row.intervals[name] == pytest.approx(mean_interval(values), abs=width + 1e-12)
            if row.label != best:
                difference, low, high = row.differences[name]
                assert difference == pytest.approx(values.mean() - per_unit[best][name].mean())
                expected = difference_interval(values, per_unit[best][name])
                assert (low, high) == pytest.approx(expected, abs=0.15 * (high - low) + 1e-12)
        assert row.parameters == sum(w.numel() for w in alone[row.label].network.parameters())
    assert comparison.verdict(comparison.rows[0]) == "reference" and comparison.systems == {}
    assert comparison.verdict(comparison.rows[-1]) == "these fits differ"
    assert "not that a method is better" in comparison.explanation()


@pytest.mark.parametrize(
    "apart, said",
    [((0.1, 0.02, 0.2), "better"), ((-0.1, -0.2, -0.02), "worse"), ((0.1, -0.1, 0.3), "no difference shown")],
)
def test_only_an_interval_without_zero_is_a_difference(comparison, apart, said):
    row, three = replace(comparison.rows[1], differences={"ndcg@10": apart}), replace(comparison, seeds=3)
    assert three.verdict(row) == said
    turned = {"better": "worse", "worse": "better"}.get(said, said)
    assert replace(three, direction=-1).verdict(row) == turned
    for few in (1, 2):
        assert replace(comparison, seeds=few).verdict(row) == ("these fits differ" if turned != said else said)


def test_several_seeds_are_each_fitted_and_their_interval_is_wider(events, monkeypatch):
    fitted, fit = [], GRU4Rec.fit
    with monkeypatch.context() as watched:
        watched.setattr(GRU4Rec, "fit", lambda self, *a, **k: fitted.append(k["budget"].seed) or fit(self, *a, **k))
        found = compare(events, [f"net={TINY}", "markov"], seeds=3, budget=replace(BUDGET, seed=5), keep=True)
    assert fitted == [5, 6, 7] and found.seeds == 3 and "seeds 5 to 7" in found.explanation()
    rows = {row.label: row for row in found.rows}
    alone = [GRU4Rec(parse_arm(TINY).options).fit(events, budget=replace(BUDGET, seed=s)) for s in (5, 6, 7)]
    measured = [system.evaluate(events) for system in alone]
    figures = [one["ndcg@10"] for one in measured]
    assert rows["net"].figures["ndcg@10"] == pytest.approx(np.mean(figures))
    assert found.systems["net"].evaluate(events)["ndcg@10"] == pytest.approx(figures[0])
    assert found.verdict(rows["net"]) == "worse" and found.reference == "markov"
    own = interval(samples({"net": [one.per_unit["ndcg@10"] for one in measured]})["net"])
    assert rows["net"].intervals["ndcg@10"] == pytest.approx(own)
    assert json.loads(found.to_json())["seeds"] == 3


def test_the_reference_is_chosen_on_the_validation_part(events, monkeypatch):
    evaluate = Popularity.evaluate

    def turned(self, data, *, part="test", **protocol):
        """On the test part popularity looks best, on the validation part it is the worst."""
        found, ndcg = evaluate(self, data, part=part, **protocol), 0.99 if part == "test" else 0.0
        return Evaluation.of({"ndcg@10": np.full(len(events), ndcg)}, protocol=found.protocol)

    monkeypatch.setattr(Popularity, "evaluate", turned)
    found = compare(events, ["popularity", "repeat-last", "markov"], budget=BUDGET)
    assert [row.label for row in found.rows][-1] == "repeat-last" and found.reference == "markov"


def test_without_a_validation_part_differences_are_to_the_first_arm(monkeypatch, events):
    evaluate = Popularity.evaluate

    def refused(self, data, *, part="test", **protocol):
        if part == "validation":
            raise DataError("there is no validation part")
        return evaluate(self, data, part=part, **protocol)

    monkeypatch.setattr(Popularity, "evaluate", refused)
    found = compare(events, ["popularity", "markov"], budget=BUDGET)
    assert found.reference == "popularity" and any("no validation part" in note for note in found.notes)


def test_a_statistic_of_which_less_is_better_is_compared():
    arms = {"slow": Scales(Scales.tiny).set_params(**{"training.lr": 0.001}), "fast": Scales(Scales.tiny)}
    budget = Budget(max_epochs=6, progress="none")
    found = compare(weighings(), arms, budget=budget, seeds=3, metric="median_error")
    first, last = found.rows
    assert first.figures["median_error"] < last.figures["median_error"] and found.direction == -1
    assert (first.label, found.reference, found.verdict(last)) == ("fast", "fast", "worse")
    low, high = first.intervals["median_error"]
    assert low < first.figures["median_error"] < high and found.units == "weighings"
    assert "Less median_error is better." in found.explanation() and json.loads(found.to_json())["less_is_better"]
    assert "has the lowest median_error" in comparison_section(found).html
    assert found.plot() is not None and found.table().row_count == 2


def test_a_figure_without_an_interval_may_be_watched(events):
    found = compare(events, ["popularity", "markov"], metric="coverage@10", budget=BUDGET)
    assert found.metric == "coverage@10" and sorted(map(found.verdict, found.rows)) == ["", "reference"]
    assert any("coverage@10 is a figure of all users together" in note for note in found.notes)
    assert "hr@10" in found.rows[0].intervals and found.plot() is not None


def test_what_is_to_be_known_of_all_arms_is_said_once():
    short = Events.from_histories([["a", "b", "c", "a"], ["b", "c", "a"], ["c", "a"]])  # the last has nothing to test
    found = compare(short, ["popularity", "markov"], budget=BUDGET, ks=[2])
    said = [note for note in split(short, "loo").sentences() if note in found.notes]
    assert said and not any(note.endswith(one) and note != one for one in said for note in found.notes)
    assert len(found.notes) == len(set(found.notes))


def test_the_protocol_is_named_and_the_budget_told(comparison):
    assert "seen before left out" in comparison.protocol and comparison.split == "loo"
    assert "at most 2 epochs" in comparison.explanation() and "none tuned" in comparison.explanation()
    assert all(0 < row.figures["coverage@10"] <= 1 and "coverage@10" not in row.intervals for row in comparison.rows)


def test_limits_of_a_whole_fit_are_told_beside_its_epochs(events):
    budget = Budget(max_epochs=2, max_seconds=600.5, max_steps=1_000, max_units=2_000_000, progress="none")
    told = compare(events, ["popularity", "markov"], budget=budget).explanation()
    assert "at most 2 epochs, at most 600.5 s, at most 1,000 steps, at most 2,000,000 units, seed 0" in told


def test_table_plot_and_json_show_the_same(comparison, tmp_path):
    from rich.console import Console

    console = Console(width=240, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(comparison.table())
    text = console.export_text()
    comparison.save(tmp_path)
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    for row, arm in zip(comparison.rows, written["arms"], strict=True):
        assert f"{row.figures['ndcg@10']:.4f} [{row.intervals['ndcg@10'][0]:.4f}" in text and row.label in text
        assert arm["figures"] == row.figures and arm["cost"]["seconds"] > 0
    figure = comparison.plot()
    dots = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert dots == [row.figures["ndcg@10"] for row in comparison.rows]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [row.label for row in comparison.rows]


def test_a_picture_of_no_kind_and_a_folder_that_is_a_file_are_refused(comparison, tmp_path):
    with pytest.raises(OptionError, match="names no kind of picture"):
        comparison.plot(tmp_path / "plot.doc")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="there is a file of that name where a folder is needed"):
        comparison.save(tmp_path / "file")


def test_another_arm_may_be_the_reference(events):
    found = compare(events, ["popularity", "markov"], against="popularity", budget=BUDGET)
    best = found.rows[0]
    assert found.reference == "popularity" and best.label == "markov"
    assert found.verdict(best) == "these fits differ" and best.differences["ndcg@10"][0] > 0


def test_each_arm_is_searched_with_the_same_number_of_trials_on_the_validation_part(events):
    told = []
    found = compare(events, {"net": TINY, "last": "repeat-last"}, trials=2, budget=BUDGET, log=told.append)
    rows = {row.label: row for row in found.rows}
    assert len(rows["net"].tuned.trials) == 2 and len(rows["last"].tuned.trials) == 1  # which has nothing to draw
    again = GRU4Rec(rows["net"].tuned.best).fit(events, budget=BUDGET)
    assert rows["net"].figures == pytest.approx(dict(again.evaluate(events)))
    assert "2 trials each" in found.explanation() and len(told) == 5
    assert json.loads(found.to_json())["arms"][0]["tuned"]["part"] == "validation"


def test_a_narrow_terminal_gets_the_essential_unbroken(comparison):
    console = Console(width=80, file=StringIO())
    console.print(comparison.table(80))
    shown = console.file.getvalue()
    row, best = comparison.rows[-1], comparison.rows[0]
    for text in (best.label, f"{row.figures['ndcg@10']:.4f}", "these", "reference", f"{row.cost.seconds:.1f} s"):
        assert text in shown
    low, high = row.intervals["ndcg@10"]
    assert f"[{low:.4f}, {high:.4f}]" in shown and max(map(len, shown.splitlines())) <= 80


def test_one_user_has_no_intervals():
    found = compare(ring_walks(users=1), ["popularity", "repeat-last"], budget=BUDGET, ks=[5])
    assert found.count == 1 and found.rows[0].intervals == {}
    assert sorted(map(found.verdict, found.rows)) == ["", "reference"]
    assert "Of users only one was tested: there are no intervals." in found.notes
    assert found.plot() is not None and found.table() is not None


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"against": "markof"}, "no arm 'markof' to compare with; did you mean 'markov'"),
        ({"split": "half"}, "arm 'markov' knows the splits loo, stream, time, spans, none; found 'half'"),
        ({"trials": -1}, "trials = -1"),
        ({"seeds": 0}, "seeds = 0: give the number of trainings of each arm, 1 or more"),
        ({"metric": "hr@11"}, "there is no figure 'hr@11'; did you mean 'hr@10'"),
        ({"ks": [4000]}, "larger than the catalogue"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_fitted(events, wrong, sentence, monkeypatch):
    monkeypatch.setattr("tenfold.compare.fit_measured", None)
    with pytest.raises(OptionError, match=sentence):
        compare(events, ["markov", "popularity"], budget=BUDGET, **wrong)


def test_a_figure_of_fewer_than_the_watched_one_is_left_out(events):
    class Attacked(Popularity):
        """Measured twice: all users, and the few that were attacked."""

        def evaluate(self, data, **protocol):
            found = super().evaluate(data, **protocol)
            found["attacked"], found.per_unit["attacked"] = 0.5, np.array([0.0, 1.0])
            return found

    found = compare(events, {"one": Attacked(), "two": Attacked()}, budget=BUDGET, metric="hr@10")
    assert "attacked" not in found.rows[0].intervals and "hr@10" in found.rows[0].intervals


def test_a_figure_that_one_arm_alone_has_is_shown_and_breaks_nothing(events, tmp_path):
    class Dropping(Popularity):
        def evaluate(self, data, **protocol):
            found = super().evaluate(data, **protocol)
            found["dropped"] = 0.25
            return found

    for arms in ({"one": Dropping(), "two": FirstOrderMarkov()}, {"one": Popularity(), "two": Dropping()}):
        found = compare(events, arms, budget=BUDGET)
        shown = StringIO()
        Console(file=shown, width=240).print(found.table())
        assert "dropped" in shown.getvalue() and "0.2500" in shown.getvalue()
        html = comparison_section(found).html
        assert "dropped" in html and "0.250" in html


def test_a_word_that_no_protocol_knows_is_refused_before_anything_is_fitted(events):
    with pytest.raises(OptionError, match="not measured by 'exclud_seen'; did you mean 'exclude_seen'"):
        compare(events, ["popularity"], budget=BUDGET, exclud_seen=True)


def test_memory_is_that_of_the_work():
    with PeakMemory() as memory:
        held = np.ones(40 * 2**17)  # 40 MiB, each page touched
        time.sleep(0.2)
        del held  # given back before the end: it was needed all the same
        time.sleep(0.2)
    assert 30 < memory.growth_mib < 90
    with PeakMemory() as memory:
        np.ones(2**17).sum()
    assert memory.growth_mib < 20
