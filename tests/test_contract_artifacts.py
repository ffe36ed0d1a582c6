"""What every system and every baseline keeps once fitted, over all of them: figures, artifacts, options, verbs."""

import json

import numpy as np
import pytest
import torch
from conftest import subprocess_of
from contract import FailureError, every_system, fail, fitted, weights
from small import CLASSES, small

from tenfold import Popularity
from tenfold.errors import ArtifactError, NotFittedError, OptionError, OutputError
from tenfold.metrics.evaluation import base_name


@pytest.fixture
def data(cls):
    return small(cls).data()


# Figures.


@every_system
def test_figures_are_those_of_their_units_and_can_be_drawn_again(cls, data):
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
def test_a_loaded_system_answers_the_same(cls, data, tmp_path):
    system = fitted(cls)
    system.save(tmp_path)
    loaded = cls.load(tmp_path)
    assert loaded.evaluate(data, **small(cls).protocol) == fitted.figures(cls)
    assert small(cls).answer(loaded) == small(cls).answer(system)
    assert loaded.options == system.options and loaded.history == system.history


@every_system
def test_saving_over_an_older_one(cls, tmp_path, monkeypatch):
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
def test_what_cannot_be_loaded_is_named(cls, tmp_path):
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
def test_a_full_disk_is_said_and_costs_nothing(cls, tmp_path, monkeypatch):
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
def test_the_hub_gets_and_gives_an_artifact(cls, tmp_path, monkeypatch):
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
