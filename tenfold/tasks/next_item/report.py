"""The section of a report that shows what recommenders say to a few users, beside what these chose next."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.html import Section, paragraph, text

if TYPE_CHECKING:
    from tenfold.data.events import Events
    from tenfold.data.splits import Split
    from tenfold.system import System

DETAILS = ("category", "genres", "brand", "colour", "price")  # attributes told beside a title, where an item has them
LATEST = 8  # events of a history that are shown


def histories_section(
    split: "Split",
    systems: "Mapping[str, System]",
    *,
    users: Sequence[int] | None = None,
    k: int = 5,
    exclude_seen: bool = False,
    title: str = "What a few users get",
) -> Section:
    """The ends of some users' histories, what each system recommends to them, and what they did choose next.

    users: rows of the log; without them four of those with a test event are drawn, whatever the systems say to them.
    """
    events = split.events
    queries = split.queries("test")
    first = {
        int(user): int(position) for user, position in zip(queries.user[::-1], queries.position[::-1], strict=True)
    }
    if users is None:
        rng, able = np.random.default_rng(0), np.array(sorted(first))
        users = sorted(rng.choice(able, min(4, len(able)), replace=False).tolist())
        said = "Users drawn at random, whatever the systems say to them."
    else:
        said = "Users that were asked for."
    cards = [_card(events, user, first[user], systems, k, exclude_seen) for user in users]
    left_out = " Items of the history are left out." if exclude_seen else ""
    told = f"{said} Each list is what stood first for the user before the last event was known.{left_out}"
    return Section(title, paragraph(told) + f'<div class="cards">{"".join(cards)}</div>')


def _card(
    events: "Events", user: int, position: int, systems: "Mapping[str, System]", k: int, exclude_seen: bool
) -> str:
    numbers = events.items[events.offsets[user] : position]
    history, target = events.catalogue.ids(numbers[numbers > 0]), int(events.items[position])
    latest = "".join(f"<li>{_item(events, number, times)}</li>" for number, times in _runs(numbers)[-LATEST:])
    columns = []
    for name, system in systems.items():
        verb: Any = system  # the task's systems recommend
        found = verb.recommend(history=history, k=min(k, len(events.catalogue)), exclude_seen=exclude_seen)
        best = events.catalogue.numbers([one.item for one in found])
        rows = (f"<li{_hit(n == target)}>{_item(events, int(n))}</li>" for n in best)
        columns.append(f"<div><h4>{text(name)}</h4><ol>{''.join(rows)}</ol></div>")
    (own,) = events.users.ids([user + 1])
    earlier = f" of {len(numbers):,}"
    return (
        f'<article><h3>{text(own)}</h3><div class="columns"><div><h4>Latest events{earlier}</h4>'
        f'<ul>{latest}</ul><h4>Then came</h4><ul><li class="next">{_item(events, target)}</li></ul></div>'
        f"{''.join(columns)}</div></article>"
    )


def _hit(is_next: bool) -> str:
    return ' class="hit"' if is_next else ""


def _runs(numbers: np.ndarray) -> list[tuple[int, int]]:
    """An item again and again, as viewed and bought, is one line: [4, 4, 7] -> [(4, 2), (7, 1)]."""
    return [(number, len(list(same))) for number, same in itertools.groupby(numbers.tolist())]


def _item(events: "Events", number: int, times: int = 1) -> str:
    """An item by its title, and what else is known of it in small print."""
    if number == 0:
        return "<em>an item that is not known</em>"
    frame, title = events.attributes, events.title(number)
    told = [] if frame is None else [frame[name][number - 1] for name in DETAILS if name in frame.columns]
    plain = (f"{value:g}" if isinstance(value, float) else str(value) for value in told if value is not None)
    news = [value for value in plain if value.lower() not in title.lower()]  # titles often say it all
    small = " · ".join([*news, *([f"{times} times"] if times > 1 else [])])
    return f"{text(title)}{f'<small>{text(small)}</small>' if small else ''}"
