"""What the command line is made of: commands that are made when called, flags made from options, tables.

Flags for options that the library has are made from where these are written (`Budget`, `Reading`), so that help, bounds
and defaults are said once; and only when their command is called, so that `--help` answers at once.
"""

import functools
import importlib
import inspect
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Optional

import typer
import typer.core
import typer.main

from tenfold.errors import OptionError, nearest

COMMANDS: dict[str, Callable[[], Any]] = {}  # by name ("shop new"); made when asked for
SUMMARIES: dict[str, str] = {}  # a line on each, and on groups of them


def command(name: str, **groups: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function a command, with a flag for each option of each group, given as 'module:Class'.

    The function gets, by the group's name, the values that were given on the command line.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def made() -> Any:
            one = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
            one.command(name.rpartition(" ")[2])(with_flags(function, {g: named(p) for g, p in groups.items()}))
            return typer.main.get_command(one)

        COMMANDS[name] = made
        SUMMARIES[name] = (function.__doc__ or "").partition("\n")[0]
        return function

    return decorate


def named(path: str) -> type:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


class Commands(typer.core.TyperGroup):
    """The commands whose name begins with `prefix`; one is made when it is called, so that help needs no options."""

    def __init__(self, prefix: str = "", **settings: Any) -> None:
        super().__init__(no_args_is_help=True, rich_markup_mode=None, **settings)
        self.prefix = prefix

    def list_commands(self, ctx: Any) -> list[str]:
        own = [name.removeprefix(self.prefix) for name in COMMANDS if name.startswith(self.prefix)]
        return list(dict.fromkeys(name.partition(" ")[0] for name in own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        name = self.prefix + cmd_name
        if name in COMMANDS:
            return COMMANDS[name]()
        if any(other.startswith(f"{name} ") for other in COMMANDS):
            return Commands(f"{name} ", name=cmd_name, help=SUMMARIES.get(name))
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None:
            raise OptionError(f"there is no command '{args[0]}'; {nearest(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES.get(self.prefix + name, "")) for name in self.list_commands(ctx)])


def with_flags(function: Callable[..., Any], groups: Mapping[str, type]) -> Callable[..., Any]:
    from tenfold.options import rows

    own = inspect.signature(function)
    flags: dict[str, inspect.Parameter] = {}
    whose: dict[str, tuple[str, str]] = {}
    for group, cls in groups.items():
        for row in rows(cls):
            key = row.name.replace(".", "_")
            whose[key] = (group, row.name)
            kind = inspect.Parameter.KEYWORD_ONLY
            flags[key] = inspect.Parameter(key, kind, default=None, annotation=flag_of(row, group))

    @functools.wraps(function)
    def wrapped(**values: Any) -> Any:
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


def flag_of(row: Any, panel: str) -> Any:
    """The annotation of an option's flag: text that the option itself checks, a switch, or a list of texts."""
    told = f"{row.meaning} [{row.type}{', ' + row.bounds if row.bounds else ''}; default: {shown(row.default)}]"
    flag = "--" + row.name.replace("_", "-").replace(".", "-")
    if row.type == "bool":
        return Annotated[Optional[bool], typer.Option(flag, help=told, rich_help_panel=panel)]
    if row.type.startswith("tuple"):
        return Annotated[Optional[list[str]], typer.Option(flag.rstrip("s"), help=told, rich_help_panel=panel)]
    return Annotated[Optional[str], typer.Option(flag, help=told, metavar="VALUE", rich_help_panel=panel)]


def shown(value: Any) -> str:
    return "none" if value in (None, "", ()) else str(value)


def say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def print_table(headers: list[str], lines: list[list[str]], *, right: tuple[int, ...] = ()) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, header in enumerate(headers):
        table.add_column(header, justify="right" if place in right else "left", overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))  # a user's id is text, not markup
    print_rich(table)


def columns() -> int:
    """Of the terminal; piped into a file or a program, lines are not broken at a screen's width."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 200


def print_rich(table: Any) -> None:
    from rich.console import Console

    Console(width=columns(), highlight=False).print(table)
