"""The compressive transformer, the neural computer and HPMN: rivals of Rehearsal Memory, of as many numbers.

Addressing and moving are compared with plain loops over streams, locations and items.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small import keyed
from torch.testing import assert_close

from tenfold.errors import OptionError
from tenfold.nn.periodic import together
from tenfold.systems.rehearsal.compressive import Compressed, CompressiveTransformer
from tenfold.systems.rehearsal.computer import Computer, Locations, NeuralComputer, allocation
from tenfold.systems.rehearsal.data import cut
from tenfold.systems.rehearsal.lengthen import keyed_streams
from tenfold.systems.rehearsal.options import CompressiveOptions, ComputerOptions, PeriodicOptions
from tenfold.systems.rehearsal.periodic import Periodic, PeriodicMemory
from tenfold.systems.rehearsal.samples import questions_by_stream, tensors
from tenfold.systems.rehearsal.stream import init, load, query, save, update

MEMORIES = {
    "compressive": (CompressiveTransformer, {}),
    "compressive, uneven": (CompressiveTransformer, {"slots": 7, "compressed": 2, "rate": 3}),
    "compressive, few recent": (CompressiveTransformer, {"slots": 5, "compressed": 3, "compression": "mean"}),
    "compressive, max": (CompressiveTransformer, {"compression": "max", "layers": 2}),
    "computer": (NeuralComputer, {}),
    "computer, two heads and links": (NeuralComputer, {"reads": 2, "links": True, "slots": 5}),
    "periodic": (PeriodicMemory, {}),
    "periodic, three levels": (PeriodicMemory, {"slots": 6, "levels": 3, "period": 3}),
}
every_memory = pytest.mark.parametrize("cls, more", MEMORIES.values(), ids=MEMORIES)


def untrained(cls, more, data):
    """Its network."""
    system = cls(cls.tiny).set_params(**more)
    system.vocabularies = data.vocabularies
    system.sizes = system.infer_sizes(cut(data, "none"))
    torch.manual_seed(0)
    return system.build().eval()


def machine_of(cls, seed=0, **more):
    torch.manual_seed(seed)
    options = {Compressed: CompressiveOptions, Computer: ComputerOptions, Periodic: PeriodicOptions}[cls]
    return cls(options(**{"dropout": 0.0} | more)).eval()


# What both keep.


@every_memory
@torch.no_grad()
def test_any_chunking_is_the_same_as_the_batch_and_a_state_has_its_bytes(cls, more):
    data = keyed_streams(6, segments=5, segment=4, facts=2, keys=4, values=3, background=8, seed=3)
    network, rng = untrained(cls, more, data), np.random.default_rng(0)
    batch = tensors(data, np.arange(6), data.answer_numbers(), questions_by_stream(data))
    x, slots = network.items(batch.words), network.machine.slots
    for length in (20, 18, 3, 1):
        lengths = torch.full((6,), length)
        wanted = network.memory_at(network.read(x, lengths), x, torch.arange(6), lengths)
        assert wanted.shape == (6, slots, 16)
        for _ in range(3):
            state, place = init(network, 6), np.zeros(6, int)
            while (place < length).any():
                step = np.minimum(rng.integers(0, 7, 6), length - place)  # some streams get nothing
                words = torch.stack([F.pad(batch.words[u, p : p + s], (0, 0, 0, 7 - s))
                                     for u, (p, s) in enumerate(zip(place, step, strict=True))])  # fmt: skip
                state = update(network, state, words, torch.from_numpy(step))
                content = save(state, "it")
                head = content.index(b"}") + 1
                assert len(content) - head == 6 * (4 * (slots * 16 + 3 * 16) + 16)
                state, place = load(network, content, "it"), place + step
            assert_close(query(network, state, batch.asked[:6], torch.arange(6)).scores,
                         network.answer(batch.asked[:6], wanted).scores, rtol=1e-5, atol=1e-5)  # fmt: skip


@every_memory
def test_gradients_reach_the_first_item_and_padding_and_other_streams_say_nothing(cls, more):
    network = untrained(cls, more, keyed(5))
    machine = network.machine
    x = torch.randn(3, 3, 4, 16, requires_grad=True)
    keep = torch.ones(3, 3, 4, dtype=torch.bool)
    keep[1, 2:], keep[2, 2, 1:] = False, False  # one stream has two segments, one has an item of the third
    memory = machine.scan(x, keep)[:, -1]
    (gradient,) = torch.autograd.grad(memory[0].square().sum(), x)
    assert (gradient[0, 0].abs().amax(-1) > 0).all() and (gradient[1:] == 0).all()
    other = torch.where(keep.unsqueeze(-1), x, 9.0)
    assert torch.equal(machine.scan(other, keep)[:, -1], memory)
    alone = machine.scan(x[1:2, :2], keep[1:2, :2])[:, -1]
    assert_close(alone, memory[1:2], rtol=1e-5, atol=1e-6)
    short = machine.write(machine.scan(x[2:, :2], keep[2:, :2])[:, -1], x[2:, 2, :1], keep[2:, 2, :1], 2)[0]
    assert_close(short, memory[2:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", [CompressiveTransformer, NeuralComputer, PeriodicMemory])
def test_they_learn_which_value_belongs_to_a_key(cls):
    """Who knows the stream's two values and not whose they are has 5/8."""
    data = keyed_streams(1_200, segments=3, segment=4, facts=2, keys=4, values=4, background=8, queries=2, held=0.1,
                         seed=1)  # fmt: skip
    own = {CompressiveTransformer: {"compressed": 2}, PeriodicMemory: {"slots": 6, "levels": 2}}.get(cls, {})
    system = cls(**{"dim": 32, "hops": 1, "dropout": 0.0, "slots": 5, "segment": 4, "layers": 1, "heads": 2,
                    "training.lr": 0.01} | own)  # fmt: skip
    system.fit(data, split="given", max_epochs=5, accelerator="cpu", progress="none")
    assert system.evaluate(data, split="given")["accuracy"] > 0.75


