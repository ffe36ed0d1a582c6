"""Rehearsal Memory's samplers that are learned or given, rivals that keep items, and its export."""

import json

import numpy as np
import pytest
import torch
from small import keyed
from torch.testing import assert_close

from tenfold.errors import DataError, OptionError
from tenfold.nn.slot_memory import OLDEST
from tenfold.systems.rehearsal.data import cut
from tenfold.systems.rehearsal.kept import Reservoir, ReservoirItems, SegmentSearch, reservoir_slots
from tenfold.systems.rehearsal.lengthen import keyed_streams
from tenfold.systems.rehearsal.readers import read_streams
from tenfold.systems.rehearsal.rivals import RehearsedTokens
from tenfold.systems.rehearsal.samples import questions_by_stream, starts, tensors
from tenfold.systems.rehearsal.system import Rehearsal, custom


def untrained(system, data):
    system.vocabularies = data.vocabularies
    system.sizes = system.infer_sizes(cut(data, "none"))
    torch.manual_seed(0)
    system._network = system.build().eval()
    return system


def batch_of(data, rows):
    return tensors(data, np.asarray(rows), data.answer_numbers(), questions_by_stream(data))


# Samplers.


def test_a_student_learns_what_the_teacher_attends_to_and_says_it_without_questions():
    data = keyed_streams(60, segments=4, segment=4, facts=1, keys=4, values=3, background=8, seed=2)
    system = Rehearsal(Rehearsal.tiny).set_params(**{"rehearsal.sampler": "student"})
    system.fit(data, split="none", max_epochs=4, accelerator="cpu")
    losses = [epoch["loss"] for epoch in system.history["student"]]
    assert losses[-1] < losses[0]
    silent = data.take(np.ones(len(data), bool), np.zeros(len(data.questions), bool))
    told, unasked = system.priorities(data), system.priorities(silent)
    for mine, theirs in zip(told, unasked, strict=True):
        assert_close(mine, theirs)
        assert len(mine) == len(starts(16, 4)) and mine.sum() == pytest.approx(1, abs=1e-4)
    assert np.std([weights.argmax() for weights in told]) > 0  # it looks at the stream
    own = Rehearsal(Rehearsal.tiny).set_params(**{"rehearsal.sampler": "student"})
    assert (
        "student" not in own.fit(silent, max_epochs=1, accelerator="cpu").history
    )  # there is no teacher to learn from


def test_weights_of_items_choose_what_is_rehearsed(tmp_path):
    rows = [{"stream": [f"a{n}", "b", "c", "d", "e", "f"], "weights": [0, 0, 0, 0, 1, 2.5], "q": "b", "a": f"{n % 2}"}
            for n in range(30)]  # fmt: skip
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read_streams(tmp_path / "s.jsonl")
    assert custom(data, 4)[0].tolist() == [0.0, 3.5] and starts(6, 4).tolist() == [0, 2]
    assert data.take(np.arange(30) < 2, np.ones(30, bool)).weights.tolist() == [0, 0, 0, 0, 1, 2.5] * 2
    plain = read_streams([{"stream": ["a", "b"], "q": "a", "a": "b"}] * 30)
    assert (
        plain.weights is None
        and data.fingerprint
        != read_streams([{key: value for key, value in row.items() if key != "weights"} for row in rows]).fingerprint
    )
    system = Rehearsal(Rehearsal.tiny).set_params(**{"rehearsal.sampler": "custom"})
    assert list(system.fit(data, max_epochs=1, accelerator="cpu").history) == ["rehearsal"]
    with pytest.raises(DataError, match='write "weights"'):
        system.fit(plain, max_epochs=1, accelerator="cpu")


@pytest.mark.parametrize("weights", [[1.0], [1, -1], [1, float("nan")], "ab", [None, 1]])
def test_weights_that_are_none_are_refused_with_their_place(weights):
    with pytest.raises(DataError, match=r"row 1: the weights of stream 'x' are one number of 0 or more"):
        read_streams([{"id": "x", "stream": ["a", "b"], "weights": weights, "q": "a", "a": "b"}])


# Rivals that keep items.


def test_each_item_has_the_same_chance_to_be_kept():
    kept = np.zeros(400)
    for slot, place in enumerate_last(reservoir_slots(torch.arange(400), 8).tolist(), 8).items():
        assert 0 <= slot < 8
        kept[place] += 1
    assert kept.sum() == 8
    # Over windows of many streams' worth of draws: item n >= 8 is taken with chance 8 / (n + 1).
    slots = reservoir_slots(torch.arange(200_000), 8)
    taken = (slots < 8).double()
    expected = (8 / torch.arange(1, 200_001).double()).clamp(max=1)
    for low, high in ((8, 2_000), (2_000, 20_000), (20_000, 200_000)):
        mean, std = expected[low:high].sum(), (expected * (1 - expected))[low:high].sum().sqrt()
        assert abs(taken[low:high].sum() - mean) < 4 * std
    assert reservoir_slots(torch.arange(8), 8).tolist() == list(range(8))


def enumerate_last(slots, count):
    """The last item that took each slot."""
    return {slot: place for place, slot in enumerate(slots) if slot < count}


