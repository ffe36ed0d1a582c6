"""LimaRec's part of the report: fitted on the shop, a customer followed event by event, and what that costs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tenfold.budget import Budget
from tenfold.data.events import Events
from tenfold.data.splits import split
from tenfold.report import Section, paragraph, picture, table
from tenfold.systems.limarec.pictures import cost_over_length, interests_over_time
from tenfold.systems.limarec.system import LimaRec
from tenfold.tasks.next_item.baselines.sasrec import SASRec

TRAINED = {"dim": 64, "interests": 4, "training.batch_size": 32, "training.lr": 0.003}
SHOWN = 80  # events in the picture
BEST = 3  # titles of an interest


def sections(folder: Path, events: Events, *, quick: bool, tell: Callable[[str], None]) -> list[Section]:
    cut = split(events, "loo")
    budget = Budget(max_epochs=1 if quick else 6, max_seconds=12, progress="none")
    system = LimaRec(**TRAINED).fit(cut, budget=budget)
    tell(f"LimaRec: {len(system.history['next_item'])} epochs, NDCG@10 {system.evaluate(cut)['ndcg@10']:.3f}")
    system.save(folder / "fitted" / "LimaRec")
    return [_followed(system, events, folder), _cost(system, quick)]


def _followed(system: LimaRec, events: Events, folder: Path) -> Section:
    """The customer with the most events, sent one after another to a session over states on the disk."""
    user = int(np.argmax(np.diff(events.offsets)))
    numbers = events.items[events.offsets[user] : events.offsets[user + 1]]
    items, (name,) = events.catalogue.ids(numbers), events.users.ids([user + 1])
    shutil.rmtree(folder / "states", ignore_errors=True)  # an earlier demo's, of another model
    with system.open(folder / "states") as session:
        session.update_many([name] * len(items), items, ids=[f"{name}-{place}" for place in range(len(items))])
        again = session.update_many([name], items[-1:], ids=[f"{name}-{len(items) - 1}"])
        answers = session.recommend(name, k=10, explain=True)
        size = session.states([name]).itemsize
    rows = []
    for number, vector in enumerate(system.interests(items)):
        best = np.argsort(-(system.network.item.weight.detach().numpy()[1:] @ vector))[:BEST] + 1
        found = 0 if answers.interests is None else int((answers.interests == number).sum())
        rows.append([f"{number + 1}", "; ".join(events.title(int(item)) for item in best), f"{found}"])
    share = system.weights(items)[:, -SHOWN:]
    said = (
        f"{name} has {len(items):,} events. Each was sent to the state once, and the last one again, with the same id: "
        f"it was taken for what it is ({again.repeated} repeated). What is kept of this customer has {size:,} bytes, "
        f"as of everybody. {system.options.interests} interests are read from it; what each would recommend first, and "
        "how many of the ten recommendations it gave:"
    )
    under = f"What share of each interest each of the last {share.shape[1]} events has, by category."
    drawn = picture(interests_over_time(share, _kinds(events, numbers[-SHOWN:])), "an event's share in each interest")
    titles = table(["interest", "finds first", "of the ten"], rows)
    return Section("LimaRec: one customer, event by event", paragraph(said) + titles + paragraph(under) + drawn)


def _kinds(events: Events, numbers: np.ndarray) -> list[str]:
    if events.attributes is None or "category" not in events.attributes.columns:
        return ["item"] * len(numbers)
    column = events.attributes["category"]
    return [str(column[int(number) - 1]) for number in numbers]


def _cost(system: LimaRec, quick: bool) -> Section:
    lengths = (100, 400, 1_600) if quick else (100, 400, 1_600, 6_400)
    rival = SASRec(**{"training.length": max(lengths)})
    rival.sizes = system.sizes
    figure, times = cost_over_length(system, rival.build().eval(), lengths)
    said = (
        "A state is moved on by one event at the same cost, however much came before. At "
        f"{lengths[-1]:,} events a SASRec of two blocks that reads the history again took {times:.0f} times as long, "
        "measured now."
    )
    return Section("LimaRec: what an event costs", paragraph(said) + picture(figure, "milliseconds over length"))