# The compressive transformer.


class Plain(Compressed):
    """What is kept of an item is the item."""

    def read(self, memory, x, keep):
        return x * keep.unsqueeze(-1), []


@pytest.mark.parametrize("compression", ["mean", "max", "conv"])
@pytest.mark.parametrize("slots, compressed, rate, segment", [(7, 3, 2, 4), (9, 4, 3, 4), (5, 3, 4, 6), (8, 3, 5, 2)])
@pytest.mark.parametrize("length", [1, 5, 12, 30])
@torch.no_grad()
def test_a_memory_holds_the_last_items_and_the_compressed_ones_before_them(
    compression, slots, compressed, rate, segment, length
):
    torch.manual_seed(length)
    machine = Plain(CompressiveOptions(dim=16, heads=2, slots=slots, compressed=compressed, rate=rate, segment=segment,
                                       compression=compression)).eval()  # fmt: skip
    x = torch.randn(2, -(-length // segment) * segment, 16)
    keep = (torch.arange(x.shape[1]) < length).expand(2, -1)
    memory = machine.scan(x.unflatten(1, (-1, segment)), keep.unflatten(1, (-1, segment)))[:, -1]

    def short(group):
        """A list of items as one vector."""
        real = torch.stack([item for item in group if item is not None] or [torch.zeros(16)])
        if compression == "mean":
            return real.mean(0)
        if compression == "max":
            return real.amax(0)
        kernel = machine.kernel
        return sum(
            (kernel[:, :, place] @ item for place, item in enumerate(group) if item is not None), torch.zeros(16)
        )

    for row in range(2):  # the last segment may be a part of one
        old, recent = [torch.zeros(16)] * compressed, [None] * (slots - compressed)
        for first in range(0, length, segment):
            new = list(x[row, first : min(first + segment, length)])
            recent += new
            gone, recent = recent[: len(new)], recent[len(new) :]
            old += [short(gone[place : place + rate]) for place in range(0, len(gone), rate)]
            old = old[-compressed:]
        wanted = torch.stack([*old, *(torch.zeros(16) if item is None else item for item in recent)])
        assert_close(memory[row], wanted, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_an_empty_place_of_the_memory_is_not_looked_at():
    machine = machine_of(Compressed, dim=16, heads=2, slots=5, compressed=2, segment=4)
    x, keep, memory = torch.randn(2, 4, 16), torch.ones(2, 4, dtype=torch.bool), torch.randn(2, 5, 16)
    memory[:, [0, 2]] = 0.0
    before = [machine.read(each, x, keep)[0] for each in (machine.start(2), memory)]
    machine.identity[[0, 2]] += torch.randn(2, 16)
    after = [machine.read(each, x, keep)[0] for each in (machine.start(2), memory)]
    assert_close(after, before)
    machine.identity[1] += torch.randn(16)
    assert_close(machine.read(machine.start(2), x, keep)[0], before[0])
    assert not torch.allclose(machine.read(memory, x, keep)[0], before[1], atol=1e-3)


def test_the_convolution_is_torchs():
    machine = machine_of(Compressed, dim=16, heads=2, rate=3)
    x = torch.randn(2, 9, 16)
    assert_close(machine.compress(x), F.conv1d(x.mT, machine.kernel, stride=3).mT)
    start = machine.compress(torch.ones(1, 3, 16))
    assert_close(start, torch.full((1, 1, 16), math.sqrt(3)), rtol=0.4, atol=0.4)  # at first about a sum of its size


def rebuilt(machine, streams=3, segments=5):
    torch.manual_seed(1)
    x, keep = torch.randn(streams, segments, 4, 16), torch.ones(streams, segments, 4, dtype=torch.bool)
    keep[0, 3:] = False
    return machine.reconstruction(machine.scan(x, keep), x, keep), x, keep


def test_reconstruction_is_the_distance_of_what_a_segment_finds():
    machine = machine_of(Compressed, dim=16, heads=2, slots=7, compressed=3, rate=3, segment=4, layers=2)
    (total, count), x, keep = rebuilt(machine)
    expected, segments = 0.0, 0
    with torch.no_grad():
        for row in range(3):
            for t in range(int(keep[row].any(1).sum())):
                memory = machine.scan(x[row : row + 1, :t], keep[row : row + 1, :t])[:, -1]
                new, entered = machine.read(memory, x[row : row + 1, t], keep[row : row + 1, t])
                gone = torch.cat([memory[:, 3:], new], 1)[:, :4]
                real = (gone != 0).any(-1)
                segments += bool(real.any())
                if not real.any():
                    continue
                short = machine.compress(gone)
                some = torch.tensor([[bool(real[0, :3].any()), bool(real[0, 3:].any())]])
                for block, h in zip(machine.blocks, entered, strict=True):
                    asked = block.norm1(h)
                    found = block.attention(asked, block.norm1(short), some)
                    wanted = block.attention(asked, block.norm1(gone), real)
                    expected += float((found - wanted).square().mean())
    assert int(count) == segments and float(total.detach()) == pytest.approx(expected, rel=1e-4)


def test_only_what_compresses_learns_from_reconstruction_and_then_from_nothing_else():
    data = keyed_streams(24, segments=5, segment=4, facts=2, keys=4, values=3, background=8, seed=3)

    def gradients(name, **more):
        system = CompressiveTransformer(CompressiveTransformer.tiny).set_params(dropout=0.0, **more)
        system.vocabularies = data.vocabularies
        system.sizes = system.infer_sizes(cut(data, "none"))
        torch.manual_seed(0)
        system._network = system.build()
        batch = tensors(data, np.arange(24), data.answer_numbers(), questions_by_stream(data))
        weights = dict(system.network.named_parameters())
        found = torch.autograd.grad(system.loss(batch)[name][0], list(weights.values()), allow_unused=True)
        return {key for key, g in zip(weights, found, strict=True) if g is not None and bool((g != 0).any())}

    assert gradients("reconstruction", reconstruction=1.0) == {"machine.kernel"}
    assert "machine.kernel" not in gradients("answer", reconstruction=1.0)
    assert gradients("answer") == gradients("answer", reconstruction=1.0) | {"machine.kernel"}


def test_what_compresses_comes_nearer_to_what_it_compresses():
    machine = machine_of(Compressed, dim=16, heads=2, slots=7, compressed=3, rate=2, segment=4, layers=1)
    optimizer, found = torch.optim.Adam([machine.kernel], lr=0.01), []
    for _ in range(30):
        (total, count), _, _ = rebuilt(machine)
        optimizer.zero_grad()
        (total / count).backward()
        optimizer.step()
        found.append(float((total / count).detach()))
    assert found[-1] < 0.7 * found[0]


def test_a_fit_shows_reconstruction_apart():
    system = CompressiveTransformer(CompressiveTransformer.tiny).set_params(reconstruction=0.5)
    history = system.fit(keyed(40), max_epochs=1, accelerator="cpu").history["questions"]
    assert history[0]["loss/reconstruction"] > 0 and history[0]["loss/answer"] > 0


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"compressed": 4}, "of 4 slots 1 to 3 may be compressed"),
        ({"slots": 1, "compressed": 1}, "found compressed=1"),
        ({"compression": "max", "reconstruction": 0.1}, "pooling learns nothing"),
    ],
)
def test_a_memory_without_recent_items_or_a_loss_without_use_is_refused(wrong, sentence):
    with pytest.raises(OptionError, match=sentence):
        untrained(CompressiveTransformer, wrong, keyed(3))


