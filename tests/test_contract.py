"""What every system and every baseline keeps, over all of them; a new one is tested by being in the table.

The data are those of its task (small.py). Each row that trains is broken off and resumed in several ways, SASRec (the
first network) at every place that is odd. What a test only looks at is fitted once a row, and each test has a copy of
its own.
"""

import copy
import json
import os
import re
import signal

import numpy as np
import pytest
import torch
from conftest import subprocess_of
from fit_one import happens_at, without_dropout
from small import ALIKE, BATCHES, CLASSES, small
from torch.testing import assert_close

from tenfold import Popularity, SASRec
from tenfold.errors import ArtifactError, NotFittedError, OptionError, OutputError, RunError, TrainingError
from tenfold.metrics.evaluation import base_name
from tenfold.training import Budget

TRAINED = {name: cls for name, cls in CLASSES.items() if cls.trains}


def over(classes):
    """Each under its name; those that differ from another row by a loss are slow."""
    return [pytest.param(cls, id=name, marks=[pytest.mark.slow] * (name in ALIKE)) for name, cls in classes.items()]


every_system = pytest.mark.parametrize("cls", over(CLASSES))
every_trained = pytest.mark.parametrize("cls", over(TRAINED))
# How a run is stopped is the same for rows that differ by a loss: they fail, are killed and are shared out.
every_frame = pytest.mark.parametrize("cls", over({n: cls for n, cls in TRAINED.items() if n not in ALIKE}))
every_trained_name = pytest.mark.parametrize("name", over({name: name for name in TRAINED}))
ODD_PLACES = [1, 2, 4, 8, 9, 10, 11, 16, 17, 24]  # first, second, last of an epoch, first of the next ...


def weights(system):
    return torch.cat([w.flatten().double() for w in system.network.state_dict().values()] or [torch.zeros(1)])


def budget(**fields):
    return Budget(**{"max_epochs": 1, "accelerator": "cpu", **fields})


class FailureError(Exception):
    """What the tests break things with."""


def fail():
    raise FailureError


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


class Fits(dict):
    """Systems and what `evaluate` finds, by class and how they were fitted: made when first asked for."""

    def __call__(self, cls, *, data="data", dropout=True, **fields):
        """A copy, with which a test may do as it likes."""
        key = (cls, data, dropout, *sorted(fields.items()))
        if key not in self:
            options = cls.tiny if dropout else without_dropout(cls)
            self[key] = cls(options).fit(getattr(small(cls), data)(), budget=budget(**fields))
        return copy.deepcopy(self[key])

    def figures(self, cls):
        if ("figures", cls) not in self:
            self["figures", cls] = self(cls).evaluate(small(cls).data(), **small(cls).protocol)
        return copy.deepcopy(self["figures", cls])

    def whole(self, cls):
        """The weights after an uninterrupted run of three epochs of eight batches."""
        return weights(self(cls, max_epochs=3))


@pytest.fixture(scope="module")
def fitted():
    return Fits()


@pytest.fixture
def data(cls):
    return small(cls).data()


# Fitting.


@every_trained
def test_same_seed_same_weights(cls, data, fitted):
    again, other = (cls(cls.tiny).fit(data, budget=budget(seed=seed)) for seed in (0, 4))
    assert torch.equal(weights(fitted(cls)), weights(again)) and not torch.equal(weights(again), weights(other))


@every_system
def test_every_split_can_be_fitted(cls, data, fitted):
    usual = fitted(cls).fitted["split"]
    assert usual in cls.splits
    for split in set(cls.splits) - {usual, *small(cls).skipped}:
        assert cls(cls.tiny).fit(data, split=split, budget=budget()).fitted["split"] == split


@every_system
def test_one_alone_can_be_fitted_and_has_no_interval(cls):
    found = cls(cls.tiny).fit(small(cls).alone(), budget=budget()).evaluate(small(cls).alone(), **small(cls).protocol)
    low, high = small(cls).between
    assert all(low <= value <= high for value in found.values()) and found.intervals == {}


