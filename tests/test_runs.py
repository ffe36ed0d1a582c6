"""What a run keeps and tells: checkpoints, history, loggers, callbacks, lines; one process at a time."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from counting import counting_stage, limits, train
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from torch import nn

from tenfold import run
from tenfold.errors import OptionError, RunError
from tenfold.files import write_whole
from tenfold.lightning_adapter import progress
from tenfold.ops.threads import unused_cores
from tenfold.run import close_run, open_run


@pytest.mark.parametrize("name", ["final.safetensors", "history.json", "last.safetensors", "done.json"])
def test_a_finished_stage_that_was_damaged_is_named(name, tmp_path):
    stage = counting_stage([0.1, 0.9, 0.2, 0.3])
    train(stage, limits(), tmp_path)
    path = tmp_path / "count" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match=r"is not what the run wrote|was changed or cut short"):
        train(counting_stage([]), limits(), tmp_path)


def test_a_checkpoint_with_a_flipped_bit_is_named(tmp_path):
    with pytest.raises(IndexError):
        train(counting_stage([0.1]), limits(), tmp_path)
    path = tmp_path / "count" / "last.ckpt"
    content = bytearray(path.read_bytes())
    at = content.find(np.float32(4.0).tobytes())  # what the network had seen after an epoch
    content[at] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match=r"last.ckpt cannot be read"):
        train(counting_stage([0.1]), limits(), tmp_path)


def test_the_history_is_kept_over_a_stop(tmp_path):
    stage = counting_stage([0.1, 0.2])
    with pytest.raises(IndexError):
        train(stage, limits(), tmp_path)
    stage = counting_stage([0.3, 0.4])
    train(stage, limits(), tmp_path)
    assert [record["figure"] for record in stage.history] == [0.1, 0.2, 0.3, 0.4]
    assert [record["epoch"] for record in stage.history] == [1, 2, 3, 4]


def test_a_checkpoint_cut_short_is_named(tmp_path):
    with pytest.raises(IndexError):
        train(counting_stage([0.1]), limits(), tmp_path)
    path = tmp_path / "count" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"last\.ckpt cannot be read"):
        train(counting_stage([0.1]), limits(), tmp_path)


@pytest.mark.parametrize("logger", ["csv", "tensorboard", "csv:name=mine"])
def test_loggers_by_name_get_what_is_watched(logger, tmp_path):
    train(counting_stage([0.1, 0.2, 0.3, 0.4]), limits(loggers=(logger,)), tmp_path)
    logs = [path for path in (tmp_path / "logs").rglob("*") if path.is_file()]
    assert any(path.name == "metrics.csv" or path.name.startswith("events.out") for path in logs)
    if logger != "tensorboard":
        assert "watched" in next(path for path in logs if path.name == "metrics.csv").read_text().splitlines()[0]


class Bare(Logger):
    """Says nothing of how it is made."""

    name, version = "bare", 0

    def log_metrics(self, metrics, step=None):
        calls.append(sorted(metrics))

    def log_hyperparams(self, *_, **__):
        calls.append("hyperparameters")


def test_a_logger_without_a_constructor_of_its_own(monkeypatch):
    calls.clear()
    monkeypatch.setitem(sys.modules, "tenfold.remembering", sys.modules[__name__])
    train(counting_stage([0.1]), limits(loggers=("tenfold.remembering:Bare",), max_epochs=1), None)
    assert any("watched" in names for names in calls)
    with pytest.raises(OptionError, match=r"logger 'logger' cannot be had here: .*abstract"):
        train(counting_stage([0.1]), limits(loggers=("logger",), max_epochs=1), None)


def test_callbacks_by_name(tmp_path):
    calls.clear()
    budget = limits(callbacks=("test_training:Remember:word=hello", "ModelSummary:max_depth=1"), max_epochs=1)
    # `test_training` has no dot, so it is looked for among Lightning's own.
    with pytest.raises(OptionError, match="there is no 'test_training'"):
        train(counting_stage([0.1]), budget, None)
    import tenfold

    tenfold.remembering = __import__("sys").modules[__name__]
    __import__("sys").modules["tenfold.remembering"] = tenfold.remembering
    train(counting_stage([0.1]), limits(callbacks=("tenfold.remembering:Remember:word=hello",), max_epochs=1), None)
    assert calls == ["hello"]


calls = []


class Remember(Callback):
    def __init__(self, word):
        self.word = word

    def on_train_start(self, trainer, module):
        calls.append(self.word)


def test_mixed_precision_computes_in_it():
    stage = counting_stage([0.1])
    seen, network = [], nn.Linear(3, 1)

    def loss(batch):
        y = network(torch.ones(len(batch), 3))
        seen.append(y.dtype)
        return y.float().sum(), torch.tensor(float(len(batch)))

    stage = dataclasses.replace(stage, network=network, loss=loss)
    train(stage, limits(precision="bf16-mixed", max_epochs=1), None)
    assert set(seen) == {torch.bfloat16} and network.weight.dtype == torch.float32


def test_what_is_offered_is_not_refused(tmp_path, monkeypatch):
    """Every callback that the refusal of an unknown name offers can be made, or asks for what it needs."""
    monkeypatch.chdir(tmp_path)  # where ModelCheckpoint writes
    with pytest.raises(OptionError) as told:
        train(counting_stage([0.1]), limits(callbacks=("zzz",)), None)
    offered = str(told.value).partition("there are ")[2].split(", ")
    assert "ModelCheckpoint" in offered and len(offered) > 8
    for name in offered:
        try:
            train(counting_stage([0.1]), limits(callbacks=(name,), max_epochs=1), None)
        except OptionError as error:
            assert "missing" in str(error) or "logger" in str(error), name
    for name in ("LearningRateFinder", "richprogressbar", "Callback"):
        assert name.lower() not in map(str.lower, offered)
        with pytest.raises(OptionError, match="cannot be used here: "):
            train(counting_stage([0.1]), limits(callbacks=(name,)), None)


def test_a_line_for_each_epoch(capsys):
    train(counting_stage([0.1, 0.9]), limits(progress="lines", max_epochs=2), None)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "count: 8 samples, 4 batches an epoch, at most 2 epochs"
    assert lines[1].startswith("count: epoch 1/2, loss") and lines[2].endswith("validation figure 0.9000")


def test_a_line_now_and_then_says_where_a_long_epoch_is(capsys, monkeypatch):
    monkeypatch.setattr(progress, "TOLD_EVERY", 0.0)
    train(counting_stage([0.1, 0.9]), limits(progress="lines", max_epochs=2), None)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("count: epoch 1/2, batch 3/4, at most ") and line.endswith("left") for line in lines)


def test_threads_are_those_of_the_budget_and_are_put_back():
    before, found = torch.get_num_threads(), []
    stage = counting_stage([0.1])
    validate = stage.validate
    stage = dataclasses.replace(stage, validate=lambda: found.append(torch.get_num_threads()) or validate())
    train(stage, limits(max_epochs=1, threads=3), None)
    assert found == [3] and torch.get_num_threads() == before
    assert unused_cores() >= 1


def test_of_two_that_start_at_once_the_second_leaves_the_first_one_s_description(tmp_path, monkeypatch):
    """Both have seen an empty folder; the other one is quicker to the lock, and has written."""
    lock = run._lock

    def quicker(folder):
        (folder / "run.json").write_text('{"seed": 0}')
        write_whole(folder / "count" / "last.ckpt", b"something to go on with")
        lock(folder)

    monkeypatch.setattr(run, "_lock", quicker)
    with pytest.raises(RunError, match="holds another run: its seed is 0, this one's 1"):
        open_run(tmp_path / "run", {"seed": 1}, resume=False)
    assert (tmp_path / "run" / "run.json").read_text() == '{"seed": 0}'


def test_two_processes_never_train_in_one_folder(tmp_path):
    """The other one's lock goes when it goes, even by kill -9."""
    code = (
        f"from pathlib import Path; from tenfold.run import open_run; "
        f"open_run(Path({str(tmp_path / 'run')!r}), {{'seed': 1}}, resume=False); print('held', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=r"another process is training in .*run; wait until it ends"):
            open_run(tmp_path / "run", {"seed": 1}, resume=True)
        close_run(tmp_path / "run", failed=True, refused=True)
        assert (tmp_path / "run" / "run.json").exists()  # who was refused takes nothing of the other's away
        other.kill()
    open_run(tmp_path / "run", {"seed": 1}, resume=True)
    open_run(tmp_path / "run", {"seed": 1}, resume=True)  # its own lock hinders nobody
    with pytest.raises(RunError, match="holds another run: its seed is 1"):
        open_run(tmp_path / "run", {"seed": 2}, resume=True)
    close_run(tmp_path / "run")
