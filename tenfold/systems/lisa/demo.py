"""LISA's part of the report: what it costs, where a customer's attention lies, how codewords are used."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tenfold.budget import Budget
from tenfold.data.events import Events
from tenfold.data.splits import Split, split
from tenfold.html import Section, paragraph, picture, table
from tenfold.systems.lisa.pictures import codeword_use, cost_over_length
from tenfold.systems.lisa.system import LISA

TRAINED = {"preset": "mini", "dim": 64, "training.batch_size": 32, "training.lr": 0.002}
SHOWN = 10  # events of a history that get the most attention


def sections(folder: Path, events: Events, *, quick: bool, tell: Callable[[str], None]) -> list[Section]:
    cut = split(events, "loo")
    budget = Budget(max_epochs=1 if quick else 4, progress="none")
    system = LISA(**TRAINED | {"codebooks.words": 16}).fit(cut, budget=budget)
    tell(f"LISA-Mini with 8 x 16 codewords: {len(system.history['next_item'])} epochs")
    system.save(folder / "fitted" / "LISA")
    return [_cost(quick), _attention(system, cut), _codes(system)]


def _cost(quick: bool) -> Section:
    lengths = (256, 512, 1024) if quick else (512, 1024, 2048, 4096, 8192)
    figure, times = cost_over_length(lengths)
    said = (
        "LISA replaces an event by eight codewords and a history by their counts, so that its attention takes time in "
        f"proportion to the history. At {lengths[-1]:,} events it took 1/{times:.0f} of the time of torch's fused "
        "softmax attention, measured now: batch 1, width 64, forward."
    )
    return Section("LISA: attention in linear time", paragraph(said) + picture(figure, "time and memory over length"))


def _attention(system: LISA, cut: Split) -> Section:
    """The user with the longest history: which of their events the next one is told from."""
    events, queries = cut.events, cut.queries("test")
    lengths = queries.position - events.offsets[queries.user]
    query = int(np.argmax(lengths))
    user, position = int(queries.user[query]), int(queries.position[query])
    numbers = events.items[events.offsets[user] : position]
    share = system.attention_to(events.catalogue.ids(numbers))
    rows = []
    for place in np.argsort(-share)[:SHOWN]:
        rows.append([events.title(int(numbers[place])), f"{len(numbers) - place:,}", f"{share[place]:.1%}"])
    (name,) = events.users.ids([user + 1])
    said = (
        f"{name} has {len(numbers):,} events. All of them are in the {4 * system.state_size} bytes that are kept of a "
        f"user; these get the most attention at the end, over all codebooks. Their share is "
        f"{np.sort(share)[::-1][:SHOWN].sum():.0%}; an event fades by lambda = "
        f"{system.options.attention.decay} with each one after it."
    )
    return Section(
        "LISA: where a customer's attention lies", paragraph(said) + table(["event", "events ago", "share"], rows)
    )


def _codes(system: LISA) -> Section:
    shared, items = system.collided(), system.sizes["items"]
    said = (
        "How many items have each codeword of the histories' codebooks; beside each book, as how many evenly used "
        f"codewords it counts. {shared:,} of {items:,} items share all their "
        "target codes with another, and then the more popular comes first."
    )
    drawn = picture(codeword_use(system), "share of the items of each codeword, by codebook")
    return Section("LISA: codewords", paragraph(said) + drawn)
