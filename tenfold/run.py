"""The run folder: whose run it holds, and who may go on in it."""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.errors import RunError
from tenfold.files import sweep, write_whole, writing

LOCK, FINISHED = "run.lock", "finished"  # the second: of a run that trains nothing, and so keeps nothing else
OWN = (
    "run.json",
    "last.ckpt",
    "history.json",
    "final.safetensors",
    "last.safetensors",
    "done.json",
)  # what is written into a run, and may be cut short
LIMITS = (
    "max_epochs",
    "max_seconds",
    "max_steps",
    "max_units",
    "patience",
    "stage",
)  # a run that goes on may be given others


def open_run(folder: Path, description: Mapping[str, Any], *, resume: bool) -> None:
    """Take `folder` for the run that `description` tells of or, to resume, make sure that it holds this very run.

    The description names what decides the weights (system, options, seed, data, epochs, patience). A run may go on
    with more epochs while no stage of it is finished: then the next stage stands on what that one became. A stage that
    a total ended within an epoch is not finished: with more of that total it goes on. A run that was killed before it
    had anything to go on with hinders nobody: the folder is free for another.
    Of several processes the first decides. Raises RunError.
    """
    if int(os.environ.get("RANK", "0")) > 0:
        return
    path = folder / "run.json"
    if not path.exists():
        if resume:
            raise RunError(f"{folder} holds no run to resume; leave `resume` out, or name the folder of the run")
        if folder.is_file() or (folder.is_dir() and {each.name for each in folder.iterdir()} - {LOCK}):
            raise RunError(f"{folder} is not empty and holds no run; choose a new or an empty folder")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # Only who has the lock may look and write: of two that start at once, the second finds the first one's run.
    held_before = folder.resolve() in _held
    _lock(folder)
    try:
        for place in (folder, *(each for each in folder.iterdir() if each.is_dir())):
            sweep(place, *OWN)
        wanted = json.loads(json.dumps(description))
        if path.exists() and (resume or held_before or _can_go_on(folder)):
            _compare(folder, wanted, resume=resume)
        write_whole(path, json.dumps(wanted, indent=1).encode())
    except BaseException:
        if not held_before:
            close_run(folder, refused=not path.exists(), failed=True)
        raise


def _compare(folder: Path, wanted: Mapping[str, Any], *, resume: bool) -> None:
    """Whether the run that `folder` holds is the wanted one. Raises RunError."""
    path = folder / "run.json"
    try:
        found = json.loads(path.read_text())
        if not isinstance(found, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError):
        raise RunError(f"{path} cannot be read as JSON: it was changed by hand or cut short; start a new run") from None
    settled = any(not (done.parent / "last.ckpt").exists() for done in folder.glob("*/done.json"))
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        if found.get(name) != wanted.get(name) and settled and name in LIMITS:
            raise RunError(
                f"a stage of the run in {folder} is finished, with {name} {found.get(name)!r}; it cannot have "
                f"{wanted.get(name)!r} now; start a new run from the fitted system (start_from, --start-from)"
            )
        if found.get(name) != wanted.get(name) and name not in LIMITS:
            raise RunError(
                f"{folder} holds another run: its {name} is {found.get(name)!r}, this one's {wanted.get(name)!r}; "
                f"choose another folder, or go on with what that run was started with"
            )
    if not resume:
        raise RunError(f"{folder} holds this run already; resume it (resume=True, --resume), or choose another folder")


_held: dict[Path, int] = {}  # open for as long as the process lives


def _lock(folder: Path) -> None:
    """One process at a time trains in a folder. The lock is the system's: it dies with the process, however that ends,
    and loader workers do not inherit it. Raises RunError."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return
    folder = folder.resolve()
    if folder not in _held:
        _held[folder] = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.lockf(_held[folder], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            os.close(_held.pop(folder))
            raise RunError(
                f"another process is training in {folder}; wait until it ends, or choose another folder"
            ) from None


def _can_go_on(folder: Path) -> bool:
    """Whether a run has anything yet: a checkpoint, a finished stage or, where nothing is trained, its end."""
    return (folder / FINISHED).exists() or any(
        path for name in ("last.ckpt", "done.json") for path in folder.glob(f"*/{name}")
    )


def close_run(folder: Path, *, failed: bool = False, refused: bool = False) -> None:
    """Others may go on in it now. A run that was refused before it had anything to go on with leaves nothing behind;
    one that failed otherwise, or was interrupted, can be begun again with `resume`, and hinders no other."""
    held = _held.pop(folder.resolve(), None)
    if held is None:
        return
    try:
        if {path.name for path in folder.iterdir()} <= {"run.json", LOCK}:
            if refused:
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()
            elif not failed:
                write_whole(folder / FINISHED, b"")
    finally:
        os.close(held)
