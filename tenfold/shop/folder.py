"""A shop on disk: tables in Parquet and JSON Lines, shop.json with what was drawn, a README and a page made from it.

shop.json is written last and removed first: a folder that has one holds a whole shop.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tenfold.errors import DataError, OutputError
from tenfold.files import check_writable, digest, write_whole
from tenfold.shop.catalog import MONTHS, START
from tenfold.shop.meetings import measure
from tenfold.shop.pictures.table import material_known
from tenfold.shop.sheet import contact_sheet
from tenfold.shop.simulation import bar, pool_of
from tenfold.shop.splits import SPLITS
from tenfold.shop.tables import TABLES, Table, draw_with_digests
from tenfold.shop.traits import ACTIONS
from tenfold.shop.truth import AT, RULES, test_events
from tenfold.shop.writers import Write, files, lines, parquet
from tenfold.version import VERSION

if TYPE_CHECKING:
    from tenfold.shop.shop import Shop

SHOP_VERSION = 2  # of the values: another number whenever the same options draw something else
MANIFEST = "shop.json"
LINES = ("texts", "questions")  # tables that people have as JSON Lines
CORE = ("catalog.parquet", "events.parquet", "truth.parquet", "README.md", "index.html", MANIFEST)
NAMES = (*CORE, *(f"{name}{ending}" for name in TABLES for ending in (".parquet", ".jsonl", "")))
ROWS = 1_000_000  # of events turned into words at a time

Facts = dict[str, Any]


@dataclass(frozen=True)
class Info:
    """What a folder holds; printed, it is a page for a person."""

    folder: Path
    facts: Facts  # as in shop.json

    def __str__(self) -> str:
        facts = self.facts
        sizes = ", ".join(f"{name} {size / 1e6:,.3g} MB" for name, size in facts["files"].items())
        return "\n".join([f"shop in {self.folder}: {sizes}", "", *_summary(facts), "", *_learnable(facts)])


def info(folder: str | Path) -> Info:
    """What was drawn into a folder. Raises DataError."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; name one that `tenfold shop new` has written")
    facts = _read_manifest(folder)
    if facts is None:
        raise DataError(f"{folder} holds no whole shop: it has no {MANIFEST}, which is written last; draw it again")
    for name, size in facts["files"].items():
        found = _size(folder / name) if (folder / name).exists() else None
        if found != size:
            what = "is missing" if found is None else f"has {found} bytes"
            raise DataError(f"{folder / name} {what}, where {MANIFEST} says {size} bytes; draw the shop again")
    return Info(folder, facts)


def write_folder(shop: Shop, folder: Path, *, force: bool, names: Sequence[str], folders: bool) -> Info:
    """Draw a shop and write it. What was written goes away again if the writing stops. Raises OutputError."""
    made = not folder.exists()
    _refuse(shop, folder, force)
    check_writable(folder)
    written: list[Path] = []
    try:
        facts = _facts(shop)  # draws all events: Ctrl-C up to here has changed nothing
        _clear(folder)
        for name, table in (("catalog.parquet", shop.catalog()), ("truth.parquet", shop.truth())):
            written.append(folder / name)
            with parquet(folder / name) as write:
                write(table)
        written.append(folder / "events.parquet")
        with parquet(folder / "events.parquet") as write:
            for rows in _event_rows(shop):
                write(rows)
        samples = _write_all(shop, folder, names, folders, facts, written)
        facts["files"] = {path.name: _size(path) for path in written}
        written += [folder / name for name in ("README.md", "index.html", MANIFEST)]
        write_whole(folder / "README.md", _readme(facts).encode())
        write_whole(folder / "index.html", contact_sheet(shop, samples, _summary(facts)).encode())
        write_whole(folder / MANIFEST, json.dumps(facts, indent=1).encode())
    except BaseException:
        for path in written:
            _remove(path)
        if made:
            with suppress(OSError):  # somebody else may have put something there meanwhile
                folder.rmdir()
        raise
    return Info(folder, facts)


