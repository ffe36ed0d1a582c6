"""Which samples stand in which batch: a function of seed and epoch, shared out by processes."""

import itertools
from itertools import chain

import numpy as np
import pytest

from tenfold.errors import OptionError
from tenfold.training import EpochBatches


def order(**fields):
    return EpochBatches(61, 8, **{"seed": 1, **fields})


def at(epoch, done, batches):
    batches.where = lambda: (epoch, done)
    draws = list(batches)
    assert all((draw.seed, draw.epoch) == (batches.seed, epoch) for draw in draws)
    return [draw.indices.tolist() for draw in draws]


def test_processes_share_out_the_batches_of_one():
    whole, parts = at(2, 0, order()), [at(2, 0, order(rank=r, processes=3)) for r in range(3)]
    assert [sorted(chain(*shares)) for shares in zip(*parts, strict=True)] == [sorted(batch) for batch in whole]
    assert sorted(chain(*whole)) == list(range(61)) and {len(batch) for batch in whole} == {7, 8}


def test_order_is_of_seed_and_epoch_and_goes_on_where_it_was():
    assert at(0, 0, order()) != at(1, 0, order()) != at(1, 0, order(seed=2))
    assert at(1, 5, order()) == at(1, 0, order())[5:]


def test_batches_by_length_waste_little_and_stay_a_shuffle():
    lengths = np.random.default_rng(2).integers(1, 200, size=1_003)
    batches = EpochBatches(1_003, 8, seed=1, lengths=lambda seed, epoch: lengths)
    first, again, other = at(0, 0, batches), at(0, 0, batches), at(1, 0, batches)
    assert first == again != other and sorted(chain(*first)) == list(range(1_003))
    assert at(0, 7, batches) == first[7:]
    spread = [np.ptp(lengths[batch]) for batch in first]
    assert np.mean(spread) < 0.15 * np.mean([np.ptp(lengths[batch]) for batch in at(0, 0, order_of(1_003))])
    neighbours = [np.mean(lengths[a]) < np.mean(lengths[b]) for a, b in itertools.pairwise(first)]
    assert 0.3 < np.mean(neighbours) < 0.7  # batches come in no order of length


def order_of(size):
    return EpochBatches(size, 8, seed=1)


def test_nothing_to_train_on_is_said():
    with pytest.raises(OptionError, match="nothing to train on"):
        EpochBatches(0, 8, seed=1)


def test_more_processes_than_a_batch_can_feed_are_refused():
    with pytest.raises(OptionError, match="9 processes cannot share batches of 7"):
        order(processes=9)
