"""`tenfold ask`: a text is read once into a memory of one size, and then asked. Nothing heavy is imported above."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from tenfold.command_line import print_table, say

if TYPE_CHECKING:
    from pathlib import Path

    from tenfold.systems.rehearsal.stream import Memory
    from tenfold.systems.rehearsal.system import Rehearsal


def ask(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted rehearsal system")],
    text: Annotated[
        Optional[str],
        typer.Option(help="the text to read: sentences, or JSON lines with one stream; .gz, .xz; or npy of features"),
    ] = None,
    question: Annotated[
        Optional[list[str]], typer.Option(help="a question; repeat for more; none: they are typed, one a line")
    ] = None,
    known_above: Annotated[
        float, typer.Option(min=0, max=1, help="an answer less likely than this is 'not known'")
    ] = 0.5,
    memory: Annotated[
        Optional[str], typer.Option(help="a file that keeps the memory: read if there, written after reading")
    ] = None,
    encoding: Annotated[str, typer.Option(help="what the text is written in")] = "utf-8",
) -> None:
    """Read a long text once, then answer questions about it from a memory of a few kilobytes.

    Beside each answer: how likely it is, which slots of the memory it was read from, and which sentences these hold
    most of.
    """
    from pathlib import Path

    from tenfold.errors import ArtifactError, OptionError
    from tenfold.files import write_whole
    from tenfold.systems import load
    from tenfold.systems.rehearsal.data import words_of
    from tenfold.systems.rehearsal.system import Rehearsal

    system = load(folder)
    if not isinstance(system, Rehearsal):
        raise ArtifactError(
            f"{folder} holds a {type(system).__name__}, and ask needs a Rehearsal; fit one on questions"
        )
    for asked in question or ():
        if not words_of(asked):  # before anything is read, or kept
            raise OptionError(f"the question {asked!r} has no words; ask something such as 'where is mary?'")
    kept = Path(memory) if memory else None
    found = _memory(system, kept)
    if found is None and not text:
        missing = f"{kept} is not there; " if kept else "there is nothing to ask about; "
        raise OptionError(f"{missing}give --text FILE, or --memory FILE of a stream that was read")
    found = found or system.read_stream(traced=True)
    shown = _read(found, Path(text), encoding) if text else []
    if kept:
        write_whole(kept, found.to_bytes())
    for asked in question or (line.strip() for line in sys.stdin if line.strip()):
        _answer(found, asked, known_above, shown)


def _memory(system: "Rehearsal", kept: "Path | None") -> "Memory | None":
    """The memory that a file keeps; None where there is no such file. Raises ArtifactError, DataError."""
    from tenfold.errors import ArtifactError, DataError
    from tenfold.systems.rehearsal.stream import Memory

    if kept is None or not kept.exists():
        return None
    try:
        return Memory.from_bytes(system, kept.read_bytes())
    except OSError as error:
        raise DataError(f"{kept} cannot be read: {error.strerror or error}; name a file for --memory") from None
    except ArtifactError as error:
        raise ArtifactError(f"{kept}: {error}") from None


def _read(memory: "Memory", text: "Path", encoding: str) -> list[str]:
    """Tell the memory what a file holds; the items as a person may be shown them. Raises DataError."""
    import numpy as np

    from tenfold.systems.rehearsal.data import check_unknown, unknown_words, words_of
    from tenfold.systems.rehearsal.readers import one_stream

    items: Any = one_stream(text, encoding)
    before = memory.told, memory.unknown
    memory.tell(items)
    if isinstance(items, np.ndarray):
        what, shown = "of features", [f"item {place}" for place in range(len(items))]
    else:
        count, unknown = memory.told - before[0], memory.unknown - before[1]
        words = memory.system.vocabularies["words"]
        such = unknown_words((word for item in items for word in words_of(item)), words)
        check_unknown(unknown / max(count, 1), f"{text}", such)
        what, shown = f"read, {unknown:,} of {count:,} words unknown", items
    say(f"{len(items):,} items {what}; the memory has {memory.size:,} bytes")
    return shown


def _answer(memory: "Memory", asked: str, known_above: float, shown: list[str]) -> None:
    """Print the answer and, where the items are at hand, what the slots that were read hold most of."""
    answer = memory.ask(asked, known_above=known_above)
    print(f"{asked}  ->  {answer.answer}  ({answer.probability:.0%})")
    if answer.unknown_words:
        say(f"unknown words: {', '.join(answer.unknown_words)}")
    if shown and memory.written is not None:
        lines = [
            [str(slot), f"{share:.0%}", f"{shown[place][:80]} ({len(shown) - place} ago)"]
            for slot, share in answer.slots
            for place, _ in memory.written_from(slot)[:2]
        ]
        print_table(["slot", "read", "written most from"], lines, right=(0, 1))
