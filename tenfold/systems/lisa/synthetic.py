"""A task that needs the whole history: which kind of marker came most often, asked at rare places (claim C9).

A sequence of 512 events over 200 items: mostly noise, each event alike for all. One event in seven is a marker; its kind
is the sequence's own seven times in ten, else any other. Now and then a question j stands there, and what follows it is
answer (kind + j) mod 4, of the kind that had been most frequent from the very beginning: to have seen an earlier answer
helps nobody who does not know its question, and a window of 32 events holds five markers.
"""

import numpy as np

from tenfold.data.events import Events
from tenfold.data.splits import Split

ITEMS, LENGTH, KINDS = 200, 512, 4
MARKERS = 20  # of them 5 for each kind
OWN, RARE = 0.7, 0.15  # share of the own kind among markers, and of markers among events
FIRST_QUESTION, QUESTIONS = 64, 32  # of a training sequence
CHANCE = 1 / KINDS


def marker_majority(sequences: int, held_out: int, seed: int) -> Split:
    """`sequences` to train on; `held_out` more to validate on and as many to test, asked once, after their last event.

    Split 'loo', cut by sequence: those that are tested have no answer in training.
    """
    rng = np.random.default_rng([seed, 9])
    total = sequences + 2 * held_out
    markers, questions = np.arange(1, MARKERS + 1), MARKERS + 1 + np.arange(KINDS)
    answers = questions + KINDS
    noise = np.arange(answers[-1] + 1, ITEMS + 1)
    own = rng.integers(KINDS, size=total)
    other = (own[:, None] + rng.integers(1, KINDS, size=(total, LENGTH))) % KINDS
    kind = np.where(rng.random((total, LENGTH)) < OWN, own[:, None], other)
    is_marker = rng.random((total, LENGTH)) < RARE
    chosen = markers.reshape(KINDS, -1)[kind, rng.integers(MARKERS // KINDS, size=(total, LENGTH))]
    rows = np.where(is_marker, chosen, rng.choice(noise, size=(total, LENGTH)))
    for sequence, row in enumerate(rows):
        asked = [LENGTH - 2]
        if sequence < sequences:
            places = rng.choice(np.arange(FIRST_QUESTION, LENGTH - 3, 2), QUESTIONS, replace=False)
            asked = sorted([*places, LENGTH - 2])
        for place in asked:  # in order: a question overwrites what a later count must not see
            j = rng.integers(KINDS)
            row[place] = questions[j]
            seen = row[:place]
            counts = np.bincount((seen[seen <= MARKERS] - 1) // (MARKERS // KINDS), minlength=KINDS)
            row[place + 1] = answers[(counts.argmax() + j) % KINDS]
    events = Events.from_histories(rows.tolist())
    begin, end = events.offsets[:-1], events.offsets[1:]
    number = np.arange(total)
    train_end, valid_end = end.copy(), end.copy()
    validates = (number >= sequences) & (number < sequences + held_out)
    tests = number >= sequences + held_out
    train_end[validates], valid_end[tests] = end[validates] - 1, end[tests] - 1
    train_end[tests] = end[tests] - 1
    assert (begin < train_end).all()
    return Split(events, "loo", train_end, valid_end)
