"""Artifacts, runs and states that somebody changed or made by hand: a sentence each. fuzz_folders.py makes more."""

import json
import shutil

import pytest
from fuzz_folders import deep, fitted, fuzz, fuzz_runs, fuzz_states, sign

from tenfold import artifact, cli, systems
from tenfold.errors import ArtifactError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return {folder.name: folder for folder in fitted(tmp_path_factory.mktemp("whole"))}


@pytest.mark.parametrize("name", ["popularity", "item-knn", "sasrec", "lisa"])
@pytest.mark.parametrize(
    "change",
    [
        {"files": ["model"]},
        {"files": {"model": 7}},
        {"files": {}},
        {"sizes": {}},
        {"sizes": {"items": 10**15}},
        {"sizes": {"items": 2**30}},
        {"sizes": {"items": -1}},
        {"sizes": {"items": "9"}},
        {"sizes": [9]},
        {"options": []},
        {"options": {"dim": 10**9, "neighbours": 10**15}},
        {"options": None},
        {"format": -1},
        {"format": True},
        {"format": [2]},
        {"system": ["SASRec"]},
        {"fitted": [1]},
        {"fitted": {"history": 3}},
        {"fitted": {"read_options": "x"}},
        {"system": "Systen"},
        {"options": {"x": deep(900)}},
    ],
    ids=lambda change: str(change)[:30],
)
def test_what_is_made_by_hand_with_digests_that_fit(name, change, whole, tmp_path, capsys):
    folder = tmp_path / "made"
    shutil.copytree(whole[name], folder)
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    sign(folder)
    with pytest.raises(ArtifactError) as told:
        systems.load(folder)
    assert str(folder) in str(told.value) and "\n" not in str(told.value)
    for words in (["info"], ["predict", "--history", "i1"]):
        code = cli.main([words[0], str(folder), *words[1:]])
        out = capsys.readouterr()
        assert "Traceback" not in out.err and (words == ["info"] or code == 2)


def test_deep_nesting_and_pipes_are_refused_at_once(whole, tmp_path):
    import os

    (tmp_path / "config.json").write_text("[" * 200_000 + "]" * 200_000)
    with pytest.raises(ArtifactError, match=r"config\.json cannot be read as JSON"):
        systems.load(tmp_path)
    (tmp_path / "config.json").unlink()
    os.mkfifo(tmp_path / "config.json")  # which would be waited for
    with pytest.raises(ArtifactError, match=r"there is no config\.json in it"):
        systems.load(tmp_path)


def test_counts_and_vocabularies_that_do_not_fit_together(whole, tmp_path):
    folder = tmp_path / "made"
    shutil.copytree(whole["popularity"], folder)
    for path in folder.glob("statistics-*"):
        import torch

        path.write_bytes(artifact.pack({"item_counts": torch.ones(4)}))
    sign(folder)
    with pytest.raises(ArtifactError, match="counts of 3 items and a vocabulary of 9"):
        systems.load(folder)


@pytest.mark.parametrize(
    "change",
    [{"start": {3: 10**6}}, {"start": {-1: 10**6}}, {"start": {0: 1}}, {"column": {0: 10**6}}, {"column": {0: -1}},
     {"value": {0: float("nan")}}],
    ids=str,
)  # fmt: skip
def test_a_table_of_pairs_that_points_beside_itself(whole, tmp_path, change):
    """Compiled loops follow it without looking: the process crashed."""
    folder = tmp_path / "made"
    shutil.copytree(whole["item-knn"], folder)
    path = next(folder.glob("model-*"))
    tables = artifact.unpack(path.read_bytes())
    for name, cells in change.items():
        for place, value in cells.items():
            tables[name][place] = value
    path.write_bytes(artifact.pack(tables))
    sign(folder)
    with pytest.raises(ArtifactError, match=r"a table of pairs that points beside|counts of pairs that are NaN"):
        systems.load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda past: past.pop("past_sources"), "of which columns are missing"),
        (lambda past: past.update(past_sources=past["past_sources"][1:]), "whose columns are of different lengths"),
        (lambda past: past["past_destinations"].__setitem__(3, 10**6), "of other nodes than its 12"),
        (lambda past: past["past_sources"].__setitem__(0, -1), "of other nodes than its 12"),
        (lambda past: past["past_times"].__setitem__(0, 1e9), "that are not in order of time"),
        (lambda past: past["past_times"].__setitem__(-1, float("nan")), "that are not in order of time"),
        (lambda past: past["past_trained_on"].__setitem__(0, 10**6), "and says that others were trained on"),
        (lambda past: past.update(past_sources=past["past_sources"].float()), "whose nodes are no whole numbers"),
    ],
)
@pytest.mark.parametrize("name", ["partners-partners", "tgat"])
def test_a_past_that_points_beside_itself(whole, tmp_path, name, change, words):
    folder = tmp_path / "made"
    shutil.copytree(whole[name], folder)
    path = next(folder.glob("statistics-*"))
    past = artifact.unpack(path.read_bytes())
    change(past)
    path.write_bytes(artifact.pack(past))
    sign(folder)
    with pytest.raises(ArtifactError, match=f"holds interactions {words}; save or copy"):
        systems.load(folder)


def test_codes_that_no_codebook_has(whole, tmp_path):
    folder = tmp_path / "made"
    shutil.copytree(whole["compact"], folder)
    path = next(folder.glob("history_codes-*"))
    path.write_bytes(b"\xff" * len(path.read_bytes()))  # three bits each: codeword 7 of five
    sign(folder)
    with pytest.raises(ArtifactError, match="name codeword 7 of codebooks of 5"):
        systems.load(folder).recommend(["i1"])


def test_broken_artifacts_are_sentences():
    assert fuzz(120, seed=7) == 120


def test_broken_runs_are_sentences():
    assert fuzz_runs(40, seed=3) == 40


def test_broken_states_are_sentences():
    assert fuzz_states(60, seed=5) == 60
