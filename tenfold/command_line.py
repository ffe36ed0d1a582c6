"""What the command line is made of: commands that are made when called, flags made from options, tables.

Flags for options that the library has are made from where these are written (`Budget`, `ReadOptions`), so that help,
bounds and defaults are said once; and only when their command is called, so that `--help` answers at once.
"""

import functools
import inspect
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Optional, cast

import typer
import typer.core
import typer.main

from tenfold.errors import OptionError, nearest
from tenfold.options import LIST_OF, Row, rows
from tenfold.registry import COMMANDS as ROOMS
from tenfold.registry import TASKS, Task, named

COMMANDS: dict[str, Callable[[], Any]] = {}  # by name ("shop new"); made when asked for
SUMMARIES: dict[str, str] = {}  # a line on each, and on groups of them
SECTIONS = {  # of help, by the name of a group of options
    "budget": "Training", "read": "How files are read", "inputs": "Further files", "protocol": "How it is measured",
    "predict": "How it answers", "question": "One question, answered in the terminal",
}  # fmt: skip


def command(name: str, **groups: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function a command, with a flag for each option of each group, given as 'module:Class'.

    The function gets, by the group's name, the values that were given on the command line.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        COMMANDS[name] = functools.partial(_made, name, function, groups)
        SUMMARIES[name] = (function.__doc__ or "").partition("\n")[0]
        return function

    return decorate


def _made(name: str, function: Callable[..., Any], groups: Mapping[str, str]) -> Any:
    one = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    one.command(name.rpartition(" ")[2], cls=Sectioned)(with_flags(function, groups))
    return typer.main.get_command(one)


def _summary(name: str) -> str:
    return ROOMS[name].help if name in ROOMS else SUMMARIES.get(name, "")


class Sectioned(typer.core.TyperCommand):
    """Help in sections: what must be given, the command's own options, then those of each group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            if (told := parameter.get_help_record(ctx)) is not None:
                sections.setdefault(getattr(parameter, "rich_help_panel", None) or usual, []).append(told)
        for title, lines in sections.items():
            with formatter.section(title):
                formatter.write_dl(lines)


class Commands(typer.core.TyperGroup):
    """The commands whose name begins with `prefix`; one is made when it is called, so that help needs no options."""

    def __init__(self, prefix: str = "", **settings: Any) -> None:
        super().__init__(no_args_is_help=True, rich_markup_mode=None, **settings)
        self.prefix = prefix

    def list_commands(self, ctx: Any) -> list[str]:
        every = [*COMMANDS, *ROOMS]
        own = [name.removeprefix(self.prefix) for name in every if name.startswith(self.prefix)]
        return list(dict.fromkeys(name.partition(" ")[0] for name in own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        name = self.prefix + cmd_name
        if name in COMMANDS:
            return COMMANDS[name]()
        if name in ROOMS:
            return _made(name, cast(Callable[..., Any], named(ROOMS[name].path)), {})
        if any(other.startswith(f"{name} ") for other in [*COMMANDS, *ROOMS]):
            return Commands(f"{name} ", name=cmd_name, help=SUMMARIES.get(name))
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None:
            raise OptionError(f"there is no command '{args[0]}'; {nearest(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(self.prefix + name)) for name in self.list_commands(ctx)])


def with_flags(function: Callable[..., Any], groups: Mapping[str, str]) -> Callable[..., Any]:
    """The function with a flag for each option of each group; it gets a dict of those given, by the group's name."""
    own = inspect.signature(function)
    flags: dict[str, inspect.Parameter] = {}
    whose: dict[str, tuple[str, str]] = {}
    for group, path in groups.items():
        for section, row in sectioned(path, group):
            key = row.name.replace(".", "_")
            if key in whose or key in own.parameters:
                raise ValueError(f"two options of one command are called '{key}', of {group} and of {whose.get(key)}")
            whose[key] = (group, row.name)
            kind = inspect.Parameter.KEYWORD_ONLY
            flags[key] = inspect.Parameter(key, kind, default=None, annotation=flag_of(row, section))

    @functools.wraps(function)
    def wrapped(**values: Any) -> Any:
        for name, value in values.items():
            if value == "" and name in own.parameters:  # as in -o "$UNSET": '' is no path
                raise OptionError(f"{_as_written(own.parameters[name])} is empty; give it a value")
        given: dict[str, dict[str, Any]] = {group: {} for group in groups}
        for key, (group, name) in whose.items():
            value = values.pop(key)
            if value is not None and value != []:
                given[group][name] = tuple(value) if isinstance(value, list) else value
        return function(**values, **given)

    kept = [p for name, p in own.parameters.items() if name not in groups]
    wrapped.__signature__ = own.replace(parameters=[*kept, *flags.values()])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in [*kept, *flags.values()]}
    return wrapped


