"""`tenfold ask`: a text is read once into a memory of one size, and then asked. Nothing heavy is imported above."""

import sys
from typing import Annotated, Optional

import typer

from tenfold.command_line import print_table, say


def ask(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted rehearsal system")],
    text: Annotated[
        Optional[str],
        typer.Option(help="the text to read: sentences, or JSON lines with one stream; .gz, .xz"),
    ] = None,
    question: Annotated[
        Optional[list[str]], typer.Option(help="a question; repeat for more; none: they are typed, one a line")
    ] = None,
    known_above: Annotated[float, typer.Option(help="an answer less likely than this is 'not known'")] = 0.5,
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

    from tenfold.errors import ArtifactError, DataError, OptionError
    from tenfold.files import write_whole
    from tenfold.systems import load
    from tenfold.systems.rehearsal.readers import one_stream
    from tenfold.systems.rehearsal.stream import Memory
    from tenfold.systems.rehearsal.system import Rehearsal

    system = load(folder)
    if not isinstance(system, Rehearsal):
        raise ArtifactError(
            f"{folder} holds a {type(system).__name__}, and ask needs a Rehearsal; fit one on questions"
        )
    kept = Path(memory) if memory else None
    if not text and not (kept and kept.exists()):
        raise OptionError("there is nothing to ask about; give --text FILE, or --memory FILE of a stream that was read")
    found = Memory.from_bytes(system, kept.read_bytes()) if kept and kept.exists() else system.read_stream(traced=True)
    items: list[str] = []
    if text:
        items = one_stream(Path(text), encoding)
        found.tell(items)
        if found.told and found.unknown > found.told / 5:
            raise DataError(
                f"{found.unknown:,} of {found.told:,} words of {text} are unknown to this system; fit it on texts of "
                "this kind"
            )
        say(
            f"{len(items):,} items read, {found.unknown:,} of {found.told:,} words unknown; "
            f"the memory has {found.size:,} bytes"
        )
    if kept:
        write_whole(kept, found.to_bytes())
    for asked in question or (line.strip() for line in sys.stdin if line.strip()):
        told = found.ask(asked, known_above=known_above)
        print(f"{asked}  ->  {told.answer}  ({told.probability:.0%})")
        if told.unknown_words:
            say(f"unknown words: {', '.join(told.unknown_words)}")
        if items and found.written is not None:
            lines = [
                [str(slot), f"{share:.0%}", f"{items[place][:80]} ({len(items) - place} ago)"]
                for slot, share in told.slots
                for place, _ in found.written_from(slot)[:2]
            ]
            print_table(["slot", "read", "written most from"], lines, right=(0, 1))
