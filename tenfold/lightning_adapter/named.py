"""Callbacks and loggers by name: Lightning's own, or anybody's by package.module:Class."""

import importlib
import inspect
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import lightning.pytorch.callbacks
import lightning.pytorch.loggers
from lightning.fabric.utilities.exceptions import MisconfigurationException

from tenfold.errors import OptionError, nearest
from tenfold.options import assignments

_AVERAGE = (
    "it swaps weights around Lightning's validation, which is not ours; weights are averaged by the option ema_decay"
)
_SEARCH = "tune searches learning rates, and training.batch_size says the size of batches"
_BAR = "the budget's progress says what is shown (auto, bar, lines, none)"
_FREEZE = "what rests in training, and when, is said by a system's stages"
_WORDS = "words alone do not make one; give a class of your own, as package.module:Class"
REFUSED = {  # Lightning's callbacks that do nothing good here, and why
    "EMAWeightAveraging": _AVERAGE, "StochasticWeightAveraging": _AVERAGE, "WeightAveraging": _AVERAGE,
    "BatchSizeFinder": _SEARCH, "LearningRateFinder": _SEARCH,
    "ProgressBar": _BAR, "RichProgressBar": _BAR, "TQDMProgressBar": _BAR,
    "BackboneFinetuning": _FREEZE, "BaseFinetuning": _FREEZE,
    "BasePredictionWriter": "predict writes the answers",
    "Callback": _WORDS, "Checkpoint": _WORDS, "GradientAccumulationScheduler": _WORDS, "LambdaCallback": _WORDS,
    "ThroughputMonitor": _WORDS,
}  # fmt: skip


def logger(text: Any, run: Path | None) -> Any:
    """'csv', 'tensorboard:name=x' or 'package.module:Class' -> a logger; it writes into the run's folder by default."""
    cls, arguments = _named(text, lightning.pytorch.loggers, "Logger")
    if "save_dir" not in arguments and "save_dir" in inspect.signature(cls).parameters:
        arguments["save_dir"] = str(run / "logs" if run else Path("logs"))
    return made(cls, f"logger '{text}'", **arguments)


def callback(text: Any) -> Any:
    cls, arguments = _named(text, lightning.pytorch.callbacks, "", without=REFUSED)
    name: str = cls.__name__
    if name in REFUSED and getattr(lightning.pytorch.callbacks, name, None) is cls:
        raise OptionError(f"callback '{text}' cannot be used here: {REFUSED[name]}")
    return made(cls, f"callback '{text}'", **arguments)


def made(cls: Any, asked: str, **arguments: Any) -> Any:
    """Raises OptionError where Lightning, or what it asks for, refuses: a missing card or package, a wrong argument."""
    try:
        return cls(**arguments)
    except (TypeError, ValueError, ImportError, RuntimeError, MisconfigurationException) as error:
        raise OptionError(f"{asked} cannot be had here: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _named(text: str, home: Any, ending: str, without: Collection[str] = ()) -> tuple[Any, dict[str, Any]]:
    """'NAME:KEY=VALUE,...' -> class and arguments, NAME being one of Lightning's `home` or 'any.module:Class'.

    without: classes that are not offered where a name is unknown.
    """
    module, _, rest = text.partition(":")
    name, values = module, rest
    if "." in module:  # somebody's own: package.module:Class:key=value
        name, _, values = rest.partition(":")
        try:
            home = importlib.import_module(module)
        except ImportError as error:
            raise OptionError(f"'{text}' cannot be had: {error}; name a module that can be imported") from None
    known = {n.lower(): getattr(home, n) for n in dir(home) if isinstance(getattr(home, n), type)}
    cls: Any = known.get(name.lower()) or known.get(f"{name}{ending}".lower())
    if cls is None:
        offered = sorted({one.__name__ for one in known.values()} - set(without))
        raise OptionError(f"there is no '{name}' in {home.__name__}; {nearest(name, offered)}")
    arguments = assignments(values.split(",")) if values else {}
    return cls, {key: _value(value) for key, value in arguments.items()}


def _value(text: str) -> Any:
    """A number, true, false or null as it is meant; anything else is text."""
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text
