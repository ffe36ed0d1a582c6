"""LISA's stream: one event and one answer (k = 10), at a history of 100,000 events and at one of 100.

Mini, 8 x 16, D = 64, 3,416 items, random weights. Every measured user is met once: a record that holds the whole
history stands in the store under as many names as there are rounds. Who comes first alternates from round to round.
States are in memory, and in LMDB on the disk, which has a write on the disk before an update returns. Beside it
SASRec (D = 64, two blocks), which keeps no state, answers from a user's last 200 events. `largest_difference` is that
of any item's score between the stream, event by event, and one pass over 5,000 events.

recent: the same, states in memory, of LISA as it comes with `attention.recent=50`, and of that with a sketch of its
items beside it (`counts.of=joint`).

    python -m benchmarks.lisa_streaming [--only recent]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import harness
from benchmarks.lisa_table import untrained
from tenfold import LISA, SASRec
from tenfold.streaming import key_of, unpack_many
from tenfold.tasks.next_item.session import Session

ITEMS, SHORT, LONG, AT_ONCE = 3_416, 100, 100_000, 5_000


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def spread(session: Session, history: list[str], rounds: int) -> None:
    """Users (length, 0), (length, 1), ... who have all had this history."""
    name = f"{len(history)}"
    for start in range(0, len(history), AT_ONCE):
        some = history[start : start + AT_ONCE]
        session.update_many([name] * len(some), some)
    (record,) = session.store.get_many([key_of(name)])
    assert record is not None
    session.store.put_many({key_of(f"{name}-{n}"): record for n in range(rounds)})


def turns(session: Session, rival: SASRec, history: list[str], rounds: int) -> dict[str, float]:
    """Median milliseconds of an update and an answer at each length, and of the rival's answer; a tenth warms up."""
    warm = max(rounds // 10, 2)
    for length in (SHORT, LONG):
        spread(session, history[:length], rounds + warm)

    def event(length: int, n: int) -> None:
        session.update(f"{length}-{n}", history[n])
        session.recommend(f"{length}-{n}", k=10)

    taken: dict[str, list[float]] = {"100": [], "100k": [], "sasrec": []}
    for n in range(rounds + warm):
        for length in (SHORT, LONG) if n % 2 else (LONG, SHORT):
            taken["100" if length == SHORT else "100k"].append(seconds(lambda at=length, n=n: event(at, n)))
        last = history[n : n + 200]
        taken["sasrec"].append(seconds(lambda last=last: rival.recommend(last, k=10)))
    return {name: 1e3 * harness.median(times[warm:]) for name, times in taken.items()}


@torch.no_grad()
def largest_difference(system: LISA, history: list[str]) -> float:
    session, records = system.open(), list[bytes | None]()
    for item in history:
        session.update("u", item)
        records += session.store.get_many([key_of("u")])
    states = unpack_many(records, fingerprint=system.fingerprint(), size=system.state_size)
    streamed = system.scores(system.users_after(states))
    whole, _ = system.encode(torch.from_numpy(system.item_numbers(history)).long().unsqueeze(0))
    return float((streamed - system.scores(whole[0]))[:, 1:].abs().max())


def recent(rounds: int, compared: int) -> dict[str, float]:
    rival, figures = untrained(SASRec(expansion=1), ITEMS), dict[str, float]()
    for name, counted in {"recent": "none", "joint": "joint"}.items():
        system = untrained(LISA(**{"attention.recent": 50, "counts.of": counted}), ITEMS)
        if system.network.counts is not None:
            torch.nn.init.constant_(system.network.counts.gate.bias, 0.5)  # closed where nothing was trained
        ids = system.vocabularies["items"].ids(np.arange(1, ITEMS + 1))
        history = [ids[i] for i in np.random.default_rng(0).integers(ITEMS, size=LONG)]
        with system.open() as session:
            ms = turns(session, rival, history, rounds)
            record = session.store.get_many([key_of(f"{LONG}")])[0] or b""
        figures |= {
            f"{name}_state_bytes": 4 * system.state_size,
            f"{name}_record_bytes": len(record),
            f"{name}_p50_ratio_100k_to_100": ms["100k"] / ms["100"],
            f"{name}_p50_ms_100": ms["100"],
            f"{name}_p50_ms_100k": ms["100k"],
            f"{name}_speedup_vs_sasrec": ms["sasrec"] / ms["100k"],
            f"{name}_largest_difference": largest_difference(system, history[:compared]),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: fewer rounds")
    parser.add_argument("--only", choices=("recent",), help="the recent events instead of what is measured without")
    asked = parser.parse_args()
    rounds, compared = (40, 500) if asked.quick else (1_000, 5_000)
    if asked.only:
        harness.report("lisa_streaming", recent(rounds, compared))
        return
    system, rival = untrained(LISA(preset="mini"), ITEMS), untrained(SASRec(expansion=1), ITEMS)
    ids = system.vocabularies["items"].ids(np.arange(1, ITEMS + 1))
    history = [ids[i] for i in np.random.default_rng(0).integers(ITEMS, size=LONG)]
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name, where in {"": None, "lmdb_": Path(folder) / "states"}.items():
            with system.open(where) as session:
                found[name] = turns(session, rival, history, rounds)
                record = session.store.get_many([key_of(f"{LONG}")])[0] or b""
    figures: dict[str, float] = {}
    for name, ms in found.items():
        figures[f"{name}p50_ratio_100k_to_100"] = ms["100k"] / ms["100"]
        figures |= {f"{name}p50_ms_100": ms["100"], f"{name}p50_ms_100k": ms["100k"]}
    figures["sasrec_p50_ms"] = found[""]["sasrec"]
    figures["speedup_vs_sasrec"] = found[""]["sasrec"] / found[""]["100k"]
    figures["largest_difference"] = largest_difference(system, history[:compared])
    figures |= {"state_bytes": 4 * system.state_size, "record_bytes": len(record)}
    harness.report("lisa_streaming", figures)


if __name__ == "__main__":
    main()
