"""The command line: only words to calls. What a user did wrong is one sentence on stderr and exit code 2.

Flags for options that the library has are made from where these are written (`Budget`, `Reading`), so that help, bounds
and defaults are said once. torch and what needs it is imported inside the commands: `--help` and `list` answer at once.
"""

import functools
import inspect
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from tenfold.budget import Budget
from tenfold.data.options import Reading
from tenfold.errors import OptionError, TenfoldError
from tenfold.options import assignments, parse, presets, rows

app = typer.Typer(
    name="tenfold",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Recommenders and more from your own files: fitted, compared, saved and served with one command each.",
)
shop_app = typer.Typer(no_args_is_help=True, help="The embedded marketplace: made on the spot, from a seed.")
app.add_typer(shop_app, name="shop")

Name = Annotated[str, typer.Argument(metavar="NAME", help="a system or baseline; `tenfold list` names them")]
Log = Annotated[
    str, typer.Argument(metavar="DATA", help="an event log: CSV, TSV, JSONL, Parquet, .inter, text; or .gz")
]
Sets = Annotated[Optional[list[str]], typer.Option("--set", metavar="NAME=VALUE", help="an option; repeat for more")]
SplitName = Annotated[Optional[str], typer.Option("--split", help="loo, stream, time or none")]
ExcludeSeen = Annotated[bool, typer.Option("--exclude-seen", help="leave out what the history holds")]