def _write_all(
    shop: Shop, folder: Path, names: Sequence[str], folders: bool, facts: Facts, written: list[Path]
) -> dict[str, pl.DataFrame]:
    """The tables beside the events, each with its facts; the first rows of each come back, for the page."""
    samples: dict[str, pl.DataFrame] = {}
    total, done = sum(getattr(shop.options, name) for name in names if name != "meetings"), 0
    shown = sys.stderr.isatty() if shop.progress is None else shop.progress
    what = f"{total:,} pictures, texts and questions"
    with pool_of(shop.processes if total else 1) as pool, bar(what, total, shown=shown and total > 0) as tell:
        for name in names:
            digests, splits = list[str](), Counter[str]()
            path, writer = _home(folder, TABLES[name], folders)
            with writer as write:
                written.append(path)
                for rows, stands_for in draw_with_digests(TABLES[name], shop.options, pool):
                    write(rows)
                    samples.setdefault(name, rows)
                    digests.append(stands_for)
                    splits.update(rows["split"])
                    done += len(rows)
                    tell(done)
            facts["tables"][name] = {"rows": splits.total(), "splits": {split: splits[split] for split in SPLITS}}
            facts["digests"][name] = digest(*(each.encode() for each in digests))
    if "pictures" in names:
        facts["tables"]["pictures"]["material_known"] = round(material_known(shop.options), 4)
    if "meetings" in names:
        facts["tables"]["meetings"]["reciprocal_rank"] = measure(shop.options)
    return samples


def _home(folder: Path, table: Table, folders: bool) -> tuple[Path, AbstractContextManager[Write]]:
    """Where a table goes, and what writes it there."""
    if table.name in LINES:
        path = folder / f"{table.name}.jsonl"
        return path, lines(path)
    if folders and table.pictures:
        return folder / table.name, files(folder / table.name, table.pictures)
    path = folder / f"{table.name}.parquet"
    return path, parquet(path)


