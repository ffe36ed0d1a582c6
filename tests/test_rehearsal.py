"""Rehearsal Memory: what is kept, what is rehearsed, how streams are read, and what is refused."""

import contextlib
import json
import math
import subprocess

import numpy as np
import pytest
import torch
from fit_one import happens_at
from small import keyed
from torch.testing import assert_close

from tenfold import cli
from tenfold.artifact import grow_weights, own_weights
from tenfold.errors import ArtifactError, DataError, OptionError
from tenfold.options import parse
from tenfold.systems.rehearsal.data import Story, Streams, cut
from tenfold.systems.rehearsal.lengthen import keyed_streams, lengthen
from tenfold.systems.rehearsal.options import Options, RehearsalOptions
from tenfold.systems.rehearsal.rivals import FullAttentionReader, LastItems
from tenfold.systems.rehearsal.samples import StreamSamples, questions_by_stream, starts, tensors
from tenfold.systems.rehearsal.stream import Memory, init, load, query, save, update
from tenfold.systems.rehearsal.system import Rehearsal, oracle
from tenfold.systems.rehearsal.task import auc
from tenfold.training import Draw


@pytest.fixture(scope="module")
def fitted():
    system = Rehearsal(Rehearsal.tiny).fit(keyed(80), max_epochs=2, accelerator="cpu")
    assert {"loss/answer", "loss/recollection", "loss/familiarity"} <= set(system.history["rehearsal"][0])
    return system


def options(**values):
    return RehearsalOptions(**{"fragments": 3, "length": 4, "negatives": 8} | values)


# What is kept of a stream.


def batch_of(system, data, rows):
    return tensors(data, np.asarray(rows), data.answer_numbers(), questions_by_stream(data))


@torch.no_grad()
def test_any_chunking_is_the_same_as_the_batch(fitted):
    data = keyed_streams(6, segments=5, segment=4, facts=2, keys=4, values=3, background=8, seed=3)
    data = data.recoded(fitted.vocabularies)
    batch = batch_of(fitted, data, range(6))
    network, rng = fitted.streams, np.random.default_rng(0)
    for length in (20, 19, 3, 1):
        lengths = torch.full((6,), length)
        x = network.items(batch.words)
        states = network.read(x, lengths)
        wanted = network.memory_at(states, x, torch.arange(6), lengths)
        for _ in range(4):
            state, place = init(network, 6), np.zeros(6, int)
            while (place < length).any():
                step = np.minimum(rng.integers(0, 7, 6), length - place)  # some streams get nothing
                words = torch.stack([torch.nn.functional.pad(batch.words[u, p : p + s], (0, 0, 0, 7 - s))
                                     for u, (p, s) in enumerate(zip(place, step, strict=True))])  # fmt: skip
                state = update(network, state, words, torch.from_numpy(step))
                state = load(network, save(state, "it"), "it")
                place += step
            asked = batch.asked[:6]
            assert_close(query(network, state, asked, torch.arange(6)).scores, network.answer(asked, wanted).scores,
                         rtol=1e-5, atol=1e-5)  # fmt: skip


@torch.no_grad()
def test_a_question_changes_nothing_and_an_old_state_stays(fitted):
    memory = fitted.read_stream(["b1", "k1", "v2", "b3", "b4", "k2"])
    before = [part.clone() for part in memory.state]
    one, old = memory.ask("k1"), memory.state
    assert memory.ask("k1") == one
    memory.tell(["v1", "b2", "b2"])
    assert all(torch.equal(mine, was) for mine, was in zip(old, before, strict=True))
    assert memory.size == 4 * (4 * 17 + 3 * 16) + 16 == fitted.capacity_report().bytes  # whatever was told
    assert len(memory.to_bytes()) == len(fitted.read_stream(["b1"]).to_bytes())


