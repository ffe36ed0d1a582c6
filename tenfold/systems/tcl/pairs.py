"""What the network is told of a pair, and how it first weighs that: the facts of ops/pair_facts as numbers of about one
size, and the weights with which these numbers alone foretell best. They are ours, not the paper's.

Shapes: n interactions, Q queries, C candidates of each, S of a softmax's terms, PAIR numbers.
"""

import numpy as np
import torch
from torch import Tensor

from tenfold.ops.pair_facts import NEVER, Fact, facts
from tenfold.tasks.link_prediction.data import Links, Queries
from tenfold.tasks.link_prediction.negatives import near_partners, uniforms

STILL = 16  # numbers that are facts, each alone
PLACES = (Fact.RECENCY, Fact.BY_LAST, Fact.BY_SECOND)  # each as: there at all, newest few, newest dozen
TURNS = STILL + 3 * len(PLACES) + 5  # from here on: whose turn it is, and whether the candidate is about
PAIR = TURNS + 6
LEARNED_ON = 2_000  # interactions that the first weights are learned from: a second or two
EVENLY = 30  # random destinations of each, which stand for all
SIZE = 5.0  # of a weight, by what is believed of it before anything is seen
STEPS = 40


def pair_numbers(links: Links, queries: Queries, candidates: np.ndarray, unit: float, half_life: float) -> Tensor:
    """candidates (Q, C) or, the same for all, (1, C) -> (Q, C, PAIR) float32.  unit: the gap that counts as 1."""
    found = facts(links.index, queries.sources, queries.cuts, candidates, links.fading(half_life))
    moments = np.concatenate([np.zeros(1), links.index.times.astype(np.float64)])
    now = queries.times.astype(np.float64)[:, None]
    out = np.empty((*found.shape[:2], PAIR), np.float32)
    for at, fact in enumerate((Fact.LAST_SENT, Fact.LAST_RECEIVED, Fact.LAST_OF)):
        last = found[..., fact].astype(np.int64)
        out[..., 2 * at] = last > 0
        out[..., 2 * at + 1] = np.where(last > 0, 1 / (1 + np.log1p(np.maximum(now - moments[last], 0) / unit)), 0)
    out[..., 6] = np.log1p(found[..., Fact.SENT])
    out[..., 7] = np.log1p(found[..., Fact.RECEIVED])
    for at, fact in enumerate(PLACES):
        out[..., 8 + at] = np.where(found[..., fact] > 0, 1 / np.maximum(found[..., fact], 1), 0)
    out[..., 11] = np.log1p(found[..., Fact.COMMON])
    out[..., 12] = found[..., Fact.ADAMIC_ADAR]
    rate = np.log(2.0) / half_life if half_life > 0 else 0.0
    faded = found[..., Fact.POPULARITY] - rate * (now - moments[1:2])
    out[..., 13] = np.where(found[..., Fact.POPULARITY] > NEVER, np.clip(faded, -10, 10) / 5, -3)
    out[..., 14] = np.log1p(found[..., Fact.TIMES_MET]) / 3
    out[..., 15] = found[..., Fact.MUTUAL]
    _places(found, out[..., STILL:TURNS])
    _turns(found, now, moments, unit, out[..., TURNS:])
    return torch.from_numpy(out)


def _places(found: np.ndarray, out: np.ndarray) -> None:
    """A place in a list as three numbers; and whether who is near by a partner is known lately, which the rules do not
    ask: one is seldom introduced to whom one has just met."""
    for at, fact in enumerate(PLACES):
        place = found[..., fact].astype(np.float32)
        there = place > 0
        out[..., 3 * at] = there
        for next_, fade in ((1, 3), (2, 12)):
            out[..., 3 * at + next_] = np.where(there, np.exp(-place / np.float32(fade)), 0)
    met, lately, by_last, newest_by_last, by_second, newest_by_second = (out[..., n] for n in (0, 1, 3, 4, 6, 7))
    out[..., 9], out[..., 10], out[..., 11] = by_last * lately, newest_by_last * lately, newest_by_last * met
    out[..., 12], out[..., 13] = by_second * lately, newest_by_second * lately


def _turns(found: np.ndarray, now: np.ndarray, moments: np.ndarray, unit: float, out: np.ndarray) -> None:
    """Whether the candidate had the last word of the two, so that an answer is due; and how long ago it was active at
    all. Both also by how newly the two met, since each says something else of a partner and of a stranger."""
    sent, received, last = (found[..., fact] for fact in (Fact.LAST_SENT, Fact.LAST_RECEIVED, Fact.LAST_OF))
    met, due = np.maximum(sent, received) > 0, received > sent
    place = found[..., Fact.RECENCY].astype(np.float32)
    newest = np.where(met, np.exp(-place / np.float32(3)), 0)
    active = np.where(last > 0, np.log1p(np.maximum(now - moments[last.astype(np.int64)], 0) / unit), 5) / 3
    out[..., 0], out[..., 1], out[..., 2] = due, due * newest, due & (place == 1)
    out[..., 3], out[..., 4], out[..., 5] = active, active * met, active * newest


def first_weights(links: Links, unit: float, half_life: float, seed: int) -> Tensor:
    """(PAIR,): with which these numbers, weighed and added, foretell the training part best.

    A conditional logit over all destinations (McFadden 1974), by L-BFGS. Those near the source by a partner are in each
    sum, the others in it by random ones, which stand for as many as they were drawn from. A function of data and seed.
    """
    rows = links.rows.train
    rows = rows[np.unique(np.linspace(len(rows) // 10, len(rows) - 1, LEARNED_ON).astype(np.int64))]
    asked, offset = _terms(links, rows, seed)
    queries = links.queries(rows)
    numbers = torch.cat([
        pair_numbers(links, queries.take(part), asked[part], unit, half_life)
        for part in (slice(first, first + 200) for first in range(0, len(rows), 200))
    ])  # fmt: skip
    weights = torch.zeros(PAIR, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe")

    def lost() -> Tensor:
        optimizer.zero_grad()
        fit = -(numbers @ weights + offset).log_softmax(1)[:, 0].mean()
        total = fit + weights.square().sum() / (2 * SIZE**2 * len(rows))
        total.backward()
        return total

    with torch.enable_grad():
        optimizer.step(lost)  # type: ignore[no-untyped-call]
    return weights.detach()


def _terms(links: Links, rows: np.ndarray, seed: int) -> tuple[np.ndarray, Tensor]:
    """(n, S) destinations, the true one first, 0 for none; (n, S): the log of how many each stands for."""
    true, every = links.graph.destinations[rows].astype(np.int64), links.training_destinations
    near = near_partners(links, links.queries(rows))
    near = np.where(near == true[:, None], 0, near)
    random = every[(uniforms(seed + 21, rows, EVENLY) * len(every)).astype(np.int64)].astype(np.int64)
    known = (random[:, :, None] == near[:, None, :]).any(2)
    asked = np.concatenate([true[:, None], near, np.where(known, 0, random)], axis=1)
    asked[:, 1:][asked[:, 1:] == true[:, None]] = 0
    for n, destination in links.same_moment(rows).tolist():
        asked[n, 1:][asked[n, 1:] == destination] = 0
    count = np.ones(asked.shape[1])
    count[1 + near.shape[1] :] = max(1.0, len(every) / EVENLY)
    offset = np.where(asked > 0, np.log(count), -1e9)
    return asked, torch.from_numpy(offset.astype(np.float32))
