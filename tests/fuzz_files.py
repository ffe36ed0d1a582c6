"""Event logs whose other columns hold whatever people write: rows in are rows out and rows told.

python tests/fuzz_files.py csv|tsv|jsonl|parquet|"raw csv"|"raw tsv"|"raw ;"|"raw |" 100000 [SEED]
"""

import bz2
import gzip
import io
import lzma
import random
import sys
import tempfile
import zipfile
from pathlib import Path

import polars as pl

from tenfold.data.events import read_events
from tenfold.errors import DataError

NOISE = ["plain", 'a "b" c', '"open', 'end"', "two\nlines", "cr\rin", "comma, here", "tab\there", "semi; colon", "a|b",
         "é", "", " ", '""', "#x", "\u2028", "\x85", "\ufeff"]  # fmt: skip
ENDS = ["\n", "\r\n", "\r"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16"]


def zipped(**files):
    """A zip archive of these; a_csv is a.csv."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_csv", ".csv"), content)
    return buffer.getvalue()


def zipped_alone(content):
    return zipped(a_csv=content)


def quick_lzma(content):
    return lzma.compress(content, preset=0)


PACKED = [None, gzip.compress, bz2.compress, quick_lzma, zipped_alone]


def written(separator):
    """As pandas and polars write it: with quotes where they are needed."""
    return lambda rows: pl.DataFrame(rows).write_csv(separator=separator)


def raw(separator):
    """As a program writes rows that knows of no quotes."""

    def text(rows):
        every = [list(rows), *zip(*rows.values(), strict=True)]
        return "".join(separator.join(row) + "\n" for row in every)

    return text


FORMS = {
    "csv": written(","),
    "tsv": written("\t"),
    "jsonl": lambda rows: pl.DataFrame(rows).write_ndjson(),
    "parquet": None,
    "raw csv": raw(","),
    "raw tsv": raw("\t"),
    "raw ;": raw(";"),
    "raw |": raw("|"),
}
SEPARATOR = {"raw csv": ",", "raw tsv": "\t", "raw ;": ";", "raw |": "|"}
NAMES = {"jsonl": "a.jsonl", "parquet": "a.parquet", "tsv": "a.tsv", "raw tsv": "a.tsv"}


def options(form, encoding):
    """As a user would say them: a file of ; named .csv is refused in a sentence, and tabs with quotes are asked for."""
    separator = {"separator": SEPARATOR[form]} if form in SEPARATOR else {}
    quote = {"quote": "double"} if form == "tsv" else {}
    return separator | quote | {"on_bad_rows": "report", "encoding": "utf-16" if encoding == "utf-16" else "utf-8"}


def check(folder, form, notes, end="\n", encoding="utf-8", packed=None):
    """Each row is an event, or it is counted, or it is said that rows may stand between quotes."""
    if form in SEPARATOR:
        notes = [note.replace("\n", " ").replace("\r", " ") for note in notes]
    rows = {
        "user": [f"u{n % 2}" for n in range(len(notes))],
        "item": [f"i{n}" for n in range(len(notes))],
        "note": notes,
    }
    path = Path(folder) / NAMES.get(form, "a.csv")
    if form == "parquet":
        pl.DataFrame(rows).write_parquet(path)
        encoding = "utf-8"
    else:
        text = FORMS[form](rows)
        content = (text.replace("\n", end) if form in SEPARATOR else text).encode(encoding)
        path.write_bytes(packed(content) if packed else content)
    try:
        events = read_events(path, **options(form, encoding))
    except DataError as error:
        assert "all" in str(error) and "rows are wrong" in str(error), str(error)
        assert form in SEPARATOR, str(error)
        return
    told = any("look like rows of their own" in sentence for sentence in events.report.sentences())
    assert len(events.items) + events.report.bad == len(notes) or (told and len(events.items) < len(notes))
    if form not in SEPARATOR or (form == "raw tsv" and not any("\t" in note for note in notes)):
        assert len(events.items) == len(notes)
    known = set(zip(rows["user"], rows["item"], strict=True))
    users = events.users.ids(range(1, len(events) + 1))
    assert {(own, item) for u, own in enumerate(users) for item in events.catalogue.ids(events.history(u))} <= known


def drawn(rng):
    """A value of a column that nobody asks for."""
    if rng.random() < 0.6:
        return rng.choice(NOISE)
    ranges = ((32, 127), (1, 32), (127, 0x300), (0x300, 0xD800), (0xE000, 0x110000))
    return "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(5)))


def fuzz(form, count, seed=0, tell=None):
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            made = {
                "notes": [drawn(rng) for _ in range(rng.randint(1, 9))],
                "end": rng.choice(ENDS),
                "encoding": rng.choice(ENCODINGS),
                "packed": rng.choice(PACKED),
            }
            try:
                check(folder, form, **made)
            except Exception:
                print(f"number {number} of seed {seed}: {form}, {made}", file=sys.stderr)
                raise
            if tell and number % 5_000 == 4_999:
                tell(f"{number + 1:,} of {count:,}")
    return count


if __name__ == "__main__":
    tried = fuzz(sys.argv[1], int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0]), print)
    print(f"{tried:,} files of {sys.argv[1]}: all rows are events, or counted, or told of")
