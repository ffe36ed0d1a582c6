"""The command line: only words to calls. What a user did wrong is one sentence on stderr and exit code 2.

torch and what needs it is imported inside the commands: `--help` and `list` answer at once.
"""

import inspect
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Optional, cast

import typer

from tenfold.command_line import SUMMARIES, Commands, columns, command, print_rich, print_table, say, shown
from tenfold.errors import OptionError, TenfoldError
from tenfold.files import check_writable, write_whole
from tenfold.systems import load
from tenfold.version import VERSION

READING = re.compile(r"\b(columns|encoding|on_bad_rows)=(?=[\w'])")  # how the library's sentences name what to say
SHOWN = 10  # answers that a terminal shows
INTERRUPTED = 130  # what a shell gives a program that Ctrl-C ended; typer turns the interrupt into it

app = Commands(
    name="tenfold",
    help="Recommenders and more from your own files: fitted, compared and saved with one command each.",
)
SUMMARIES["shop"] = "The embedded marketplace: made on the spot, from a seed."

Name = Annotated[str, typer.Argument(metavar="NAME", help="a system or baseline; `tenfold list` names them")]
Log = Annotated[
    str, typer.Argument(metavar="DATA", help="an event log: CSV, TSV, JSONL, Parquet, .inter, text; or .gz")
]
Sets = Annotated[Optional[list[str]], typer.Option("--set", metavar="NAME=VALUE", help="an option; repeat for more")]
SplitName = Annotated[
    Optional[str], typer.Option("--split", help="loo, stream, time or none; what a system knows, `tenfold info` says")
]
Device = Annotated[str, typer.Option(help="where it answers: cpu, cuda, cuda:1, mps")]
ListLengths = Annotated[Optional[list[int]], typer.Option("-k", help="list length; repeat for more [default: 10]")]
ExcludeSeen = Annotated[bool, typer.Option("--exclude-seen", help="leave out what the history holds")]
Measured = Annotated[
    Optional[list[str]],
    typer.Option("--protocol", metavar="NAME=VALUE", help="how it is measured; repeat. `tenfold info NAME` lists them"),
]


def _reading(values: Mapping[str, Any], folder: str | None = None, without: Sequence[str] = ()) -> Any:
    """How the log is read: as told or, for an artifact, as the log was that it was fitted on, but for `without`."""
    from tenfold.data.options import Reading
    from tenfold.options import parse

    kept: dict[str, Any] = {}
    if folder is not None:
        from tenfold.artifact import read_config

        kept = read_config(Path(folder)).get("fitted", {}).get("reading", {})
        kept = {name: value for name, value in kept.items() if name not in without}
    return parse(Reading, kept | dict(values))


def _budget(values: Mapping[str, Any]) -> Any:
    from tenfold.budget import Budget
    from tenfold.options import parse

    return parse(Budget, ({} if sys.stderr.isatty() else {"progress": "lines"}) | dict(values))


def _protocol(kind: Any, words: Sequence[str] | None, **flags: Any) -> dict[str, Any]:
    """How a system of this class is to measure: what was given by --protocol and by the flags of recommenders."""
    return _words(kind, kind.protocol, kind.as_protocol, "is not measured by", words, flags)


def _answering(kind: Any, words: Sequence[str] | None, **flags: Any) -> dict[str, Any]:
    """How it is to answer: what was given by --how and by flags."""
    return _words(kind, kind.answering, kind.as_answering, "answers without", words, flags)


def _words(
    kind: Any, group: type, typed: Any, refusal: str, words: Sequence[str] | None, flags: Mapping[str, Any]
) -> dict[str, Any]:
    """A flag that was given and that the system does not know is refused as the person wrote it."""
    from tenfold.options import assignments, names

    given, known = _given(**flags), names(group)
    for name in given:
        if name not in known:
            raise OptionError(f"a {kind.__name__} {refusal} {_flag(name)}; leave it out")
    return dict(typed(assignments(list(words or ())) | given))


def _flag(name: str) -> str:
    return {"ks": "-k", "k": "-k"}.get(name, f"--{name.replace('_', '-')}")


