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


def embed(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted TCL")],
    output: Annotated[str, typer.Option("-o", "--output", help=".parquet: node, side, vector")],
    at: Annotated[
        Optional[float], typer.Option(help="the moment, in the file's own time [default: the last one]")
    ] = None,
) -> None:
    """Write each node's vector at a moment, for other programs."""
    import io

    import polars as pl

    from tenfold.errors import OptionError
    from tenfold.files import check_writable, write_whole
    from tenfold.systems import load
    from tenfold.systems.tcl.system import TCL

    if not output.endswith(".parquet"):
        raise OptionError(f"vectors are written as Parquet; found '{output}', give a name that ends in .parquet")
    check_writable(Path(output).parent)
    system: Any = load(folder)
    if not isinstance(system, TCL):
        raise OptionError(f"{folder} holds a {type(system).__name__}, whose nodes have no vectors; give a fitted tcl")
    graph = system.past.graph
    sides = {"source": graph.entities} | ({} if graph.partners is None else {"destination": graph.partners})
    frames = []
    for side, vocabulary in sides.items():
        ids = vocabulary.ids(range(1, len(vocabulary) + 1))
        vectors = system.embed(ids, at, side=side)
        shown = [str(own) for own in ids] if len(sides) > 1 else ids
        frames.append(pl.DataFrame({"node": shown, "side": [side] * len(ids), "vector": vectors}))
    written = io.BytesIO()
    pl.concat(frames).write_parquet(written)
    write_whole(Path(output), written.getvalue())
    say(f"written: {output}, {sum(map(len, frames)):,} nodes")