def test_a_memory_goes_on_in_another_process(fitted, tmp_path, warm):
    told = ["b1", "k1", "v2", "b3", "b4", "k2", "v0"]
    fitted.save(tmp_path / "s")
    (tmp_path / "state").write_bytes(fitted.read_stream(told[:5]).to_bytes())
    program = """
import sys
from tenfold import Rehearsal
from tenfold.systems.rehearsal.stream import Memory
memory = Memory.from_bytes(Rehearsal.load(sys.argv[1]), open(sys.argv[2], "rb").read())
print(repr(memory.tell(sys.argv[3:]).ask("k1").probability))
"""
    words = [*warm, program, str(tmp_path / "s"), str(tmp_path / "state"), *told[5:]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(fitted.read_stream(told).ask("k1").probability, abs=1e-5)


def test_a_state_of_another_system_or_a_part_of_one_is_refused(fitted):
    content = fitted.read_stream(["b1", "k1"]).to_bytes()
    with pytest.raises(ArtifactError, match="another system read"):
        load(fitted.streams, content, "another")
    for broken in (content[:-1], content[:30], b"", content[:18] + b"x" * 30 + content[48:]):
        with pytest.raises(ArtifactError, match=r"(cut short|changed|should have).*; copy it again, or read"):
            Memory.from_bytes(fitted, broken)


def test_no_changed_byte_of_a_state_is_passed_over(fitted):
    content = fitted.read_stream(["b1", "k1", "v2", "b3", "b4", "k2"]).to_bytes()
    head, size = json.loads(content[20 : content.index(b"}") + 1]), content.index(b"}") - 19
    for place in range(len(content)):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        with contextlib.suppress(ValueError):  # a space, and the name of what older states do not have
            said = json.loads(changed[20 : 20 + size])
            if 20 <= place < 20 + size and (said == head or "digest" not in said):
                continue
        with pytest.raises(ArtifactError):
            load(fitted.streams, changed, fitted.stream_fingerprint)
    digest = content.index(b', "digest"')  # states that were written before have none
    end = content.index(b"}")
    older = content[:16] + (end + 1 - 20 - (end - digest)).to_bytes(4, "little") + content[20:digest] + content[end:]
    assert torch.equal(load(fitted.streams, older, fitted.stream_fingerprint).memory,
                       load(fitted.streams, content, fitted.stream_fingerprint).memory)  # fmt: skip


def test_the_memory_does_not_know_the_question(fitted):
    data = keyed(5).recoded(fitted.vocabularies)
    batch = batch_of(fitted, data, range(5))
    other = batch._replace(asked=batch.asked.flip(0))
    x = fitted.streams.items(batch.words)
    read = [fitted.streams.read(x, each.length) for each in (batch, other)]
    assert torch.equal(*read)


@torch.no_grad()
def test_padding_says_nothing_whatever_was_trained(fitted):
    """Restoring masked words among all words must leave the row of padding alone: it is read as nothing."""
    network = fitted.streams
    assert (network.item.table.weight[0] == 0).all()
    words = fitted.word_numbers(["b1", "k1"])
    assert_close(network.items(torch.nn.functional.pad(words, (0, 3))), network.items(words))


def test_a_trace_notes_what_slots_were_written_from(fitted):
    memory = fitted.read_stream([f"b{n % 8}" for n in range(12)], traced=True)
    for slot in range(4):
        items = memory.written_from(slot)
        assert 0 < len(items) <= Memory.TOP and all(0 <= item < 12 and 0 <= weight <= 1 for item, weight in items)
    with pytest.raises(OptionError, match="traced=True"):
        fitted.read_stream(["b1"]).written_from(0)


# What is rehearsed.


def rehearsed(system, data, rows, seed=0):
    samples = StreamSamples(data, system.options.rehearsal)
    batch = samples.batch(Draw(seed, 0, np.asarray(rows)))
    x = system.streams.items(batch.words)
    return system.rehearsed(batch, x, system.streams.read(x, batch.length)), batch


@torch.no_grad()
def test_each_fragment_is_decoded_from_its_own_stream(fitted):
    """The public code pairs them wrongly: which other streams are in the batch must not matter."""
    data = keyed(12).recoded(fitted.vocabularies)
    alone = [rehearsed(fitted, data, [row])[0] for row in (3, 7, 9)]
    together, _ = rehearsed(fitted, data, [3, 7, 9])
    turned, _ = rehearsed(fitted, data, [9, 3, 7])
    for name in ("recollection", "familiarity", "masked", "fragments"):
        assert_close(getattr(together, name), sum(getattr(each, name) for each in alone), rtol=1e-5, atol=1e-5)
        assert_close(getattr(together, name), getattr(turned, name), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("length", [4, 2])
def test_what_is_decoded_for_its_loss_is_what_is_decoded_as_a_whole(fitted, length):
    """Of a fragment only masked places and the first one are looked at: they do not hang on who else is reckoned."""
    data = keyed(6) if length == 4 else keyed_streams(6, segments=1, segment=2, facts=1, keys=4, values=3, background=8)
    data = data.recoded(fitted.vocabularies)
    found, batch = rehearsed(fitted, data, range(6))
    network, rehearser, parts = fitted.streams, fitted.rehearser, batch.fragments
    x = network.items(batch.words)
    memory = network.memory_at(network.read(x, batch.length), x, torch.arange(6), parts.at)
    own = x[torch.arange(6).view(-1, 1, 1), parts.place]
    shown = torch.where(parts.masked.unsqueeze(-1), rehearser.mask, own)
    changed = torch.where(parts.replaced.unsqueeze(-1), network.item(parts.donors), shown)
    keys = network.machine.slot_keys(memory)
    real, other = (rehearser.decode(each, parts.real, keys) for each in (shown, changed))
    told = rehearser.real(torch.stack([real, other])[:, :, :, 0]).squeeze(-1)
    enough = parts.real.sum(-1) > 1
    wanted = torch.nn.functional.softplus(torch.stack([-told[0], told[1]])).sum(0)[enough].sum()
    assert_close(found.familiarity, wanted, rtol=1e-5, atol=1e-5)
    words = batch.words[torch.arange(6).view(-1, 1, 1), parts.place][parts.masked][:, 0]
    scores = rehearser.restore(real[:, :, 1:][parts.masked]) @ network.item.table.weight[1:].T / 4
    assert_close(found.recollection, torch.nn.functional.cross_entropy(scores, words - 1, reduction="sum"),
                 rtol=1e-5, atol=1e-5)  # fmt: skip
    assert found.masked == parts.masked.sum() > 0 and enough.any()


@torch.no_grad()
def test_the_decoder_knows_the_stream_by_its_memory_alone(fitted):
    data = keyed(6).recoded(fitted.vocabularies)
    found, batch = rehearsed(fitted, data, range(6))
    x = fitted.streams.items(batch.words)
    states = fitted.streams.read(x, batch.length)
    memory = fitted.streams.memory_at(states, x, torch.arange(6), batch.fragments.at)
    again = fitted.rehearsed(batch, x, torch.full_like(states, 9.0), memory)
    other = fitted.rehearsed(batch, x, states, memory.flip(0))
    assert_close(again.recollection, found.recollection)
    assert not torch.allclose(other.recollection, found.recollection)


@torch.no_grad()
@pytest.mark.parametrize("words", [1, 3])
def test_losses_begin_at_chance(words):
    torch.manual_seed(0)
    system = Rehearsal(Rehearsal.tiny).set_params(dim=32, **{"rehearsal.negatives": 20})
    rng = np.random.default_rng(0)
    stories = [
        Story(str(n), [" ".join(f"w{w}" for w in rng.integers(30, size=words)) for _ in range(16)]) for n in range(64)
    ]
    data = Streams.of(stories)
    system.vocabularies = data.vocabularies
    system.sizes = system.infer_sizes(cut(data, "none"))
    system._network = system.build().eval()
    found, _ = rehearsed(system, data, range(64))
    assert float(found.familiarity / found.fragments) == pytest.approx(2 * math.log(2), rel=0.4)
    chance = math.log(30) if words == 1 else math.log(21)
    assert chance * 0.7 < float(found.recollection / found.masked) < chance * 2.5


def test_gradients_of_recollection_reach_the_first_segment():
    data = keyed_streams(2, segments=32, segment=4, facts=2, keys=4, values=3, background=8)
    system = Rehearsal(Rehearsal.tiny).fit(data, split="none", max_epochs=1, accelerator="cpu")
    batch = StreamSamples(data, system.options.rehearsal).batch(Draw(0, 0, np.array([0, 1])))
    x = system.streams.items(batch.words).detach().requires_grad_()
    done = system.rehearsed(batch, x, system.streams.read(x, batch.length))
    (gradient,) = torch.autograd.grad(done.recollection, x)
    inside = torch.zeros(2, 128, dtype=torch.bool)  # fragments themselves are inputs of the decoder
    inside[torch.arange(2)[:, None, None], batch.fragments.place] = True
    outside = gradient.abs().amax(-1).masked_fill(inside, 0)
    assert (outside[:, :4].amax(1) > 1e-30).any()


def test_what_is_drawn_is_a_function_of_the_stream():
    data = keyed(20)
    samples = StreamSamples(data, options())
    whole = samples.batch(Draw(1, 2, np.arange(20))).fragments
    some = samples.batch(Draw(1, 2, np.array([5, 11]))).fragments
    for mine, theirs in zip(some, whole, strict=True):
        assert torch.equal(mine, theirs[[5, 11]])
    other = samples.batch(Draw(1, 3, np.arange(20))).fragments
    assert not torch.equal(other.masked, whole.masked)


@pytest.mark.parametrize("at", ["end", "random"])
def test_fragments_hold_exact_shares_and_never_what_was_not_seen(at):
    data = keyed_streams(30, segments=3, segment=4, facts=2, keys=4, values=3, background=8)
    found = StreamSamples(data, options(at=at)).batch(Draw(0, 0, np.arange(30))).fragments
    assert (found.place < found.at[:, None, None]).all()
    assert not (found.masked & ~found.real).any() and not (found.replaced & (found.masked | ~found.real)).any()
    full = found.real.all(-1)
    assert (found.masked.sum(-1)[full] == 2).all() and (found.replaced.sum(-1)[full] == 1).all()


def test_a_changed_item_is_another_streams_and_no_negative_says_the_same():
    rng = np.random.default_rng(0)
    stories = [Story(str(s), [f"own{s} w{rng.integers(9)}" for _ in range(8)]) for s in range(10)]
    data = Streams.of(stories)
    found = StreamSamples(data, options()).batch(Draw(0, 0, np.arange(10))).fragments
    own = torch.from_numpy(data.words.numbers([f"own{s}" for s in range(10)]).astype(np.int64))
    assert (found.donors[..., 0] != own[:, None, None]).all() and (found.negatives[..., 0] != own[:, None]).all()
    words = torch.from_numpy(data.items.table(np.arange(80).reshape(10, 8)))
    told = words[torch.arange(10)[:, None, None], found.place]
    equal = (told.unsqueeze(3) == found.negatives[:, None, None]).all(-1)
    assert torch.equal(found.same & found.real.unsqueeze(-1), equal & found.real.unsqueeze(-1))


def test_a_stream_alone_is_its_own_donor():
    data = keyed(1)
    found = StreamSamples(data, options()).batch(Draw(0, 0, np.array([0]))).fragments
    assert set(found.donors[found.real].flatten().tolist()) <= set(data.items.table(np.arange(12)).flatten().tolist())


def test_fragments_come_as_often_as_their_priority():
    data = Streams.of([Story(str(n), ["w"] * 12) for n in range(4_000)])
    count = len(starts(12, 4))
    wanted = np.arange(1.0, count + 1) / np.arange(1.0, count + 1).sum()
    samples = StreamSamples(data, options(fragments=1, uniform_share=0.0), [wanted] * 4_000)
    begin = samples.batch(Draw(0, 0, np.arange(4_000))).fragments.place[:, 0, 0].numpy()
    found = np.array([(begin == place).sum() for place in starts(12, 4)])
    assert ((found - 4_000 * wanted) ** 2 / (4_000 * wanted)).sum() < 20  # chi-square with 4 degrees of freedom


def test_the_oracle_points_at_the_evidence_and_at_nothing_else():
    data = keyed(10)
    weights, begin = oracle(data, 4), starts(12, 4)[:, None]
    for row in range(10):
        (evidence,) = data.take(np.arange(10) == row, np.ones(10, bool)).questions["evidence"].to_list()
        held = ((begin <= evidence) & (np.array(evidence) < begin + 4)).any(1)
        assert held.any() and ((weights[row] > 0) == held).all()


@pytest.mark.parametrize("weights", [[-1.0, 1, 1, 1, 1], [float("nan")] * 5, [1.0, 2.0]])
def test_weights_of_a_sampler_that_are_none_are_refused(weights):
    with pytest.raises(OptionError, match="a weight of 0 or more"):
        StreamSamples(keyed(1), options(), [np.array(weights)])


def test_priorities_of_the_teacher_are_shares(fitted):
    data = keyed(8).recoded(fitted.vocabularies)
    for weights in fitted.priorities(data):
        assert (
            len(weights) == len(starts(12, 4)) and weights.sum() == pytest.approx(1, abs=1e-4) and (weights >= 0).all()
        )


# Use.


def test_streams_without_questions_train_by_rehearsal_alone_and_are_a_start():
    told = Streams.of([Story(str(n), [f"b{(n + i) % 8}" for i in range(12)]) for n in range(20)])
    system = Rehearsal(Rehearsal.tiny).fit(told, max_epochs=1, accelerator="cpu")
    assert list(system.history) == ["rehearsal"]
    assert 0 <= system.read_stream(["b1", "b2", "b3"]).familiar(["b1", "b2"]) <= 1
    with pytest.raises(OptionError, match="no teacher"):
        _ = system.teacher
    asked, begun = Rehearsal(system.options), {}
    happens_at(asked, 1, lambda: begun.update({n: w.clone() for n, w in asked.network.state_dict().items()}))
    asked.fit(keyed(40), max_epochs=1, start_from=system, accelerator="cpu")
    assert list(asked.history) == ["teacher", "rehearsal"]  # the teacher, whom the start has not, is trained anew
    for name, old in system.network.state_dict().items():
        assert torch.equal(begun[name][: len(old)] if old.ndim else begun[name], old), name


def test_a_start_lacks_a_whole_part_or_nothing(fitted):
    weights = own_weights(fitted.network)
    grow_weights(fitted.clone().fit(keyed(80), max_epochs=1, accelerator="cpu").network, weights, ("teacher",))
    less = {name: weight for name, weight in weights.items() if name != "teacher.item.place"}
    with pytest.raises(OptionError, match=r"'teacher.item.place' cannot start from the older weights: found none"):
        grow_weights(fitted.clone().fit(keyed(80), max_epochs=1, accelerator="cpu").network, less, ("teacher",))


def test_recall_and_familiarity_of_a_fragment(fitted):
    memory = fitted.read_stream(["b1", "b2", "k1", "v0"])
    (found,) = memory.recall(["b1", None, "k1"], top=4)
    assert len(found) == 4 and sum(share for _, share in found) <= 1
    (among,) = memory.recall([None, "v0"], among=["k1", "k2"])
    assert {name for name, _ in among} == {"k1", "k2"} and sum(share for _, share in among) == pytest.approx(1)
    with pytest.raises(OptionError, match="nothing is masked"):
        memory.recall(["b1"])
    with pytest.raises(OptionError, match="1 to 4 items"):
        memory.familiar(["b1"] * 5)


def test_questions_before_a_stream_and_unlikely_answers(fitted):
    with pytest.raises(OptionError, match="nothing was told yet"):
        fitted.read_stream().ask("k1")
    with pytest.raises(OptionError, match="the question is empty"):
        fitted.read_stream(["b1"]).ask("  ")
    assert fitted.read_stream(["b1"]).ask("k1", known_above=1.0).answer == "not known"
    assert fitted.read_stream(["b1"]).ask("what k1").unknown_words == ["what"]
    with pytest.raises(DataError, match="a stream is a list of items"):
        fitted.read_stream("b1 b2")


def test_answers_that_are_all_one_are_said(fitted):
    two = [{"stream": ["b1", f"k{n % 2}"], "q": "k1", "a": f"v{n % 2}"} for n in range(20)]
    one = [{**row, "a": "v1"} for row in two]
    system = LastItems(LastItems.tiny).fit(two, max_epochs=1, accelerator="cpu")
    found = system.evaluate(one, split="none")
    ending = "who always says so is always right, and auc, which needs both answers, is not defined"
    assert "auc" not in found and list(found.notes) == [f"all 20 answers are 'v1': {ending}"]
    assert "auc" in system.evaluate(two, split="none") and not system.evaluate(two, split="none").notes
    said = []
    LastItems(LastItems.tiny).fit(one, max_epochs=1, accelerator="cpu", log=said.append)
    assert any("all questions have the one answer 'v1'" in line for line in said)


def test_the_area_under_the_curve_counts_ties_half():
    scores, positive = np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True])
    assert auc(scores, positive, np.ones(4)) == pytest.approx(3.5 / 4)
    assert auc(scores, positive, np.array([1.0, 0, 1, 1])) == pytest.approx(1.0)
    assert np.isnan(auc(scores, np.ones(4, bool), np.ones(4)))


