"""LimaRec as a service: requests a second and latencies, by wrk on the same cores, beside an empty FastAPI handler.

One process; 64 connections; half of the requests are one event each, half ask for ten items; 10,000 users, 3,416 items,
d = 64, K = 4, random weights; states in LMDB, synced at each commit; a token, figures and a line of log a request.
`ratio_to_empty_fastapi`: requests a second over those of a FastAPI handler that takes JSON and returns {}, in the same
run; `memory_`: of a service whose states are in memory. Counts are compared with what /metrics says.

long, `--only`: ten minutes of that load, and the largest memory of the process so far after the first, the sixth and
the last.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks import harness
from benchmarks.lisa_table import untrained
from tenfold import LimaRec

ITEMS, USERS, CONNECTIONS, TOKEN = 3_416, 10_000, 64, "secret"
EMPTY = """
from fastapi import FastAPI, Request
import uvicorn, sys
app = FastAPI()
@app.post("/events")
async def events(request: Request):
    await request.json()
    return {}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""
SCRIPT = """
local ids = {%s}
local n = 0
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer %s"
wrk.headers["Content-Type"] = "application/json"
request = function()
  n = n + 1
  local user = math.random(%d)
  if %s and n %% 2 == 0 then
    return wrk.format(nil, "/recommend", nil, '{"user":"u' .. user .. '","k":10}')
  end
  return wrk.format(nil, "/events", nil, '{"user":"u' .. user .. '","item":"' .. ids[math.random(#ids)] .. '"}')
end
done = function(summary, latency, requests)
  io.write(string.format('{"requests": %%d, "us": %%d, "p50": %%f, "p99": %%f, "errors": %%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.timeout
    + summary.errors.read + summary.errors.connect))
end
"""


@contextmanager
def running(*command: str, says: str | None = None, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server in a process of its own, told to stop at the end: its address, and it."""
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=harness.ROOT,
    ) as process:  # fmt: skip
        try:
            where = f"http://127.0.0.1:{port}"
            if says is not None:
                assert process.stdout is not None
                where = process.stdout.readline().strip().rpartition(" ")[2]
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"{where}/{'health' if says else 'docs'}", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield where, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def load(where: str, script: Path, seconds: int) -> dict[str, float]:
    found = harness.child(
        ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--latency", "-s", script, where], timeout=600
    )
    summary = json.loads(re.findall(r"^\{.*\}$", found.output, re.M)[-1])
    return {
        "requests": summary["requests"],
        "requests_per_s": 1e6 * summary["requests"] / summary["us"],
        "p50_ms": summary["p50"] / 1e3,
        "p99_ms": summary["p99"] / 1e3,
        "errors": summary["errors"],
    }


def counted(where: str) -> float:
    """Requests that the service says it answered."""
    request = urllib.request.Request(f"{where}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        told = answer.read().decode()
    return sum(float(n) for n in re.findall(r'^tenfold_requests_total\{.*status="200"\} (\S+)$', told, re.M))


@contextmanager
def prepared() -> Iterator[tuple[Path, list[str]]]:
    """A folder with a model and what wrk sends, and the command that serves it."""
    system = untrained(LimaRec(interests=4), ITEMS)
    ids = system.vocabularies["items"].ids(np.arange(1, ITEMS + 1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        system.save(folder / "model")
        (folder / "tokens").write_text(TOKEN + "\n")
        listed = ",".join(f'"{own}"' for own in ids)
        for kind, mixed in (("mixed", "true"), ("events", "false")):
            (folder / f"{kind}.lua").write_text(SCRIPT % (listed, TOKEN, USERS, mixed))
        (folder / "empty.py").write_text(EMPTY)
        served = ["-m", "tenfold", "serve", str(folder / "model"), "--port", "0", "--tokens", str(folder / "tokens")]
        yield folder, served


def speed(quick: bool) -> dict[str, float]:
    seconds, figures = 4 if quick else 20, dict[str, float]()
    with prepared() as (folder, served):
        with running(str(folder / "empty.py"), "8765", port=8765) as (where, _):
            load(where, folder / "events.lua", 2)
            empty = load(where, folder / "events.lua", seconds)
        for kind, states in (("", str(folder / "states")), ("memory_", "memory")):
            with running(*served, "--states", states, says="listens") as (where, _):
                warm = load(where, folder / "mixed.lua", 2)
                found = load(where, folder / "mixed.lua", seconds)
                told = counted(where)
            figures |= {f"{kind}{name}": found[name] for name in ("requests_per_s", "p50_ms", "p99_ms")}
            figures[f"{kind}ratio_to_empty_fastapi"] = found["requests_per_s"] / empty["requests_per_s"]
            if not kind:
                figures["failed"] = found["errors"]
                # wrk leaves up to its number of connections unfinished at each end
                figures["answers_not_counted"] = max(0.0, found["requests"] + warm["requests"] - told)
    figures["empty_fastapi_requests_per_s"] = empty["requests_per_s"]
    return figures


def long(quick: bool) -> dict[str, float]:
    """Ten minutes of the same load: memory of the process at the end of each, and what was counted."""
    minutes, seconds = (2, 2) if quick else (10, 60)
    requests, errors, memory = 0.0, 0.0, list[float]()
    with prepared() as (folder, served), running(*served, "--states", str(folder / "states"), says="listens") as server:
        where, process = server
        for _ in range(minutes):
            found = load(where, folder / "mixed.lua", seconds)
            requests, errors = requests + found["requests"], errors + found["errors"]
            memory.append(1024 * harness.peak_gib(process.pid))
        told = counted(where)
    return {
        "ten_minutes_requests": requests,
        "ten_minutes_failed": errors,
        "ten_minutes_answers_not_counted": max(0.0, requests - told),
        "ten_minutes_peak_mib_first": memory[0],
        "ten_minutes_peak_mib_half": memory[minutes // 2],
        "ten_minutes_peak_mib_last": memory[-1],
    }


MEASURED = {"speed": speed, "long": long}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(MEASURED), default="speed")
    parser.add_argument("--quick", action="store_true", help="the same shapes, fewer seconds")
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        harness.skip("wrk is not installed; it is a package of Debian")
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        harness.skip(f"{error.name} is not installed; pip install 'tenfold[serve]' fastapi")
    harness.report("limarec_service", MEASURED[asked.only](asked.quick))


if __name__ == "__main__":
    main()
