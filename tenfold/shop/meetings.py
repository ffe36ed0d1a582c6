"""Who meets whom: gifts and messages between customers, in which the partner's own recent partners come next.

A customer meets somebody whom the last partner, or the one before, met lately and whom they do not know yet, by a kind
of meeting that they like; else one of their first friends again; else somebody new, mostly of their own circle.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenfold.shop.catalog import MONTH, MONTHS, START, Numbers, pick, user_ids
from tenfold.shop.compiled import inner, loop
from tenfold.shop.customers import draw_habits
from tenfold.shop.options import Options
from tenfold.shop.simulation import ground
from tenfold.shop.splits import SPLITS
from tenfold.shop.streams import Kind, normals, stream, uniform, uniforms

KINDS = ("message", "gift")
CIRCLES = 20
RECENT = 12  # partners that one remembers
FRIENDS = 4  # the first people one met
KNOWN = 4  # one is not introduced to whom one met that lately
INTRODUCED = np.array([0.62, 0.1])  # by the last partner, by the one before
FADES = 0.55  # how likely an older partner of the partner is, over the next newer one
RETURNS = 0.13  # to one of the first friends
OWN_CIRCLE = 0.8  # of those who are new
DAY = 86_400

Floats = NDArray[np.float64]


class People(NamedTuple):
    """Traits of the customers, each drawn from (seed, row) alone, and two orders in which they are looked up."""

    begin: Numbers  # (U,): ms since the shop opened
    gifts: Floats  # (U,): how often it is a gift
    circle: Numbers  # (U,)
    sociable: Floats  # (U,)
    order: Numbers  # (2, U): all by their arrival; circle by circle, each by arrival
    place: Numbers  # (2, U): where one stands in these orders
    sums: Floats  # (2, U + 1): of `sociable`, up to a place
    circles: Numbers  # (CIRCLES + 1,): where each begins in the second order


class Met(NamedTuple):
    """The meetings in the order of time."""

    user: Numbers
    partner: Numbers
    time: Numbers  # ms since the shop opened, each later than the one before
    kind: Numbers  # into KINDS
    split: Numbers  # into SPLITS


def draw(options: Options, first: int, last: int) -> pl.DataFrame:
    """user, partner, time, kind (gift or message), split, in the order of time; user is who comes to the partner.

    Each meeting depends on those before it, so that a shard draws them all. A shop of one customer has none.
    """
    met = meet(options)
    rows = slice(first, last)
    opened = pl.Series([START], dtype=pl.Datetime("ms")).cast(pl.Int64).item()
    columns: dict[str, Any] = {
        "user": user_ids(options.users).gather(met.user[rows]),
        "partner": user_ids(options.users).gather(met.partner[rows]),
        "time": pl.Series(met.time[rows] + opened).cast(pl.Datetime("ms")),
        "kind": pick(KINDS, met.kind[rows]),
        "split": pick(SPLITS, met.split[rows]),
    }
    return pl.DataFrame(columns)


@lru_cache(maxsize=2)
def meet(options: Options) -> Met:
    return _meet(options, draw_people(options), np.empty(0))


def oracle(options: Options) -> Floats:
    """For each meeting of the tests, the reciprocal of the partner's rank among all, by what the simulator knew.

    Takes time in proportion to users times meetings.
    """
    people, met = draw_people(options), meet(options)
    found = np.empty(int((met.split == SPLITS.index("test")).sum()))
    _meet(options, people, found)
    return found


def measure(options: Options) -> dict[str, float]:
    """Mean reciprocal rank of the partner among all users but oneself, in the tests, by rules that only look back.

    popularity: by how many meetings somebody had. recency: by when one last met them. partner's partners: by when
    one's last partner last met them. Where a rule ties, the mean over all orders counts.
    """
    met = meet(options)
    own: list[list[int]] = [[] for _ in range(options.users)]  # partners, the last met at the end
    popular = np.zeros(options.users, np.int64)
    harmonic = np.concatenate([[0.0], (1 / np.arange(1, options.users + 1)).cumsum()])

    def reciprocal(better: int, tied: int) -> float:
        """Of a rank that is better + 1 .. better + tied, each as likely."""
        return float(harmonic[better + tied] - harmonic[better]) / tied

    def by_recency(partners: list[int], user: int, partner: int) -> float:
        ranked = [each for each in dict.fromkeys(reversed(partners)) if each != user]
        if partner in ranked:
            return 1 / (1 + ranked.index(partner))
        return reciprocal(len(ranked), options.users - 1 - len(ranked))

    found = []
    tested = met.split == SPLITS.index("test")
    for user, partner, test in zip(met.user.tolist(), met.partner.tolist(), tested.tolist(), strict=True):
        if test:
            often = popular[partner]
            better = (popular > often).sum() - (popular[user] > often)
            tied = (popular == often).sum() - (popular[user] == often)
            of_partner = own[own[user][-1]] if own[user] else []
            found.append(
                (
                    reciprocal(int(better), int(tied)),
                    by_recency(own[user], user, partner),
                    by_recency(of_partner, user, partner),
                )
            )
        own[user].append(partner)
        own[partner].append(user)
        popular[[user, partner]] += 1
    names = "popularity", "recency", "partner's partners"
    return dict(zip(names, np.mean(found, 0).tolist() if found else [0.0] * 3, strict=True))


def draw_people(options: Options) -> People:
    shared = ground(options)
    arrival = draw_habits(options, shared.market, shared.counts, 0, options.users).arrival
    u = uniforms(options.seed, Kind.FRIEND, 0, options.users, 4)
    begin, circle = (arrival * MONTHS * MONTH).astype(np.int64) * 1000, (u[:, 0] * CIRCLES).astype(np.int64)
    sociable = np.exp(0.5 * normals(u[:, 1], u[:, 2]))
    order = np.stack([np.argsort(begin, kind="stable"), np.lexsort((begin, circle))])
    sums = np.zeros((2, options.users + 1))
    sums[:, 1:] = sociable[order].cumsum(1)
    return People(
        begin=begin,
        gifts=np.where(u[:, 3] < 0.5, 0.1 + 0.2 * u[:, 3], 0.8 + 0.1 * u[:, 3]),
        circle=circle,
        sociable=sociable,
        order=order,
        place=order.argsort(1),
        sums=sums,
        circles=np.searchsorted(circle[order[1]], np.arange(CIRCLES + 1)),
    )


def _meet(options: Options, people: People, ranks: Floats) -> Met:
    count = options.meetings if options.users > 1 else 0
    met = Met(*(np.empty(count, np.int64) for _ in Met._fields))
    if count:
        met.time[:] = _times(options, people)
        _live(np.uint64(options.seed), int(Kind.MEETING), people, met, ranks)
        met.split[:] = np.searchsorted([-(-count * 70 // 100), -(-count * 85 // 100)], np.arange(count), side="right")
    return met


def _times(options: Options, people: People) -> Numbers:
    """From when the first two have arrived until the end, mostly in the afternoon and in the evening."""
    count = options.meetings
    u = uniforms(options.seed, Kind.MEETING, 0, count, 3)
    begin, end = int(np.partition(people.begin, 1)[1]), MONTHS * MONTH * 1000 - count
    day = (begin + u[:, 0] * (end - begin)) // (1000 * DAY) * DAY
    time = 1000 * (day + 3600 * (7.0 + 8.0 * (u[:, 1] + u[:, 2])))
    time = np.sort(np.clip(time.astype(np.int64), begin, end))
    return np.maximum.accumulate(time - np.arange(count)) + np.arange(count)  # no two at once


@loop
def _live(seed, kind, people, met, ranks):  # type: ignore[no-untyped-def]
    """Fills met.user, partner and kind; and ranks, if there are any, for the last meetings."""
    users = len(people.begin)
    recent, by = np.full((users, RECENT), -1), np.zeros((users, RECENT), np.int64)  # the newest first; kind of meeting
    friends = np.full((users, FRIENDS), -1)
    arrived, in_circle = 0, np.zeros(CIRCLES, np.int64)
    who, share = np.empty(2 * RECENT + FRIENDS, np.int64), np.empty(2 * RECENT + FRIENDS)
    chance, nobody = np.zeros(users if len(ranks) else 0), np.int64(-1)
    for m in range(len(met.time)):
        key = stream(seed, kind, m)
        while arrived < users and people.begin[people.order[0, arrived]] <= met.time[m]:
            in_circle[people.circle[people.order[0, arrived]]] += 1
            arrived += 1
        u = _somebody(people, 0, 0, arrived, nobody, uniform(key, 3))
        count = _plan(recent, by, friends, people.gifts[u], u, who, share)
        first = people.circles[people.circle[u]]
        last = first + in_circle[people.circle[u]]
        own = OWN_CIRCLE if last > first + 1 else 0.0
        x, v = uniform(key, 4), nobody
        for place in range(count):
            x -= share[place]
            if x < 0.0:
                v = who[place]
                break
        if v < 0:
            if uniform(key, 5) < own:
                v = _somebody(people, 1, first, last, u, uniform(key, 6))
            else:
                v = _somebody(people, 0, 0, arrived, u, uniform(key, 6))
        test = m - len(met.time) + len(ranks)
        if test >= 0:
            _chances(people, u, arrived, first, last, own, who[:count], share[:count], chance)
            ranks[test] = 1.0 / (1 + (chance > chance[v]).sum())
        how = np.int64(uniform(key, 7) < people.gifts[u])
        met.user[m], met.partner[m], met.kind[m] = u, v, how
        for one, other in ((u, v), (v, u)):
            recent[one, 1:], by[one, 1:] = recent[one, :-1].copy(), by[one, :-1].copy()
            recent[one, 0], by[one, 0] = other, how
            for place in range(FRIENDS):
                if friends[one, place] == other:
                    break
                if friends[one, place] < 0:
                    friends[one, place] = other
                    break


@inner
def _plan(recent, by, friends, gifts, u, who, share):  # type: ignore[no-untyped-def]
    """The few whom u is likely to meet, and how likely; returns how many. The rest is somebody new."""
    count = 0
    for hop in range(len(INTRODUCED)):
        v, begin, weight, total = recent[u, hop], count, 1.0, 0.0
        if v < 0:
            break
        for place in range(RECENT):
            w = recent[v, place]
            if w < 0:
                break
            if w != u and not (recent[u, :KNOWN] == w).any():
                who[count], share[count] = w, weight * (gifts if by[v, place] == 1 else 1.0 - gifts)
                total += share[count]
                weight *= FADES
                count += 1
        for place in range(begin, count):
            share[place] *= INTRODUCED[hop] / total
    begin = count
    for place in range(FRIENDS):
        if friends[u, place] >= 0 and friends[u, place] != recent[u, 0]:
            who[count] = friends[u, place]
            count += 1
    for place in range(begin, count):
        share[place] = RETURNS / (count - begin)
    return count


@inner
def _somebody(people, order, first, last, but, x):  # type: ignore[no-untyped-def]
    """One of the places first .. last - 1 of an order, the sociable more often, and never `but` (-1: nobody)."""
    sums, there = people.sums[order], -1
    total, own = sums[last] - sums[first], 0.0
    if but >= 0:
        there, own = people.place[order, but], people.sociable[but]
    goal = sums[first] + x * (total - own)
    if there >= 0 and goal >= sums[there]:
        goal += own
    place = min(max(np.searchsorted(sums, goal, side="right") - 1, first), last - 1)
    if place == there:  # a last bit of the sums
        place += 1 if there + 1 < last else -1
    return people.order[order, place]


@inner
def _chances(people, u, arrived, first, last, own, who, share, chance):  # type: ignore[no-untyped-def]
    """How likely everybody was to be met by u."""
    chance[:] = 0.0
    rest = 1.0 - share.sum()
    sociable = people.sociable
    others = people.sums[0, arrived] - sociable[u]
    for place in range(arrived):
        v = people.order[0, place]
        chance[v] = rest * (1.0 - own) * sociable[v] / others
    if own > 0.0:
        others = people.sums[1, last] - people.sums[1, first] - sociable[u]
        for place in range(first, last):
            v = people.order[1, place]
            chance[v] += rest * own * sociable[v] / others
    chance[u] = 0.0
    for place in range(len(who)):
        chance[who[place]] += share[place]