@torch.no_grad()
@pytest.mark.parametrize("length", [3, 12, 18])
def test_a_reservoir_holds_the_items_that_its_draw_names(length):
    options = ReservoirItems.tiny
    torch.manual_seed(0)
    machine = Reservoir(options).eval()
    x = torch.randn(2, 20, 16)
    keep = (torch.arange(20) < length).expand(2, -1).unflatten(1, (-1, 4))
    segments = x.unflatten(1, (-1, 4))
    memory = machine.scan(segments, keep)[:, -1]
    read = machine.encoder(segments, keep | (torch.arange(4) == 0)).flatten(1, 2)
    where = enumerate_last(reservoir_slots(torch.arange(length), 4).tolist(), 4)
    for slot in range(4):
        if slot in where:
            assert_close(memory[:, slot, :16], read[:, where[slot]], rtol=1e-5, atol=1e-5)
            assert_close(
                memory[:, slot, 16].exp2() - 1, torch.full((2,), length - 1.0 - where[slot]), rtol=1e-4, atol=1e-3
            )
        else:
            assert (memory[:, slot, :16] == 0).all() and (memory[:, slot, 16] >= OLDEST).all()
    first = machine.scan(segments[:, :2], keep[:, :2])[:, -1]
    assert_close(machine.scan(segments[:, 2:], keep[:, 2:], first, first=2)[:, -1], memory)


@torch.no_grad()
def test_a_search_fetches_what_is_asked_for_and_never_what_came_later():
    data = keyed(40)
    system = untrained(SegmentSearch(SegmentSearch.tiny), data)
    network, batch = system.network, batch_of(data, range(4))
    assert network.fetched == 2
    network.fetched = 1
    before = batch._replace(time=torch.full_like(batch.time, 6))
    later = before._replace(words=torch.cat([batch.words[:, :6], batch.words[:, 6:].flip(1)], 1))
    assert_close(network(later).scores, network(before).scores)
    first = before._replace(words=torch.cat([batch.words[:, :4].flip(1), batch.words[:, 4:]], 1))
    pending = before._replace(words=torch.cat([batch.words[:, :4], batch.words[:, 4:6].flip(1), batch.words[:, 6:]], 1))
    moved = [(network(each).scores - network(before).scores).abs().amax(1) > 1e-5 for each in (first, pending)]
    assert (moved[0] ^ moved[1]).all()  # of the two segments each question fetched one
    network.fetched = 2
    at_start = batch._replace(time=torch.full_like(batch.time, 1))
    assert torch.isfinite(network(at_start).scores).all()


def test_memory_tokens_can_rehearse():
    system = RehearsedTokens(RehearsedTokens.tiny).fit(keyed(40), max_epochs=1, accelerator="cpu")
    assert {"loss/answer", "loss/recollection", "loss/familiarity"} <= set(system.history["rehearsal"][0])
    memory = system.read_stream(["b1", "k1", "v2", "b3", "b4"])
    assert memory.size == system.capacity_report().bytes == 4 * 16 * (4 + 3) + 16
    assert 0 < memory.familiar(["k1", "v2"]) < 1
    with pytest.raises(OptionError, match="does not say what"):
        system.read_stream(["b1"] * 5, traced=True)


# Export.


@pytest.mark.slow
@torch.no_grad()
def test_the_exported_memory_is_the_same(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    system = Rehearsal(Rehearsal.tiny).fit(keyed(40), max_epochs=1, accelerator="cpu")
    exported = system.export(tmp_path)
    assert {"encoder.onnx", "update.onnx", "reader.onnx", "stream.json", "config.json"} <= set(exported.sizes)
    encoder, update, reader = (runtime.InferenceSession(tmp_path / f"{name}.onnx")
                               for name in ("encoder", "update", "reader"))  # fmt: skip
    about = json.loads((tmp_path / "stream.json").read_text())
    told = ["b1", "k1", "v2", "b3", "b4", "k2", "v0"]  # a whole segment, and three items of the next
    memory = np.array(about["start"], np.float32)[None]
    for number, part in enumerate((told[:4], told[4:])):
        words = np.zeros((1, about["segment"], 2), np.int64)
        words[0, : len(part), 0] = [about["words"].index(word) for word in part]
        count = np.array([len(part)])
        keys, values = encoder.run(None, {"words": words, "count": count})
        (memory,) = update.run(None, {"memory": memory, "keys": keys, "values": values, "count": count,
                                      "number": np.array([number])})  # fmt: skip
    asked = np.array([[about["words"].index("k1"), 0]])
    scores, slots = reader.run(None, {"memory": memory, "asked": asked})
    shares = torch.from_numpy(scores[0]).softmax(0).numpy()
    wanted = dict(system.read_stream(told).ask("k1", top=3).alternatives)
    assert {name: shares[about["answers"].index(name)] for name in wanted} == pytest.approx(wanted, abs=1e-5)
    assert slots.shape == (1, about["slots"])
    several = encoder.run(
        None, {"words": np.ones((5, about["segment"], 7), np.int64), "count": np.array([4, 0, 1, 2, 3])}
    )
    assert several[0].shape == (5, about["segment"], about["dim"]) and np.isfinite(several[0]).all()
    with pytest.raises(OptionError, match="another memory than slots"):
        RehearsedTokens(RehearsedTokens.tiny).fit(keyed(40), max_epochs=1, accelerator="cpu").export(tmp_path / "t")
