"""The shop as a caller sees it: drawn when it is asked for, as frames or as a folder of files."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tenfold.errors import OptionError, nearest
from tenfold.files import digest
from tenfold.options import parse
from tenfold.shop.catalog import MONTH, MONTHS, START, Numbers, item_ids, pick, user_ids
from tenfold.shop.customers import Drawn, Habits, draw_habits
from tenfold.shop.folder import Info, write_folder
from tenfold.shop.options import Options
from tenfold.shop.simulation import Ground, draw, ground, pool_of
from tenfold.shop.tables import TABLES, draw_table
from tenfold.shop.traits import ACTIONS, PRICE_CLASSES, STYLES, THEMES
from tenfold.shop.truth import AT, Truth, measure, test_events


class Shop:
    """A marketplace drawn from a seed: a catalogue, customers, their events, and what could be known about them."""

    def __init__(
        self, options: Options | None = None, *, processes: int = 1, progress: bool | None = None, **values: Any
    ) -> None:
        """Options, or their values by name (seed, items, users, events, categories). Raises OptionError.

        The values drawn do not depend on `processes`; progress is shown for big shops, or as told.
        """
        if options is not None and values:
            raise OptionError(f"the shop got options and {', '.join(values)} beside them; give one or the other")
        if processes < 1:
            raise OptionError(f"a shop cannot be drawn by {processes} processes; give 1 or more")
        self.options = options if options is not None else parse(Options, values)
        self.options.check()
        self.processes, self.progress = processes, progress

    def catalog(self) -> pl.DataFrame:
        """item, title, category, theme, colour, pattern, material, brand, style, cut, season, price, arrived, split."""
        return self.ground.catalog.frame()

    def events(self) -> pl.DataFrame:
        """user, item, time, event (view, cart or buy), customer by customer, each in the order of time."""
        return self.event_rows(0, self.options.users)

    def truth(self) -> pl.DataFrame:
        """What the oracle knew of each test event: a row for each of the last events of a customer.

        position counts a customer's events from 0; `last` marks the test of the split `loo`, and `stream` tests all
        rows of customers with ten events or more. hit_k: whether the oracle's k likeliest items hold the event's (1 or
        0; a share where they tie); expected_k: how likely it was that they would.
        """
        counts, tests = self.ground.counts, test_events(self.ground.counts)
        owner = np.repeat(np.arange(len(counts)), tests)
        behind = np.repeat(tests.cumsum(), tests) - np.arange(tests.sum())  # 1 for a customer's last event
        names = ["probability", *(f"hit_{k}" for k in AT), *(f"expected_{k}" for k in AT)]
        columns: dict[str, Any] = {
            "user": user_ids(len(counts)).gather(owner),
            "position": counts[owner] - behind,
            "last": behind == 1,
        }
        return pl.DataFrame(columns | dict(zip(names, self.drawn.truth.T, strict=True)))

    def customers(self) -> pl.DataFrame:
        """The traits of each customer, and the interests with which they begin, as themes in styles."""
        habits = self.habits
        names = np.array([f"{style} {theme}" for theme in THEMES for style in STYLES], object)
        interests = [names[row[:count]].tolist() for row, count in zip(habits.tastes, habits.interests, strict=True)]
        return pl.DataFrame(
            {
                "user": user_ids(len(habits.events)),
                "arrived": self.moments((habits.arrival * MONTH * MONTHS).astype(np.int64)),
                "purse": pick(PRICE_CLASSES, habits.purse),
                "interests": interests,
                "favourites": habits.favourites,
                "events": habits.events,
            }
        )

    def write(
        self, folder: str | Path, *, force: bool = False, only: Sequence[str] | None = None, folders: bool = False
    ) -> Info:
        """catalog, events and truth, the tables of TABLES (or `only` some), README.md, index.html and, last, shop.json.

        folders: pictures as PNG files in folders, each with its metadata.jsonl, instead of Parquet files. A folder that
        holds something else is refused unless `force`, which replaces the files of these names and leaves others alone.
        Raises OutputError, OptionError.
        """
        names = tuple(TABLES) if only is None else tuple(name for name in TABLES if name in only)
        for name in only or ():
            if name not in TABLES and name != "events":
                raise OptionError(f"the shop has no table '{name}'; {nearest(name, ['events', *TABLES])}")
        return write_folder(self, Path(folder), force=force, names=names, folders=folders)

    def pictures(self) -> pl.DataFrame:
        """picture, item, image and mask (PNG), parts, the view, split; as many rows as the option `pictures`."""
        return self.table("pictures")

    def texts(self) -> pl.DataFrame:
        """text_id, item, style, title, text, table (each cell: said or not, and where), invented, skeleton, split."""
        return self.table("texts")

    def scenes(self) -> pl.DataFrame:
        """scene, pair (of twins), image (PNG), caption, relation, objects with boxes, split."""
        return self.table("scenes")

    def meetings(self) -> pl.DataFrame:
        """user, partner, time, kind (gift or message), split, in the order of time; no rows where one is alone."""
        return self.table("meetings")

    def questions(self) -> pl.DataFrame:
        """question_id, user, position, kind, question, answer, options, asked, evidence, distance, split."""
        return self.table("questions")

    def labels(self) -> pl.DataFrame:
        """label_id, image (PNG, 32 x 32), label, split."""
        return self.table("labels")

    def makes(self) -> pl.DataFrame:
        """make, item, text, reference, kept, given and answer (PNG), controls, wanted, split."""
        return self.table("makes")

    def table(self, name: str) -> pl.DataFrame:
        """A table of TABLES, whole. Raises OptionError."""
        if name not in TABLES:
            raise OptionError(f"the shop has no table '{name}'; {nearest(name, TABLES)}")
        with pool_of(self.processes) as pool:
            return pl.concat(draw_table(TABLES[name], self.options, pool))

    def event_rows(self, first: int, last: int) -> pl.DataFrame:
        """The events of customers first .. last - 1."""
        counts = self.ground.counts
        rows = slice(int(counts[:first].sum()), int(counts[:last].sum()))
        owner = np.repeat(np.arange(first, last), counts[first:last])
        return pl.DataFrame(
            {
                "user": user_ids(last).gather(owner),
                "item": item_ids(self.options.items).gather(self.drawn.item[rows]),
                "time": self.moments(self.drawn.time[rows]),
                "event": pick(ACTIONS, self.drawn.action[rows].astype(np.int64)),
            }
        )

    @staticmethod
    def moments(seconds: Numbers) -> pl.Series:
        opened = pl.Series([START], dtype=pl.Datetime("ms")).cast(pl.Int64).item()
        return pl.Series("time", seconds * 1000 + opened).cast(pl.Datetime("ms"))

    @cached_property
    def learnable(self) -> dict[str, Truth]:
        """For each split, the mean hit rates of the oracle and of the simple rules."""
        counts, drawn = self.ground.counts, self.drawn
        return measure(drawn.item, counts, self.options.items, drawn.truth)

    def digests(self) -> dict[str, str]:
        """What stands for the values of each table, whatever file they are written to."""
        drawn = self.drawn
        return {
            "catalog": digest(self.catalog().write_csv().encode()),
            "events": digest(self.ground.counts.data, drawn.item.data, drawn.time.data, drawn.action.data),
            "truth": digest(np.round(drawn.truth, 4).data),  # a last bit may differ between processors
        }

    @cached_property
    def ground(self) -> Ground:
        return ground(self.options)

    @cached_property
    def habits(self) -> Habits:
        return draw_habits(self.options, self.ground.market, self.ground.counts, 0, self.options.users)

    @cached_property
    def drawn(self) -> Drawn:
        return draw(self.options, processes=self.processes, progress=self.progress)
