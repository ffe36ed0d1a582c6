"""What every benchmark needs: its arguments, public data, rivals, child processes measured, and the report at the end.

Imports nothing heavy, so that a benchmark decides itself what is loaded before it measures.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple, NoReturn

from rich.console import Console
from rich.table import Table

from tenfold.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SKIPPED = 3  # how a benchmark exits that cannot run here; it has said why
PACKAGES = ["torch", "numpy", "polars", "numba", "pyarrow", "lightning", "scipy"]
PROC = Path("/proc")


def arguments(description: str | None = None) -> argparse.Namespace:
    """--quick: less of everything, under 45 s on two cores; its figures are a smoke test and are not published."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: less data, fewer repetitions")
    return parser.parse_args()


def skip(reason: str) -> NoReturn:
    """Ends a benchmark that cannot run here; `python -m benchmarks` reports the reason."""
    print(f"skipped: {reason}", file=sys.stderr)
    raise SystemExit(SKIPPED)


def data(path: str) -> Path:
    """A file of public data, such as data("seqrec/ml-1m.txt.gz"), in $TENFOLD_DATA or ../shared/data."""
    if not is_here(path):
        skip(f"{path} is not in {_public()}; set TENFOLD_DATA to the folder of public data that holds it")
    return _public() / path


def is_here(path: str) -> bool:
    return (_public() / path).exists()


def _public() -> Path:
    return Path(os.environ.get("TENFOLD_DATA") or ROOT.parent / "shared" / "data")


def peers() -> Path | None:
    """The folder of rivals that TENFOLD_PEERS names, or None; `python -m benchmarks.peers` says what belongs there."""
    folder = os.environ.get("TENFOLD_PEERS")
    return Path(folder).expanduser().resolve() if folder else None


class Child(NamedTuple):
    """What a child process printed and what it cost."""

    output: str
    seconds: float  # from its start to its end
    peak_gib: float  # its largest resident memory, without that of its own children

    @property
    def json(self) -> dict[str, Any]:
        """The last line of the output, which must be a JSON object."""
        return json.loads(self.output.rstrip().rpartition("\n")[2])


def child(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 900, cwd: Path = ROOT
) -> Child:
    """Runs a command to its end, its standard output caught. Raises RuntimeError with the end of what it said."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    over, peak = Event(), [0.0]

    def watch() -> None:
        # The high-water mark only grows, so all that is lost is the last moment. (The kernel's own account at the
        # end, ru_maxrss, counts the memory of the parent that forked as well.)
        while not over.is_set():
            peak[0] = max(peak[0], peak_gib(process.pid))
            over.wait(0.01)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise RuntimeError(f"{command[0]} was stopped after {timeout:.0f} s") from None
    finally:
        over.set()
        watcher.join()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{errors[-2000:]}")
    return Child(output, seconds, peak[0])


def peak_gib(pid: int | str = "self") -> float:
    """The largest resident memory so far of a process of this machine, in GiB; 0 where /proc does not tell."""
    try:
        status = (PROC / str(pid) / "status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) / 2**20 if lines else 0.0


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of what timings scatter about: a t of their logarithms. Of ratios too; none of a single one."""
    if len(values) < 2:
        return None
    from tenfold.metrics.bootstrap import t_quantile

    logs = [math.log(value) for value in values]
    half = t_quantile(len(logs) - 1) * statistics.stdev(logs) / len(logs) ** 0.5
    return math.exp(statistics.mean(logs) - half), math.exp(statistics.mean(logs) + half)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Of each turn: what slows a machine down slows both sides of a turn."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def report(
    name: str,
    figures: Mapping[str, Any],
    *,
    notes: Sequence[str] = (),
    intervals: Mapping[str, tuple[float, float] | None] | None = None,
) -> None:
    """A table for people, then one line of JSON for `make bench`. A figure is a number; notes are whole sentences.

    intervals: of some of the figures, as `interval` makes them.
    """
    ends = {figure: found for figure, found in (intervals or {}).items() if found is not None}
    table = Table(title=name, title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for figure, value in figures.items():
        table.add_row(figure, with_ends(value, ends.get(figure)))
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note, markup=False, highlight=False)
    whole = {"benchmark": name, "figures": dict(figures), "machine": machine(), "versions": versions()}
    if ends:
        whole["intervals"] = ends
    if notes:
        whole["notes"] = list(notes)
    print(json.dumps(whole), flush=True)


def shown(value: Any) -> str:
    """Three digits of a number, whole numbers whole: 0.0123, 2.35, 1,234."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def with_ends(value: Any, ends: Sequence[float] | None) -> str:
    return shown(value) + (f" [{shown(ends[0])}, {shown(ends[1])}]" if ends else "")


def machine() -> dict[str, Any]:
    found: dict[str, Any] = {"cpu": _cpu(), "cores": os.cpu_count(), "memory_gib": _memory_gib()}
    found |= {"os": f"{platform.system()} {platform.release().split('-')[0]}", "threads": _threads()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "tenfold": VERSION}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    if (PROC / "cpuinfo").exists():
        for line in (PROC / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None


def _threads() -> int:
    """Threads that numeric code may use: torch's own count where torch is loaded."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return torch.get_num_threads()
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