def test_rehearsal_can_be_left_out_and_options_are_checked():
    system = Rehearsal(Rehearsal.tiny).set_params(**{"rehearsal.recollection": 0, "rehearsal.familiarity": 0})
    system.fit(keyed(30), max_epochs=1, accelerator="cpu")
    assert "loss/recollection" not in system.history["rehearsal"][0]
    with pytest.raises(OptionError, match="no decoder"):
        system.read_stream(["b1"]).familiar(["b1"])
    for wrong in ({"memory.slots": 0}, {"rehearsal.recollection": -1}):
        with pytest.raises(OptionError):
            parse(Options, wrong)


# Longer streams.


def test_lengthened_stories_keep_their_facts_in_order():
    story = Story("s", ["a b.", "c d.", "e f."], [{"question": "c?", "answer": "d", "time": 2, "evidence": [1]},
                                                  {"question": "e?", "answer": "f", "evidence": [2]}])  # fmt: skip
    background = [f"x{n} y z." for n in range(50)]
    for words in (5, 40, 100):
        found = list(lengthen([story], background, words, seed=1))
        again = list(lengthen([story], background, words, seed=1))
        assert found == again and len(found) == 2
        for one, facts in zip(found, (["a b.", "c d."], ["a b.", "c d.", "e f."]), strict=True):
            assert [item for item in one.items if item in story.items] == facts
            count = sum(len(item.replace(".", " .").split()) for item in one.items)
            assert max(words, 3 * len(facts)) <= count < max(words, 3 * len(facts)) + 4
            (place,) = one.questions[0]["evidence"]
            assert one.items[place] == facts[-1]
    (early, _) = lengthen([story], background, 200, seed=0, region=(0.0, 0.25))
    assert max(early.items.index(fact) for fact in story.items[:2]) < len(early.items) / 3


