"""`tenfold ask`: a text is read once into a memory of one size, and then asked. Nothing heavy is imported above."""

import sys
from typing import Annotated, Any, Optional

import typer

from tenfold.command_line import print_table, say


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

    import numpy as np

    from tenfold.errors import ArtifactError, DataError, OptionError
    from tenfold.files import write_whole
    from tenfold.systems import load
    from tenfold.systems.rehearsal.data import check_unknown, unknown_words, words_of
    from tenfold.systems.rehearsal.readers import one_stream
    from tenfold.systems.rehearsal.stream import Memory
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
    found = system.read_stream(traced=True)
    if kept and kept.exists():
        try:
            found = Memory.from_bytes(system, kept.read_bytes())
        except OSError as error:
            raise DataError(f"{kept} cannot be read: {error.strerror or error}; name a file for --memory") from None
        except ArtifactError as error:
            raise ArtifactError(f"{kept}: {error}") from None
    elif not text:
        missing = f"{kept} is not there; " if kept else "there is nothing to ask about; "
        raise OptionError(f"{missing}give --text FILE, or --memory FILE of a stream that was read")
    items: Any = []
    if text:
        items = one_stream(Path(text), encoding)
        before = found.told, found.unknown
        found.tell(items)
        count, unknown = found.told - before[0], found.unknown - before[1]
        told = "of features"
        if not isinstance(items, np.ndarray):
            such = unknown_words((word for item in items for word in words_of(item)), system.vocabularies["words"])
            check_unknown(unknown / max(count, 1), text, such)
            told = f"read, {unknown:,} of {count:,} words unknown"
        say(f"{len(items):,} items {told}; the memory has {found.size:,} bytes")
    if kept:
        write_whole(kept, found.to_bytes())
    for asked in question or (line.strip() for line in sys.stdin if line.strip()):
        answer = found.ask(asked, known_above=known_above)
        print(f"{asked}  ->  {answer.answer}  ({answer.probability:.0%})")
        if answer.unknown_words:
            say(f"unknown words: {', '.join(answer.unknown_words)}")
        if len(items) and found.written is not None:
            shown = [f"item {place}" for place in range(len(items))] if isinstance(items, np.ndarray) else items
            lines = [
                [str(slot), f"{share:.0%}", f"{shown[place][:80]} ({len(items) - place} ago)"]
                for slot, share in answer.slots
                for place, _ in found.written_from(slot)[:2]
            ]
            print_table(["slot", "read", "written most from"], lines, right=(0, 1))
