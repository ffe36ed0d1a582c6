"""What every system and every baseline keeps, over all of them: fits, runs that are stopped, refits.

The data are those of its task (small.py); a new system is tested by being in the table. Each row that trains is broken
off and resumed in several ways, SASRec (the first network) at every place that is odd.
"""

import os
import re
import signal

import pytest
import torch
from conftest import subprocess_of
from contract import (
    TRAINED,
    FailureError,
    budget,
    every_frame,
    every_system,
    every_trained,
    fail,
    fitted,
    interrupt,
    over,
    weights,
)
from fit_one import FAR, happens_at, without_dropout
from small import BATCHES, CLASSES, small
from torch.testing import assert_close

from tenfold import SASRec
from tenfold.errors import NotFittedError, OptionError, RunError, TrainingError
from tenfold.options import flat, parse
from tenfold.tasks.classification import lesson
from tenfold.tasks.classification.task import Classifier
from tenfold.training import Budget

every_trained_name = pytest.mark.parametrize("name", over({name: name for name in TRAINED}))
ODD_PLACES = [1, 2, 4, 8, 9, 10, 11, 16, 17, 24]  # first, second, last of an epoch, first of the next ...


@pytest.fixture
def data(cls):
    return small(cls).data()


# Fitting.


@every_frame
def test_a_moving_mean_of_the_weights_can_be_kept(cls, data):
    chosen = {"training.ema_decay": 0.5}
    if not {*chosen} <= {*flat(vars(cls.tiny))}:
        pytest.skip("its training has no ema_decay")
    averaged = cls(parse(type(cls.tiny), flat(vars(cls.tiny)) | chosen)).fit(data, budget=budget())
    assert weights(averaged).isfinite().all() and not torch.equal(weights(averaged), weights(fitted(cls)))


@every_trained
def test_same_seed_same_weights(cls, data):
    again, other = (cls(cls.tiny).fit(data, budget=budget(seed=seed)) for seed in (0, 4))
    assert torch.equal(weights(fitted(cls)), weights(again)) and not torch.equal(weights(again), weights(other))


@every_system
def test_every_split_can_be_fitted(cls, data):
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
def test_a_run_that_failed_anywhere_goes_on_as_if_it_had_not(batch, tmp_path):
    cls = CLASSES["sasrec"]
    broken_at(cls, batch, fail, FailureError, tmp_path, save_seconds=0)
    left = 3 * BATCHES - (batch - 1)
    assert torch.equal(resumed(cls, tmp_path, batches=left, save_seconds=0), fitted.whole(cls))


@every_trained
def test_a_run_that_failed_goes_on_as_if_it_had_not(cls, tmp_path):
    broken_at(cls, 17, fail, FailureError, tmp_path, save_seconds=0)
    assert torch.equal(resumed(cls, tmp_path), fitted.whole(cls))


@every_frame
def test_ctrl_c_leaves_a_run_that_goes_on(cls, tmp_path):
    broken_at(cls, 11, interrupt, KeyboardInterrupt, tmp_path)
    assert torch.equal(resumed(cls, tmp_path), fitted.whole(cls))


@pytest.mark.parametrize("crash", ["raises", "is killed"])
def test_a_run_whose_loader_worker_crashed_goes_on(crash, events, tmp_path, monkeypatch):
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
def test_a_run_may_go_on_for_longer_than_it_was_started_for(cls, data, tmp_path):
    first = happens_at(cls(cls.tiny), 11, fail)
    with pytest.raises(FailureError):
        first.fit(data, budget=budget(max_epochs=2, save_seconds=0), run=tmp_path)
    assert torch.equal(resumed(cls, tmp_path), fitted.whole(cls))


@every_frame
def test_early_stopping_goes_on_too(cls, data, tmp_path):
    b = budget(max_epochs=12, patience=1)
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
def test_a_killed_process_goes_on(name, tmp_path, fit_apart):
    codes, output = fit_apart(name, tmp_path / "run", tmp_path / "out", 13)
    assert codes == [-signal.SIGKILL], output[-3000:]
    cls = CLASSES[name]
    again = cls(without_dropout(cls)).fit(
        small(cls).data(), budget=budget(max_epochs=2), run=tmp_path / "run", resume=True
    )
    assert torch.equal(weights(again), weights(fitted(cls, dropout=False, max_epochs=2)))


@every_trained_name
def test_two_processes_equal_one(name, tmp_path, fit_apart, monkeypatch):
    codes, output = fit_apart(name, tmp_path / "run", tmp_path / "out", processes=2)
    assert codes == [0, 0], output[-3000:]
    cls = CLASSES[name]
    if issubclass(cls, Classifier):
        monkeypatch.setattr(lesson, "NEAR", FAR)
        one = cls(without_dropout(cls)).fit(small(cls).data(), budget=budget(max_epochs=2))
    else:
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
def test_a_fit_that_fails_changes_nothing(cls, data, tmp_path):
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
def test_a_refit_keeps_what_is_known_and_gives_what_is_new_rows(cls):
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
def test_a_refit_with_other_options_or_from_another_system_is_refused(cls, data):
    older = fitted(cls)
    with pytest.raises(OptionError, match="cannot start from the older weights"):
        cls(cls.tiny).set_params(**small(cls).change).fit(data, budget=budget(), start_from=older)
    foreign = next(c for c in CLASSES.values() if c is not cls)
    with pytest.raises(OptionError, match=f"a {foreign.__name__} cannot start from a {cls.__name__}"):
        foreign(foreign.tiny).fit(small(foreign).data(), budget=budget(), start_from=older)
