"""The task's own verb, `tenfold attack`. Imports no torch before it is called."""

from typing import Annotated, Any, Optional

import typer

from tenfold.command_line import flags
from tenfold.tasks.classification.options import AttackOptions, fraction


@flags(
    read="tenfold.tasks.classification.options:ReadOptions",
    protocol="tenfold.tasks.classification.options:AttackOptions",
)
def attack(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted classifier")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="pictures by class, as for `fit`")],
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="a folder; DIR.attacked by default")] = None,
    budget: Annotated[
        Optional[str],
        typer.Option("--budget", "--eps", help="how far pixels may be moved, such as 8/255 [default: as trained]"),
    ] = None,
    split: Annotated[
        Optional[str], typer.Option(help="how data are split: parts, drawn or none [default: as in the fit]")
    ] = None,
    part: Annotated[str, typer.Option(help="test or validation")] = "test",
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    *,
    read: dict[str, Any],
    protocol: dict[str, Any],
) -> None:
    """Attack a fitted classifier: figures with intervals, per class, and the pictures that break it."""
    from dataclasses import asdict
    from pathlib import Path

    from tenfold.command_line import print_table, say
    from tenfold.errors import OptionError
    from tenfold.options import parse
    from tenfold.systems import load
    from tenfold.tasks.classification.attack_report import attack_report
    from tenfold.tasks.classification.task import Classifier

    system = load(folder)
    if not isinstance(system, Classifier):
        raise OptionError(
            f"{folder} holds a {type(system).__name__}, which classifies no pictures; attack a classifier"
        )
    system.to(device)
    where = Path(output or f"{folder.rstrip('/')}.attacked")
    asked = asdict(parse(AttackOptions, protocol)) | ({} if budget is None else {"eps": fraction(budget)})
    read_options = type(system).as_read_options(read) if read else None
    found = attack_report(system, data, where, split=split, part=part, read_options=read_options, log=say, **asked)
    print(found.evaluation.protocol)
    lines = []
    for name, value in found.evaluation.items():
        low, high = found.evaluation.intervals.get(name, (None, None))
        lines.append([name, f"{value:.4f}", "only one: none" if low is None else f"{low:.4f} .. {high:.4f}"])
    print_table(["figure", "value", "95 % interval, over pictures"], lines, right=(1,))
    rows = [
        [name, *(f"{found.per_class[kind][i]:.4f}" for kind in ("natural", "robust"))]
        for i, name in enumerate(found.tested.names())
    ]
    print_table(["class", "natural", "robust"], rows, right=(1, 2))
    say(*found.evaluation.notes, f"written to {where}: {', '.join(path.name for path in found.files)}")