def broken_at(cls, batch, happens, error, run, **fields):
    system = happens_at(cls(cls.tiny), batch, happens)
    with pytest.raises(error):
        system.fit(small(cls).data(), budget=budget(max_epochs=3, **fields), run=run)


def resumed(cls, run, *, batches=None, **fields):
    """`batches`: it may see no more than these, so none is done twice."""
    system = cls(cls.tiny)
    if batches is not None:
        happens_at(system, batches + 1, fail)
    return weights(system.fit(small(cls).data(), budget=budget(**{"max_epochs": 3, **fields}), run=run, resume=True))


@pytest.mark.parametrize("batch", ODD_PLACES)
def test_a_run_that_failed_anywhere_goes_on_as_if_it_had_not(batch, tmp_path, fitted):
    cls = CLASSES["sasrec"]
    broken_at(cls, batch, fail, FailureError, tmp_path, save_seconds=0)
    left = 3 * BATCHES - (batch - 1)
    assert torch.equal(resumed(cls, tmp_path, batches=left, save_seconds=0), fitted.whole(cls))


@every_trained
def test_a_run_that_failed_goes_on_as_if_it_had_not(cls, tmp_path, fitted):
    broken_at(cls, 17, fail, FailureError, tmp_path, save_seconds=0)
    assert torch.equal(resumed(cls, tmp_path), fitted.whole(cls))


@every_frame
def test_ctrl_c_leaves_a_run_that_goes_on(cls, tmp_path, fitted):
    broken_at(cls, 11, interrupt, KeyboardInterrupt, tmp_path)
    assert torch.equal(resumed(cls, tmp_path), fitted.whole(cls))


@pytest.mark.parametrize("crash", ["raises", "is killed"])
def test_a_run_whose_loader_worker_crashed_goes_on(crash, events, tmp_path, fitted, monkeypatch):
    from tenfold.tasks.next_item.events import NextItemSamples

    cls, parent, batch = CLASSES["sasrec"], os.getpid(), NextItemSamples.batch

    def crashing(self, draw):
        if draw.epoch == 1 and os.getpid() != parent and 0 in draw.indices:
            if crash == "raises":
                raise FailureError
            os.kill(os.getpid(), signal.SIGKILL)
        return batch(self, draw)

    with monkeypatch.context() as broken:
        broken.setattr(NextItemSamples, "batch", crashing)
        # torch raises from a signal's handler, wherever training is; within inspect's own try that is a TypeError
        with pytest.raises((FailureError, RuntimeError, TypeError)):
            cls(cls.tiny).fit(events, budget=budget(max_epochs=3, workers=2, save_seconds=0), run=tmp_path)
    assert torch.equal(resumed(cls, tmp_path, workers=2), fitted.whole(cls))


@every_frame
def test_a_run_may_go_on_for_longer_than_it_was_started_for(cls, data, tmp_path, fitted):
    first = happens_at(cls(cls.tiny), 11, fail)
    with pytest.raises(FailureError):
        first.fit(data, budget=budget(max_epochs=2, save_seconds=0), run=tmp_path)
    assert torch.equal(resumed(cls, tmp_path), fitted.whole(cls))


@every_frame
def test_early_stopping_goes_on_too(cls, data, tmp_path):
    b = budget(max_epochs=12, patience=1, save_seconds=0)
    whole = cls(cls.tiny).fit(data, budget=b)
    epochs = {stage: len(history) for stage, history in whole.history.items()}
    assert 1 < min(epochs.values()) < 12  # it stopped of itself
    first = happens_at(cls(cls.tiny), (sum(epochs.values()) - 1) * BATCHES + 3, fail)
    with pytest.raises(FailureError):
        first.fit(data, budget=b, run=tmp_path)
    again = cls(cls.tiny).fit(data, budget=b, run=tmp_path, resume=True)
    assert torch.equal(weights(again), weights(whole))
    assert {stage: len(history) for stage, history in again.history.items()} == epochs


