"""Next items by Rehearsal Memory: a stream is the batch, nothing looks ahead, and what is rehearsed."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tenfold.data.events import Events
from tenfold.systems.rehearsal.next_items import MemoryRecommender, RehearsalNext, RehearsedWindows
from tenfold.tasks.next_item.baselines.counted import PersonalFrequency
from tenfold.tasks.next_item.evaluation import places
from tenfold.tasks.next_item.events import NextItemBatch
from tenfold.training import Draw


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MemoryRecommender(30, RehearsalNext.tiny).eval()


@torch.no_grad()
@pytest.mark.parametrize("pieces", [[1] * 11, [3, 8], [4, 4, 3], [11], [7, 0, 4]])
def test_events_in_pieces_are_the_same_as_at_once(network, pieces):
    events = torch.randint(1, 31, (3, 11))
    whole, after = network(events)
    state, place, found = None, 0, []
    for step in pieces:
        if step:
            user, state = network(events[:, place : place + step], state)
            found.append(user)
        place += step
    assert_close(torch.cat(found, 1), whole, rtol=1e-5, atol=1e-5)
    for mine, wanted in zip(state, after, strict=True):
        assert_close(mine, wanted, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_users_of_other_lengths_go_together(network):
    events, lengths = torch.randint(1, 31, (4, 9)), (9, 5, 1, 4)
    before = [network(torch.randint(1, 31, (1, own)))[1] for own in (2, 3, 7, 1)]
    together = tuple(torch.cat(parts) for parts in zip(*before, strict=True))
    padded = torch.where(torch.arange(9) < torch.tensor(lengths).unsqueeze(1), events, 0)
    user, state = network(padded, together)
    for row, length in enumerate(lengths):
        alone, own = network(events[row : row + 1, :length], before[row])
        assert_close(user[row, :length], alone[0], rtol=1e-5, atol=1e-5)
        for mine, wanted in zip(state, own, strict=True):
            assert_close(mine[row], wanted[0], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_nothing_looks_ahead_and_what_is_old_still_counts(network):
    events = torch.randint(1, 31, (2, 12))
    user, _ = network(events)
    for place in (2, 5, 11):
        other = events.clone()
        other[:, place] = other[:, place] % 30 + 1
        changed, _ = network(other)
        assert_close(changed[:, :place], user[:, :place], rtol=1e-5, atol=1e-5)
        assert not torch.allclose(changed[:, place], user[:, place])
    other = events.clone()
    other[:, 0] = other[:, 0] % 30 + 1  # two segments before the last
    assert not torch.allclose(network(other)[0][:, -1], user[:, -1], atol=1e-6)


class Windows:
    def __init__(self, events):
        self.events = torch.from_numpy(events)

    def __len__(self):
        return len(self.events)

    def batch(self, draw):
        own = self.events[torch.from_numpy(draw.indices)]
        return NextItemBatch(own, torch.zeros_like(own), own[:, :0])


def test_what_is_restored_was_written_and_is_a_function_of_the_window():
    events = np.random.default_rng(0).integers(1, 31, (6, 14))
    events[0, 3:], events[1, 9:] = 0, 0
    samples = RehearsedWindows(Windows(events), 3, 4, 0.5)
    whole, some = samples.batch(Draw(1, 2, np.arange(6))), samples.batch(Draw(1, 2, np.array([4, 1])))
    assert torch.equal(whole.masked[[4, 1]], some.masked) and torch.equal(whole.place[[4, 1]], some.place)
    assert (whole.masked.sum(-1)[1:] == 2).all() and not (whole.masked & ~whole.real).any()
    system = RehearsalNext(RehearsalNext.tiny)
    system.sizes = {"items": 30}
    system._network = system.build().eval()
    losses = system.loss(whole)
    total, count = losses["recollection"]
    written = torch.tensor([0, 8, 12, 12, 12, 12]).view(-1, 1, 1)  # a segment has four events
    assert int(count) == int((whole.masked & (whole.place < written)).sum()) > 0
    share = float((total / count).detach()) / system.options.recollection
    assert np.log(30) * 0.8 < share < np.log(30) * 1.5
    total.backward()
    machine = system.network.machine
    assert machine.cell.read.grad.abs().sum() > 0  # what is restored was read from the memory


def test_places_of_test_events_and_how_long_ago_they_came():
    """Against ranks and gaps counted one by one; ties count half."""
    events = Events.from_histories([["a", "b", "c", "d", "a", "c"], ["b", "a", "d", "c", "b", "b"]] * 3)
    system = PersonalFrequency().fit(events, split="stream")
    split = system.prepare(events, "stream")
    place, since = places(system, split, k=2)
    queries = split.queries("test")
    for row, (user, position) in enumerate(zip(queries.user, queries.position, strict=True)):
        past = split.events.items[split.events.offsets[user] : position]
        scores = system.score_histories(torch.from_numpy(past.astype(np.int64))[None])[0, 1:].numpy()
        target = split.events.items[position]
        own = scores[target - 1]
        assert place[row] == (scores > own).sum() + (scores == own).sum() / 2
        same = np.flatnonzero(past[::-1] == target)
        assert since[row] == (same[0] + 1 if len(same) else 0)
