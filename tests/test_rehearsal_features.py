"""Streams whose items are rows of numbers: how they are read, what is made of them, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import refusal
from torch.testing import assert_close

from tenfold import cli
from tenfold.errors import DataError, OptionError
from tenfold.systems.rehearsal.data import cut
from tenfold.systems.rehearsal.kept import ReservoirItems, SegmentSearch
from tenfold.systems.rehearsal.model import Felt, Rehearser
from tenfold.systems.rehearsal.options import ReadOptions, RehearsalOptions
from tenfold.systems.rehearsal.readers import one_stream, read_streams, streams_in_parts
from tenfold.systems.rehearsal.rivals import FullAttentionReader, MemoryTokens
from tenfold.systems.rehearsal.samples import StreamSamples, questions_by_stream, tensors
from tenfold.systems.rehearsal.stream import Memory
from tenfold.systems.rehearsal.system import Rehearsal
from tenfold.training import Draw

WIDTH = 5  # features of an item


def clips(count=80, length=11, kinds=3, seed=0):
    """Rows of noise; one of the first four is much larger in one feature, and the question is in which."""
    rng, found = np.random.default_rng(seed), []
    for number in range(count):
        items = rng.normal(size=(length, WIDTH)).astype(np.float32)
        kind, place = number % kinds, int(rng.integers(4))
        items[place, kind] += 12
        asked = [{"q": "what was shown?", "a": f"kind {kind}", "support": [place]}]
        found.append({"id": f"c{number}", "stream": items, "queries": asked})
    return found


@pytest.fixture(scope="module")
def fitted():
    small = replace(Rehearsal.tiny, memory=replace(Rehearsal.tiny.memory, slots=12))  # room for all items
    return Rehearsal(small).fit(clips(), max_epochs=16, accelerator="cpu")


# How they are read.


def test_every_kind_of_file_holds_the_same(tmp_path):
    rows = clips(4)
    (tmp_path / "clips" / "deep").mkdir(parents=True)
    for row in rows:
        np.save(tmp_path / "clips" / f"{row['id']}.npy", row["stream"])
    np.savez(tmp_path / "clips.npz", **{row["id"]: row["stream"] for row in rows})
    asked = [{"stream": row["id"], **row["queries"][0]} for row in rows]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(each) + "\n" for each in asked))
    inline = [row | {"stream": row["stream"].tolist()} for row in rows]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in inline))
    wanted = read_streams(rows)
    assert wanted.features.shape == (44, WIDTH) and wanted.lengths.tolist() == [11] * 4 and not wanted.one_word
    assert "4 streams of 11.0 items of 5 features on average" in wanted.sentences()[0]
    for data, questions in (
        ("clips", "q.jsonl"), ("clips.npz", "q.jsonl"), ("s.jsonl", None), ("clips", asked),
        ("clips.npz", [{"stream": row["id"], "queries": row["queries"]} for row in rows]),
    ):  # fmt: skip
        beside = tmp_path / questions if isinstance(questions, str) else questions
        found = read_streams(tmp_path / data, questions=beside)
        assert found.ids == wanted.ids and found.fingerprint == wanted.fingerprint, data
    parts = list(streams_in_parts(tmp_path / "clips", questions=asked, at_once=1))
    assert [part.ids for part in parts] == [["c0"], ["c1"], ["c2"], ["c3"]]
    assert_close(np.concatenate([part.features for part in parts]), wanted.features)
    alone = read_streams(tmp_path / "clips" / "c2.npy")  # one stream, nothing asked
    assert alone.ids == ["c2"] and len(alone.questions) == 0
    assert_close(alone.features, rows[2]["stream"])
    assert_close(one_stream(tmp_path / "clips" / "c2.npy"), rows[2]["stream"])
    changed = clips(4)
    changed[1]["stream"][3, 2] += 1
    assert read_streams(changed).fingerprint != wanted.fingerprint
    half = cut(wanted, "none").part("test").take(np.array([False, True, False, True]), np.ones(4, bool))
    assert_close(half.features, np.concatenate([rows[1]["stream"], rows[3]["stream"]]))


@pytest.mark.parametrize(
    "value, found", [(np.nan, "is nan"), (np.inf, "is inf"), (1e39, "is 1e+39"), (-np.inf, "is -inf")]
)
def test_a_number_that_is_none_is_named_with_its_row(tmp_path, value, found):
    items = np.random.default_rng(0).normal(size=(30, WIDTH))
    items[17, 3] = value
    np.save(tmp_path / "a.npy", items)
    said = refusal(read_streams, tmp_path / "a.npy")
    assert said.startswith(
        f"{tmp_path / 'a.npy'}: row 17, column 3, both from 0, {found}, expected a finite float32; mend"
    )
    np.savez(tmp_path / "b.npz", fine=np.ones((3, WIDTH)), bad=items)
    assert f"b.npz ('bad'): row 17, column 3, both from 0, {found}" in refusal(read_streams, tmp_path / "b.npz")
    rows = [{"stream": np.ones((3, WIDTH)).tolist()}, {"stream": items.tolist()}]
    assert f"row 2, the stream '2': row 17, column 3, both from 0, {found}" in refusal(read_streams, rows)


@pytest.mark.parametrize(
    "rows, sentence",
    [
        ([{"stream": [[1, 2], [3]]}], "item 1, from 0, has 1 features, and the first one 2; expected as many"),
        ([{"stream": [[1, 2], "a"]}], "item 1, from 0, is 'a', and items here are lists of numbers; expected such"),
        ([{"stream": [[1, "2"]]}], "item 0, from 0, is [1, '2'], and items here are lists"),
        ([{"stream": [[True, 2]]}], "item 0, from 0, is [True, 2]"),
        ([{"stream": [[]]}], "the array is (1, 0) of float64, expected (items, features)"),
        ([{"stream": np.zeros((2, 3, 4))}], "the array is (2, 3, 4) of float64, expected (items, features)"),
        ([{"stream": np.zeros((2, 3), complex)}], "(2, 3) of complex128, expected (items, features) of numbers; save"),
        ([{"stream": np.zeros((0, 3))}], "is empty; a stream has one item or more"),
        ([{"stream": [[1, 2, 3]]}], "are 3 features, and those of row 1 2 features; expected one kind"),
        ([{"stream": ["a"]}], "are texts, and those of row 1 2 features; expected one kind of items"),
        ([{"id": 1, "stream": [[1, 3]]}], "row 2: the stream id '1' is also that of row 1"),
        ([{"stream": [[1, 2]], "q": "a?", "time": 2}], "is asked after 2 items, and the stream has 1"),
        ([{"stream": [[1, 2]], "weights": [1, 2]}], "one number of 0 or more for each of its 1 items"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(rows, sentence):
    said = refusal(read_streams, [{"stream": [[1.0, 2.0]]}, *rows])
    assert sentence in said and said.startswith("row 2")


def test_questions_beside_features_that_are_wrong_are_named(tmp_path, write):
    np.save(tmp_path / "one.npy", np.ones((4, WIDTH)))

    def said(*rows):
        path = write("q.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        return refusal(read_streams, tmp_path / "one.npy", questions=path)

    fine = {"stream": "one", "q": "a?", "a": "b"}
    assert "q.jsonl, line 2: there is no stream 'two' in" in said(fine, fine | {"stream": "two"})
    assert "there is no stream None in" in said({"q": "a?"}) and 'write {"stream": "NAME"' in said({"q": "a?"})
    assert "q.jsonl, line 2: a question about 'one' is asked after 5 items" in said(fine, fine | {"time": 5})
    assert "q.jsonl holds no question" in said({"stream": "one"})
    assert "are JSON lines, or a list of rows; found int" in refusal(read_streams, tmp_path / "one.npy", questions=3)
    with pytest.raises(OptionError, match="lengthen=9 is not for features"):
        read_streams(tmp_path / "one.npy", ReadOptions(lengthen=9))
    book = write("book.txt", "It was so. " * 40)
    inline = write("s.jsonl", json.dumps({"stream": [[1, 2]], "q": "a?", "a": "b"}) + "\n")
    assert "are features, and only stories of sentences are lengthened" in refusal(
        read_streams, inline, read_options=ReadOptions(lengthen=9, background=str(book))
    )
    assert "cannot be read as arrays" in refusal(
        read_streams, write("x.npy", b"\x93NUMPY nothing"), read_options=ReadOptions(layout="features")
    )
    np.save(tmp_path / "o.npy", np.array([[None, "a"]], dtype=object), allow_pickle=True)
    assert "cannot be read as arrays" in refusal(read_streams, tmp_path / "o.npy")
    (tmp_path / "empty").mkdir()
    assert "holds no array; give an npz" in refusal(
        read_streams, tmp_path / "empty", read_options=ReadOptions(layout="features")
    )


# What is made of them.


def test_features_are_standardised_as_in_training_and_padding_is_nothing():
    torch.manual_seed(0)
    mean, scale = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([2.0, 0.5, 0.0])
    felt, x = Felt(mean, scale, 7), torch.randn(2, 4, 3)
    assert_close(felt(x), ((x - mean) * scale) @ felt.map.weight.T)
    assert not felt(torch.full((2, 3), torch.nan)).any()
    assert not torch.equal(felt(x), torch.nn.functional.linear(x, felt.map.weight))


def test_in_what_units_features_come_does_not_matter(fitted):
    unit = np.array([1e3, 1e-3, 1, 7, 0.5], np.float32)
    other = [row | {"stream": row["stream"] * unit + 3} for row in clips()]
    again = Rehearsal(Rehearsal.tiny).fit(other, max_epochs=1, accelerator="cpu")
    once = Rehearsal(Rehearsal.tiny).fit(clips(), max_epochs=1, accelerator="cpu")
    assert_close(again.statistics["scale"] * torch.from_numpy(unit), once.statistics["scale"], rtol=1e-3, atol=0)
    assert again.history["rehearsal"][0]["loss/answer"] == pytest.approx(
        once.history["rehearsal"][0]["loss/answer"], abs=1e-3
    )
    same = [row | {"stream": np.concatenate([row["stream"], np.ones((11, 1), np.float32)], 1)} for row in clips(8)]
    assert (
        Rehearsal(Rehearsal.tiny).fit(same, split="none", max_epochs=1, accelerator="cpu").statistics["scale"][5] == 0
    )


def test_what_was_shown_early_is_known_and_kept_in_an_artifact(fitted, tmp_path):
    assert fitted.evaluate(clips(seed=1), split="none")["accuracy"] > 0.8  # chance is a third
    fitted.save(tmp_path / "s")
    loaded, new = Rehearsal.load(tmp_path / "s"), read_streams(clips(9, seed=2))
    assert_close(
        loaded.probabilities(new.recoded(loaded.vocabularies)), fitted.probabilities(new.recoded(fitted.vocabularies))
    )
    more = Rehearsal(fitted.options).fit(clips(seed=3), max_epochs=1, start_from=loaded, accelerator="cpu")
    assert_close(more.statistics["mean"], fitted.statistics["mean"])  # what its weights know


@torch.no_grad()
def test_a_stream_in_pieces_is_the_stream_at_once(fitted):
    data = read_streams(clips(3, seed=5)).recoded(fitted.vocabularies)
    found = fitted.probabilities(data)
    for row, cuts in enumerate(([3], [4, 8], list(range(1, 11)))):
        items = data.features[row * 11 : row * 11 + 11]
        memory = fitted.read_stream()
        for part in np.split(items, cuts):
            memory.tell(part)
        memory = Memory.from_bytes(fitted, memory.to_bytes())
        told = dict(memory.ask("what was shown?").alternatives)
        names = data.answers.series.to_list()
        assert_close(np.array([told[name] for name in names]), found[row].astype(float), rtol=1e-4, atol=1e-5)


def test_fragments_are_recalled_and_told_from_others(fitted):
    items = clips(1, seed=8)[0]["stream"]
    memory = fitted.read_stream(items)
    (found,) = memory.recall([items[0], None, items[2]], among=[items[5], items[1]])
    assert sorted(number for number, _ in found) == [0, 1] and 0 <= memory.familiar(items[:3]) <= 1
    with pytest.raises(OptionError, match="among given ones only"):
        memory.recall([items[0], None])
    with pytest.raises(DataError, match="have 4 features, and this system was fitted on items that have 5"):
        memory.tell(items[:, :4])
    with pytest.raises(DataError, match="row 1, column 0, both from 0, is nan"):
        memory.tell(np.where(np.arange(11)[:, None] == 1, np.nan, items))
    with pytest.raises(DataError, match=r"the array is \(1,\) of <U4, expected"):
        memory.tell(["mary"])


def test_what_is_restored_is_told_from_far_items_of_the_fragment_and_from_other_streams():
    data = read_streams(clips(6, length=8))
    options = RehearsalOptions(fragments=2, length=8, negatives=7, min_gap=3)
    batch = StreamSamples(data, options).batch(Draw(0, 0, np.arange(6)))
    parts = batch.fragments
    assert parts.negatives.shape == (6, 7, WIDTH) and parts.donors.shape == (6, 2, 8, WIDTH)
    own = {bytes(item.numpy().tobytes()) for item in batch.words[0]}
    assert not any(item.numpy().tobytes() in own for item in parts.negatives[0])  # they are other streams'
    torch.manual_seed(0)
    rehearser = Rehearser(4, 2, 0.0, options)
    place = parts.place
    x = torch.randn(6, 8, 4)
    own, words = x[torch.arange(6).view(-1, 1, 1), place], batch.words[torch.arange(6).view(-1, 1, 1), place]
    u = torch.nn.functional.normalize(torch.randn(int(parts.masked.sum()), 4), dim=-1)
    scores = rehearser._far(u, own, words, parts)
    for row, (stream, fragment, at) in enumerate(parts.masked.nonzero().tolist()):
        for other in range(8):
            near, nothing = abs(other - at) < 3, not parts.real[stream, fragment, other]
            wanted = (
                -1e4
                if near or nothing
                else float(torch.nn.functional.normalize(own[stream, fragment, other], dim=0) @ u[row])
            )
            assert float(scores[row, other]) == pytest.approx(wanted, abs=1e-5)
    twice = words.clone()
    twice[:, :, 7] = twice[:, :, 0]  # the same reading again is no negative
    hidden = parts._replace(masked=torch.zeros_like(parts.masked).index_fill(2, torch.tensor([0]), True))
    again = rehearser._far(u[:12], own, twice, hidden)
    assert (again[:, 7] == -1e4).all() and (again[:, 6] > -1e4).any()


@pytest.mark.parametrize("cls", [MemoryTokens, ReservoirItems, FullAttentionReader, SegmentSearch])
def test_rivals_read_them_too(cls):
    system = cls(cls.tiny).fit(clips(40), max_epochs=2, accelerator="cpu")
    data = read_streams(clips(4, seed=3)).recoded(system.vocabularies)
    long = {"id": "long", "stream": np.ones((40, WIDTH)), "queries": [{"q": "what was shown?", "a": "kind 0"}]}
    longer = read_streams([*clips(4, seed=3), long]).recoded(system.vocabularies)
    assert_close(system.probabilities(longer)[:4], system.probabilities(data), rtol=1e-4, atol=1e-5)


def test_padding_says_nothing(fitted):
    data = read_streams(clips(2)).recoded(fitted.vocabularies)
    batch = tensors(data, np.arange(2), data.answer_numbers(), questions_by_stream(data))
    padded = batch._replace(words=torch.nn.functional.pad(batch.words, (0, 0, 0, 9), value=torch.nan))
    with torch.no_grad():
        assert_close(fitted.streams(padded).scores, fitted.streams(batch).scores)


def test_streams_of_features_without_questions_train_by_rehearsal_alone():
    system = Rehearsal(Rehearsal.tiny).fit(
        [{"stream": row["stream"]} for row in clips(24)], max_epochs=2, accelerator="cpu"
    )
    losses = system.history["rehearsal"][-1]
    assert losses["loss/recollection"] > 0 and "loss/answer" not in losses


def test_the_other_kind_of_items_is_refused(fitted):
    words = [
        {"id": n, "stream": ["what was shown?"], "queries": [{"q": "what was shown?", "a": "kind 0"}]} for n in range(4)
    ]
    with pytest.raises(DataError, match="are texts, and this system was fitted on items that are 5 features; give"):
        fitted.evaluate(words, split="none")
    narrow = [row | {"stream": row["stream"][:, :4]} for row in clips(4)]
    with pytest.raises(DataError, match="are 4 features, and this system was fitted on items that are 5 features"):
        fitted.evaluate(narrow, split="none")
    with pytest.raises(OptionError, match="which a question in the terminal does not hold"):
        fitted.answer("a | b?")


def test_commands(tmp_path, capsys):
    def said(*arguments):
        code = cli.main([str(each) for each in arguments])
        found = capsys.readouterr()
        return code, found.out, found.err

    (tmp_path / "clips").mkdir()
    rows = clips(24)
    for row in rows:
        np.save(tmp_path / "clips" / f"{row['id']}.npy", row["stream"])
    asked = "".join(json.dumps({"stream": row["id"], **row["queries"][0]}) + "\n" for row in rows)
    (tmp_path / "q.jsonl").write_text(asked)
    beside = ["--questions", tmp_path / "q.jsonl"]
    small = ["--set", "dim=16", "--set", "memory.heads=2", "--max-epochs", "1", "--accelerator", "cpu"]
    code, _, err = said("fit", "rehearsal", tmp_path / "clips", *beside, "-o", tmp_path / "s", *small)
    assert code == 0 and "items of 5 features" in err, err
    code, _, err = said("evaluate", tmp_path / "s", tmp_path / "clips", *beside)
    assert code == 0, err
    code, _, err = said("predict", tmp_path / "s", "-i", tmp_path / "clips", *beside, "-o", tmp_path / "p.jsonl")
    assert code == 0 and len((tmp_path / "p.jsonl").read_text().splitlines()) == 24, err
    code, out, err = said(
        "ask", tmp_path / "s", "--text", tmp_path / "clips" / "c3.npy", "--question", "what was shown?"
    )
    assert code == 0 and "what was shown?  ->  " in out and "11 items of features" in err and "item " in out, err
    rows[5]["stream"][4, 1] = np.nan
    np.save(tmp_path / "clips" / "c5.npy", rows[5]["stream"])
    for command in (["fit", "rehearsal", tmp_path / "clips", *beside, "-o", tmp_path / "f", *small],
                    ["predict", tmp_path / "s", "-i", tmp_path / "clips", *beside, "-o", tmp_path / "n.jsonl"],
                    ["ask", tmp_path / "s", "--text", tmp_path / "clips" / "c5.npy", "--question", "a?"]):  # fmt: skip
        code, _, err = said(*command)
        assert code == 2 and "c5.npy: row 4, column 1, both from 0, is nan" in " ".join(err.split()), err
        assert not (tmp_path / "n.jsonl").exists() and not (tmp_path / "f").exists()


@pytest.mark.slow
def test_the_exported_memory_is_the_same(fitted, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    fitted.export(tmp_path / "e")
    run = {name: runtime.InferenceSession(tmp_path / "e" / f"{name}.onnx") for name in ("encoder", "update", "reader")}
    items = clips(1, seed=8)[0]["stream"][:8]
    memory = fitted.streams.machine.start(1).detach().numpy()
    for number in range(2):
        part = items[None, number * 4 : number * 4 + 4]
        count, at = np.array([4]), np.array([number])
        keys, values = run["encoder"].run(None, {"words": part, "count": count})
        (memory,) = run["update"].run(
            None, {"memory": memory, "keys": keys, "values": values, "count": count, "number": at}
        )
    assert_close(torch.from_numpy(memory), fitted.read_stream(items).state.memory, rtol=1e-5, atol=1e-5)
