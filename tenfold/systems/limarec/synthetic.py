"""Two worlds in which it is known what could be foreseen (claims L4 and L5).

There are 20 interests of 50 items each. A user owns 4 of them, and in each 5 favourite items. A history is a chain of
segments of 5 to 15 events of one interest; an event is a favourite with probability 0.8, else any item of the interest;
after a segment comes any of the user's 4 interests. What is tested is the last event of users kept apart:

* `returning`: it is the first of a segment. The oracle, who knows the 20 favourites, has Recall@20 of
  0.8 + 0.2 x 5 / 50 = 0.82 there; the interests of one user have to be kept apart.
* `early`: after 100 such events come four rounds of a gap of background items, the same 200 for everybody, a marker,
  and one event of any of the user's interests. Only what follows a marker is tested. Who has seen the last 50 events
  alone knows nothing: 20 / 1,000.
"""

import numpy as np

from tenfold.data.events import Events
from tenfold.data.splits import Split

GROUPS, SIZE, OWN, FAVOURITES = 20, 50, 4, 5
FAITHFUL = 0.8  # share of favourites
BACKGROUND, ROUNDS, EARLY = 200, 4, 100
MARKER = GROUPS * SIZE + BACKGROUND + 1


class Customer:
    """Draws of one user; items are numbered from 1, interest g has g SIZE + 1 .. (g + 1) SIZE."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.groups = rng.choice(GROUPS, OWN, replace=False)
        self.favourites = np.array([g * SIZE + 1 + rng.choice(SIZE, FAVOURITES, replace=False) for g in self.groups])

    def event(self, number: int) -> int:
        if self.rng.random() < FAITHFUL:
            return int(self.rng.choice(self.favourites[number]))
        return int(self.groups[number] * SIZE + 1 + self.rng.integers(SIZE))

    def chain(self, least: int) -> list[int]:
        """Whole segments, at least so many events."""
        events: list[int] = []
        while len(events) < least:
            number = int(self.rng.integers(OWN))
            events += [self.event(number) for _ in range(self.rng.integers(5, 16))]
        return events

    def anything(self) -> int:
        return self.event(int(self.rng.integers(OWN)))


def returning(users: int, held_out: int, seed: int, *, events: int = 300) -> Split:
    """`users` to train on, `held_out` more to validate on and as many to test; the tested event begins a segment."""
    rng = np.random.default_rng([seed, 4])
    histories = []
    for _ in range(users + 2 * held_out):
        customer = Customer(rng)
        histories.append([*customer.chain(events), customer.anything()])
    return _split(histories, users, held_out)


def early(users: int, held_out: int, seed: int, *, gap: int = 60, rounds: int = ROUNDS) -> Split:
    """The same, with all evidence before `rounds` gaps of `gap` events."""
    rng = np.random.default_rng([seed, 5])
    histories = []
    for _ in range(users + 2 * held_out):
        customer = Customer(rng)
        history = customer.chain(EARLY)[:EARLY]
        for _ in range(rounds):
            noise = GROUPS * SIZE + 1 + rng.integers(BACKGROUND, size=gap)
            history += [*noise.tolist(), MARKER, customer.anything()]
        histories.append(history)
    return _split(histories, users, held_out)


def _split(histories: list[list[int]], users: int, held_out: int) -> Split:
    """Split 'loo', cut by user: whole histories are trained on, but for the tested and validated users' last events."""
    events = Events.from_histories(histories)
    end = events.offsets[1:]
    number = np.arange(len(histories))
    train_end, valid_end = end.copy(), end.copy()
    tests = number >= users + held_out
    train_end[number >= users] -= 1
    valid_end[tests] -= 1
    return Split(events, "loo", train_end, valid_end)


def ideal(split: Split, *, last: int | None = None) -> float:
    """Recall@20 of who counts a user's items of interests, over all events or the `last` ones, by simulation: the
    personal frequency without background and marker, ties and what is missing drawn at random. An upper end of what
    memory alone can do, short of knowing the interests of the others."""
    events, queries = split.events, split.queries("test")
    own = np.array([int(i) for i in events.catalogue.ids(np.arange(1, len(events.catalogue) + 1))])
    rng, hits = np.random.default_rng(0), []
    for user, position in zip(queries.user, queries.position, strict=True):
        begin = events.offsets[user] if last is None else max(events.offsets[user], position - last)
        seen = own[events.items[begin:position] - 1]
        counts = np.bincount(seen[seen <= GROUPS * SIZE], minlength=GROUPS * SIZE + 1)[1:]
        order = np.argsort(-(counts + 0.5 * rng.random(len(counts))))
        hits.append(own[events.items[position] - 1] - 1 in order[:20])
    return float(np.mean(hits))