# The neural computer.


def plain(machine, interface, at):
    """The same of lists of numbers: Graves et al. 2016, Methods. All are (B, ...) of float64."""
    n, heads, width = machine.locations, machine.reads, machine.word
    parts = interface.split(machine.sizes, 1)
    found = []
    for b in range(len(interface)):
        key, strength, erase, word, allocate, write, keys, strengths, free, modes = (part[b] for part in parts)
        old, used = at.words[b], []
        for i in range(n):
            kept = torch.ones((), dtype=old.dtype)
            for r in range(heads):
                kept = kept * (1 - free[r].sigmoid() * at.read[b, i, r])
            u, w = at.usage[b, i], at.wrote[b, i]
            used.append((u + w - u * w) * kept)

        def alike(words, k, beta):
            size = k.norm().clamp(min=1e-4)
            scores = [(1 + F.softplus(beta)) * (m @ k) / (m.norm().clamp(min=1e-4) * size) for m in words]
            total = sum(score.exp() for score in scores)
            return [score.exp() / total for score in scores]

        given, before = [None] * n, torch.ones((), dtype=old.dtype)
        for i in sorted(range(n), key=lambda i: (round(float(used[i].detach()) * 1024), i)):
            given[i] = (1 - used[i]) * before
            before = before * used[i]
        content, g, a = alike(old, key, strength[0]), write[0].sigmoid(), allocate[0].sigmoid()
        w = [g * (a * given[i] + (1 - a) * content[i]) for i in range(n)]
        words = [old[i] * (1 - w[i] * erase.sigmoid()) + w[i] * word for i in range(n)]
        precedence = [(1 - sum(w)) * at.precedence[b, i] + w[i] for i in range(n)]
        zero = torch.zeros((), dtype=old.dtype)
        links = [[zero if i == j else (1 - w[i] - w[j]) * at.links[b, i, j] + w[i] * at.precedence[b, j]
                  for j in range(n)] for i in range(n)]  # fmt: skip
        reads = []
        for r in range(heads):
            c = alike(words, keys[r * width : (r + 1) * width], strengths[r])
            pi = modes.view(3, heads)[:, r].softmax(0)
            last = at.read[b, :, r]
            forward = [sum(links[i][j] * last[j] for j in range(n)) for i in range(n)]
            backward = [sum(links[j][i] * last[j] for j in range(n)) for i in range(n)]
            reads.append(torch.stack([pi[0] * backward[i] + pi[1] * c[i] + pi[2] * forward[i] for i in range(n)]))
        found.append((torch.stack(words), torch.stack(used), torch.stack(w), torch.stack(reads, 1),
                      torch.stack(precedence), torch.stack([torch.stack(row) for row in links])))  # fmt: skip
    return Locations(*map(torch.stack, zip(*found, strict=True)))


