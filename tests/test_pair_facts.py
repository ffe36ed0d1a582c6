"""The compiled facts are those of the definition, also with ties, self loops and candidates that nobody knows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_streams import stream

from tenfold.ops.pair_facts import FACTS, Fact, facts, facts_of, fading_counts

ROWS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 9)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_facts_are_what_they_are_defined_as(rows):
    index = stream(rows, nodes=6)
    fading = fading_counts(index, half_life=3.0)
    sources, cuts = np.repeat(np.arange(1, 7), 3), index.cuts(np.tile([2.0, 6.0, 10.0], 6))
    everybody = np.arange(7)
    found = facts(index, sources, cuts, everybody, fading)
    assert found.shape == (18, 7, FACTS) and not found[:, 0].any()
    for q in range(len(sources)):
        for v in everybody[1:]:
            expected = facts_of(index, int(sources[q]), int(v), int(cuts[q]), 3.0)
            np.testing.assert_allclose(found[q, v], expected, rtol=1e-9, atol=1e-9)
    each = np.stack([np.roll(everybody, q)[:4] for q in range(18)])
    some = facts(index, sources, cuts, each, fading)
    np.testing.assert_array_equal(some, np.take_along_axis(found, each[:, :, None], axis=1))


def test_popularity_fades_and_does_not_overflow():
    index = stream([(1, 2, 0), (1, 3, 0), (1, 3, 1e9), (1, 2, 1e9 + 1)], nodes=3)
    found = facts(index, np.array([1]), np.array([4]), np.array([2, 3]), fading_counts(index, 1.0))
    assert found[0, 0, Fact.POPULARITY] > found[0, 1, Fact.POPULARITY] and np.isfinite(found).all()
    assert found[0, :, Fact.TIMES_MET].tolist() == [2, 2]
