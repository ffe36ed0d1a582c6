"""The command line: only words to calls. What a user did wrong is one sentence on stderr and exit code 2.

torch and what needs it is imported inside the commands: `--help` and `list` answer at once.
"""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Optional, cast

import typer

from tenfold.command_line import (
    SUMMARIES,
    Commands,
    columns,
    command,
    flag_rows,
    in_words,
    print_rich,
    print_table,
    say,
    shown,
)
from tenfold.errors import OptionError, TenfoldError, options_as_flags
from tenfold.files import check_writable, write_whole
from tenfold.options import assignments, expand, names, parse, presets, rows
from tenfold.registry import TASKS, Row, load_class, named, row_of
from tenfold.systems import load
from tenfold.version import VERSION

SHOWN = 10  # answers that a terminal shows
INTERRUPTED = 130  # what a shell gives a program that Ctrl-C ended; typer turns the interrupt into it


class RunKept(Exception):  # noqa: N818  it is no error
    """A fit was interrupted, and its run can be gone on with."""


app = Commands(
    name="tenfold",
    help="Recommenders and more from your own files: fitted, compared and saved with one command each.",
)
SUMMARIES |= {
    "shop": "Draw a marketplace from a seed, or say what one holds.",
    "states": "Write what a service keeps of its users to one file, and read it back.",
    "graph": "Look into a file of interactions: how often pairs repeat, and nodes as vectors.",
}

Name = Annotated[str, typer.Argument(metavar="NAME", help="a system or baseline; `tenfold list` names them")]
DATA = "; ".join(f"for {in_words(task)}: {row.data}" for task, row in TASKS.items())
DataFile = Annotated[str, typer.Argument(metavar="DATA", help=DATA)]
Sets = Annotated[Optional[list[str]], typer.Option("--set", metavar="NAME=VALUE", help="an option; repeat for more")]
SplitName = Annotated[
    Optional[str],
    typer.Option(
        "--split", help="how data are split, such as loo or time; `tenfold info NAME` lists what a system knows"
    ),
]
Device = Annotated[str, typer.Option(help="device to compute on: cpu, cuda, cuda:1, mps")]
Measured = Annotated[
    Optional[list[str]],
    typer.Option(
        "--protocol",
        metavar="NAME=VALUE",
        help="a setting of how it is measured; repeat. `tenfold info NAME` lists them",
    ),
]


def _read_options(kind: Any, words: Mapping[str, Any], folder: str | None = None, without: Sequence[str] = ()) -> Any:
    """How files are read: as told or, for an artifact, as those were that it was fitted on, but for `without`."""
    kept: dict[str, Any] = {}
    if folder is not None:
        from tenfold.artifact import read_config

        fitted = read_config(Path(folder)).get("fitted", {})
        kept = fitted.get("read_options", fitted.get("reading", {}))
        kept = {name: value for name, value in kept.items() if name not in without}
    _refuse_unknown(kind, kind.read_options, words, "reads its files without")
    return kind.as_read_options(kept | dict(words))


def _inputs(kind: Any, files: Mapping[str, Any]) -> dict[str, Any]:
    for name in files:
        if name not in kind.inputs:
            raise OptionError(f"a {kind.__name__} takes no --{name.replace('_', '-')}; leave it out")
    return dict(files)


def _budget(values: Mapping[str, Any]) -> Any:
    from tenfold.budget import Budget

    return parse(Budget, ({} if sys.stderr.isatty() else {"progress": "lines"}) | dict(values))