def test_keyed_streams_hold_what_is_asked():
    data = keyed_streams(50, segments=4, segment=6, facts=5, queries=2, seed=4)
    words = ["", *data.words.series.to_list()]
    for question in data.questions.iter_rows(named=True):
        items = data.items.words[data.offsets[question["stream"]] :]
        key, value = (words[items[place]] for place in question["evidence"])
        assert key == question["question"] and value == question["answer"] and question["evidence"][0] % 2 == 0
    assert (
        keyed_streams(50, seed=4).fingerprint
        == keyed_streams(50, seed=4).fingerprint
        != keyed_streams(50, seed=5).fingerprint
    )
    assert (keyed_streams(40, oldest=0.25).age() > 0.75 * 128 - 2).all()
    with pytest.raises(OptionError, match="segments of even length"):
        keyed_streams(2, segment=5)


def test_keyed_streams_ask_near_and_late_in_training_and_late_when_they_test():
    data = keyed_streams(200, segments=6, segment=4, facts=2, keys=8, values=4, queries=2, held=0.1, seed=4)
    part = data.questions["split"].to_numpy()
    assert {name: int((part == name).sum()) for name in ("train", "valid", "test")} == {"train": 320, "valid": 40,
                                                                                        "test": 40}  # fmt: skip
    time, last = data.questions["time"].to_numpy(), data.questions["evidence"].list.max().to_numpy()
    assert (time % 4 == 0).all() and (last < time).all() and (time[part != "train"] == 24).all()
    assert 0.5 < (time[part == "train"] == 24).mean() < 0.75  # half of them, and some of the others by chance
    assert set(cut(data, "given").part("test").ids).isdisjoint(cut(data, "given").part("train").ids)