def takes(**groups: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command a flag for each option of each group; it gets, by the group's name, the values that were given."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command)
        flags: dict[str, inspect.Parameter] = {}
        whose: dict[str, tuple[str, str]] = {}
        for group, cls in groups.items():
            for row in rows(cls):
                key = row.name.replace(".", "_")
                whose[key] = (group, row.name)
                flags[key] = inspect.Parameter(
                    key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_flag(row, group)
                )

        @functools.wraps(command)
        def wrapped(**values: Any) -> Any:
            given: dict[str, dict[str, Any]] = {group: {} for group in groups}
            for key, (group, name) in whose.items():
                value = values.pop(key)
                if value is not None and value != []:
                    given[group][name] = tuple(value) if isinstance(value, list) else value
            return command(**values, **given)

        kept = [p for name, p in own.parameters.items() if name not in groups]
        wrapped.__signature__ = own.replace(parameters=[*kept, *flags.values()])  # type: ignore[attr-defined]
        wrapped.__annotations__ = {p.name: p.annotation for p in [*kept, *flags.values()]}
        return wrapped

    return decorate


def _flag(row: Any, panel: str) -> Any:
    """The annotation of an option's flag: text that the option itself checks, a switch, or a list of texts."""
    told = f"{row.meaning} [{row.type}{', ' + row.bounds if row.bounds else ''}; default: {_shown(row.default)}]"
    flag = "--" + row.name.replace("_", "-").replace(".", "-")
    if row.type == "bool":
        return Annotated[Optional[bool], typer.Option(flag, help=told, rich_help_panel=panel)]
    if row.type.startswith("tuple"):
        return Annotated[Optional[list[str]], typer.Option(flag.rstrip("s"), help=told, rich_help_panel=panel)]
    return Annotated[Optional[str], typer.Option(flag, help=told, metavar="VALUE", rich_help_panel=panel)]


def _shown(value: Any) -> str:
    return "none" if value in (None, "", ()) else str(value)


def _reading(values: Mapping[str, Any], folder: str | None = None) -> Any:
    """How the log is read: as told or, for an artifact, as the log was that it was fitted on."""
    kept: dict[str, Any] = {}
    if folder is not None:
        from tenfold.artifact import read_config

        kept = read_config(Path(folder)).get("fitted", {}).get("reading", {})
    return parse(Reading, kept | dict(values))


def _budget(values: Mapping[str, Any]) -> Any:
    return parse(Budget, ({} if sys.stderr.isatty() else {"progress": "lines"}) | dict(values))


def _load(folder: str) -> Any:
    """The fitted system in a folder, of whatever class it is."""
    from tenfold.artifact import read_config
    from tenfold.systems import load_class, name_of

    return load_class(name_of(read_config(Path(folder))["system"])).load(folder)


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def _table(headers: list[str], rows: list[list[str]], *, right: tuple[int, ...] = ()) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, header in enumerate(headers):
        table.add_column(header, justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    # Piped into a file or a program, lines are not broken at a screen's width.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


@app.command("list")
def list_systems() -> None:
    """The systems and baselines there are."""
    from tenfold.systems import BASELINES, SYSTEMS

    lines = [[name, row.gives, row.paper, "" if row.path else "planned"] for name, row in SYSTEMS.items()]
    for task, baselines in BASELINES.items():
        lines += [[name, row.gives, row.paper, f"baseline, {task}"] for name, row in baselines.items()]
    _table(["name", "gives", "source", ""], lines)


@app.command()
def info(
    what: Annotated[str, typer.Argument(metavar="NAME|DIR", help="a system or baseline, or a fitted one's folder")],
) -> None:
    """The options of a system, or what a folder holds."""
    if Path(what).is_dir():
        from tenfold.artifact import read_config

        config = read_config(Path(what))
        history = config.get("fitted", {}).pop("history", {})
        for stage, epochs in history.items():
            config["fitted"][f"last epoch of {stage}"] = epochs[-1] if epochs else None
        print(json.dumps(config, indent=1))
        return
    from tenfold.systems import load_class
    from tenfold.systems import rows as system_rows

    cls = load_class(what)
    row = system_rows()[what]
    print(f"{what}: {row.gives} ({row.paper})\nsplits: {', '.join(cls.splits)}")
    options = cls.options_class()
    for name, values in presets(options).items():
        print(f"preset={name}: {', '.join(f'{key}={value}' for key, value in values.items())}")
    lines = [[r.name, r.type, r.bounds, _shown(r.default), r.meaning, "yes" if r.tune else ""] for r in rows(options)]
    if lines:
        _table(["option", "type", "bounds", "default", "meaning", "tuned"], lines)
    else:
        print("it has no options")


@app.command()
@takes(budget=Budget, reading=Reading)
def fit(
    name: Name,
    data: Log,
    output: Annotated[str, typer.Option("-o", "--output", help="folder of the fitted system; its run is in DIR.run")],
    sets: Sets = None,
    split: SplitName = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run in DIR.run")] = False,
    start_from: Annotated[Optional[str], typer.Option(help="a fitted system whose weights to start from")] = None,
    *,
    budget: dict[str, Any],
    reading: dict[str, Any],
) -> None:
    """Fit a system on an event log and save it."""
    from tenfold.files import check_writable
    from tenfold.system import is_first_process
    from tenfold.systems import load_class

    cls = load_class(name)
    chosen = assignments(sets or [])
    if start_from is not None:
        chosen = {**cls.load(start_from).get_params(), **chosen}
    system = cls(parse(cls.options_class(), chosen))
    limits, how = _budget(budget), _reading(reading)
    check_writable(Path(output))
    system.fit(
        data,
        split=split,
        budget=limits,
        run=f"{output.rstrip('/')}.run",
        resume=resume,
        start_from=start_from,
        reading=how,
    )
    if is_first_process():
        _say(*system.notes)
        system.save(output)
        for stage, epochs in system.history.items():
            last = (
                ", ".join(f"{key} {value:.4g}" for key, value in epochs[-1].items() if key != "epoch") if epochs else ""
            )
            _say(f"{stage}: {len(epochs)} epochs; the last: {last}")
        _say(f"saved in {output}; next: tenfold evaluate {shlex.quote(output)} {shlex.quote(data)}")


@app.command()
@takes(reading=Reading)
def evaluate(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system")],
    data: Log,
    k: Annotated[Optional[list[int]], typer.Option("-k", help="list length; repeat for more [default: 10]")] = None,
    split: SplitName = None,
    part: Annotated[str, typer.Option(help="test or validation")] = "test",
    exclude_seen: ExcludeSeen = False,
    sampled: Annotated[int, typer.Option(help="rank among so many sampled items instead of all, as 2018's papers")] = 0,
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="write the figures as JSON too")] = None,
    *,
    reading: dict[str, Any],
) -> None:
    """Rank held-out events, and say how."""
    if part not in ("test", "validation"):
        raise OptionError(f"--part is test or validation; found '{part}'")
    system = _load(folder)
    found = system.evaluate(
        data,
        split=split,
        part=part,
        ks=k or [10],
        exclude_seen=exclude_seen,
        sampled=sampled,
        reading=_reading(reading, folder),
    )
    print(found.protocol)
    lines = []
    for figure, value in found.items():
        low, high = found.intervals.get(figure, (None, None))
        lines.append([figure, f"{value:.4f}", "one user: none" if low is None else f"{low:.4f} .. {high:.4f}"])
    _table(["figure", "mean", "95 % interval"], lines, right=(1,))
    _say(*found.notes)
    if output is not None:
        from tenfold.files import write_whole

        whole = {"figures": dict(found), "intervals": found.intervals, "protocol": found.protocol, "notes": found.notes}
        write_whole(Path(output), json.dumps(whole, indent=1).encode())