def _protocol(kind: Any, general: Sequence[str] | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """How a system of this class is to measure: what was given by --protocol and by flags of its own."""
    _refuse_unknown(kind, kind.protocol, flags, "is not measured by")
    return dict(kind.as_protocol(assignments(list(general or ())) | dict(flags)))


def _predict_options(kind: Any, general: Sequence[str] | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """How it is to answer: what was given by --how and by flags of its own."""
    _refuse_unknown(kind, kind.predict_options, flags, "answers without")
    return dict(kind.as_predict_options(assignments(list(general or ())) | dict(flags)))


def _refuse_unknown(kind: Any, group: type, flags: Mapping[str, Any], refusal: str) -> None:
    """A flag that was given and that the system does not know is refused as the person wrote it."""
    known = names(group)
    for name in flags:
        if name not in known:
            flag = next(row.flag for kind_of in ("read", "protocol", "predict") for row in flag_rows(f"tasks:{kind_of}")
                        if row.name == name)  # fmt: skip
            raise OptionError(f"a {kind.__name__} {refusal} {flag}; leave it out")


def _on(system: Any, device: str) -> Any:
    """The system there. Raises OptionError where there is no such device."""
    if device == "cpu":  # where a loaded one is
        return system
    try:
        return system.to(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        told = str(error).strip().splitlines()[0]
        raise OptionError(f"--device {device} cannot be had here: {told}") from None


@command("list")
def list_systems() -> None:
    """List the systems and baselines."""
    from tenfold.systems import BASELINES, SYSTEMS

    groups: dict[str, Mapping[str, Row]] = {
        "system": {name: row for name, row in SYSTEMS.items() if row.path},
        "planned": {name: row for name, row in SYSTEMS.items() if not row.path},
        **{f"baseline, {task.replace('_', ' ')}": baselines for task, baselines in BASELINES.items()},
    }
    for group, systems in groups.items():
        print_table(
            [group, "gives", "source"], [[name, row.gives, row.paper] for name, row in systems.items()], whole=(0,)
        )


@command("info")
def info(
    what: Annotated[str, typer.Argument(metavar="NAME|DIR", help="a system or baseline, or a fitted one's folder")],
) -> None:
    """Show the options of a system, or what a folder holds."""
    if Path(what).is_dir():
        from tenfold.artifact import read_config

        config = read_config(Path(what))
        history = config.get("fitted", {}).pop("history", {})
        for stage, epochs in history.items():
            config["fitted"][f"last epoch of {stage}"] = epochs[-1] if epochs else None
        print(json.dumps(config, indent=1))
        return
    row = row_of(what)
    if row.options and row.task:
        task = TASKS[row.task]
        options, splits = named(row.options), task.splits
        groups = {"evaluate": named(task.protocol), "predict": named(task.predict), "reading": named(task.read)}
    else:  # a room that does not say in its row what its options are: its class does
        cls = load_class(what)
        options, splits = cls.options_class(), cls.splits
        groups = {"evaluate": cls.protocol, "predict": cls.predict_options, "reading": cls.read_options}
    print(f"{what}: {row.gives} ({row.paper})\nsplits: {', '.join(splits)}")
    for name, values in presets(options).items():
        print(f"preset={name}: {', '.join(f'{key}={value}' for key, value in values.items())}")
    lines = [
        [r.name, f"{r.type} {r.bounds}".strip(), shown(r.default), f"{r.meaning}{' (tuned)' if r.tune else ''}"]
        for r in rows(options)
    ]
    if lines:
        print_table(["option", "values", "default", "meaning"], lines, whole=(0,))
    else:
        print("it has no options")
    for name, group in groups.items():
        lines = [[r.flag, r.type, shown(r.default), r.meaning] for r in rows(group)]
        if lines:
            print_table([name, "values", "default", "meaning"], lines, whole=(0,))


@command("fit", budget="tenfold.budget:Budget", read="tasks:read", files="tasks:inputs")
def fit(
    name: Name,
    data: DataFile,
    output: Annotated[str, typer.Option("-o", "--output", help="folder of the fitted system; its run is in DIR.run")],
    sets: Sets = None,
    split: SplitName = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in DIR.run")] = False,
    start_from: Annotated[Optional[str], typer.Option(help="a fitted system whose weights to start from")] = None,
    *,
    budget: dict[str, Any],
    read: dict[str, Any],
    files: dict[str, Any],
) -> None:
    """Fit a system on your data and save it."""
    from tenfold.artifact import check_free
    from tenfold.system import is_first_process

    cls = load_class(name)
    chosen = expand(cls.options_class(), assignments(sets or []))
    if start_from is not None:
        chosen = {**cls.load(start_from).get_params(), **chosen}
    system = cls(parse(cls.options_class(), chosen))
    limits, how, inputs = _budget(budget), _read_options(cls, read), _inputs(cls, files)
    check_writable(Path(output))
    check_free(Path(output))
    told: list[str] = []

    def log(line: str) -> None:
        told.append(line)
        if is_first_process():
            say(line)

    try:
        system.fit(
            data,
            split=split,
            budget=limits,
            run=_run_of(output),
            resume=resume,
            start_from=start_from,
            read_options=how,
            inputs=inputs,
            log=log,
        )
    except KeyboardInterrupt:
        if (_run_of(output) / "run.json").exists():
            raise RunKept from None
        raise
    if is_first_process():
        say(*system.notes[len(told) :])
        system.save(output)
        from tenfold.training import ended

        for stage, history in system.history.items():
            say(f"{stage}: {ended(history)}")
        following = "" if split == "none" else f"; next: tenfold evaluate {shlex.quote(output)} {shlex.quote(data)}"
        say(f"saved in {output}{following}")


def _run_of(output: str) -> Path:
    """DIR.run, beside DIR."""
    folder = Path(output) if Path(output).name not in ("", "..") else Path(output).resolve()
    return folder.with_name(f"{folder.name}.run")


@command("evaluate", read="tasks:read", files="tasks:inputs", protocol="tasks:protocol")
def evaluate(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system")],
    data: DataFile,
    split: SplitName = None,
    part: Annotated[str, typer.Option(help="test or validation")] = "test",
    general: Measured = None,
    device: Device = "cpu",
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="write the figures as JSON too")] = None,
    *,
    read: dict[str, Any],
    files: dict[str, Any],
    protocol: dict[str, Any],
) -> None:
    """Measure a fitted system on what was held out, and say how."""
    if part not in ("test", "validation"):
        raise OptionError(f"--part is test or validation; found '{part}'")
    system = _on(load(folder), device)
    kind = type(system)
    found = system.evaluate(
        data,
        split=split,
        part=part,
        read_options=_read_options(kind, read, folder, without=["items"]),  # nobody is shown a title
        inputs=_inputs(kind, files),
        **_protocol(kind, general, protocol),
    )
    print(found.protocol)
    lines = []
    for figure, value in found.items():
        low, high = found.intervals.get(figure, (None, None))
        without = "only one: none" if figure in found.measured else ""
        lines.append([figure, f"{value:.4f}", without if low is None else f"{low:.4f} .. {high:.4f}"])
    print_table(["figure", "value", f"95 % interval, over {system.units}"], lines, right=(1,))
    say(*found.notes)
    if output is not None:
        whole = {"figures": dict(found), "intervals": found.intervals, "units": system.units}
        whole |= {"protocol": found.protocol, "notes": found.notes}
        write_whole(Path(output), json.dumps(whole, indent=1).encode())


@command("predict", read="tasks:read", files="tasks:inputs", how="tasks:predict", asked="tasks:question")
def predict(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system")],
    input: Annotated[Optional[str], typer.Option("-i", "--input", help="the file to answer, as for `fit`")] = None,
    output: Annotated[
        Optional[str],
        typer.Option(
            "-o", "--output", help=".parquet, .jsonl or .csv; without it the first answers are printed as a table"
        ),
    ] = None,
    general: Annotated[
        Optional[list[str]],
        typer.Option(
            "--how", metavar="NAME=VALUE", help="a setting of how it answers; repeat. `tenfold info NAME` lists them"
        ),
    ] = None,
    device: Device = "cpu",
    *,
    read: dict[str, Any],
    files: dict[str, Any],
    how: dict[str, Any],
    asked: dict[str, Any],
) -> None:
    """Answer file to file, or one question as a table."""
    system = _on(load(folder), device)
    kind = type(system)
    chosen = _predict_options(kind, general, how)
    question = _question(kind, asked)
    source = input or chosen.get("history_from")
    if (question is None) == (source is None) or (input and chosen.get("history_from")):
        flags = " or ".join(f"--{flag}" for flag in dict.fromkeys(row.question[0] for row in TASKS.values()) if flag)
        raise OptionError(f"give one of --input FILE, --history-from LOG (with --users FILE or without), {flags}")
    if question is not None:
        if output is not None:
            raise OptionError("one question is answered in the terminal; answers for a file come from --input FILE")
        answer = system.answer(question, **chosen)
        print_table(list(answer.columns), [list(map(str, row)) for row in answer.rows])
        say(*answer.notes)
        return
    if output is None and not system.shown:
        raise OptionError(f"a {kind.__name__} answers into files: --output says where")
    # Those who ask today may be few and their items rare, and the file of titles may lie elsewhere.
    chosen["read_options"] = _read_options(kind, read, folder, without=["items", "min_user_events", "min_item_events"])
    chosen["inputs"] = _inputs(kind, files)
    if output is None:
        _print_first(system, source, chosen)
        return
    count = system.predict(source, output, **chosen)
    say(*count.notes, f"{count:,} {system.units} answered in {output}")


def _question(kind: Any, asked: Mapping[str, str]) -> str | None:
    """The one question that was asked in the words of the system's task."""
    if not asked:
        return None
    own = {row.question[0] for row in TASKS.values() if named(row.protocol) is kind.protocol}
    for flag in asked:
        if flag not in own:
            raise OptionError(f"a {kind.__name__} answers no --{flag}; leave it out")
    return next(iter(asked.values()))


def _print_first(system: Any, source: Any, how: Mapping[str, Any]) -> None:
    """The first answers to a file, as a table."""
    with tempfile.TemporaryDirectory() as beside:
        path = Path(beside) / "answers.jsonl"
        count = system.predict(source, path, **how)
        with path.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in islice(file, SHOWN)]
    columns = [name for name in system.shown if name in rows[0]]
    print_table(columns, [[_cell(row[name]) for name in columns] for row in rows])
    say(*count.notes, f"{len(rows)} of {count:,} {system.units} are shown; --output FILE keeps all")


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@command("export")
def export(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system")],
    output: Annotated[str, typer.Option("-o", "--output", help="folder of the export; predict and evaluate take it")],
) -> None:
    """Write the least that a fitted system needs to answer."""
    exported = load(folder).export(output)
    lines = [[name, f"{size:,}"] for name, size in exported.sizes.items()]
    print_table(["file", "bytes"], [*lines, ["all", f"{sum(exported.sizes.values()):,}"]], right=(1,))
    for note in exported.notes:
        say(note)