@every_trained_name
def test_a_killed_process_goes_on(name, tmp_path, fit_apart, fitted):
    codes, output = fit_apart(name, tmp_path / "run", tmp_path / "out", 13)
    assert codes == [-signal.SIGKILL], output[-3000:]
    cls = CLASSES[name]
    again = cls(without_dropout(cls)).fit(
        small(cls).data(), budget=budget(max_epochs=2), run=tmp_path / "run", resume=True
    )
    assert torch.equal(weights(again), weights(fitted(cls, dropout=False, max_epochs=2)))


@every_trained_name
def test_two_processes_equal_one(name, tmp_path, fit_apart, fitted):
    codes, output = fit_apart(name, tmp_path / "run", tmp_path / "out", processes=2)
    assert codes == [0, 0], output[-3000:]
    cls = CLASSES[name]
    one = fitted(cls, dropout=False, max_epochs=2)
    # Adam makes steps of one size of gradients that are rounding; a share that is left out moves weights by 1e-2
    assert_close(weights(cls.load(tmp_path / "out")), weights(one), rtol=1e-5, atol=3e-5)


def test_torchrun_fits_as_two_processes_do(tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    code, output = subprocess_of(*torchrun, "tests/fit_one.py", "sasrec", f"{tmp_path}/run", f"{tmp_path}/out",
                                 OMP_NUM_THREADS="1")  # fmt: skip
    assert code == 0, output[-3000:]
    assert SASRec.load(tmp_path / "out").fitted["split"] == "loo"


@every_system
def test_a_run_folder_belongs_to_one_run(cls, data, tmp_path):
    with pytest.raises(RunError, match="no run to resume"):
        cls(cls.tiny).fit(data, budget=budget(), run=tmp_path, resume=True)
    cls(cls.tiny).fit(data, budget=budget(), run=tmp_path)
    with pytest.raises(RunError, match="holds this run already"):
        cls(cls.tiny).fit(data, budget=budget(), run=tmp_path)
    with pytest.raises(RunError, match="its seed is 0, this one's 5"):
        cls(cls.tiny).fit(data, budget=budget(seed=5), run=tmp_path, resume=True)
    with pytest.raises(RunError, match="its data is"):
        cls(cls.tiny).fit(small(cls).less(), budget=budget(), run=tmp_path, resume=True)
    if cls.trains:
        with pytest.raises(RunError, match="is finished, with max_epochs 1; it cannot have 2 now"):
            cls(cls.tiny).fit(data, budget=budget(max_epochs=2), run=tmp_path, resume=True)
        ((name, value),) = small(cls).change.items()
        with pytest.raises(
            RunError, match=f"its option {name} is {cls(cls.tiny).get_params()[name]}, this one's {value}"
        ):
            cls(cls.tiny).set_params(**small(cls).change).fit(data, budget=budget(), run=tmp_path, resume=True)


@every_trained
def test_a_loss_that_is_no_number_is_said_with_its_place(cls, data):
    system = cls(cls.tiny)

    def poison():
        with torch.no_grad():
            for parameter in system.network.parameters():
                parameter.fill_(float("nan"))

    happens_at(system, 10, poison)
    place = r"became nan in epoch 2, batch 2, at a learning rate of (\S+); try a smaller one"
    with pytest.raises(TrainingError, match=place) as told:
        system.fit(data, budget=budget(max_epochs=2))
    # A schedule may have lowered it, or may still be raising it.
    assert 0 < float(re.search(place, str(told.value))[1]) <= system.get_params()["training.lr"]


@every_system
def test_a_fit_that_fails_changes_nothing(cls, data, tmp_path, fitted):
    other = next(c for c in CLASSES.values() if c is not cls)
    unfitted, system = cls(cls.tiny), fitted(cls)
    with pytest.raises(OptionError):
        unfitted.fit(data, budget=budget(), start_from=fitted(other))
    with pytest.raises(NotFittedError):
        unfitted.evaluate(data)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError):
        system.fit(small(cls).less(), budget=budget(), run=tmp_path)
    assert system.evaluate(data, **small(cls).protocol) == fitted.figures(cls)