def read_by(system):
    """An untrained network of a rival, and a batch of four streams."""
    data = keyed(40)
    system.vocabularies = data.vocabularies
    system.sizes = system.infer_sizes(cut(data, "none"))
    torch.manual_seed(0)
    return system.build().eval(), batch_of(system, data, range(4))


@torch.no_grad()
def test_who_keeps_all_items_knows_which_follows_which():
    network, batch = read_by(FullAttentionReader(FullAttentionReader.tiny))
    turned = batch.words.clone()
    turned[:, 2:4] = turned[:, 2:4].flip(1)
    swapped = network(batch._replace(words=turned)).scores
    assert not torch.allclose(swapped, network(batch).scores, atol=1e-4)
    later = batch._replace(words=torch.cat([batch.words[:, :8], batch.words[:, 8:].flip(1)], 1),
                           time=torch.full_like(batch.time, 8))  # fmt: skip
    before = batch._replace(time=torch.full_like(batch.time, 8))
    assert_close(network(later).scores, network(before).scores)  # of what came after the question nothing is known


@torch.no_grad()
def test_the_last_items_are_all_that_a_window_knows():
    network, batch = read_by(LastItems(LastItems.tiny))  # four of twelve words
    old, new = batch.words.clone(), batch.words.clone()
    old[:, :8], new[:, 10:12] = 1, new[:, 10:12].flip(1)
    assert_close(network(batch._replace(words=old)).scores, network(batch).scores)
    assert not torch.allclose(network(batch._replace(words=new)).scores, network(batch).scores, atol=1e-4)


