"""The synthetic worlds have the oracle that is told, and the room's claims their names."""

import numpy as np
import pytest

from tenfold.claims import claims_of
from tenfold.systems.limarec.synthetic import (
    FAVOURITES,
    GROUPS,
    MARKER,
    OWN,
    SIZE,
    Customer,
    early,
    ideal,
    returning,
)


def test_the_oracle_has_0_82():
    """What follows a switch is a favourite with probability 0.8 + 0.2 x 5 / 50, by counting draws."""
    rng, hits = np.random.default_rng(0), []
    for _ in range(400):
        customer = Customer(rng)
        assert customer.favourites.shape == (OWN, FAVOURITES) and len(set(customer.groups)) == OWN
        hits += [customer.anything() in customer.favourites for _ in range(10)]
    assert np.mean(hits) == pytest.approx(0.82, abs=0.02)


def test_what_is_tested_is_what_the_page_says():
    split = early(20, 10, 0, gap=30)
    own = np.array([int(i) for i in split.events.catalogue.ids(np.arange(1, len(split.events.catalogue) + 1))])
    queries = split.queries("test")
    assert len(queries.user) == 10 and queries.user.min() == 30
    assert (own[split.events.items[queries.position - 1] - 1] == MARKER).all()
    assert (own[split.events.items[queries.position] - 1] <= GROUPS * SIZE).all()
    assert len(split.queries("validation").user) == 10 and split.fingerprint == early(20, 10, 0, gap=30).fingerprint
    assert split.fingerprint != early(20, 10, 1, gap=30).fingerprint
    gaps = split.events.items[split.events.offsets[0] + 100 : split.events.offsets[0] + 130]
    assert (own[gaps - 1] > GROUPS * SIZE).all() and (own[gaps - 1] < MARKER).all()


def test_memory_is_worth_what_the_page_says():
    assert 0.6 < ideal(early(5, 120, 0, gap=60)) < 0.82
    assert ideal(early(5, 120, 0, gap=60), last=50) < 0.06  # 0.02, and luck
    assert 0.7 < ideal(returning(5, 60, 0)) < 0.83


def test_every_claim_has_a_name_of_its_own():
    names = [claim.name for claim in claims_of("limarec")]
    assert len(names) == len(set(names)) and {"L1", "L2", "L3", "L4", "L5", "L6", "L7", "L10"} <= set(names)
