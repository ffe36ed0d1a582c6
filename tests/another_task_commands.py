"""A verb of the room in another_task.py, as a room has it in its commands.py: nothing heavy is imported at the top."""

from typing import Annotated

import typer


def weigh(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system")],
    scale: Annotated[str, typer.Argument(help="which scale")],
    x: Annotated[str, typer.Option(help="what lies on it, commas between")],
) -> None:
    """What a scale shows, once."""
    from another_task import Scales

    (row,) = Scales.load(folder).answer(f"{scale},{x}").rows
    print(f"{row[0]}: {row[1]}")
