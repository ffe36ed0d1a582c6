"""A fitted system on disk: config.json and the files that it names. Nothing in it is code, nothing is unpickled.

Every file but config.json has the hash of its content in its name, config.json has that of its own in it, and is
replaced last: a save that dies leaves the old artifact or the new one.
"""

import io
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from tenfold.errors import ArtifactError, OptionError, OutputError
from tenfold.files import PART, digest, replacing, sweep, write_whole, writing

FORMAT = 2  # raised when an older Tenfold could no longer read what is written, or this one checks more
HASHED = re.compile(r"(.+)-[0-9a-f]{16}\.\w+")
MOST = 1 << 31  # of any size: numbers of items and pairs are 32 bits wide
SPARE = 1 << 26  # bytes of a network that need not be in its artifact, such as tables that are made anew
KNOWN_TO_OPEN = ("format", "system", "options", "sizes", "files")


def write(folder: Path, config: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """files: what config.json will name, by a name with its ending, such as 'model.safetensors'.

    What an earlier artifact left there goes, other files stay. Raises OutputError.
    """
    before = check_free(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _sweep_parts(folder)
    named = {}
    for name, content in files.items():
        stem, _, ending = name.rpartition(".")
        named[stem] = f"{stem}-{digest(content)}.{ending}"
        if not _holds(folder / named[stem], content):
            write_whole(folder / named[stem], content)
    whole = {"format": FORMAT, **config, "files": named}
    write_whole(folder / "config.json", json.dumps(whole | {"digest": _digest_of(whole)}, indent=1).encode())
    for old in folder.iterdir():
        parts = HASHED.fullmatch(old.name)
        if parts and parts[1] in {*before, *named} and old.name not in named.values():
            old.unlink()


def _sweep_parts(folder: Path) -> None:
    """What a save that was killed left half-written. A hash in its name tells that a file is ours."""
    found = [part[1] for path in folder.iterdir() if (part := PART.fullmatch(path.name)) and HASHED.fullmatch(part[1])]
    sweep(folder, "config.json", *found)


def _holds(path: Path, content: bytes) -> bool:
    """Whether the file is there and whole: its name alone would not show damage."""
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def check_free(folder: Path) -> list[str]:
    """The names of an earlier artifact's files that a save would replace. Raises OutputError for anybody else's."""
    path = folder / "config.json"
    if not path.is_file():
        return []
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        known = all(name in config for name in KNOWN_TO_OPEN)
    except (OSError, ValueError, TypeError, RecursionError):
        known = False
    if known:
        return [name for name in config["files"] if isinstance(name, str)] if isinstance(config["files"], dict) else []
    raise OutputError(f"{path} is not one of a fitted system, and would be replaced; choose another folder")


def _digest_of(config: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in config.items() if name != "digest"}
    return digest(json.dumps(rest, sort_keys=True).encode())


def read_config(folder: Path, system: str | None = None) -> dict[str, Any]:
    """With a `system`, an artifact of another one is refused. Raises ArtifactError."""
    path = folder / "config.json"
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError
        config = json.loads(path.read_text(encoding="utf-8"))
        _digest_of(config if isinstance(config, dict) else {})
    except FileNotFoundError:
        found = "there is no config.json in it" if folder.is_dir() else "there is no such folder"
        raise ArtifactError(
            f"{folder} holds no fitted system: {found}; name the folder that `save` or fit wrote"
        ) from None
    except NotADirectoryError:
        raise ArtifactError(f"{folder} is not a folder; name the folder that `save` or fit wrote") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ArtifactError(f"{folder} holds no fitted system: config.json cannot be read ({reason})") from None
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{folder} holds no fitted system: config.json cannot be read as JSON ({error}); save or copy it again"
        ) from None
    missing = [name for name in KNOWN_TO_OPEN if not isinstance(config, dict) or name not in config]
    if missing:
        raise ArtifactError(f"{folder}/config.json is not one of a fitted system: it lacks {', '.join(missing)}")
    _check_kinds(folder, config)
    if config["format"] > FORMAT:
        raise ArtifactError(
            f"{folder} was saved by a newer Tenfold ({config.get('version')}) in format {config['format']}; "
            f"this one reads up to {FORMAT}; update Tenfold"
        )
    if config["format"] != 1 and config.get("digest") != _digest_of(config):
        raise ArtifactError(f"{folder}/config.json was changed after it was saved; save or copy the system again")
    if system is not None and config["system"] != system:
        raise ArtifactError(f"{folder} holds a {config['system']}, not a {system}; load it with that class")
    return config


def _check_kinds(folder: Path, config: Mapping[str, Any]) -> None:
    """Whether config.json is made as `write` makes it, whoever made it. Raises ArtifactError."""
    sizes, files, fitted = config["sizes"], config["files"], config.get("fitted", {})
    told = fitted if isinstance(fitted, dict) else {}
    history, *reading = (told.get(name, {}) for name in ("history", "read_options", "reading"))
    wrong = {
        "format": not isinstance(config["format"], int) or isinstance(config["format"], bool) or config["format"] < 1,
        "system": not isinstance(config["system"], str),
        "options": not isinstance(config["options"], dict),
        "sizes": not isinstance(sizes, dict) or not all(type(n) is int and 0 <= n < MOST for n in sizes.values()),
        "files": not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()),
        "fitted": not isinstance(fitted, dict)
        or not all(isinstance(each, dict) for each in (history, *reading))
        or not all(isinstance(e, list) and all(isinstance(r, dict) for r in e) for e in history.values()),
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            found = f"{config[name]!r:.60}"
            raise ArtifactError(
                f"{folder}/config.json was changed, or is not Tenfold's: its {name} is {found}; save or copy it again"
            )


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """In here whatever an artifact made by somebody else breaks is one sentence. Raises ArtifactError."""
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:
        told = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ArtifactError(
            f"{folder} does not hold what its config.json says, or is another version's: {told:.200}; save or copy the "
            "system again"
        ) from error


def check_room(network: Callable[[], nn.Module], folder: Path, *files: int) -> None:
    """Before `network` is built in earnest: whether its weights are about as many bytes as the artifact's files hold.

    It is built without memory (torch's meta device) first, as hand-made sizes may ask for any amount. Raises
    ArtifactError.
    """
    try:
        with torch.device("meta"):
            made = network()
    except (NotImplementedError, RuntimeError):  # it looks at its own numbers, of which there are none
        return
    weights = {id(w): w for w in [*made.parameters(), *made.buffers()]}.values()
    needed = sum(w.numel() * w.element_size() for w in weights)
    if needed > 2 * sum(files) + SPARE:
        raise ArtifactError(
            f"{folder}/config.json was changed: its sizes and options make a network of {needed:,} bytes, and its "
            f"files hold {sum(files):,}; save or copy the system again"
        )


def read_file(folder: Path, config: Mapping[str, Any], name: str) -> bytes:
    """Raises ArtifactError where the file is missing, cut short or changed."""
    file = config["files"].get(name)
    if not isinstance(file, str) or Path(file).name != file:
        raise ArtifactError(f"{folder}/config.json names no file for '{name}'; save or copy the system again")
    path = folder / file
    content = path.read_bytes() if path.is_file() else b""
    if f"{name}-{digest(content)}{path.suffix}" != path.name:
        raise ArtifactError(f"{path} is missing or was changed after it was saved; save or copy the system again")
    return content


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def unpack(content: bytes) -> dict[str, Tensor]:
    return load(content)


def own_weights(network: nn.Module) -> dict[str, Tensor]:
    """The network's weights and buffers, those that two layers share only once: under their first name."""
    found: dict[str, Tensor] = {}
    seen: set[tuple[int, torch.Size, tuple[int, ...]]] = set()
    for name, tensor in network.state_dict(keep_vars=True).items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if tensor.numel() == 0 or key not in seen:
            found[name] = tensor
            seen.add(key)
    return found


def put_weights(network: nn.Module, weights: Mapping[str, Tensor], origin: str) -> None:
    """Raises ArtifactError where names or shapes are not the network's."""
    mine = own_weights(network)
    wrong = sorted({*mine} ^ {*weights}) or [n for n, w in weights.items() if w.shape != mine[n].shape]
    if wrong:
        raise ArtifactError(f"{origin} does not fit its own options: '{wrong[0]}' differs; save or copy it again")
    network.load_state_dict(weights, strict=False)


def grow_weights(network: nn.Module, weights: Mapping[str, Tensor], new: Sequence[str] = ()) -> None:
    """Start a network from a smaller one's weights: where a table has more rows now, the new rows stay as they are.

    new: parts of the network, by name, that may be without any older weight, and stay as they are then.
    Raises OptionError where anything but a number of rows differs, or weights would be left behind.
    """
    ours, missing = own_weights(network), [part for part in new if not any(_lies_in(name, part) for name in weights)]
    if gone := [name for name in weights if name not in ours]:
        raise OptionError(
            f"cannot start from the older weights: they hold '{gone[0]}', for which these options have no place; "
            f"use the options with which the older system was fitted"
        )
    with torch.no_grad():
        for name, mine in ours.items():
            theirs = weights.get(name)
            if any(_lies_in(name, part) for part in missing):
                continue
            if theirs is None or theirs.shape[1:] != mine.shape[1:] or theirs.shape[:1] > mine.shape[:1]:
                found = "none" if theirs is None else tuple(theirs.shape)
                raise OptionError(
                    f"'{name}' cannot start from the older weights: found {found}, needed {tuple(mine.shape)}; "
                    f"use the options with which the older system was fitted"
                )
            (mine[: theirs.shape[0]] if mine.ndim else mine).copy_(theirs)


def _lies_in(name: str, part: str) -> bool:
    return name.startswith(f"{part}.")


# Files that other programs run ---------------------------------------------------------------------------------------


class Exported(NamedTuple):
    sizes: dict[str, int]  # bytes on the disk, by file or by what they hold
    notes: list[str]  # what a person must know of it


def to_onnx(
    network: nn.Module,
    sample: Mapping[str, Tensor],
    gives: list[str],
    path: Path,
    *,
    free: Mapping[str, dict[int, Any]],
) -> bool:
    """A network as an ONNX file; whether what it needs is installed.

    sample: its arguments by the names of the inputs, in their order; free: of each, the axes whose length may be
    another, as torch.export.Dim. gives: names of the outputs. Raises OutputError.
    """
    try:
        import onnxscript  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
    except ImportError:
        return False
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)  # its steps are not the user's concern
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        made = torch.onnx.export(
            network, tuple(sample.values()), dynamo=True, dynamic_shapes=tuple(free.get(name) for name in sample),
            input_names=list(sample), output_names=gives, verbose=False,
        )  # fmt: skip
    assert made is not None
    with replacing(path) as beside:
        beside.write_bytes(made.model_proto.SerializeToString())
    return True
