"""The room's verbs on the command line. Imports no torch before one is called."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from tenfold.command_line import flags, print_table, say


@flags(read="tenfold.tasks.link_prediction.options:ReadOptions")
def stats(
    data: Annotated[str, typer.Argument(metavar="FILE", help="interactions: source, destination, time")],
    output: Annotated[
        Optional[str], typer.Option("-o", "--output", help=".png: new and repeated pairs over time, pairs' lives")
    ] = None,
    *,
    read: dict[str, Any],
) -> None:
    """Say what decides how hard a stream of interactions is to foretell."""
    from tenfold.options import parse
    from tenfold.registry import load_class
    from tenfold.tasks.link_prediction.data import Links
    from tenfold.tasks.link_prediction.options import ReadOptions
    from tenfold.tasks.link_prediction.statistics import pictures, statistics

    system: Any = load_class("recency")()
    graph = system.read(data, parse(ReadOptions, read))
    links = Links.of(graph, "time", graph.vocabularies, {})
    found = statistics(links)
    if output is not None:
        from tenfold.comparison import save_figure

        save_figure(pictures(links), Path(output))
        say(f"written: {output}")
    print_table(
        ["figure", "value"],
        [[name, f"{value:,}" if isinstance(value, int) else f"{value:.4g}"] for name, value in found.items()],
        right=(1,),
    )
    say(*links.sentences())
