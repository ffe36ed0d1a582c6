"""The memory machine against its plain definition, and what it must hold on to."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tenfold.errors import OptionError, ShapeError
from tenfold.nn.slot_memory import OLDEST, Beside, GatedCell, SlotMemory, turns
from tenfold.nn.slot_memory_reference import apart_after, step_reference


def machine(dim=16, slots=5, segment=4, **more):
    torch.manual_seed(0)
    return SlotMemory(dim, slots, segment, layers=1, encoder_heads=2, **{"heads": 2} | more).eval()


def streams(batch=3, segments=6, segment=4, dim=16, seed=1):
    """Items and which of them there are: one stream has an empty segment, one ends within a segment."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, segments, segment, dim, generator=generator)
    keep = torch.ones(batch, segments, segment, dtype=torch.bool)
    keep[0, 2] = False
    keep[1, -1, 2:] = False
    return x, keep


def any_memory(machine, batch=3):
    """Slots of random content, which were written at other times."""
    found = machine.start(batch).clone()
    found[..., : machine.dim] = torch.randn(batch, machine.slots, machine.dim)
    found[..., machine.dim :] = torch.rand(batch, machine.slots, machine.width - machine.dim) * 8
    return found


@pytest.mark.parametrize("score", ["dot", "additive"])
@pytest.mark.parametrize("gate", ["shared", "per_slot"])
@pytest.mark.parametrize(
    "more", [{}, {"competition": False}, {"strict": True}, {"ages": False}, {"oldest_first": False}]
)
def test_a_step_is_the_plain_definition(score, gate, more):
    memory = machine(score=score, gate=gate, **more)
    if memory.competition:
        torch.nn.init.normal_(memory.nobody)
    if memory.oldest_first:
        torch.nn.init.normal_(memory.fresh)
        torch.nn.init.ones_(memory.fresh_bias)
    x, keep = streams()
    keys, values = memory.read_segments(x, keep)
    before = any_memory(memory)
    for t in (0, 2, 5):
        after, _ = memory.step(before, keys[:, t], values[:, t], keep[:, t])
        for b in range(3):
            wanted = step_reference(memory, before[b], keys[b, t], values[b, t], keep[b, t].tolist())
            assert_close(after[b], wanted, rtol=1e-4, atol=1e-5)


def test_the_cell_is_torchs_own():
    torch.manual_seed(0)
    cell, own = GatedCell(6, 4, gate="shared", bias=True), nn.GRUCell(6, 6)
    with torch.no_grad():
        own.weight_ih.copy_(cell.read[0].T)
        own.weight_hh.copy_(cell.old[0].T)
        own.bias_ih.normal_()
        own.bias_hh.normal_()
        cell.read_bias[0, 0] = own.bias_ih
        cell.old_bias[0, 0] = own.bias_hh
    read, memory = torch.randn(3, 4, 6), torch.randn(3, 4, 6)
    assert_close(cell(read, memory)[0].flatten(0, 1), own(read.flatten(0, 1), memory.flatten(0, 1)))


def test_a_cell_of_each_slot_is_the_shared_one_where_weights_are_tied():
    torch.manual_seed(0)
    shared, each = GatedCell(6, 4, gate="shared", bias=True), GatedCell(6, 4, gate="per_slot", bias=True)
    with torch.no_grad():
        for mine, theirs in zip(each.parameters(), shared.parameters(), strict=True):
            mine.copy_(theirs.expand_as(mine))
    read, memory = torch.randn(3, 4, 6), torch.randn(3, 4, 6)
    assert_close(each(read, memory)[0], shared(read, memory)[0])


@pytest.mark.parametrize("more", [{}, {"competition": False, "self_keys": True}, {"competition": False}, {"periods": 3},
                                  {"sparse_write": 2}, {"beside": False}])  # fmt: skip
def test_padding_changes_nothing(more):
    memory = machine(**more)
    x, keep = streams()
    longer = torch.cat([x, torch.full_like(x[:, :2], 7.0)], 1)
    mask = torch.cat([keep, torch.zeros_like(keep[:, :2])], 1)
    short, long = memory.scan(x, keep), memory.scan(longer, mask)
    assert torch.equal(long[:, 6], long[:, 8])
    assert_close(short, long[:, :7], rtol=1e-6, atol=1e-6)
    assert torch.equal(short[0, 2], short[0, 3])  # a segment without items
    x[1, -1, 2:] = 99.0  # what is masked is not seen
    assert_close(memory.scan(x, keep), short, rtol=1e-6, atol=1e-6)


def test_streams_of_a_batch_do_not_see_each_other():
    memory = machine()
    x, keep = streams()
    order = torch.tensor([2, 0, 1])
    assert_close(memory.scan(x[order], keep[order]), memory.scan(x, keep)[order], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("group", [1, 4, 6])
def test_what_is_computed_again_has_the_same_gradient(group):
    x, keep = streams()
    gradients = []
    for size in (0, group):
        memory = machine(recompute=size).train()
        memory.scan(x, keep)[:, -1].square().sum().backward()
        gradients.append([memory.encoder.positions.table.grad, memory.key.weight.grad, memory.beginning.grad])
    assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)