@every_trained
def test_a_run_that_was_refused_leaves_nothing_behind(cls, data, tmp_path):
    with pytest.raises(OptionError, match="there is no 'Nonsense'"):
        cls(cls.tiny).fit(data, budget=budget(callbacks=("Nonsense",)), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()  # so that the next fit begins as the first


@pytest.mark.parametrize(
    "limits, sentence",
    [
        ({"accelerator": "mps"}, "accelerator=mps, precision=32-true cannot be had here"),
        ({"loggers": ("csv:foo=1",)}, "logger 'csv:foo=1' cannot be had here: .*foo"),
        ({"callbacks": ("EarlyStopping",)}, "callback 'EarlyStopping' cannot be had here: .*monitor"),
    ],
)
def test_what_lightning_refuses_is_one_sentence(events, limits, sentence):
    with pytest.raises(OptionError, match=sentence):
        SASRec(SASRec.tiny).fit(events, budget=Budget(**{"max_epochs": 1} | limits))


# Refitting on a newer log.


@every_trained
def test_a_refit_keeps_what_is_known_and_gives_what_is_new_rows(cls, fitted):
    older = fitted(cls)
    newer = small(cls).newer()
    system, begun, found = cls(cls.tiny), {}, {}

    def look():
        begun.update({name: weight.clone() for name, weight in system.network.state_dict().items()})
        found.update(system.vocabularies)
        fail()

    happens_at(system, 1, look)
    with pytest.raises(FailureError):  # before its first step
        system.fit(newer, budget=budget(), start_from=older)
    for name, vocabulary in older.vocabularies.items():
        known = range(1, len(vocabulary) + 1)
        assert found[name].ids(known) == vocabulary.ids(known) and len(found[name]) > len(vocabulary)
    for name, old in older.network.state_dict().items():
        assert torch.equal(begun[name][: len(old)] if old.ndim else begun[name], old), name
    done = cls(cls.tiny).fit(newer, budget=budget(), start_from=older)
    assert next(iter(done.evaluate(newer, **small(cls).protocol).values())) > small(cls).between[0]
    older.fit(newer, budget=budget(), start_from=older)  # it goes on itself
    assert torch.equal(weights(older), weights(done))


@every_trained
def test_a_refit_starts_from_what_was_fitted(cls, data):
    with pytest.raises(NotFittedError):
        cls(cls.tiny).fit(data, budget=budget(), start_from=cls(cls.tiny))


def test_a_refit_leaves_no_weights_behind(events):
    older = SASRec(SASRec.tiny).fit(events, budget=budget())
    with pytest.raises(OptionError, match=r"they hold 'blocks.blocks.1.* for which these options have no place"):
        SASRec(SASRec.tiny).set_params(layers=1).fit(events, budget=budget(), start_from=older)


@every_trained
def test_a_refit_with_other_options_or_from_another_system_is_refused(cls, data, fitted):
    older = fitted(cls)
    with pytest.raises(OptionError, match="cannot start from the older weights"):
        cls(cls.tiny).set_params(**small(cls).change).fit(data, budget=budget(), start_from=older)
    foreign = next(c for c in CLASSES.values() if c is not cls)
    with pytest.raises(OptionError, match=f"a {foreign.__name__} cannot start from a {cls.__name__}"):
        foreign(foreign.tiny).fit(small(foreign).data(), budget=budget(), start_from=older)


# Figures.


@every_system
def test_figures_are_those_of_their_units_and_can_be_drawn_again(cls, data, fitted):
    found = fitted.figures(cls)
    assert found.protocol and found.measured, "no figure has units to draw"
    for name, values in found.per_unit.items():
        assert found[name] == pytest.approx(values.mean())
    for name, statistic in found.statistics.items():
        assert found[name] == pytest.approx(statistic.compute(np.ones(statistic.units)))
        assert statistic.compute(np.full(statistic.units, 2.0)) == pytest.approx(found[name])  # each unit twice
    low, high = small(cls).between
    for name, (lowest, highest) in found.intervals.items():
        assert lowest <= highest and low <= found[name] <= high, name
    assert set(found.intervals) == set(found.measured)
    assert set(cls.lower_is_better) <= {base_name(name) for name in found}
    names = cls.figure_names(cls(cls.tiny).read(data), **small(cls).protocol)
    assert not names or list(names) == list(found)


# Artifacts.


@every_system
def test_a_loaded_system_answers_the_same(cls, data, tmp_path, fitted):
    system = fitted(cls)
    system.save(tmp_path)
    loaded = cls.load(tmp_path)
    assert loaded.evaluate(data, **small(cls).protocol) == fitted.figures(cls)
    assert small(cls).answer(loaded) == small(cls).answer(system)
    assert loaded.options == system.options and loaded.history == system.history


@every_system
def test_saving_over_an_older_one(cls, tmp_path, monkeypatch, fitted):
    old, new = fitted(cls, data="less"), fitted(cls)
    old.save(tmp_path)
    with monkeypatch.context() as broken:  # dies before the last file, config.json, is there
        write, calls = __import__("tenfold.files").files.write_whole, []
        broken.setattr(
            "tenfold.artifact.write_whole",
            lambda p, c: fail() if p.name == "config.json" else calls.append(write(p, c)),
        )
        with pytest.raises(FailureError):
            new.save(tmp_path)
    assert torch.equal(weights(cls.load(tmp_path)), weights(old))
    new.save(tmp_path)
    assert torch.equal(weights(cls.load(tmp_path)), weights(new))
    more = len(new.vocabularies) + len(new.extra_files())
    assert len(list(tmp_path.iterdir())) == 3 + more  # config.json, weights, facts


def test_saving_again_mends_what_was_damaged(events, tmp_path):
    system = Popularity().fit(events)
    system.save(tmp_path)
    for path in [path for path in tmp_path.iterdir() if path.name != "config.json"]:
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ArtifactError, match="save or copy the system again"):
            Popularity.load(tmp_path)
        system.save(tmp_path)
        assert torch.equal(Popularity.load(tmp_path).facts["item_counts"], system.statistics["item_counts"])