def _on(system: Any, device: str) -> Any:
    """The system there. Raises OptionError where there is no such device."""
    if device == "cpu":  # where a loaded one is
        return system
    try:
        return system.to(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        told = str(error).strip().splitlines()[0]
        raise OptionError(f"--device {device} cannot be had here: {told}") from None


def _given(**flags: Any) -> dict[str, Any]:
    """What a task does not know it is not asked for."""
    return {name: value for name, value in flags.items() if value not in (None, []) and value is not False}


@command("list")
def list_systems() -> None:
    """The systems and baselines there are."""
    from tenfold.systems import BASELINES, SYSTEMS

    lines = [[name, row.gives, row.paper, "" if row.path else "planned"] for name, row in SYSTEMS.items()]
    for task, baselines in BASELINES.items():
        lines += [[name, row.gives, row.paper, f"baseline, {task}"] for name, row in baselines.items()]
    print_table(["name", "gives", "source", ""], lines)


@command("info")
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
    from tenfold.options import presets, rows
    from tenfold.systems import load_class
    from tenfold.systems import rows as system_rows

    cls = load_class(what)
    row = system_rows()[what]
    print(f"{what}: {row.gives} ({row.paper})\nsplits: {', '.join(cls.splits)}")
    options = cls.options_class()
    for name, values in presets(options).items():
        print(f"preset={name}: {', '.join(f'{key}={value}' for key, value in values.items())}")
    lines = [[r.name, r.type, r.bounds, shown(r.default), r.meaning, "yes" if r.tune else ""] for r in rows(options)]
    if lines:
        print_table(["option", "type", "bounds", "default", "meaning", "tuned"], lines)
    else:
        print("it has no options")
    for name, group in (("evaluate --protocol", cls.protocol), ("predict --how", cls.answering)):
        lines = [[r.name, r.type, shown(r.default), r.meaning] for r in rows(group)]
        if lines:
            print_table([name, "type", "default", "meaning"], lines)


@command("fit", budget="tenfold.budget:Budget", reading="tenfold.data.options:Reading")
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
    """Fit a system on your data and save it."""
    from tenfold.artifact import check_free
    from tenfold.options import assignments, expand, parse
    from tenfold.system import is_first_process
    from tenfold.systems import load_class

    cls = load_class(name)
    chosen = expand(cls.options_class(), assignments(sets or []))
    if start_from is not None:
        chosen = {**cls.load(start_from).get_params(), **chosen}
    system = cls(parse(cls.options_class(), chosen))
    limits, how = _budget(budget), _reading(reading)
    check_writable(Path(output))
    check_free(Path(output))
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if is_first_process():
            say(line)

    system.fit(
        data,
        split=split,
        budget=limits,
        run=_run_of(output),
        resume=resume,
        start_from=start_from,
        reading=how,
        tell=tell,
    )
    if is_first_process():
        say(*system.notes[len(told) :])
        system.save(output)
        for stage, epochs in system.history.items():
            last = (
                ", ".join(f"{key} {value:.4g}" for key, value in epochs[-1].items() if key != "epoch") if epochs else ""
            )
            say(f"{stage}: {len(epochs)} epochs; the last: {last}")
        following = "" if split == "none" else f"; next: tenfold evaluate {shlex.quote(output)} {shlex.quote(data)}"
        say(f"saved in {output}{following}")


def _run_of(output: str) -> Path:
    """DIR.run, beside DIR."""
    folder = Path(output) if Path(output).name not in ("", "..") else Path(output).resolve()
    return folder.with_name(f"{folder.name}.run")


@command("evaluate", reading="tenfold.data.options:Reading")
def evaluate(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system")],
    data: Log,
    k: ListLengths = None,
    split: SplitName = None,
    part: Annotated[str, typer.Option(help="test or validation")] = "test",
    exclude_seen: ExcludeSeen = False,
    sampled: Annotated[
        Optional[int], typer.Option(help="rank among so many sampled items instead of all, as 2018's papers")
    ] = None,
    protocol: Measured = None,
    device: Device = "cpu",
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="write the figures as JSON too")] = None,
    *,
    reading: dict[str, Any],
) -> None:
    """Measure a fitted system on what was held out, and say how."""
    if part not in ("test", "validation"):
        raise OptionError(f"--part is test or validation; found '{part}'")
    system = _on(load(folder), device)
    found = system.evaluate(
        data,
        split=split,
        part=part,
        **_protocol(type(system), protocol, ks=k, exclude_seen=exclude_seen, sampled=sampled),
        reading=_reading(reading, folder, without=["items"]),  # nobody is shown a title
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


@command("predict", reading="tenfold.data.options:Reading")
def predict(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system")],
    input: Annotated[Optional[str], typer.Option("-i", "--input", help="rows of user and history, or a log")] = None,
    output: Annotated[
        Optional[str],
        typer.Option("-o", "--output", help=".parquet or .jsonl; without it the first answers as a table"),
    ] = None,
    history: Annotated[Optional[str], typer.Option(help="one history instead: item ids, commas between")] = None,
    users: Annotated[Optional[str], typer.Option(help="a file of users to answer, with --history-from")] = None,
    history_from: Annotated[Optional[str], typer.Option(help="the log that holds these users' histories")] = None,
    k: Annotated[Optional[int], typer.Option("-k", help="items for each user [default: 10]")] = None,
    exclude_seen: ExcludeSeen = False,
    on_unseen: Annotated[
        Optional[str], typer.Option(help="an unknown item in a history: skip or refuse [default: skip]")
    ] = None,
    chosen: Annotated[
        Optional[list[str]],
        typer.Option("--how", metavar="NAME=VALUE", help="how it answers; repeat. `tenfold info NAME` lists them"),
    ] = None,
    device: Device = "cpu",
    *,
    reading: dict[str, Any],
) -> None:
    """Answer file to file, or recommend for one history as a table."""
    if users is not None and history_from is None:
        raise OptionError("--users needs --history-from, the log that holds their histories")
    source = input or history_from
    if (history is None) == (source is None) or (input and history_from):
        raise OptionError(
            "give one of --input FILE, --history-from LOG (with --users FILE or without), --history i9,i4"
        )
    system = _on(load(folder), device)
    how = _answering(type(system), chosen, k=k, exclude_seen=exclude_seen, on_unseen=on_unseen)
    if history is not None:
        if output is not None:
            raise OptionError("--history is answered in the terminal; answers for a file come from --input FILE")
        _recommend(system, history, how)
        return
    if output is None and not system.shown:
        raise OptionError(f"a {type(system).__name__} answers into files: --output says where")
    how |= _given(users=users, history_from=history_from)
    _known(system.predict, how)
    # Those who ask today may be few and their items rare, and the file of titles may lie elsewhere.
    how["reading"] = _reading(reading, folder, without=["items", "min_user_events", "min_item_events"])
    if output is None:
        _print_first(system, source, how)
        return
    count = system.predict(source, output, **how)
    say(*count.notes, f"{count:,} {system.units} answered in {output}")


def _recommend(system: Any, history: str, how: Mapping[str, Any]) -> None:
    """The answer to one history, as a table."""
    if not hasattr(system, "recommend"):
        raise OptionError(f"a {type(system).__name__} recommends nothing; give a file with --input")
    _known(system.recommend, how)
    found = system.recommend([item.strip() for item in history.split(",")], **how)
    lines = [[str(place), str(r.item), f"{r.score:.4f}"] for place, r in enumerate(found, 1)]
    print_table(["rank", "item", "score"], lines, right=(0, 2))
    if found.skipped:
        say(f"{found.skipped} events of the history are of items that this system does not know")
    if found.by_popularity:
        say("no item of the history is known: these are the most popular items")


def _print_first(system: Any, source: Any, how: Mapping[str, Any]) -> None:
    """The first answers to a file, as a table."""
    with tempfile.TemporaryDirectory() as beside:
        path = Path(beside) / "answers.jsonl"
        count = system.predict(source, path, **how)
        with path.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in islice(file, SHOWN)]
    print_table(list(system.shown), [[_cell(row[name]) for name in system.shown] for row in rows])
    say(*count.notes, f"{len(rows)} of {count:,} {system.units} are shown; --output FILE keeps all")


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _known(verb: Any, how: Mapping[str, Any]) -> None:
    takes = inspect.signature(verb).parameters
    if unknown := [name for name in how if name not in takes]:
        raise OptionError(f"a {type(verb.__self__).__name__} answers without {_flag(unknown[0])}; leave it out")


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


