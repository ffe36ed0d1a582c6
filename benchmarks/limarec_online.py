"""LimaRec online: one event and one answer (k = 10) at histories of 100 and 100,000 events, bytes a user, replay.

The default but for K (d = 64, H = 4, K = 4) and `faithful`, 3,416 items, random weights. Latencies as in
lisa_streaming: every measured user is met once, who comes first alternates. Beside it SASRec (D = 64, two blocks),
which keeps no state and reads the last 200 events again; at 10,000 events SASRec's first block alone, computing all
positions, the last query only, and with a cache of keys and values, whose bytes are what a state saves.

Replay: MovieLens-1M and a drawn log of a million events of 200,000 users, from file to LMDB, synced; beside it
`update_many` of events of drawn users, 1,000 a batch. Training: seconds
and kept memory of one loss and its gradients, carried on in windows of 200, for one history of 512 to 16,384 events.

`_s` are seconds of the clock, `_cpu_s` of the processor: on a machine that others use, only these can be compared.
Parts, `--only`: answers, replay, training.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import harness
from benchmarks.lisa_streaming import LONG, largest_difference, turns
from benchmarks.lisa_table import untrained
from tenfold import LimaRec, SASRec
from tenfold.data.events import Events, read_events
from tenfold.nn.attention import SoftmaxAttention
from tenfold.streaming import key_of
from tenfold.systems.limarec.system import Stretches
from tenfold.tasks.next_item import NextItemBatch
from tenfold.tasks.next_item.replay import replay

ITEMS = 3_416


def online(quick: bool) -> dict[str, float]:
    rounds, compared = (30, 500) if quick else (300, 5_000)
    rival, figures = untrained(SASRec(expansion=1), ITEMS), dict[str, float]()
    for name, system in {
        "": untrained(LimaRec(interests=4), ITEMS),
        "faithful_": untrained(LimaRec(preset="faithful"), ITEMS),
    }.items():
        ids = system.vocabularies["items"].ids(np.arange(1, ITEMS + 1))
        history = [ids[i] for i in np.random.default_rng(0).integers(ITEMS, size=LONG)]
        with tempfile.TemporaryDirectory() as folder:
            for kind, where in {"": None, "lmdb_": Path(folder) / "states"}.items():
                if name and kind:
                    continue
                with system.open(where) as session:
                    ms = turns(session, rival, history, rounds)
                    (record,) = session.store.get_many([key_of(f"{LONG}")])
                figures[f"{name}{kind}p50_ratio_100k_to_100"] = ms["100k"] / ms["100"]
                figures[f"{name}{kind}p50_ms_100k"] = ms["100k"]
                if not kind:
                    figures[f"{name}p50_ratio_to_sasrec_200"] = ms["100k"] / ms["sasrec"]
                    figures[f"{name}sasrec_200_p50_ms"] = ms["sasrec"]
        figures[f"{name}state_bytes"] = 4 * system.state_size
        figures[f"{name}record_bytes"] = len(record or b"")
        figures[f"{name}largest_difference"] = largest_difference(system, history[:compared])
    return figures


@torch.no_grad()
def rereading(quick: bool, length: int = 10_000, dim: int = 64) -> dict[str, float]:
    """What the first block of a SASRec costs an event at this history: milliseconds, and the bytes of its cache."""
    attention, x = SoftmaxAttention(dim, 1).eval(), torch.randn(1, length, dim)
    _, cache = attention(x[:, :-1])
    q, k, v = attention.split(x, None)
    calls: dict[str, Any] = {
        "sasrec_all_positions_ms_10k": lambda: attention(x),
        "sasrec_last_query_ms_10k": lambda: torch.nn.functional.scaled_dot_product_attention(
            q[:, :, -1:], *attention.split(x, None)[1:]
        ),
        "sasrec_cached_ms_10k": lambda: attention(x[:, -1:], None, cache),
    }
    found = {}
    for name, call in calls.items():
        times = []
        for _ in range(3 if quick else 15):
            started = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - started))
        found[name] = harness.median(times)
    cached = sum(each.numel() * each.element_size() for each in (k, v))
    return found | {"cache_memory_ratio_10k": cached / (4 * untrained(LimaRec(preset="faithful"), ITEMS).state_size)}


def drawn_log(users: int, events: int) -> Events:
    rng = np.random.default_rng(1)
    lengths = np.bincount(rng.integers(users, size=events), minlength=users)
    items = np.minimum(rng.zipf(1.3, events), ITEMS)
    return Events.from_histories([own.tolist() for own in np.split(items, np.cumsum(lengths)[:-1])])


def into_lmdb(system: LimaRec, log: Any, folder: Path, name: str) -> dict[str, float]:
    started, spent = time.perf_counter(), time.process_time()
    done = replay(system, log, folder)
    assert done.events > 0
    return {f"{name}_s": time.perf_counter() - started, f"{name}_cpu_s": time.process_time() - spent}


def replays(quick: bool) -> dict[str, float]:
    figures = dict[str, float]()
    file = harness.data("seqrec/ml-1m.txt.gz")
    movies = read_events(file)
    system = LimaRec(interests=4)
    system.vocabularies, system.sizes = {"items": movies.catalogue}, {"items": len(movies.catalogue)}
    torch.manual_seed(0)
    system._network = system.build().eval()
    with tempfile.TemporaryDirectory() as folder:
        figures |= into_lmdb(system, file, Path(folder) / "movies", "replay_ml1m")
        events = len(movies.items)
        if not quick:
            log = drawn_log(200_000, 1_000_000)
            wide = LimaRec(interests=4)
            wide.vocabularies, wide.sizes = {"items": log.catalogue}, {"items": len(log.catalogue)}
            wide._network = wide.build().eval()
            figures |= into_lmdb(wide, log, Path(folder) / "drawn", "replay_1m_events_200k_users")
        some = 2_000 if quick else 20_000
        rng = np.random.default_rng(0)
        users = rng.integers(1, 6_041, size=some).tolist()
        items = movies.catalogue.ids(movies.items[rng.integers(events, size=some)])
        with system.open(Path(folder) / "by time") as session:
            spent = time.process_time()
            for start in range(0, some, 1_000):
                session.update_many(users[start : start + 1_000], items[start : start + 1_000])
            by_time = some / (time.process_time() - spent)
    figures["replay_events_per_cpu_s"] = events / figures["replay_ml1m_cpu_s"]
    figures["update_many_events_per_cpu_s"] = by_time
    figures["replay_speedup_vs_update_many"] = figures["replay_events_per_cpu_s"] / by_time
    return figures


def training(quick: bool) -> dict[str, float]:
    """Slopes (log-log) of seconds and of bytes over the length of one history."""
    lengths = (512, 2_048) if quick else (512, 2_048, 8_192, 16_384)
    system = LimaRec(**{"interests": 4, "memory.stretch": max(lengths)})
    system.sizes = {"items": 500}
    network = system._network = system.build().train()
    seconds, kept = [], []
    for length in lengths:
        events = torch.randint(1, 501, (1, length + 1))
        batch = Stretches(NextItemBatch(events[:, :-1], events[:, 1:], torch.zeros(1, 0, dtype=torch.long)), None)
        times = []
        for _ in range(2 if quick else 5):
            gc.collect()
            started = time.perf_counter()
            system.loss(batch)[0].backward()
            times.append(time.perf_counter() - started)
            network.zero_grad()
        seconds.append(harness.median(times))
        kept.append(_kept(system, batch))
    at = np.log(lengths)
    return {
        "training_time_slope": float(np.polyfit(at, np.log(seconds), 1)[0]),
        "training_memory_slope": float(np.polyfit(at, np.log(kept), 1)[0]),
    }


def _kept(system: LimaRec, batch: Stretches) -> int:
    """Bytes that the loss keeps for its gradients."""
    found: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        total, _ = system.loss(batch)
        weights = {parameter.untyped_storage().data_ptr() for parameter in system.network.parameters()}
        kept = sum(size for pointer, size in found.items() if pointer not in weights)
    del total
    return kept


def answers(quick: bool) -> dict[str, float]:
    return online(quick) | rereading(quick)


MEASURED: dict[str, Callable[[bool], dict[str, float]]] = {"answers": answers, "replay": replays, "training": training}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(MEASURED))
    parser.add_argument("--quick", action="store_true", help="the same shapes, fewer repetitions")
    asked = parser.parse_args()
    parts = MEASURED if asked.only is None else {asked.only: MEASURED[asked.only]}
    harness.report(
        "limarec_online", {name: value for part in parts.values() for name, value in part(asked.quick).items()}
    )


if __name__ == "__main__":
    main()
