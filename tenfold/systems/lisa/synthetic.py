"""A task that needs the whole history: which kind of marker came most often, asked at rare places (claim C9).

A sequence of 512 events over 200 items: mostly noise, each event alike for all. One event in ten is a marker, of the
sequence's own kind seven times in ten, else of any other. Now and then a question stands there, and what follows it is
the name of the kind that has been most frequent from the very beginning. For 40 events before a question there is no
marker, so that a window of 32 events knows nothing of it, unless it saw an earlier answer; sequences that are tested
are asked once, after their last event.
"""

import numpy as np

from tenfold.data.events import Events
from tenfold.data.splits import Split

ITEMS, LENGTH, KINDS = 200, 512, 4
OWN, RARE = 0.7, 0.1  # share of the own kind among markers, and of markers among events
FIRST_QUESTION, QUESTIONS = 100, 4  # of a training sequence
SILENCE = 40  # events without a marker before a question


def marker_majority(sequences: int, held_out: int, seed: int) -> Split:
    """`sequences` to train on; `held_out` more to validate on and as many to test.

    Split 'loo', cut by sequence: those that are tested have no answer in training.
    """
    rng = np.random.default_rng([seed, 9])
    total = sequences + 2 * held_out
    question, answers = KINDS + 1, KINDS + 2 + np.arange(KINDS)  # markers are 1 .. KINDS
    noise = np.arange(answers[-1] + 1, ITEMS + 1)
    own = rng.integers(KINDS, size=(total, 1))
    other = (own + rng.integers(1, KINDS, size=(total, LENGTH))) % KINDS
    kind = np.where(rng.random((total, LENGTH)) < OWN, own, other)
    is_marker = rng.random((total, LENGTH)) < RARE
    filler = rng.choice(noise, size=(total, LENGTH))
    rows = np.empty((total, LENGTH), dtype=np.int64)
    for sequence in range(total):
        asked = [LENGTH - 2]
        if sequence < sequences:
            asked += rng.choice(np.arange(FIRST_QUESTION, LENGTH - 4, 2), QUESTIONS - 1, replace=False).tolist()
        for place in asked:
            is_marker[sequence, max(0, place - SILENCE) : place + 2] = False
        row = np.where(is_marker[sequence], kind[sequence] + 1, filler[sequence])
        for place in asked:
            counts = np.bincount(kind[sequence, :place][is_marker[sequence, :place]], minlength=KINDS)
            row[place], row[place + 1] = question, answers[counts.argmax()]
        rows[sequence] = row
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