def test_a_save_takes_nothing_of_anybody_else(events, tmp_path):
    system = Popularity().fit(events)
    (tmp_path / "report-0123456789abcdef.pdf").write_text("mine")
    system.save(tmp_path)
    system.save(tmp_path)
    assert (tmp_path / "report-0123456789abcdef.pdf").read_text() == "mine"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"mine": true}')
    with pytest.raises(OutputError, match="is not one of a fitted system, and would be replaced"):
        system.save(tmp_path / "other")
    assert json.loads((tmp_path / "other" / "config.json").read_text()) == {"mine": True}


def test_no_changed_byte_of_a_config_is_passed_over(events, tmp_path):
    Popularity().fit(events).save(tmp_path)
    path = tmp_path / "config.json"
    whole = path.read_bytes()
    same = json.loads(whole)
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] + 1]) + whole[place + 1 :])
        try:
            changed = json.loads(path.read_text()) != same
        except ValueError:
            changed = True
        if changed:
            with pytest.raises(ArtifactError):
                Popularity.load(tmp_path)


@every_system
def test_what_cannot_be_loaded_is_named(cls, tmp_path, fitted):
    with pytest.raises(ArtifactError, match=r"there is no config\.json in it"):
        cls.load(tmp_path)
    fitted(cls).save(tmp_path)
    other = next(c for c in CLASSES.values() if c is not cls)
    with pytest.raises(ArtifactError, match=f"holds a {cls.__name__}, not a {other.__name__}"):
        other.load(tmp_path)
    for file in [*tmp_path.glob("*.safetensors"), *tmp_path.glob("*.parquet")]:
        content = file.read_bytes()
        for broken in (content[:-1], content[:-1] + bytes([content[-1] ^ 1])):  # cut short, changed
            file.write_bytes(broken)
            with pytest.raises(ArtifactError, match="is missing or was changed after it was saved"):
                cls.load(tmp_path)
        file.write_bytes(content)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config)[:-9])
    with pytest.raises(ArtifactError, match=r"config\.json cannot be read"):
        cls.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(ArtifactError, match="newer Tenfold"):
        cls.load(tmp_path)