@command("compare", budget="tenfold.budget:Budget", read="tasks:read", files="tasks:inputs", protocol="tasks:protocol")
def compare(
    data: DataFile,
    arm: Annotated[
        list[str], typer.Option("--arm", metavar="ARM", help="NAME, NAME:OPTION=VALUE,... or LABEL=NAME:...")
    ],
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="folder for JSON and plot")] = None,
    split: SplitName = None,
    trials: Annotated[int, typer.Option(help="trials of a random search for each arm; 0: options as given")] = 0,
    seeds: Annotated[
        int, typer.Option(help="seeds with which each arm is trained; with 3 or more it is said which arm is better")
    ] = 1,
    against: Annotated[
        str,
        typer.Option(help="label of the arm that the others are compared to; best: the best on the validation part"),
    ] = "best",
    metric: Annotated[
        Optional[str], typer.Option(help="the metric to compare by [default: ndcg, or the first]")
    ] = None,
    general: Measured = None,
    *,
    budget: dict[str, Any],
    read: dict[str, Any],
    files: dict[str, Any],
    protocol: dict[str, Any],
) -> None:
    """Compare arms side by side: one split, one budget, paired intervals, one table."""
    from tenfold import compare as comparing
    from tenfold.arms import parse_arms

    if output is not None:
        check_writable(Path(output))
    arms = parse_arms(arm)
    found = comparing.compare(
        data,
        arms,
        split=split,
        budget=_budget({"progress": "none"} | budget),
        seeds=seeds,
        trials=trials,
        metric=metric,
        against=against,
        read_options=_read_options(arms[0].kind, read),
        inputs=_inputs(arms[0].kind, files),
        **_protocol(arms[0].kind, general, protocol),
        log=say,
    )
    if output is not None:
        found.save(output)  # before anything is printed, which may fail
        say(f"written: {output}/comparison.json, {output}/comparison.png")
    print_rich(found.table(columns()))


