"""Times of events reach a method that uses them: in training, evaluation, `recommend`, `predict` and streams alike."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from tenfold.data.events import Events
from tenfold.data.splits import split
from tenfold.data.windows import Windows
from tenfold.errors import DataError
from tenfold.options import options
from tenfold.tasks.next_item.evaluation import padded, padded_times, scored
from tenfold.tasks.next_item.options import LossOptions, Training
from tenfold.tasks.next_item.task import NextItem
from tenfold.training import Draw


@options
class Options:
    loss: LossOptions = LossOptions()
    training: Training = Training(length=50, batch_size=4, lr=0.01)


class Fading(nn.Module):
    def __init__(self, items: int) -> None:
        super().__init__()
        self.item = nn.Embedding(items + 1, 4, padding_idx=0)

    def forward(self, events, times):
        """u_l = sum over j <= l of e_j exp(-(t_l - t_j) / 10)."""
        apart = (times[:, :, None] - times[:, None, :]).clamp(min=0)
        weight = torch.exp(-apart / 10).tril()
        return weight.to(self.item.weight.dtype) @ self.item(events)


class Fades(NextItem):
    """What a user had fades with time: order alone does not give its answers."""

    options: Options
    tiny = Options()
    uses_times = True
    state_size = 4

    def build(self):
        return Fading(self.sizes["items"])

    def encode(self, events, state=None, times=None):
        assert times is not None and times.dtype == torch.float64 and times.shape == events.shape
        return self.network(events, times), None

    @torch.no_grad()
    def advance(self, states, rows, times):
        assert np.isnan(times[rows == 0]).all()
        for row in range(len(rows)):
            for item, now in zip(rows[row], times[row], strict=True):
                if item:
                    before = states["time"][row]
                    fade = 0.0 if np.isnan(before) else np.exp(-(now - before) / 10)
                    states["state"][row] = states["state"][row] * fade + self.network.item.weight[item].numpy()
                    states["time"][row] = now

    def users_after(self, states):
        return torch.from_numpy(states["state"].astype(np.float32))


def assert_alike(found, expected):
    assert [r.item for r in found] == [r.item for r in expected]
    assert [r.score for r in found] == pytest.approx([r.score for r in expected], rel=1e-4)


def log(users=12, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 9, users)
    return Events.from_histories(
        [rng.integers(0, 9, n).tolist() for n in lengths],
        times=[np.cumsum(rng.integers(1, 40, n)).astype(float).tolist() for n in lengths],
    )


@pytest.fixture(scope="module")
def fitted():
    return Fades().fit(log(), split="stream")


def test_batches_carry_the_times_of_their_events(fitted):
    prepared = fitted.prepare(log(), "stream")
    (stage,) = fitted.stages(prepared)

    batch = stage.data.batch(Draw(indices=np.array([3, 0]), seed=1, epoch=2))
    windows = Windows(prepared, 50)
    for row, window in enumerate((3, 0)):
        start, stop = (int(bound[window]) for bound in windows.draw(1, 2))
        assert batch.events[row, : stop - start].tolist() == prepared.events.items[start:stop].tolist()
        assert batch.times[row, : stop - start].tolist() == prepared.events.times[start:stop].tolist()
        assert not batch.times[row, stop - start :].any()


def test_a_stream_a_history_and_an_evaluation_agree(fitted, tmp_path):
    events = log()
    items, clock = events.catalogue.ids(events.history(2)), events.times[events.offsets[2] : events.offsets[3]].tolist()
    alone = fitted.recommend(items, times=clock, k=5)
    assert_alike(fitted.recommend([items, items[:2]], times=[clock, clock[:2]], k=5)[0], alone)
    session = fitted.open()
    session.update_many(["u"] * 3, items[:3], clock[:3])
    for item, now in zip(items[3:], clock[3:], strict=True):
        session.update("u", item, now)
    assert_alike(session.recommend("u", k=5), alone)
    later = fitted.recommend(items, times=[100 * now for now in clock], k=5)
    assert [r.score for r in later] != pytest.approx([r.score for r in alone], rel=1e-3)

    whole = split(events, "stream")
    queries = whole.queries("test")
    for chunk, scores in scored(fitted, whole, queries):
        for query, found in zip(chunk, scores, strict=True):
            begin, at = events.offsets[queries.user[query]], queries.position[query]
            mine = fitted.recommend(events.catalogue.ids(events.items[begin:at]), times=events.times[begin:at], k=9)
            assert [r.score for r in mine] == pytest.approx(sorted(found[1:].tolist(), reverse=True), rel=1e-4)

    rows = [(u, i, t) for u in range(12) for i, t in zip(
        events.catalogue.ids(events.history(u)), events.times[events.offsets[u] : events.offsets[u + 1]], strict=True
    )]  # fmt: skip
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows))
    fitted.predict(path, tmp_path / "out.jsonl", k=5)
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert answers[2]["items"] == [r.item for r in alone]


def test_times_skip_what_is_unknown():
    items, times = np.array([4, 0, 2, 7]), np.array([1.0, 2.0, 3.0, 4.0])
    start, stop = np.array([0, 3]), np.array([3, 4])
    assert padded(items, start, stop).tolist() == [[4, 2, 0], [7, 0, 0]]
    assert padded_times(times, items, start, stop).tolist() == [[1.0, 3.0, 0.0], [4.0, 0.0, 0.0]]


def test_each_event_has_a_time_or_none_has(fitted):
    with pytest.raises(DataError, match="history 0 has 2 events and 1 times"):
        fitted.recommend([1, 2], times=[5.0], k=3)