def drawn(machine, streams=3, steps=4):
    """Interfaces of a few steps, large enough for gates to be open and shut."""
    torch.manual_seed(5)
    return [(2 * torch.randn(streams, sum(machine.sizes), dtype=torch.float64)).requires_grad_() for _ in range(steps)]


def run(machine, interfaces, one):
    memory = torch.zeros(len(interfaces[0]), machine.slots, machine.dim, dtype=torch.float64)
    at = machine.unpacked(memory)[1]
    for interface in interfaces:
        at = one(machine, interface, at)
    return at


def test_addressing_is_that_of_the_paper():
    machine = machine_of(Computer, dim=24, heads=2, slots=6, reads=2, links=True)
    interfaces = drawn(machine)
    fast = run(machine, interfaces, lambda own, interface, at: own.addressed(interface, at))
    slow = run(machine, interfaces, plain)
    for name, mine, theirs in zip(Locations._fields, fast, slow, strict=True):
        assert_close(mine, theirs, msg=name)
    weight = [torch.randn_like(part) for part in fast]
    gradients = [torch.autograd.grad(sum((w * part).sum() for w, part in zip(weight, at, strict=True)), interfaces)
                 for at in (fast, slow)]  # fmt: skip
    assert_close(*gradients)
    assert (fast.wrote.sum(1) <= 1 + 1e-9).all() and (fast.read.sum(1) <= 1 + 1e-9).all()
    assert (fast.links.sum((1, 2)) > 0).all() and (fast.links.diagonal(dim1=1, dim2=2) == 0).all()


