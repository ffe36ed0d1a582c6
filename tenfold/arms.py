"""An arm: a system with options, as one writes it in a comparison, and what it costs to fit.

    popularity    transformer:attention=linear,loss.name=softmax    ours=lisa:preset=mini

Imports no torch: the command line reads arms before anything heavy is needed.
"""

import gc
import importlib
import os
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tenfold.errors import OptionError
from tenfold.ops.heap import give_back_freed_memory
from tenfold.options import assignments, expand, flat, parse, rows
from tenfold.registry import load_class

if TYPE_CHECKING:
    from tenfold.budget import Budget
    from tenfold.system import System

MIB = 2**20
SAMPLED_EVERY = 0.01  # seconds between two looks at the memory


@dataclass(frozen=True)
class Arm:
    """`given` holds, by dotted name, the options that were chosen by hand: a search leaves them as they are."""

    label: str
    kind: "type[System]"
    given: Mapping[str, Any]

    @property
    def options(self) -> Any:
        return parse(self.kind.options_class(), self.given)

    def system(self, options: Any = None) -> "System":
        """Unfitted, with the options given or, without them, those of the arm."""
        return self.kind(self.options if options is None else options)


def parse_arm(text: str) -> Arm:
    """'name:option=value,option=value', and a label before it where one is wanted: 'label=name:...'.

    A comma inside a value is no separator unless a name and '=' follow it.  Raises OptionError.
    """
    head, colon, values = text.strip().partition(":")
    label, equals, name = head.partition("=")
    if not equals:
        label, name = text.strip(), head
    if not name.strip() or not label.strip() or (colon and not values.strip()):
        raise OptionError(
            f"'{text}' cannot be read as an arm; write NAME, NAME:OPTION=VALUE,OPTION=VALUE or "
            "LABEL=NAME:OPTION=VALUE, "
            "such as transformer:attention=linear"
        )
    kind = load_class(name.strip())
    given = assignments(re.split(r",(?=\s*[\w.]+\s*=)", values)) if values else {}
    return checked(label.strip(), kind, given)


def checked(label: str, kind: "type[System]", given: Mapping[str, Any]) -> Arm:
    """The arm, its preset spelled out and its options tried. Raises OptionError, which names the arm."""
    try:
        arm = Arm(label, kind, expand(kind.options_class(), given))
        _ = arm.options
    except OptionError as error:
        raise OptionError(f"arm '{label}': {error}") from None
    return arm


def parse_arms(arms: "Sequence[str | System | Arm] | Mapping[str, str | System | Arm]") -> list[Arm]:
    """Texts, unfitted systems, or either by label. All are tried before anything is fitted. Raises OptionError."""
    named = list(arms.items()) if isinstance(arms, Mapping) else [(None, arm) for arm in arms]
    found: list[Arm] = []
    for label, arm in named:
        if isinstance(arm, str):
            one = parse_arm(arm)
        elif isinstance(arm, Arm):
            one = arm
        else:
            defaults = {row.name: row.default for row in rows(arm.options_class())}
            chosen = {name: value for name, value in arm.get_params().items() if value != defaults.get(name)}
            one = checked(type(arm).__name__, type(arm), chosen)
        found.append(one if label is None else Arm(label, one.kind, one.given))
    labels = [arm.label for arm in found]
    for label in labels:
        if labels.count(label) > 1:
            raise OptionError(f"two arms are called '{label}'; give one of them a label, as in other={label}")
    if not found:
        raise OptionError("there is no arm; name at least one, such as popularity")
    return found


def plain(options: Any) -> dict[str, Any]:
    """Options by dotted name."""
    return flat(asdict(options))


@dataclass(frozen=True)
class Cost:
    """What fitting took: seconds of the wall clock, and by how much the memory in use grew at its peak.

    peak_mib: resident memory of this process, read every hundredth of a second, above what it was before; loader
    workers are not in it, and None where the system does not tell.  gpu_mib: what torch allocated on a CUDA card.
    """

    seconds: float
    peak_mib: float | None
    gpu_mib: float | None = None


def fit_measured(system: "System", data: Any, *, split: str, budget: "Budget") -> Cost:
    """Fit `system` in place. What is imported once for all systems is imported before the clock starts."""
    import torch

    if system.trains:
        importlib.import_module("tenfold.lightning_adapter")
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    with PeakMemory() as memory:
        start = time.perf_counter()
        system.fit(data, split=split, budget=budget)
        if cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return Cost(seconds, memory.growth_mib, torch.cuda.max_memory_allocated() / MIB if cuda else None)


class PeakMemory:
    """Around a piece of work: by how much the process's resident memory grew at its peak."""

    growth_mib: float | None = None

    def __enter__(self) -> Self:
        gc.collect()
        give_back_freed_memory()  # else what an earlier arm freed would hide this one's growth
        self._before = self._peak = resident_bytes()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._watcher.join()
        self._look()
        if self._before is not None and self._peak is not None:
            self.growth_mib = (self._peak - self._before) / MIB

    def _watch(self) -> None:
        while not self._done.wait(SAMPLED_EVERY):
            self._look()

    def _look(self) -> None:
        now = resident_bytes()
        if now is not None and self._peak is not None:
            self._peak = max(self._peak, now)


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where neither Linux's /proc nor psutil tells it."""
    if sys.platform == "linux":
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.Process().memory_info().rss)
