"""`python -m benchmarks [NAME ...] [--quick]`: runs benchmarks one after another and keeps what they measured.

Each result goes to benchmarks/results/NAME.json with its command, commit and date; with --quick to benchmarks/quick/,
which git ignores. NAME.PART measures one part of a benchmark that has parts (its --only) and keeps it as a result of
its own: parts of different days are never joined. One that fails or cannot run here is named at the end, and leaves its
old result alone.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import harness

TOOLS = {"__init__", "__main__", "harness", "peers", "page", "shown"}
# Runs of ten minutes to hours: only when asked for by name.
LONG = {
    "lisa_ladder", "lisa_ml1m", "lisa_preset", "long_histories", "panel", "rehearsal_babi", "rehearsal_shop",
    "rehearsal_streams", "robust_labels", "sasrec_ml1m", "shop_pictures", "tcl_published",
}  # fmt: skip
PARTS = {
    "limarec_online": ("answers", "replay", "training"),
    "limarec_service": ("long",),
    "lisa_attention": ("recent",),
    "lisa_ladder": ("near", "groups", "far", "items", "noise", "catalogue"),
    "lisa_streaming": ("recent",),
    "long_histories": ("shop", "windows", "curves", "seeds", "recent", "counts", "defaults"),
    "panel": (
        "ml-100k",
        "wikipedia-edits",
        "beauty-1000-users",
        "beauty-last-five",
        "shop-small",
        "shop-middle",
        "shop-large",
        "shop-long",
        "ml-1m",
        "beauty",
    ),
    "rehearsal_babi": (
        "qa1",
        "qa2",
        "qa5",
        "qa6",
        "qa7",
        "qa11",
        "qa12",
        "qa14",
        "qa15",
        "qa1_128",
        "qa6_128",
        "qa1_512",
        "qa6_512",
        "qa1_2048",
    ),
    "rehearsal_streams": ("foursquare", "assist"),
    "robust_labels": ("choice", "table"),
    "sasrec_ml1m": ("bce", "softmax"),
    "tcl_published": ("best", "paper", "wikipedia", "reach"),
}
QUICK = harness.ROOT / "benchmarks" / "quick"


def names() -> list[str]:
    folder = Path(__file__).parent
    return sorted(path.stem for path in folder.glob("*.py") if path.stem not in TOOLS)


def commit() -> str:
    """The commit measured; `-changed` where the working tree holds more than that commit, results aside."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=harness.ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    # rooms under construction beside the one measured count too: what ran is not what the commit holds
    changed = git("status", "--porcelain", "--", "tenfold", "benchmarks", ":!benchmarks/results")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("-changed" if changed else "")


def run(name: str, quick: bool) -> str:
    """Runs one benchmark, its output shown as it comes; answers in a word how it went."""
    module, _, part = name.partition(".")
    words = ["-m", f"benchmarks.{module}", *(["--only", part] if part else []), *(["--quick"] if quick else [])]
    started, last = time.perf_counter(), ""
    with subprocess.Popen([sys.executable, *words], cwd=harness.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith('{"benchmark"'):
                print(line, end="", flush=True)
            last = line
    if process.returncode:
        return "skipped" if process.returncode == harness.SKIPPED else "failed"
    found = json.loads(last) | {"benchmark": name}
    found |= {"command": " ".join(["python", *words]), "commit": commit(), "date": time.strftime("%Y-%m-%d")}
    found["seconds"] = round(time.perf_counter() - started, 1)
    folder = QUICK if quick else harness.RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    return "measured"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"default: all but {', '.join(LONG)} of {', '.join(names())}"
    )
    parser.add_argument("--quick", action="store_true", help="smoke runs; their figures are not published")
    asked = parser.parse_args()
    known = names() + [f"{name}.{part}" for name, parts in PARTS.items() for part in parts]
    for name in asked.names:
        if name not in known:
            parser.error(f"there is no benchmark '{name}'; there are {', '.join(known)}")
    went = {name: run(name, asked.quick) for name in asked.names or [name for name in names() if name not in LONG]}
    print("\n".join(f"{name}: {how}" for name, how in went.items()))
    if "failed" in went.values():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