def flags(**groups: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For a room's command: flags for the options of each group, given as 'module:Class'."""
    return lambda function: with_flags(function, groups)


def flag_rows(path: str) -> list[Row]:
    """The options that a group has flags for: those of a class, 'module:Class', or what all tasks have.

    'tasks:read', 'tasks:protocol' and 'tasks:predict' are the classes of that name in the table of tasks,
    'tasks:inputs' the files beside the data, 'tasks:question' what `predict` answers in the terminal. An option of one
    name in several tasks is one flag.
    """
    return [row for _, row in sectioned(path, "")]


def sectioned(path: str, group: str) -> list[tuple[str, Row]]:
    """As `flag_rows`, each with the section of help in which it stands: a task's own options in one of that task."""
    of, _, kind = path.partition(":")
    if of != "tasks":
        return [(SECTIONS.get(group, group.capitalize()), row) for row in rows(named(path))]
    found: dict[str, dict[str, Row]] = {}  # by name, then by task
    for task, row in TASKS.items():
        for option in _rows_of_task(row, kind):
            found.setdefault(option.name, {})[task] = option
    several = [(SECTIONS[kind], _one_for(by_task)) for by_task in found.values() if len(by_task) > 1]
    alone: dict[str, list[Row]] = {task: [] for task in TASKS}
    for by_task in found.values():
        if len(by_task) == 1:
            alone[next(iter(by_task))] += by_task.values()
    own = [(f"{SECTIONS[kind]}, for {in_words(task)} alone", row) for task in alone for row in alone[task]]
    return several + own


def in_words(task: str) -> str:
    return task.replace("_", " ")


def _one_for(by_task: Mapping[str, Row]) -> Row:
    """What several tasks have; where not all have it, or mean different things by it, its help says whose it is."""
    whose: dict[Row, list[str]] = {}
    for task, row in by_task.items():
        whose.setdefault(row, []).append(in_words(task))
    first = next(iter(by_task.values()))
    if len(whose) == 1 and len(by_task) == len(TASKS):
        return first
    told = "; ".join(f"{', '.join(names)}: {row.meaning}" for row, names in whose.items())
    same = all(row.type == first.type and row.default == first.default for row in whose)
    return first._replace(meaning=told) if same else first._replace(meaning=told, type="", bounds="", default=None)


def _rows_of_task(task: Task, kind: str) -> list[Row]:
    if kind == "inputs":
        return [_text_row(name, "FILE", meaning) for name, meaning in task.inputs.items()]
    if kind == "question":
        return [_text_row(task.question[0], "TEXT", task.question[1])] if task.question[0] else []
    return list(rows(named(getattr(task, kind))))


def _text_row(name: str, kind: str, meaning: str) -> Row:
    return Row(name, kind, "", None, meaning, None, "--" + name.replace("_", "-"))


def _as_written(parameter: inspect.Parameter) -> str:
    """What a person calls it: --output, or DATA."""
    for about in getattr(parameter.annotation, "__metadata__", ()):
        long = [flag for flag in getattr(about, "param_decls", None) or () if flag.startswith("--")]
        if long or getattr(about, "metavar", None):
            return long[0] if long else str(about.metavar)
    return "--" + parameter.name.replace("_", "-")


def flag_of(row: Row, panel: str) -> Any:
    """The annotation of an option's flag: text that the option itself checks, a switch, or a list of texts."""
    if row.type == "bool":
        on = bool(row.default)  # what is on unless told otherwise can be told otherwise
        switch, told = (
            (f"{row.flag}/--no-{row.flag[2:]}", f"{row.meaning} [default: on]") if on else (row.flag, row.meaning)
        )
        return Annotated[Optional[bool], typer.Option(switch, help=told, rich_help_panel=panel)]
    limits = f" [{row.type}{', ' + row.bounds if row.bounds else ''}; default: {shown(row.default)}]"
    told = row.meaning + (limits if row.type and not row.type.isupper() else "")
    if row.type.startswith(LIST_OF):
        flag = row.flag if len(row.flag) == 2 else row.flag.rstrip("s")
        return Annotated[Optional[list[str]], typer.Option(flag, help=told, metavar="VALUE", rich_help_panel=panel)]
    shape = row.type if row.type.isupper() else "VALUE"
    return Annotated[Optional[str], typer.Option(row.flag, help=told, metavar=shape, rich_help_panel=panel)]


def shown(value: Any) -> str:
    if isinstance(value, tuple) and value:
        return ", ".join(map(str, value))
    return "none" if value in (None, "", ()) else str(value)


def say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def print_table(
    headers: list[str], lines: list[list[str]], *, right: tuple[int, ...] = (), whole: tuple[int, ...] = ()
) -> None:
    """Columns of `right` hold figures; those of `whole` are never broken, however narrow the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, header in enumerate(headers):
        justify: Literal["left", "right"] = "right" if place in right else "left"
        table.add_column(header, justify=justify, overflow="fold", no_wrap=place in whole)
    for line in lines:
        table.add_row(*map(Text, line))  # a user's id is text, not markup
    print_rich(table)


def columns() -> int:
    """Of the terminal; piped into a file or a program, lines are not broken at a screen's width."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 200


def print_rich(table: Any) -> None:
    from rich.console import Console

    Console(width=columns(), highlight=False).print(table)