@command("tune", budget="tenfold.budget:Budget", read="tasks:read", files="tasks:inputs", protocol="tasks:protocol")
def tune(
    name: Name,
    data: DataFile,
    trials: Annotated[int, typer.Option(help="number of fits; the first has the options as given")] = 16,
    sets: Sets = None,
    split: SplitName = None,
    metric: Annotated[Optional[str], typer.Option(help="the metric to choose by [default: ndcg, or the first]")] = None,
    general: Measured = None,
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="folder for the best system, fitted")] = None,
    *,
    budget: dict[str, Any],
    read: dict[str, Any],
    files: dict[str, Any],
    protocol: dict[str, Any],
) -> None:
    """Search a system's options at random; the validation part chooses."""
    from tenfold import tune as tuning
    from tenfold.arms import parse_arm
    from tenfold.artifact import check_free

    if output is not None:
        check_writable(Path(output))
        check_free(Path(output))  # somebody else's folder is refused before the search, not after it
    arm = parse_arm(f"{name}:{','.join(sets)}" if sets else name)
    found = tuning.tune(
        arm,
        data,
        trials=trials,
        split=split,
        budget=_budget({"progress": "none"} | budget),
        metric=metric,
        read_options=_read_options(arm.kind, read),
        inputs=_inputs(arm.kind, files),
        **_protocol(arm.kind, general, protocol),
        log=say,
    )
    if output is not None:
        found.system.save(output)
        found.save(Path(output) / "trials.json")
    say(*found.system.notes)
    if output is not None:
        say(f"the best is saved in {output}, its trials in {output}/trials.json")
    print_rich(found.table())