def test_the_controller_is_a_gru_of_the_item_and_of_what_was_read():
    machine = machine_of(Computer, dim=24, heads=2, slots=6, reads=2).double()
    at = run(machine, drawn(machine), lambda own, interface, at: own.addressed(interface, at))
    item, state = torch.randn(3, 24, dtype=torch.float64), torch.randn(3, 24, dtype=torch.float64)
    cell = torch.nn.GRUCell(24 + 2 * machine.word, 24, dtype=torch.float64)
    own = (torch.cat([machine.of_item.weight[:72], machine.of_read.weight], 1), machine.of_state.weight,
           machine.of_item.bias[:72], machine.of_state.bias)  # fmt: skip
    with torch.no_grad():
        for mine, theirs in zip(cell.parameters(), own, strict=True):
            mine.copy_(theirs)
    read = torch.stack([torch.stack([sum(at.read[b, i, r] * at.words[b, i] for i in range(5)) for r in range(2)], 1)
                        for b in range(3)]).flatten(1)  # fmt: skip
    assert_close(machine.step(machine.of_item(item), state, at)[0], cell(torch.cat([item, read], 1), state))


def test_without_links_reading_is_by_content():
    machine = machine_of(Computer, dim=24, heads=2, slots=6, reads=2)
    interface = drawn(machine, steps=1)[0].detach()
    modes = torch.zeros(3, 6, dtype=torch.float64)
    modes[:, 2:4] = 50.0  # of three ways for each of two heads, content alone
    linked = machine_of(Computer, dim=24 + 6, heads=2, slots=6, reads=2, links=True)
    assert linked.word == machine.word
    own = run(machine, [interface], lambda m, i, at: m.addressed(i, at))
    theirs = run(linked, [torch.cat([interface, modes], 1)], plain)
    for name in ("words", "usage", "wrote", "read"):
        assert_close(getattr(own, name), getattr(theirs, name), msg=name)


def test_what_was_written_is_not_written_over_until_it_is_read_and_freed():
    machine = machine_of(Computer, dim=24, heads=2, slots=6)
    sizes = dict(zip(("key", "strength", "erase", "word", "allocate", "write", "keys", "strengths", "free"),
                     machine.sizes, strict=False))  # fmt: skip

    def told(word, *, find=None, write=50.0, free=-50.0):
        at = {name: torch.zeros(1, size, dtype=torch.float64) for name, size in sizes.items()}
        at |= {"word": word, "erase": at["erase"] + 50, "allocate": at["allocate"] + 50, "write": at["write"] + write,
               "keys": at["keys"] if find is None else find, "strengths": at["strengths"] + 200,
               "free": at["free"] + free}  # fmt: skip
        return torch.cat([*at.values(), torch.zeros(1, 0, dtype=torch.float64)], 1)

    words = torch.linalg.qr(torch.randn(machine.word, machine.word, dtype=torch.float64))[0][:6].unsqueeze(1)
    at = run(machine, [told(word) for word in words[:5]], lambda m, i, at: m.addressed(i, at))
    assert_close(at.words[0], words[:5, 0])  # one after another, each in a location of its own
    full = machine.addressed(told(words[5]), at)
    assert_close(full.words, at.words)  # there is no room
    asked = machine.addressed(told(words[5], find=words[2], write=-50.0), at)
    assert int(asked.read[0, :, 0].argmax()) == 2
    freed = machine.addressed(told(words[5], free=50.0), asked)
    assert_close(freed.words[0, [0, 1, 3, 4]], words[[0, 1, 3, 4], 0])
    assert_close(freed.words[0, 2], words[5, 0])