@torch.no_grad()
def test_answers_in_lower_precision_agree(fitted):
    data = keyed(60).recoded(fitted.vocabularies)
    batch = batch_of(fitted, data, range(60))
    exact = fitted.streams(batch).scores.argmax(-1)
    with torch.autocast("cpu", torch.bfloat16):
        rough = fitted.streams(batch).scores.argmax(-1)
    assert (exact == rough).float().mean() > 0.9  # of a network of two epochs, whose scores are close to each other


def test_a_file_is_answered_in_parts_or_refused_and_nothing_is_left(fitted, tmp_path, monkeypatch):
    from tenfold.systems.rehearsal import task

    def lines(*rows):
        (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / "s.jsonl"

    asked = [{"stream": ["b1", f"k{n % 2}", f"v{n % 3}", "b2"], "queries": [{"q": f"k{n % 2}", "a": "v0"}]}
             for n in range(7)]  # fmt: skip
    fitted.predict(lines(*asked), tmp_path / "whole.jsonl")
    sizes, parts = [], task.streams_in_parts

    def few(*arguments, **more):
        for part in parts(*arguments, **more, at_once=8):
            sizes.append(len(part))
            yield part

    monkeypatch.setattr(task, "streams_in_parts", few)
    assert fitted.predict(lines(*asked), tmp_path / "parts.jsonl") == 7 and sizes == [2, 2, 2, 1]
    found = [
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("whole.jsonl", "parts.jsonl")
    ]
    assert [row["id"] for row in found[0]] == [row["id"] for row in found[1]]
    assert [row["probability"] for row in found[0]] == pytest.approx([row["probability"] for row in found[1]], abs=1e-5)
    for rows, sentence in (
        ([{"stream": ["b1"]}], "asks nothing"),
        ([asked[0], {"stream": ["other"] * 9, "q": "k1", "a": "v0"}], "of the words of"),
    ):
        with pytest.raises(DataError, match=sentence):
            fitted.predict(lines(*rows), tmp_path / "refused.jsonl")
        assert not (tmp_path / "refused.jsonl").exists()


def test_what_has_no_answer_is_refused_where_one_is_needed_and_counted_where_not(fitted, tmp_path, capsys):
    rows = [{"stream": ["b1", f"k{n % 2}", f"v{n % 3}", "b2"], "split": part, "q": f"k{n % 2}", "a": f"v{n % 3}"}
            for n, part in enumerate(["train"] * 8 + ["valid"] * 2 + ["test"] * 2)]  # fmt: skip

    def without(*which, **more):
        left = [row if n not in which else {k: v for k, v in row.items() if k != "a"} for n, row in enumerate(rows)]
        (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*left, *more.get("also", ())]))
        return tmp_path / "s.jsonl"

    def said(*arguments):
        code = cli.main([str(each) for each in arguments])
        return code, capsys.readouterr().err

    fitted.save(tmp_path / "s")
    fit = ["fit", "rehearsal", tmp_path / "s.jsonl", "-o", tmp_path / "f", "--split", "given", "--max-epochs", "1",
           "--set", "dim=16", "--accelerator", "cpu"]  # fmt: skip
    evaluate = ["evaluate", tmp_path / "s", tmp_path / "s.jsonl", "--split", "given"]
    for which, part, command in (([3, 5], "train", fit), ([9], "validation", fit), ([11], "", evaluate)):
        path, what = without(*which), f"fit's {part} part" if part else "measuring"
        code, err = said(*command)
        assert code == 2 and "Traceback" not in err and not (tmp_path / "f").exists()
        assert (
            f"{path}, line {which[0] + 1}: the question 'k{which[0] % 2}' about '{which[0] + 1}' has no answer" in err
        )
        assert (", and 2 of 8 have none" in err) == (len(which) > 1)
        assert f"{what} needs each question's, so write it, or leave the question out" in " ".join(err.split())
    without(11)  # what is only tested is not trained on
    code, err = said(*fit)
    assert code == 0 and "12 questions with 3 answers, 1 of the questions without one" in " ".join(err.split()), err
    without(0, 1, also=[{"id": "alone", "stream": ["b1"]}])
    code, err = said("predict", tmp_path / "s", "-i", tmp_path / "s.jsonl", "-o", tmp_path / "p.jsonl")
    assert code == 0, err
    assert len((tmp_path / "p.jsonl").read_text().splitlines()) == 12
    assert "2 of 12 questions come without an answer" in err and "1 of 13 streams are not asked about" in err
    with pytest.raises(DataError, match="has no answer, and 2 of 12 have none; measuring needs"):
        fitted.evaluate(tmp_path / "s.jsonl", split="none")
    (tmp_path / "t.jsonl").write_text('{"id": 1, "stream": ["b1"]}\n{"id": 1, "stream": ["b2"], "q": "k1"}\n')
    code, err = said("predict", tmp_path / "s", "-i", tmp_path / "t.jsonl", "-o", tmp_path / "q.jsonl")
    assert code == 2 and "t.jsonl, line 2: the stream id '1' is also that of" in err
    assert not (tmp_path / "q.jsonl").exists()