@command("claims")
def claims(
    name: Name,
    size: Annotated[str, typer.Option(help="cpu (an hour or two) or gpu")] = "cpu",
    only: Annotated[
        Optional[list[str]], typer.Option(help="a claim, such as C2, with its parts; repeat for more")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="a smoke run whose verdicts do not count")] = False,
    listing: Annotated[bool, typer.Option("--list", help="list what would be measured, and measure nothing")] = False,
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="folder for JSON and plot")] = None,
) -> None:
    """Measure what a system's paper claims, on this machine."""
    from tenfold import claims as claiming

    if listing:
        print_rich(claiming.listed(claiming.claims_of(name)))
        return
    if output is None:
        say("The results are printed and not kept; -o FOLDER writes them after each claim.")
    results = claiming.run_claims(name, size=cast(Any, size), only=only or (), quick=quick, output=output)
    if failed := [result.claim.name for result in results if result.problem]:
        say(f"error: could not be measured: {', '.join(failed)}")
        raise typer.Exit(1)


@command("shop new", shop="tenfold.shop.options:Options")
def shop_new(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="where to write it")],
    force: Annotated[bool, typer.Option("--force", help="replace the shop that is there")] = False,
    only: Annotated[Optional[list[str]], typer.Option(help="a table beside the events (events: none); repeat")] = None,
    folders: Annotated[
        bool, typer.Option("--folders", help="pictures as PNG files in folders, not in Parquet")
    ] = False,
    processes: Annotated[
        Optional[int], typer.Option(help="processes that draw it (one a core); what is drawn does not depend on them")
    ] = None,
    *,
    shop: dict[str, Any],
) -> None:
    """Draw a marketplace and write its files."""
    from tenfold.shop import Shop
    from tenfold.shop.options import Options as ShopOptions

    drawing = Shop(parse(ShopOptions, shop), processes=os.cpu_count() or 1 if processes is None else processes)
    print(drawing.write(folder, force=force, only=only or None, folders=folders))


@command("shop info")
def shop_info(folder: Annotated[str, typer.Argument(metavar="DIR", help="a shop's folder")]) -> None:
    """Show what a shop holds, and what is learnable in it."""
    from tenfold.shop import info as shop_facts

    print(shop_facts(folder))


@command("demo")
def demo(
    output: Annotated[
        str, typer.Option("-o", "--output", help="folder for the shop, the systems and the page")
    ] = "demo",
    quick: Annotated[
        bool, typer.Option("--quick", help="a tiny shop and little training: only to see that it runs")
    ] = False,
) -> None:
    """Draw a small shop, fit and compare systems on it, and explain them on one page."""
    from tenfold import demo as showing

    check_writable(Path(output))
    page = showing.run(Path(output), quick=quick, tell=say)
    print(f"open {page}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program `tenfold`: 0, or 2 for what the user can mend, or 130 for Ctrl-C."""
    try:
        with options_as_flags():
            return _main(arguments)
    except BrokenPipeError:  # `tenfold list | head`: who reads has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _main(arguments: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments == ["--version"]:
        print(f"tenfold {VERSION}")
        return 0
    try:
        code = app.main(args=arguments, prog_name="tenfold", standalone_mode=False) or 0
    except TenfoldError as error:
        say(f"error: {error}")
        return 2
    except typer.TyperException as error:  # what the parser of arguments refuses
        if type(error).__name__ == "NoArgsIsHelpError":  # `tenfold` or `tenfold shop` alone
            print(error.format_message())
            return 0
        say(f"error: {_sentence(error)}")
        return 2
    except RunKept:
        again = [*arguments, *([] if "--resume" in arguments else ["--resume"])]
        say("interrupted; the run is kept. To go on:", f"  {shlex.join(['tenfold', *again])}")
        return INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:
        say("interrupted")
    return code


def _sentence(error: Exception) -> str:
    told = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{told.strip().rstrip('.')}; see --help"


if __name__ == "__main__":
    sys.exit(main())