def test_of_locations_that_are_hardly_used_the_first_is_taken():
    usage = torch.tensor([[0.9, 3e-7, 1e-7, 2e-7, 0.0]])
    assert_close(allocation(usage), torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]]), atol=1e-5, rtol=0)


def test_all_that_a_computer_carries_lies_in_its_memory():
    for more in ({}, {"links": True, "reads": 3}):
        machine = machine_of(Computer, dim=24, heads=2, slots=5, **more)
        memory = torch.randn(2, 5, 24)
        assert torch.equal(machine.packed(*machine.unpacked(memory)), memory)


@pytest.mark.parametrize("wrong, sentence", [({"slots": 1}, "of 1 slots of 16 numbers has no room"),
                                             ({"slots": 16, "links": True}, "found -3 for it")])  # fmt: skip
def test_a_computer_without_room_is_refused(wrong, sentence):
    with pytest.raises(OptionError, match=sentence):
        untrained(NeuralComputer, wrong, keyed(3))


# HPMN.


@torch.no_grad()
@pytest.mark.parametrize("levels, period", [(3, 2), (2, 3), (1, 2)])
def test_a_level_reads_the_one_below_it_when_its_turn_comes_and_stays_as_it_is_else(levels, period):
    machine = machine_of(Periodic, dim=5, slots=2 * levels, segment=4, levels=levels, period=period)
    x = torch.randn(3, 4, 4, 5)
    states = machine.scan(x, torch.ones(3, 4, 4, dtype=torch.bool))
    wanted = torch.zeros(levels, 3, 10)
    for place, item in enumerate(x.flatten(1, 2).unbind(1), start=1):
        below = item
        for level, cell in enumerate(machine.cells):
            if place % period**level == 0:
                wanted[level] = cell(below, wanted[level])
            below = wanted[level]
        if place % 4 == 0:
            found = states[:, place // 4]
            assert found.shape == (3, 2 * levels, 5)
            assert_close(found, wanted.transpose(0, 1).reshape(3, -1, 5))
    ragged = torch.tensor([[1], [3], [2]])  # streams of other lengths go together: their turns differ
    number, keep = torch.tensor([1, 0, 2]), torch.arange(4) < ragged
    after = machine.write(states[:, 2], x[:, 2], keep, number)[0]
    for row in range(3):
        own = machine.write(states[row : row + 1, 2], x[row : row + 1, 2], keep[row : row + 1], int(number[row]))[0]
        assert_close(after[row : row + 1], own)


def test_levels_that_vary_together_are_penalised():
    memory = torch.randn(4, 3, 16, generator=torch.Generator().manual_seed(0))
    c = torch.stack([torch.cov(one, correction=0) for one in memory])
    wanted = torch.stack([(one - one.diag().diag()).norm() for one in c]).mean()
    assert_close(together(memory), wanted)
    assert together(memory[:, :1].expand(-1, 3, -1)) > 2 * wanted
    system = PeriodicMemory(PeriodicMemory.tiny).fit(keyed(40), max_epochs=1, accelerator="cpu")
    assert {"loss/answer", "loss/covariance"} <= set(system.history["questions"][0])


def test_levels_that_slots_do_not_share_out_to_are_refused():
    with pytest.raises(OptionError, match="found 4 slots and 3 levels: choose a multiple"):
        untrained(PeriodicMemory, {"levels": 3}, keyed(3))
