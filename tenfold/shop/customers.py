"""The customers: who they are, when they come, and what they do, event by event, with probabilities that are known.

A customer has several interests. A visit is about one of them (the last one goes on, or one returns that rested for
long), and on the side about what the visit before it was about. Within an interest an event is the next step after its
last item, one of a few favourites, something that sells well, or, outside of it, an impulse; a view may become a cart
and a cart a purchase. Interests, favourites and their weights drift. The clock (when one comes, and that a visit
begins) is drawn first, the rest given the clock.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.catalog import MONTH, MONTHS, choose
from tenfold.shop.compiled import inner, loop
from tenfold.shop.market import Market
from tenfold.shop.options import Options
from tenfold.shop.streams import Kind, normals, stream, uniform, uniforms
from tenfold.shop.traits import STYLE_FANS, STYLES, THEME_FANS, THEMES
from tenfold.shop.truth import FIGURES, add, expected_hits, test_events

MOST_FAVOURITES = 6
FEWEST_EVENTS = 5  # of a customer, where there are enough events
IMPULSE = 0.03
ASIDE, BACK = 0.08, 0.8  # from a visit's main interest to the one on the side, and from that
GO_ON = 0.05  # the next visit is about the same interest
FAVOURITE_AGAIN = 0.15  # what was just looked at in this visit is less likely than what was not
OF_ANY_SALES, OF_ONE_BRAND = 0.85, 0.7  # favourites that may sell badly; that are of the first one's brand
NEW_FAVOURITE, NEW_INTEREST = 0.1, 0.015  # after a visit


class Habits(NamedTuple):
    """Traits of customers first .. first + U - 1, each drawn from (seed, row) alone."""

    first: int
    events: NDArray[np.int64]  # (U,): how many
    tests: NDArray[np.int64]  # (U,): the last events, for which the truth is kept
    arrival: NDArray[np.float64]  # (U,): share of the shop's time that had passed
    purse: NDArray[np.int64]  # (U,): price class
    interests: NDArray[np.int64]  # (U,): at a time
    favourites: NDArray[np.int64]  # (U,): of an interest
    chain: NDArray[np.float64]  # (U,): how often the next step is taken
    loyal: NDArray[np.float64]  # (U,): how often it is a favourite
    visit: NDArray[np.float64]  # (U,): mean events of a visit
    cart: NDArray[np.float64]  # (U,): how often a view becomes a cart
    tastes: NDArray[np.int64]  # (U, T): segments in the order in which they become interests, -1 at the end


def draw_counts(options: Options) -> NDArray[np.int64]:
    """Events of each customer: a long tail, and exactly as many as asked for."""
    u = uniforms(options.seed, Kind.CUSTOMER, 0, options.users, 2)
    activity = np.exp(0.45 * normals(u[:, 0], u[:, 1]))
    least = min(FEWEST_EVENTS, options.events // options.users)
    exact = (options.events - least * options.users) * (activity / activity.sum())
    count = np.floor(exact).astype(np.int64)
    short = options.events - least * options.users - int(count.sum())
    count[np.argsort(count - exact, kind="stable")[:short]] += 1
    return count + least


def draw_habits(options: Options, market: Market, counts: NDArray[np.int64], first: int, last: int) -> Habits:
    u = uniforms(options.seed, Kind.CUSTOMER, first, last, 12)[:, 2:]
    segments = len(market.start) - 1
    t = uniforms(options.seed, Kind.TASTE, first, last, segments)
    styles = np.arange(segments) % len(STYLES)
    favoured = (u[:, 8] * len(STYLES)).astype(np.int64), (u[:, 9] * len(STYLES)).astype(np.int64)
    fans = np.array(
        [THEME_FANS[THEMES[g // len(STYLES)]] + STYLE_FANS[STYLES[g % len(STYLES)]] for g in range(segments)]
    )
    liking = fans - np.log(-np.log(np.maximum(t, 1e-300))) + sum(1.0 * (styles == f[:, None]) for f in favoured)
    liking[:, np.diff(market.start) == 0] = -np.inf
    tastes = np.full((last - first, 2 * options.interests + 4), -1)  # of a life, most of them one after another
    order = np.argsort(-liking, axis=1, kind="stable")[:, : tastes.shape[1]]
    tastes[:, : order.shape[1]] = np.where(np.isfinite(np.take_along_axis(liking, order, 1)), order, -1)
    count = counts[first:last]
    return Habits(
        first=first,
        events=count,
        tests=test_events(count),
        arrival=np.where(u[:, 0] < 0.5, 0.0, (u[:, 0] - 0.5) * 1.6),
        purse=choose(u[:, 1], np.array([0.4, 0.4, 0.2])).astype(np.int64),
        interests=np.minimum(options.interests + (u[:, 2] * 4).astype(np.int64), (tastes >= 0).sum(1)).astype(np.int64),
        favourites=(4 + u[:, 3] * 3).astype(np.int64),
        chain=0.31 + 0.07 * u[:, 4],
        loyal=0.5 + 0.1 * u[:, 5],  # together below 1: the rest is what sells
        visit=5.0 + 4.0 * u[:, 6],
        cart=0.06 + 0.12 * u[:, 7],
        tastes=tastes,
    )


class Drawn(NamedTuple):
    """Events of some customers, one after another; E events, T test events."""

    item: NDArray[np.int32]  # (E,): row in the catalogue
    time: NDArray[np.int64]  # (E,): seconds since the shop opened
    action: NDArray[np.int8]  # (E,)
    truth: NDArray[np.float32]  # (T, FIGURES)


def draw_events(options: Options, market: Market, habits: Habits) -> Drawn:
    events, tests = int(habits.events.sum()), int(habits.tests.sum())
    drawn = Drawn(
        item=np.empty(events, np.int32),
        time=np.empty(events, np.int64),
        action=np.empty(events, np.int8),
        truth=np.empty((tests, FIGURES), np.float32),
    )
    _live(np.uint64(options.seed), int(Kind.VISIT), int(Kind.EVENT), market, habits, options.rest, drawn)
    return drawn


@loop
def _live(seed, visits, events, market, habits, rest, drawn):  # type: ignore[no-untyped-def]
    """All customers of `habits`, one after another; fills `drawn`."""
    longest = 0
    for count in habits.events:
        longest = max(longest, count)
    begins, length = np.empty(longest, np.int64), np.empty(longest, np.int64)
    scratch = (
        np.zeros(len(market.item)),
        np.empty(16 * (2 + habits.interests.max()), np.int64),
        np.zeros(len(market.start) - 1),
    )
    at, tested = np.int64(0), np.int64(0)  # a bare 0 would be a type of its own, and compile all of it twice
    for u in range(len(habits.events)):
        row = habits.first + u
        count = _visits(stream(seed, visits, row), habits.events[u], habits.visit[u], habits.arrival[u], begins, length)
        _history(
            stream(seed, events, row), market, habits, rest, u, begins[:count], length[:count], drawn, at, tested,
            scratch,
        )  # fmt: skip
        at += habits.events[u]
        tested += habits.tests[u]


@inner
def _visits(key, events, mean, arrival, begins, length):  # type: ignore[no-untyped-def]
    """When the customer comes and for how many events; returns the number of visits."""
    left, count, clock, draw = events, 0, 0.0, 0
    gaps = np.empty(events)
    while left > 0:
        length[count] = min(1 + int(np.log1p(-uniform(key, draw)) / np.log1p(-1.0 / mean)), left)
        clock -= np.log1p(-uniform(key, draw + 1)) * (0.2 + 1.6 * uniform(key, draw + 2))
        gaps[count] = clock
        left -= length[count]
        count += 1
        draw += 3
    clock -= np.log1p(-uniform(key, draw))  # the time since the last visit
    begin = arrival * MONTHS * MONTH
    free = 0
    for v in range(count):
        moment = int(begin + gaps[v] / clock * (MONTHS * MONTH - begin))
        hour = 7.0 + 8.0 * (uniform(key, draw + 1) + uniform(key, draw + 2))  # mostly the afternoon and the evening
        begins[v] = max(moment // 86400 * 86400 + int(hour * 3600), free)
        free = begins[v] + length[v] * 60 + 1800
        draw += 2
    return count


@inner
def _history(key, market, habits, rest, u, begins, length, drawn, at, tested, scratch):  # type: ignore[no-untyped-def]
    """One customer's events, from `at` on, and the truth about the last of them, from `tested` on."""
    interests, purse, taste = habits.interests[u], habits.purse[u], habits.interests[u]
    segment = habits.tastes[u, :interests].copy()
    weight, chance = np.empty(interests), np.empty(interests)
    last, seen = np.full(interests, -1), np.full(interests, -100)  # item of an interest, its visit
    favourite, favourite_seen = np.full((interests, MOST_FAVOURITES), -1), np.full((interests, MOST_FAVOURITES), -1)
    item, share = np.empty(16, np.int64), np.empty(16)
    steps = market.follower, market.follows, market.arrived, market.tier, market.affordable[purse]
    here, did, side, nothing = np.int64(-1), np.int64(0), np.int64(-1), np.int64(-1)
    draw, z, main, end = np.int64(0), nothing, nothing, at + habits.events[u]
    for k in range(interests):
        weight[k] = (k + 1.0) ** -0.5
        draw = _favourites(key, draw, market, segment[k], begins[0], purse, favourite[k], 0, habits.favourites[u])

    for visit in range(len(begins)):
        time = begins[visit]
        for step in range(length[visit]):
            month = min(time // MONTH, MONTHS - 1)
            sales = market.limits[month, purse]
            current, again = nothing, 0.0
            if step == 0:
                _interest_chances(market.season[month], segment, weight, seen, visit, rest, main, chance)
            else:
                for k in range(interests):
                    chance[k] = 0.0
                turn = 0.0 if side < 0 else (ASIDE if z == main else BACK)
                chance[z] = 1.0 - turn
                if side >= 0:
                    chance[side if z == main else main] = turn
                current = here
                again = _again(habits.cart[u], market.affordable[purse, market.tier[here]], favourite[z], here, did)
            action, outside = np.int64(0), False
            before = z
            z = _walk(chance, uniform(key, draw))
            if step == 0:
                side = main if z != main else side
                main = z
            if uniform(key, draw + 1) < again:
                z = before
                chosen, action = current, did + 1
            elif uniform(key, draw + 2) < IMPULSE:
                g = _walk(market.season[month], uniform(key, draw + 3))
                chosen, outside = _sale(sales, market.start[g], market.start[g + 1], uniform(key, draw + 4)), True
            else:
                count, _ = _plan(
                    steps, month, last[z], favourite[z], favourite_seen[z], visit, current,
                    habits.chain[u], habits.loyal[u], item, share,
                )  # fmt: skip
                place = _walk_or_rest(share, count, uniform(key, draw + 3))
                chosen = (
                    item[place]
                    if place >= 0
                    else _sale(sales, market.start[segment[z]], market.start[segment[z] + 1], uniform(key, draw + 4))
                )
            if at >= end - habits.tests[u]:
                _tell(
                    steps, market.season[month], sales, market.top[month, purse], market.start, market.segment,
                    habits.chain[u], habits.loyal[u], month, chance, again, current, chosen,
                    segment, last, favourite, favourite_seen, visit, item, share, drawn.truth[tested], scratch,
                )  # fmt: skip
                tested += 1
            if not outside and (action == 0):
                last[z] = chosen
                for f in range(MOST_FAVOURITES):
                    if favourite[z, f] == chosen:
                        favourite_seen[z, f] = visit
            drawn.item[at], drawn.time[at], drawn.action[at] = market.item[chosen], time, action
            here, did = chosen, action
            time += 5 + int(-40.0 * np.log1p(-uniform(key, draw + 5)))
            draw += 6
            at += 1

            seen[z] = visit

        weight[main] = min(max(weight[main] * np.exp(0.5 * (uniform(key, draw) - 0.5)), 0.2), 2.0)
        if uniform(key, draw + 1) < NEW_FAVOURITE:
            slot = int(uniform(key, draw + 2) * habits.favourites[u])
            draw = _favourites(key, draw + 4, market, segment[main], time, purse, favourite[main], slot, slot + 1)
        elif (
            uniform(key, draw + 1) > 1 - NEW_INTEREST
            and taste < habits.tastes.shape[1]
            and habits.tastes[u, taste] >= 0
        ):
            k = int(np.argmin(weight))
            segment[k], weight[k], last[k], seen[k] = habits.tastes[u, taste], 1.0, -1, -100
            for f in range(MOST_FAVOURITES):
                favourite[k, f], favourite_seen[k, f] = -1, -1
            draw = _favourites(key, draw + 4, market, segment[k], time, purse, favourite[k], 0, habits.favourites[u])
            taste += 1
        draw += 4


@inner
def _favourites(key, draw, market, g, time, purse, favourites, first, last):  # type: ignore[no-untyped-def]
    """Fill slots with what the customer takes to, each once; returns the next draw's number.

    Some of it is what sells, more may be anything that is sold, so that favourites are the customer's own; and mostly
    it is of the brand that the customer already likes.
    """
    month = min(time // MONTH, MONTHS - 1)
    start, size = market.start[g], market.start[g + 1] - market.start[g]
    sales = market.limits[month, purse]
    for f in range(first, last):
        favourites[f] = -1
        liked = favourites[0] if f > 0 else favourites[1]
        loyal = liked >= 0 and uniform(key, draw) < OF_ONE_BRAND
        draw += 1
        for attempt in range(12):
            j = _sale(sales, start, start + size, uniform(key, draw + 1))
            if uniform(key, draw) < OF_ANY_SALES:
                j = start + int(uniform(key, draw + 1) * size)
            draw += 2
            fits = not loyal or attempt > 8 or market.brand[j] == market.brand[liked]
            if fits and market.arrived[j] <= month and not _holds(favourites, j):
                favourites[f] = j
                break
    return draw


@inner
def _interest_chances(season, segment, weight, seen, visit, rest, before, chance):  # type: ignore[no-untyped-def]
    """Which interest a visit is about: the last one again, or one that is liked, in season, and has rested."""
    total = 0.0
    for k in range(len(segment)):
        rested = (1.0 - np.exp(-(visit - seen[k] - 0.9) / rest)) ** 2
        chance[k] = weight[k] * rested * season[segment[k]]
        total += chance[k]
    go_on = GO_ON if before >= 0 else 0.0
    for k in range(len(segment)):
        chance[k] *= (1.0 - go_on) / total
    if before >= 0:
        chance[before] += go_on


@inner
def _again(cart, affordable, favourites, here, did):  # type: ignore[no-untyped-def]
    """How likely the item just looked at is put into the cart, or the one in the cart bought."""
    if did == 2:
        return 0.0
    wanted = 1.5 if _holds(favourites, here) else 1.0
    return (0.5 if did == 1 else cart) * wanted * (0.5 + 0.5 * affordable)


@inner
def _plan(steps, month, last, favourites, seen, visit, current, chain, loyal, item, share):  # type: ignore[no-untyped-def]
    """The few items that an event within an interest is likely about; returns how many, and the pool's share."""
    follower, follows, arrived, tier, affordable = steps
    count, total, rest = 0, 0.0, 1.0 - chain - loyal
    if last >= 0:
        for s in range(len(follows)):
            j = follower[last, s]
            if j >= 0 and arrived[j] <= month:
                item[count], share[count] = j, follows[s] * affordable[tier[j]]
                total += share[count]
                count += 1
    for s in range(count):
        share[s] *= chain / total
    if count == 0:
        rest += chain
    followers, total = count, 0.0
    for f in range(len(favourites)):
        if favourites[f] >= 0 and favourites[f] != current:
            item[count], share[count] = favourites[f], (f + 1.0) ** -0.4
            if seen[f] == visit:
                share[count] *= FAVOURITE_AGAIN
            total += share[count]
            count += 1
    for s in range(followers, count):
        share[s] *= loyal / total
    if followers == count:
        rest += loyal
    return count, rest


@inner
def _tell(  # type: ignore[no-untyped-def]
    steps, season, sales, top, start, segments, chain, loyal, month, chance, again, current, chosen,
    segment, last, favourite, seen, visit, item, share, figures, scratch,
):  # fmt: skip
    """The truth about one event: gathers each item's probability before it happens, and asks for the hit rates."""
    certain, touched, pools = scratch
    count = 0
    if again > 0.0:
        count = add(certain, touched, count, current, again)
    for g in range(len(pools)):
        pools[g] = (1.0 - again) * IMPULSE * season[g]
    for k in range(len(segment)):
        if chance[k] > 0.0:
            share_of_k = (1.0 - again) * (1.0 - IMPULSE) * chance[k]
            few, rest = _plan(
                steps, month, last[k], favourite[k], seen[k], visit, current, chain, loyal, item, share,
            )  # fmt: skip
            for s in range(few):
                count = add(certain, touched, count, item[s], share_of_k * share[s])
            pools[segment[k]] += share_of_k * rest
    expected_hits(sales, top, start, segments, certain, touched[:count], pools, chosen, figures)
    for s in range(count):
        certain[touched[s]] = 0.0


@inner
def _holds(items, item):  # type: ignore[no-untyped-def]
    for one in items:  # noqa: SIM110  (what numba compiles in a tenth of the time)
        if one == item:
            return True
    return False


@inner
def _walk(weights, u):  # type: ignore[no-untyped-def]
    """The place at which the weights, which sum to 1, have passed u."""
    place, passed, found = 0, 0.0, 0
    for place in range(len(weights)):
        if weights[place] > 0.0:
            found = place
            passed += weights[place]
            if u < passed:
                break
    return found


@inner
def _walk_or_rest(share, count, u):  # type: ignore[no-untyped-def]
    passed = 0.0
    for place in range(count):
        passed += share[place]
        if u < passed:
            return place
    return -1


@inner
def _sale(sales, first, last, u):  # type: ignore[no-untyped-def]
    """What sells, by the distribution function `sales`, in the pool first .. last - 1."""
    low, high = first, last - 1
    while low < high:
        middle = (low + high) // 2
        if sales[middle] > u:
            high = middle
        else:
            low = middle + 1
    return low