def test_gradients_reach_the_first_segment_unless_they_are_cut():
    torch.manual_seed(0)
    memory = machine()
    x = torch.randn(1, 64, 4, 16, requires_grad=True)
    keep = torch.ones(1, 64, 4, dtype=torch.bool)
    (gradient,) = torch.autograd.grad(memory.scan(x, keep)[:, -1].sum(), x)
    assert gradient[0, 0].abs().max() > 0
    (cut,) = torch.autograd.grad(machine(bptt=8).scan(x, keep)[:, -1].sum(), x)
    assert cut[0, :56].abs().max() == 0 and cut[0, 56:].abs().max() > 0


def distances(memory, segments=200):
    """The least distance between two slots after many segments, in units of a slot's norm."""
    x = torch.randn(1, segments, 4, 16)
    slots = memory.scan(x, torch.ones(x.shape[:3], dtype=torch.bool))[0, -1, :, :16]
    apart = torch.cdist(slots, slots) + torch.eye(len(slots)) * 1e9
    return float(apart.min() / slots.norm(dim=1).mean())


@torch.no_grad()
def test_slots_differ_for_ever_and_those_of_the_public_code_never():
    assert distances(machine()) > 1e-2
    assert distances(machine(strict=True)) < 1e-5


def test_a_larger_keep_bias_tells_older_things_apart():
    """The problem of early forgetting in one table: what is left of a difference after 8, 32 and 128 segments."""
    counts = (8, 32, 128)

    def left_by(bias, **more):
        return [apart_after(machine(keep_bias=float(bias), **more), count) for count in counts]

    left = {bias: left_by(bias, competition=False) for bias in (0, 1, 2, 3)}
    for after in range(3):  # what is below 1e-6 is rounding
        ordered = [max(left[bias][after], 1e-6) for bias in (0, 1, 2, 3)]
        assert ordered == sorted(ordered)
    assert left[0][1] < 1e-3 and left[3][1] > 0.1 and left[3][2] > 100 * left[1][2]
    for bias in (0, 1, 2):  # a slot that is not written by every segment holds longer
        assert left_by(bias, oldest_first=False)[1] > 2 * left[bias][1]


def test_sparse_writing_leaves_the_other_slots_exactly():
    memory = machine(sparse_write=2)
    x, keep = streams()
    keys, values = memory.read_segments(x, keep)
    before = any_memory(memory)
    after, writes = memory.step(before, keys[:, 0], values[:, 0], keep[:, 0])
    same = (after == before)[..., :16].all(-1)
    assert_close(after[..., 16][same], torch.log2(2 ** before[..., 16][same] + 4))
    assert same.sum(1).tolist() == [3, 3, 3]
    assert torch.equal(writes.keep == 1, same) and torch.equal(writes.attention.sum(-1) == 0, same)


@torch.no_grad()
def test_a_slot_that_wins_nothing_stays_what_it_was():
    """Each of three items has a slot's address for its key: that slot moves, and the others do not. Of two items of one
    slot the later one is written over the earlier."""
    memory = machine(oldest_first=False)
    torch.nn.init.zeros_(memory.query.weight)  # what slots hold has no part in who wins
    start, values = any_memory(memory, 1), torch.randn(1, 3, 16)
    before = start[..., :16]
    keys = 4 * memory.address[[3, 0, 3]].unsqueeze(0)
    found, writes = memory.step(start, keys, values, None)
    after, ages = found.split([16, 1], -1)
    won = torch.zeros(5, 3)
    won[[0, 3], [1, 2]] = 1.0
    assert_close(writes.attention[0, [0, 3]], won[[0, 3]], rtol=0, atol=2e-3)
    assert_close(after[0, [1, 2, 4]], before[0, [1, 2, 4]], rtol=0, atol=1e-3)
    assert_close(writes.keep[0, [1, 2, 4]], torch.ones(3), rtol=0, atol=1e-4)
    last = memory.cell(memory.out(values[:, 2:]), before[:, 3:4])[0]
    assert_close(after[:, 3:4], last, rtol=1e-2, atol=1e-3)
    others = torch.log2(2 ** start[0, [1, 2, 4], 16] + 3)
    assert_close(ages[0, [0, 3, 1, 2, 4], 0], torch.tensor([1.0, 0.0, *others]), rtol=0, atol=2e-2)
    memory.nobody_bias.fill_(1e4)  # and what nobody is to keep changes nothing at all
    assert torch.equal(memory.step(start, keys, values, None)[0][..., :16], before)