# The command.


def test_ask_reads_a_text_and_answers(fitted, tmp_path, capsys):
    fitted.save(tmp_path / "s")
    (tmp_path / "t.txt").write_text("b1\n\nk1 v0\n\nb2 b3\n\nb1 b1\n\nb4\n\nb5\n")

    def said(*arguments):
        code = cli.main([str(each) for each in arguments])
        found = capsys.readouterr()
        return code, found.out, found.err

    code, out, err = said("ask", tmp_path / "s", "--text", tmp_path / "t.txt", "--question", "k1", "--known-above", "0")
    assert code == 0 and "k1  ->  v" in out and "written most from" in out and "6 items read" in err
    state = ["--memory", tmp_path / "m"]
    assert said("ask", tmp_path / "s", "--text", tmp_path / "t.txt", *state, "--question", "k1")[0] == 0
    code, again, _ = said("ask", tmp_path / "s", *state, "--question", "k1", "--known-above", "0")
    assert code == 0 and again.splitlines()[0] == out.splitlines()[0]
    code, out, _ = said("predict", tmp_path / "s", "--stream", "k1 | v2 | b1 | k1")
    assert code == 0 and "probability" in out
    (tmp_path / "o.txt").write_text("other words stand here. all of them.")
    (tmp_path / "m2").write_bytes((tmp_path / "m").read_bytes()[:-3])
    kept = (tmp_path / "m").read_bytes()
    text = ["--text", tmp_path / "t.txt"]
    for arguments, sentence in (
        (["--text", tmp_path / "o.txt", *state], "words of"),
        ([], "nothing to ask about"),
        (["--memory", tmp_path / "m3"], "m3 is not there; give --text FILE"),
        (["--text", tmp_path / "none.txt", *state], "cannot be read"),
        ([*text, "--memory", tmp_path], "name a file for --memory"),
        ([*text, "--memory", tmp_path / "m2"], "m2: this state should have"),
        ([*text, *state, "--question", " "], "the question ' ' has no words"),
        ([*text, *state, "--known-above", "3"], "less than or equal to 1"),
    ):
        code, _, err = said("ask", tmp_path / "s", *arguments, "--question", "k1")
        assert code == 2 and sentence in err and "Traceback" not in err
        assert (tmp_path / "m").read_bytes() == kept and not (tmp_path / "m3").exists()