@command("compare", budget="tenfold.budget:Budget", reading="tenfold.data.options:Reading")
def compare(
    data: Log,
    arm: Annotated[
        list[str], typer.Option("--arm", metavar="ARM", help="NAME, NAME:OPTION=VALUE,... or LABEL=NAME:...")
    ],
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="folder for JSON and plot")] = None,
    split: SplitName = None,
    trials: Annotated[int, typer.Option(help="of a random search for each arm; 0: options as given")] = 0,
    against: Annotated[str, typer.Option(help="the arm that differences are to: a label, or best")] = "best",
    metric: Annotated[Optional[str], typer.Option(help="the watched figure [default: ndcg, or the first]")] = None,
    k: ListLengths = None,
    exclude_seen: ExcludeSeen = False,
    protocol: Measured = None,
    *,
    budget: dict[str, Any],
    reading: dict[str, Any],
) -> None:
    """Arms side by side: one split, one budget, paired intervals, one table."""
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
        trials=trials,
        metric=metric,
        against=against,
        reading=_reading(reading),
        **_protocol(arms[0].kind, protocol, ks=k, exclude_seen=exclude_seen),
        tell=say,
    )
    if output is not None:
        found.save(output)  # before anything is printed, which may fail
        say(f"written: {output}/comparison.json, {output}/comparison.png")
    print_rich(found.table(columns()))


