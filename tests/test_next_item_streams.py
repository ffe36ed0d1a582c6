"""Every method that carries a state of one size, over a store: what a stream gives is what the whole history gives."""

import numpy as np
import polars as pl
import pytest
import torch
from torch.testing import assert_close

from tenfold import GRU4Rec, LRURec, Transformer
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import OptionError
from tenfold.streaming import key_of, unpack_many
from tenfold.systems.limarec.memories import HPMN, MIMN
from tenfold.systems.rehearsal.next_items import RehearsalNext
from tenfold.tasks.next_item.streams import filled, leaves

SMALL = {"dim": 12, "dropout": 0.0, "training.length": 9}
STREAMS = {
    "gru4rec": lambda: GRU4Rec(**SMALL),
    "lrurec": lambda: LRURec(**SMALL),
    "mimn": lambda: MIMN(**SMALL),
    "hpmn": lambda: HPMN(**SMALL),
    "rehearsal-next": lambda: RehearsalNext(**SMALL, **{"memory.segment": 5}),
    "rehearsal-next, counting": lambda: RehearsalNext(
        **SMALL, **{"memory.segment": 5, "counts.of": "items", "counts.width": 7}
    ),
    **{
        name: lambda name=name: Transformer(attention=name, heads=3, features=7, codewords=5, **SMALL)
        for name in ("linear", "random-feature", "key-quantised", "lisa")
    },
}


def unfitted(system, items=17):
    system.vocabularies = {"items": Vocabulary(pl.Series([f"i{n}" for n in range(items)]))}
    system.sizes, system.statistics = {"items": items}, {"item_counts": torch.ones(items + 1, dtype=torch.long)}
    torch.manual_seed(0)
    system._network = system.build()
    system.network.eval()
    return system


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_gives_what_the_whole_history_gives(name, tmp_path):
    """Past the window it was trained on, one by one and several at once, beside a user with another history."""
    system = unfitted(STREAMS[name]())
    assert system.context is None
    rng = np.random.default_rng(1)
    history = [f"i{n}" for n in rng.integers(17, size=70)]
    with system.open(tmp_path) as session:
        for item in history[:5]:
            session.update("u", item)
    with system.open(tmp_path) as session:
        session.update_many(["u", "w", "u"], [history[5], "i3", history[6]])
        session.update_many(["u"] * 63, history[7:])
        states = unpack_many(
            session.store.get_many([key_of("u"), key_of("w"), key_of("new")]),
            fingerprint=system.fingerprint(), size=system.state_size,
        )  # fmt: skip
        asked = session.recommend("u", k=4)
        assert session.recommend("new", k=2).by_popularity
    with torch.no_grad():
        rows = torch.from_numpy(system.item_numbers(history).astype(np.int64)).unsqueeze(0)
        whole, _ = system.encode(rows)
    assert_close(system.users_after(states)[0], whole[0, -1], rtol=1e-4, atol=1e-5)
    assert [r.item for r in asked] == [r.item for r in system.recommend(history, k=4)]


@pytest.mark.parametrize("name", STREAMS)
def test_a_state_s_numbers_do_not_grow_and_come_back(name):
    system = unfitted(STREAMS[name]())
    sizes = set()
    for length in (1, 40):
        _, state = system.network(torch.randint(1, 18, (2, length)))
        parts = list(leaves(state))
        numbers = torch.cat([leaf.reshape(len(leaf), -1).float() for leaf in parts], dim=1)
        sizes.add(numbers.shape[1])
        for one, other in zip(leaves(filled(state, numbers)), parts, strict=True):
            assert one.dtype == other.dtype and torch.equal(one, other)
    assert len(sizes) == 1


@pytest.mark.parametrize("attention", ["softmax", "local"])
def test_what_looks_back_on_events_does_not_stream(attention):
    system = unfitted(Transformer(attention=attention, heads=3, **SMALL))
    assert system.context == 9
    with pytest.raises(OptionError, match="keeps no state of constant size"):
        system.open()