@every_system
def test_a_full_disk_is_said_and_costs_nothing(cls, tmp_path, monkeypatch, fitted):
    system = fitted(cls)
    system.save(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    with monkeypatch.context() as full:

        def no_room(self, *_):
            raise OSError(28, "No space left on device")

        full.setattr("pathlib.Path.write_bytes", no_room)
        with pytest.raises(OutputError, match="there is no room left on the disk"):
            fitted(cls, data="less").save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert torch.equal(weights(cls.load(tmp_path)), weights(system))


@every_system
def test_the_hub_gets_and_gives_an_artifact(cls, tmp_path, monkeypatch, fitted):
    """The hub itself is played by a folder."""
    import shutil

    class Hub:
        def __init__(self, token=None):
            self.token = token

        def create_repo(self, repo_id, private, exist_ok):
            return type("Repo", (), {"repo_id": f"me/{repo_id}"})

        def upload_folder(self, repo_id, folder_path, commit_message):
            shutil.copytree(folder_path, tmp_path / repo_id)
            return f"hub/{repo_id}"

    def snapshot_download(name, revision=None, token=None):
        if not (tmp_path / name).is_dir():
            raise OSError("404")
        return tmp_path / name

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    system = fitted(cls)
    system.save_pretrained(tmp_path / "mine", push_to_hub=True)
    for name in (tmp_path / "mine", "me/mine"):
        assert torch.equal(weights(cls.from_pretrained(name)), weights(system))
    with pytest.raises(ArtifactError, match="me/yours is no folder here, and the hub did not give it: 404"):
        cls.from_pretrained("me/yours")


# Options and verbs.


@every_system
def test_wrong_options_are_named(cls):
    with pytest.raises(OptionError, match="there is no option 'speeed'"):
        cls(speeed=1)
    foreign = next(c for c in CLASSES.values() if c.options_class() is not cls.options_class())
    with pytest.raises(OptionError, match=r"found .*Options"):
        cls(foreign.tiny)
    with pytest.raises(OptionError, match="no option 'epochs'; did you mean 'max_epochs'"):
        cls(cls.tiny).fit(None, epochs=3)
    with pytest.raises(OptionError, match=r"knows the splits .*; found 'half'"):
        cls(cls.tiny).fit(None, split="half")
    if cls.trains:
        with pytest.raises(OptionError, match=r"no option 'training\.lrr'; did you mean 'training\.lr'"):
            cls(**{"training.lrr": 1})
        with pytest.raises(OptionError, match=r"training\.lr = -1: it should be greater than 0"):
            cls(training={"lr": -1})
        with pytest.raises(OptionError, match="not both"):
            cls(cls.tiny, **small(cls).change)


@every_system
def test_params_behave_as_scikit_learn_s(cls):
    system = cls(cls.tiny)
    assert cls(**system.get_params()).options == system.options == system.clone().options
    for name, value in system.get_params().items():
        assert system.set_params(**{name: value}).options == system.options
    assert system.set_params() is not system


@every_system
def test_a_verb_before_fit_is_refused(cls, data):
    for verb in (small(cls).answer, lambda s: s.evaluate(data), lambda s: s.save("nowhere")):
        with pytest.raises(NotFittedError, match="has not been fitted"):
            verb(cls(cls.tiny))


def test_what_is_not_needed_is_not_imported():
    code, output = subprocess_of("-c", "import sys, tenfold, tenfold.cli; sys.exit('torch' in sys.modules)")
    assert code == 0, output
    code, output = subprocess_of(
        "-c",
        "import sys, tenfold.systems as s; [s.load_class(n) for n in s.rows()]; sys.exit('lightning' in sys.modules)",
    )
    assert code == 0, output