def _clear(folder: Path) -> None:
    """Away with an older shop's files, its manifest first; a folder that no manifest names is somebody else's."""
    facts = None
    with suppress(DataError):
        facts = _read_manifest(folder)
    ours = facts["files"] if facts else {}
    for name in (MANIFEST, *NAMES):
        if not (folder / name).is_dir() or name in ours:
            _remove(folder / name)


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.iterdir()) if path.is_dir() else path.stat().st_size


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _refuse(shop: Shop, folder: Path, force: bool) -> None:
    """A folder may be new, empty, or hold this very shop."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, and a shop is a folder; name another")
    if force or not folder.exists() or not any(folder.iterdir()):
        return
    try:
        facts = _read_manifest(folder)
    except DataError:
        facts = None
    if facts is None:
        raise OutputError(
            f"{folder} is not empty; name another folder, or write into it all the same (force=True, --force)"
        )
    others = sorted(path.name for path in folder.iterdir() if path.name not in NAMES)
    if (facts["shop"], facts["options"]) != (SHOP_VERSION, asdict(shop.options)) or others:
        what = ", ".join(f"{name} {value}" for name, value in facts["options"].items())
        beside = f" and also {others[0]}" if others else ""
        raise OutputError(
            f"{folder} holds another shop ({what}){beside}; name another folder, or replace it (force=True, --force)"
        )


def _read_manifest(folder: Path) -> Facts | None:
    """shop.json, or None where there is none. Raises DataError."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_bytes())
        asked = facts["shop"], facts["options"], facts["files"], facts["drawn"], facts["learnable"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(f"{path} is not what a shop writes ({error!r}); draw the shop again") from None
    if not all(isinstance(part, dict) for part in asked[1:]):
        raise DataError(f"{path} is not what a shop writes; draw the shop again")
    return facts


def _facts(shop: Shop) -> Facts:
    """What was drawn, in numbers."""
    drawn, counts, catalog = shop.drawn, shop.ground.counts, shop.ground.catalog
    sold = np.sort(np.bincount(drawn.item, minlength=len(catalog)))[::-1]
    actions = np.bincount(drawn.action, minlength=len(ACTIONS))
    return {
        "shop": SHOP_VERSION,
        "tenfold": VERSION,
        "options": asdict(shop.options),
        "drawn": {
            "events": dict(zip(ACTIONS, actions.tolist(), strict=True)),
            "categories": len(np.unique(catalog.category)),
            "brands": len(np.unique(catalog.brand)),
            "months": MONTHS,
            "from": START.isoformat(),
            "until": shop.moments(drawn.time.max(keepdims=True)).item().isoformat(timespec="seconds"),
            "events_of_a_user": {name: int(np.quantile(counts, q)) for name, q in _QUANTILES.items()},
            "share_of_the_top_tenth": round(float(sold[: -(-len(sold) // 10)].sum() / sold.sum()), 4),
            "items_never_seen": int((sold == 0).sum()),
            "test_events": int(test_events(counts).sum()),
        },
        "learnable": {
            split: {"oracle": truth.oracle, "expected": truth.expected, **truth.rules, "gap_at_10": truth.gap()}
            for split, truth in shop.learnable.items()
        },
        "digests": shop.digests(),
        "tables": {},
    }


_QUANTILES = {"least": 0, "median": 0.5, "most": 1}


def _event_rows(shop: Shop) -> Iterator[pl.DataFrame]:
    """The events as a file has them, some customers at a time."""
    ends = shop.ground.counts.cumsum()
    first = 0
    while first < len(ends):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + ROWS, side="right")))
        yield shop.event_rows(first, last)
        first = last


def _summary(facts: Facts) -> list[str]:
    options, drawn = facts["options"], facts["drawn"]
    of_a_user = drawn["events_of_a_user"]
    return [
        f"seed {options['seed']}, version {facts['shop']} of the shop, drawn by tenfold {facts['tenfold']}",
        f"{options['items']:,} items of {drawn['categories']} categories and {drawn['brands']} brands; "
        f"the most seen tenth has {drawn['share_of_the_top_tenth']:.0%} of the events, "
        f"{drawn['items_never_seen']:,} items have none",
        f"{options['users']:,} users with {of_a_user['least']:,} to {of_a_user['most']:,} events, "
        f"half of them {of_a_user['median']:,} or more",
        *(
            [", ".join(f"{table['rows']:,} {name}" for name, table in facts["tables"].items())]
            if facts["tables"]
            else []
        ),
        f"{options['events']:,} events from {drawn['from'][:10]} to {drawn['until'][:10]}: "
        + ", ".join(f"{count:,} {action}" for action, count in drawn["events"].items()),
    ]


def _learnable(facts: Facts) -> list[str]:
    """Who hits how often, as a table in Markdown, which is readable as it stands."""
    lines = ["| hit rate | " + " | ".join(f"{split} @{k}" for split in facts["learnable"] for k in AT) + " |"]
    lines.append("|---|" + "---|" * (len(AT) * len(facts["learnable"])))
    for who in (*RULES, "oracle"):
        hits = [f"{hit:.3f}" for split in facts["learnable"].values() for hit in split[who]]
        lines.append(f"| {who} | " + " | ".join(hits) + " |")
    return lines


README = """# A shop

{summary}

Nothing in it is real: catalogue, pictures, texts, customers and events were drawn by the simulator of tenfold, and the
same seed and sizes give the same values. A tenth of the items is for tests, a tenth for validation, and so is what was
drawn from them: no picture, text or scene of a test item is in training. Questions go by customer, meetings by time.

## Files

- `events.parquet`: user, item, time, event (view, cart or buy); customer by customer, each in the order of time.
- `catalog.parquet`: item, title and what it is: category, theme, colour, pattern, material, brand, style, cut,
  season, price, the day from which on it was sold, and the split of all that is drawn from it.
- `truth.parquet`: {rows:,} rows, one for each of the last tenth of a customer's events (at least the last): its place
  in the customer's history, from 0; the probability that it had; whether the oracle's 1, 10 or 20 likeliest items held
  it (`hit_`), and how likely that was (`expected_`).
{tables}- `index.html`: some of all this to look at.
- `shop.json`: the options, these figures, and digests of the tables' values.

      tenfold compare events.parquet --items catalog.parquet --arm popularity --arm repeat-last --arm sasrec

## What can be learned

`loo` asks for each customer's last event, `stream` for each of the last tenth, averaged within customers and then over
them (customers with fewer than three or ten events are left out); the whole catalogue is ranked, what was seen before
included.

{learnable}

The oracle knows the customer: the interests, what is liked in each and where each was left, the season, the purse, and
that a visit begins. It does not know the dice. A learner sees only the histories and stays below it. The rules rank by
popularity what they tie. Three things can be learned: what follows an item (the same for everybody: after the tent the
sleeping bag, alike in colour, pattern and brand), what each customer comes back to within an interest (known from
visits that may lie long ago), and what sells in a season to a purse.
"""


def _of_table(name: str, table: Facts, facts: Facts) -> str:
    file = next(file for file in facts["files"] if file.partition(".")[0] == name)
    splits = ", ".join(f"{count:,} {split}" for split, count in table["splits"].items())
    ranks = ", ".join(f"{rule} {rank:.3f}" for rule, rank in table.get("reciprocal_rank", {}).items())
    known = table.get("material_known")
    found = f" Who knows which look alike names the material of {known:.1%} of the test items." if known else ""
    found += f" Mean reciprocal rank of simple rules on the test: {ranks}." if ranks else ""
    words = f"- `{file}`: {TABLES[name].about}{found} {table['rows']:,} rows: {splits}."
    return textwrap.fill(words, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) + "\n"


def _readme(facts: Facts) -> str:
    return README.format(
        summary="\n".join(f"- {line}" for line in _summary(facts)),
        rows=facts["drawn"]["test_events"],
        tables="".join(_of_table(name, table, facts) for name, table in facts["tables"].items()),
        learnable="\n".join(_learnable(facts)),
    )
