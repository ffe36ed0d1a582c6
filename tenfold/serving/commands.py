"""`tenfold serve DIR` and `tenfold replay DIR LOG`. Nothing heavy is imported at the top: help is made of it."""

import sys
from typing import Annotated, Any, Optional

import typer

from tenfold.command_line import flags, say
from tenfold.errors import OptionError


@flags(service="tenfold.serving.options:ServeOptions")
def serve(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system")],
    states: Annotated[
        Optional[str], typer.Option(help="where users' states are: a folder, redis://HOST, or memory [default: memory]")
    ] = None,
    late: Annotated[str, typer.Option(help="what is done with late events: append, ignore or refuse")] = "append",
    keep_seen: Annotated[int, typer.Option(help="items a user had that are kept, for exclude_seen")] = 0,
    keep_shown: Annotated[int, typer.Option(help="items a user was shown that are kept, likewise")] = 0,
    retrieval: Annotated[
        str, typer.Option(help="how the best items are found: auto, none (all are scored), exact, ivf or hnsw")
    ] = "auto",
    device: Annotated[str, typer.Option(help="device to compute on: cpu, cuda, cuda:1, mps")] = "cpu",
    *,
    service: dict[str, Any],
) -> None:
    """Serve a fitted system over HTTP: events in, answers out; /openapi.json describes it."""
    from tenfold.options import parse
    from tenfold.registry import named
    from tenfold.serving.options import ServeOptions
    from tenfold.systems import load

    options = parse(ServeOptions, service)
    try:
        from tenfold.serving.app import App, run
    except ModuleNotFoundError as error:
        raise OptionError(f"serving needs {error.name}; install it with: pip install 'tenfold[serve]'") from None
    system = load(folder)
    if not system.service:
        raise OptionError(f"a {type(system).__name__} has no service yet; `tenfold predict` answers file to file")
    if device != "cpu":
        system.to(device)
    how: dict[str, Any] = {"late": late, "keep_seen": keep_seen, "keep_shown": keep_shown, "retrieval": retrieval}
    made: Any = named(system.service)
    for name in ("items", "keep_log"):
        if getattr(options, name) and name not in made.takes:
            flag = name.replace("_", "-")
            raise OptionError(f"the service of a {type(system).__name__} has no --{flag}; leave it out")
    streams = getattr(system, "state_size", 0) > 0
    served = made(system, options, states=states, **(how if streams else {}))
    for line in served.remarks:
        say(line)
    app = App(
        served,
        options,
        tokens=_tokens(options.tokens),
        log=None if options.quiet else sys.stderr.buffer,
    )

    def started(where: str) -> None:
        print(f"{type(system).__name__} of {folder} listens on {where}", flush=True)

    run(app, options, started)


def _tokens(path: str | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    try:
        with open(path, encoding="utf-8") as file:
            found = frozenset(filter(None, map(str.strip, file)))
    except OSError as error:
        raise OptionError(f"the tokens of {path} cannot be read: {error.strerror}") from None
    if not found:
        raise OptionError(f"{path} holds no token; write one on a line of its own, or leave --tokens out")
    return found


def replay(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="a fitted system that streams")],
    log: Annotated[str, typer.Argument(metavar="LOG", help="an event log, in any format that `fit` reads")],
    states: Annotated[str, typer.Option(help="where the states go: a folder, or redis://HOST")],
    shard: Annotated[str, typer.Option(help="i/n: only the i-th of n parts of the users, i from 0")] = "0/1",
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="also report how well each event was predicted before it was seen")
    ] = False,
    columns: Annotated[Optional[str], typer.Option(help="columns, as for `fit`: user=u,item=i,time=t")] = None,
) -> None:
    """Replay a log into users' states, for a service to start from; run again, it continues where it stopped."""
    from tenfold.data.events import read_events
    from tenfold.data.options import ReadOptions
    from tenfold.options import parse
    from tenfold.systems import load
    from tenfold.tasks.next_item.replay import replay as replay_into
    from tenfold.tasks.next_item.task import NextItem

    system: Any = load(folder)
    if not isinstance(system, NextItem):
        raise OptionError(f"a {type(system).__name__} keeps no users' states; replay is for next-item systems")
    number, slash, of = shard.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise OptionError(f"--shard is i/n, such as 0/4; found '{shard}'")
    read_options = parse(ReadOptions, {} if columns is None else {"columns": columns})
    events = read_events(log, read_options)
    for line in events.report.sentences():
        say(line)
    done = replay_into(system, events, states, shard=(int(number), int(of)), tell=say)
    went_on = f"; {done.went_on} of {done.parts} parts were done before" if done.went_on else ""
    unknown = f"; {done.unknown:,} events are of items that the system does not know" if done.unknown else ""
    print(f"{done.users:,} users, {done.events:,} events in {states}{unknown}{went_on}")
    if evaluate:
        from tenfold.tasks.next_item.replay import prequential

        for name, value in prequential(system, events).items():
            print(f"{name} {value:.4f}")


def export_states(
    states: Annotated[str, typer.Argument(metavar="STATES", help="where they are: a folder, or redis://HOST")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="the Parquet file to write, with a row for each user")],
) -> None:
    """All users' states as one file: a copy to keep, or to bring elsewhere."""
    from tenfold.streaming import open_store
    from tenfold.streaming.copies import export_states as export

    _refuse_what_is_not_there(states)
    with open_store(states) as store:
        print(f"{export(store, file):,} users in {file}")


def import_states(
    file: Annotated[str, typer.Argument(metavar="FILE", help="a file that `tenfold states export` wrote")],
    states: Annotated[str, typer.Argument(metavar="STATES", help="where they go: a folder, or redis://HOST")],
    replace: Annotated[
        bool, typer.Option("--replace", help="users that are there already get the file's state")
    ] = False,
) -> None:
    """Such a file into a store; all is looked at before the first state is written."""
    from tenfold.streaming import open_store
    from tenfold.streaming.copies import import_states as read_into

    with open_store(states) as store:
        print(f"{read_into(store, file, replace=replace):,} users in {states}")


def _refuse_what_is_not_there(states: str) -> None:
    """A store would be made where none is."""
    from pathlib import Path

    if "://" not in states and not (Path(states) / "data.mdb").exists():
        raise OptionError(f"{states} holds no states; name the folder that --states named, or redis://HOST")