@command("tune", budget="tenfold.budget:Budget", reading="tenfold.data.options:Reading")
def tune(
    name: Name,
    data: Log,
    trials: Annotated[int, typer.Option(help="fits, the first with the options as given")] = 16,
    sets: Sets = None,
    split: SplitName = None,
    metric: Annotated[Optional[str], typer.Option(help="the figure to choose by [default: ndcg, or the first]")] = None,
    k: ListLengths = None,
    exclude_seen: ExcludeSeen = False,
    protocol: Measured = None,
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="folder for the best system, fitted")] = None,
    *,
    budget: dict[str, Any],
    reading: dict[str, Any],
) -> None:
    """Search a system's options at random; the validation part chooses."""
    from tenfold import tune as tuning
    from tenfold.arms import parse_arm
    from tenfold.artifact import check_free

    if output is not None:
        check_writable(Path(output))
        check_free(Path(output))  # somebody else's folder is refused before the search, not after it
    arm = parse_arm(f"{name}:{','.join(sets)}" if sets else name)
    how = _reading(reading)
    found = tuning.tune(
        arm,
        data,
        trials=trials,
        split=split,
        budget=_budget({"progress": "none"} | budget),
        metric=metric,
        reading=how,
        **_protocol(arm.kind, protocol, ks=k, exclude_seen=exclude_seen),
        tell=say,
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
    listing: Annotated[bool, typer.Option("--list", help="say what would be measured, measure nothing")] = False,
    output: Annotated[Optional[str], typer.Option("-o", "--output", help="folder for JSON and plot")] = None,
) -> None:
    """Measure what a system's paper claims, on this machine."""
    from tenfold import claims as claiming

    if listing:
        print_rich(claiming.listed(claiming.claims_of(name)))
        return
    claiming.run_claims(name, size=cast(Any, size), only=only or (), quick=quick, output=output)


@command("shop new", shop="tenfold.shop.options:Options")
def shop_new(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="where to write it")],
    force: Annotated[bool, typer.Option("--force", help="replace the shop that is there")] = False,
    only: Annotated[Optional[list[str]], typer.Option(help="a table beside the events (events: none); repeat")] = None,
    folders: Annotated[
        bool, typer.Option("--folders", help="pictures as PNG files in folders, not in Parquet")
    ] = False,
    processes: Annotated[
        Optional[int], typer.Option(help="that draw it (one a core); what is drawn does not depend on it")
    ] = None,
    *,
    shop: dict[str, Any],
) -> None:
    """Draw a marketplace and write its files."""
    from tenfold.options import parse
    from tenfold.shop import Shop
    from tenfold.shop.options import Options as ShopOptions

    drawing = Shop(parse(ShopOptions, shop), processes=os.cpu_count() or 1 if processes is None else processes)
    print(drawing.write(folder, force=force, only=only or None, folders=folders))


@command("shop info")
def shop_info(folder: Annotated[str, typer.Argument(metavar="DIR", help="a shop's folder")]) -> None:
    """What a shop holds, and what is learnable in it."""
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
    """A shop made on the spot, systems fitted on it, compared and explained on one page."""
    from tenfold import demo as showing

    check_writable(Path(output))
    page = showing.run(Path(output), quick=quick, tell=say)
    print(f"open {page}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program `tenfold`: 0, or 2 for what the user can mend, or 130 for Ctrl-C."""
    try:
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
        said = READING.sub(lambda found: f"--{found[1].replace('_', '-')} ", str(error))
        say(f"error: {said}")
        return 2
    except typer.TyperException as error:  # what the parser of arguments refuses
        if type(error).__name__ == "NoArgsIsHelpError":  # `tenfold` or `tenfold shop` alone
            print(error.format_message())
            return 0
        say(f"error: {_sentence(error)}")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED and arguments[:1] == ["fit"] and _keeps_a_run(arguments):
        again = [*arguments, *([] if "--resume" in arguments else ["--resume"])]
        say("interrupted; the run is kept. To go on:", f"  {shlex.join(['tenfold', *again])}")
    elif code == INTERRUPTED:
        say("interrupted")
    return code


def _keeps_a_run(arguments: Sequence[str]) -> bool:
    """Whether there is something that `fit` with these words can go on with."""
    for word, value in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, joined = word.partition("=")
        if word[:2] == "-o" and len(name) > 2:  # as in -oruns/mine
            name, joined = "-o", word[2:]
        if name in ("-o", "--output"):
            return (_run_of(joined or value) / "run.json").exists()
    return False


def _sentence(error: Exception) -> str:
    told = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{told.strip().rstrip('.')}; see --help"


if __name__ == "__main__":
    sys.exit(main())