@torch.no_grad()
def test_ages_count_items_and_what_is_never_written_is_old():
    memory = machine(slots=2)
    memory.nobody_bias.fill_(1e4)
    x, keep = streams()
    state = any_memory(memory)
    state[..., 16] = 0.0  # just written
    after = memory.scan(x, keep, state)[..., 16]
    since = torch.cat([torch.zeros(3, 1), keep.sum(2).cumsum(1)], 1)
    assert_close(after, torch.log2(1 + since).unsqueeze(-1).expand(-1, -1, 2))
    assert (memory.scan(x, keep)[..., 16] >= OLDEST).all()
    near = memory.age(torch.tensor([0.0, 0.25, OLDEST, 99.0]))
    table = memory.age.table
    assert_close(near, torch.stack([table[0], (table[0] + table[1]) / 2, table[-1], table[-1]]))


@torch.no_grad()
def test_items_have_winners_from_the_first_step_on():
    """With equal shares slots would be written alike, and would have to be told apart by their answers."""
    memory = machine(dim=32, slots=8, oldest_first=False)
    x = torch.randn(64, 1, 4, 32)
    keys, _ = memory.read_segments(x, torch.ones(64, 1, 4, dtype=torch.bool))
    shares = memory._shares(memory.start(64)[..., :32], None, memory._contest(keys[:, 0], keys[:, 0]), None)
    assert shares.max(1).values.mean() > 0.4  # an equal share is 1 / 9
    assert shares.mean((0, 2)).min() > 0.02  # and every slot wins something


@torch.no_grad()
def test_a_memory_that_learned_nothing_holds_the_last_items_each_by_itself():
    memory = machine(slots=8)
    x, keep = torch.randn(2, 3, 4, 16), torch.ones(2, 3, 4, dtype=torch.bool)
    keep[1, 2, 1:] = False
    state = memory.start(2)
    for t in range(3):
        before = state[..., 16].clone()
        state, writes = memory.write(state, x[:, t], keep[:, t])
        for b in range(2):
            count = int(keep[b, t].sum())
            won = writes.attention[b].argmax(0)[:count].tolist()
            assert len(set(won)) == count and writes.attention[b].amax(0)[:count].min() > 0.9
            oldest = before[b].sort(descending=True).values[count - 1]
            assert (before[b, won] >= oldest - 1 / 32).all()  # the longest unwritten ones
    read = memory.value(memory.encoder(x, keep)).flatten(1, 2)
    for b in range(2):
        newest = int(keep[b].sum()) - 1
        item = memory.cell(memory.out(read[b : b + 1, newest : newest + 1]), memory.beginning[:1].unsqueeze(0))[0]
        slot = state[b, :, 16].argmin()
        assert torch.cosine_similarity(state[b, slot, :16], item[0, 0], dim=0) > 0.9


def test_equal_ages_have_their_turns_in_order_whatever_the_rounding():
    age = torch.tensor([[4.0, 16.0, 4.0, 16.0, 0.0]])
    wanted = [1, 3, 0, 2, 4, 1]
    for noise in (0.0, 1e-6, -1e-6):
        turn = turns(age + noise * torch.tensor([1.0, -1, -1, 1, 1]), 6)
        assert turn[0].argmax(0).tolist() == wanted and (turn.sum(1) == 1).all()


def test_an_item_begins_with_its_neighbours_and_with_no_padding():
    torch.manual_seed(0)
    beside, x = Beside(6), torch.randn(1, 3, 6)
    keep = torch.tensor([[True, True, False]])
    a, b = beside.before.weight, beside.behind.weight
    wanted = torch.stack([x[0, 0] + b @ x[0, 1], x[0, 1] + a @ x[0, 0]])
    assert_close(beside(x, keep)[0, :2], wanted)


def test_slots_of_other_periods_are_written_in_their_turn():
    memory = machine(periods=3)  # every 1, 2, 4 segments
    x, keep = streams()
    states = memory.scan(x, torch.ones_like(keep))
    moved = (states[0, 1:] != states[0, :-1])[..., :16].any(-1)  # (T, K)
    assert moved[:, 0].all() and moved[:, 1].tolist() == [True, False] * 3
    assert moved[:, 2].tolist() == [True, False, False, False, True, False]


@pytest.mark.parametrize(
    "asked, sentence",
    [
        ({"slots": 0}, "one slot or more"),
        ({"segment": 0}, "segments of one item or more"),
        ({"heads": 3}, "width must be a multiple of heads"),
        ({"sparse_write": 9}, "no more than all slots"),
        ({"self_keys": True}, "self_keys is for competition=false"),
    ],
)
def test_what_cannot_be_built_is_refused(asked, sentence):
    with pytest.raises(OptionError, match=sentence):
        machine(**asked)
    with pytest.raises(ShapeError, match="segments are"):
        machine().read_segments(torch.zeros(1, 2, 9, 16), torch.ones(1, 2, 9, dtype=torch.bool))