@app.command()
@takes(reading=Reading)
def predict(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system")],
    input: Annotated[Optional[str], typer.Option("-i", "--input", help="rows of user and history, or a log")] = None,
    output: Annotated[Optional[str], typer.Option("-o", "--output", help=".parquet or .jsonl; else a table")] = None,
    history: Annotated[Optional[str], typer.Option(help="one history instead: item ids, commas between")] = None,
    users: Annotated[Optional[str], typer.Option(help="a file of users to answer, with --history-from")] = None,
    history_from: Annotated[Optional[str], typer.Option(help="the log that holds these users' histories")] = None,
    k: Annotated[int, typer.Option("-k", help="items for each user")] = 10,
    exclude_seen: ExcludeSeen = False,
    on_unseen: Annotated[str, typer.Option(help="an unknown item in a history: skip or refuse")] = "skip",
    *,
    reading: dict[str, Any],
) -> None:
    """Recommend: file to file, or a table for one history."""
    if on_unseen not in ("skip", "refuse"):
        raise OptionError(f"--on-unseen is skip or refuse; found '{on_unseen}'")
    if users is not None and history_from is None:
        raise OptionError("--users needs --history-from, the log that holds their histories")
    source = input or history_from
    if (history is None) == (source is None):
        raise OptionError("give either --input FILE (or --users FILE --history-from LOG), or --history i9,i4")
    system = _load(folder)
    if history is not None:
        found = system.recommend(history.split(","), k=k, exclude_seen=exclude_seen, on_unseen=on_unseen)
        _table(["rank", "item", "score"], [[str(n), str(r.item), f"{r.score:.4f}"] for n, r in enumerate(found, 1)],
               right=(0, 2))  # fmt: skip
        if found.skipped:
            _say(f"{found.skipped} events of the history are of items that this system does not know")
        if found.by_popularity:
            _say("no item of the history is known: these are the most popular items")
        return
    if output is None:
        raise OptionError("--output says where the recommendations go: a file that ends in .parquet or .jsonl")
    count = system.predict(
        source,
        output,
        k=k,
        users=users,
        history_from=history_from,
        exclude_seen=exclude_seen,
        on_unseen=on_unseen,
        reading=_reading(reading, folder),
    )
    _say(f"{count:,} users answered in {output}")


def main() -> None:
    """The entry of the program `tenfold`."""
    arguments = sys.argv[1:]
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except TenfoldError as error:
        _say(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        again = [*arguments, *([] if "--resume" in arguments else ["--resume"])]
        if arguments[:1] == ["fit"]:
            _say("interrupted; the run is kept. To go on:", f"  {shlex.join(['tenfold', *again])}")
        else:
            _say("interrupted")
        sys.exit(130)
    except Exception as error:
        import click

        if isinstance(error, click.exceptions.Abort):
            _say("interrupted")
            sys.exit(130)
        if isinstance(error, click.ClickException):
            error.show()
            sys.exit(2)
        raise


if __name__ == "__main__":
    main()
