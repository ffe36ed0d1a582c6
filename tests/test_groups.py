"""Figures of events in groups: each group by hand, and all of them together are all events."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from tenfold import Popularity
from tenfold.data.events import Events
from tenfold.data.splits import split
from tenfold.errors import OptionError
from tenfold.tasks.next_item.groups import gaps, sentences


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(4)
    histories = [[f"r{r}i{i}" for r, i in rng.integers(4, size=(n, 2))] for n in rng.integers(9, 90, size=30)]
    return Events.from_histories(histories)


def test_a_gap_is_counted_from_the_last_event_of_the_kind(log):
    queries = split(log, "stream").queries("test")
    kinds = np.random.default_rng(0).integers(-1, 5, size=len(log.items))
    expected = []
    for user, position in zip(queries.user, queries.position, strict=True):
        before = range(position - 1, log.offsets[user] - 1, -1)
        same = [position - n for n in before if kinds[n] == kinds[position] and kinds[n] >= 0]
        expected.append(same[0] if same else 0)
    assert gaps(log, kinds, queries).tolist() == expected and len(set(expected)) > 5


@pytest.mark.parametrize("by", ["history", "gap"])
def test_the_groups_hold_every_event_once(by, log, tmp_path):
    ids = log.catalogue.ids(np.arange(1, len(log.catalogue) + 1))
    rows = [f"{own},{own[:2] if own != ids[3] else ''}" for own in ids]
    (tmp_path / "items.csv").write_text("\n".join(["item,category", *rows]))
    path = tmp_path / "events.csv"
    lines = [
        f"u{u},{i}"
        for u in range(len(log.users))
        for i in log.catalogue.ids(log.items[log.offsets[u] : log.offsets[u + 1]])
    ]
    path.write_text("\n".join(["user,item", *lines]))
    read_options = Popularity.read_options(items=str(tmp_path / "items.csv"))
    system = Popularity().fit(path, split="stream", read_options=read_options)
    plain = system.evaluate(path, read_options=read_options)
    found = system.evaluate(path, by=by, read_options=read_options)
    told = [line for line in found.notes if line not in plain.notes]
    counts = [int(re.search(r"\((.*) events\)", line)[1].replace(",", "")) for line in told]
    events = split(log, "stream").queries("test")
    assert sum(counts) == len(events.user) and len(told) >= 2 and dict(found) == dict(plain)
    assert all("ndcg@10" in line for line in told)
    if by == "gap":
        assert told[0].startswith("no category known: ") and any("events since one of the same" in t for t in told)
        with pytest.raises(OptionError, match="items have no attribute 'colour'"):
            system.evaluate(path, by="gap", gap_of="colour", read_options=read_options)


def test_spans_are_sixths_of_the_second_half(log):
    times = np.concatenate(
        [np.sort(np.random.default_rng(u).uniform(0, 120, n)) for u, n in enumerate(np.diff(log.offsets))]
    )
    times[0], times[-1] = 0.0, 120.0
    timed = replace(log, times=times)
    found = split(timed, "spans")
    queries = found.queries("test")
    values = torch.arange(len(queries.user), dtype=torch.float64)
    lines = list(sentences(timed, queries, "span", "", {"mrr": values}))
    assert len(lines) == 5 and times[found.queries("validation").position].max() < 70
    for span, line in enumerate(lines, 2):
        mine = (times[queries.position] - 60) // 10 + 1
        mine = np.minimum(mine, 6) == span
        assert line == f"span {span} of 6: mrr {values.numpy()[mine].mean():.4f} ({mine.sum():,} events)"
    with pytest.raises(OptionError, match="need the events' times"):
        list(sentences(log, queries, "span", "", {"mrr": values}))


def test_a_group_s_figures_are_the_means_of_its_events(log):
    queries = split(log, "stream").queries("test")
    values = torch.arange(len(queries.user), dtype=torch.float64)
    before = queries.position - log.offsets[queries.user]
    first, second = list(sentences(log, queries, "history", "", {"mrr": values}))
    few = before <= 50
    assert first == f"up to 50 events before: mrr {values.numpy()[few].mean():.4f} ({few.sum():,} events)"
    assert second.startswith(f"51 to 200 events before: mrr {values.numpy()[~few].mean():.4f}")
    with pytest.raises(OptionError, match="give the file of items"):
        list(sentences(log, queries, "gap", "category", {"mrr": values}))
