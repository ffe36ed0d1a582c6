"""What is claimed of LimaRec, L1 to L10, and how it is measured here.

Sure from the paper is little: that it is superior on long histories, and its cost. The worlds of synthetic.py say what
could be had; MovieLens-100K is split `stream`. All arms of a claim have one width, loss and budget; at size `cpu` they
are small, and `tenfold claims limarec --size cpu` takes about three hours on two cores.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from tenfold.budget import Budget
from tenfold.claims import AtLeast, Bound, Claim, Reported, Size
from tenfold.data.public import public
from tenfold.options import parse
from tenfold.system import System
from tenfold.systems.limarec.model import LimaRecNetwork, State
from tenfold.systems.limarec.options import Options
from tenfold.systems.limarec.rivals import ComiRecSA, RunningMean
from tenfold.systems.limarec.synthetic import early, ideal, returning
from tenfold.systems.limarec.system import LimaRec
from tenfold.tasks.next_item.baselines.counted import PersonalFrequency
from tenfold.tasks.next_item.baselines.gru4rec import GRU4Rec
from tenfold.tasks.next_item.baselines.lrurec import LRURec
from tenfold.tasks.next_item.baselines.sasrec import SASRec
from tenfold.tasks.next_item.baselines.transformer import Transformer

WORLD = {"dropout": 0.0, "training.batch_size": 16, "training.lr": 0.003, "training.length": 400}
MOVIES = {"dim": 64, "training.batch_size": 16, "training.length": 200, "dropout": 0.2}
SEEDS: Mapping[Size, int] = {"cpu": 3, "gpu": 5, "quick": 1}


def limarec(shared: Mapping[str, Any], **more: Any) -> LimaRec:
    return LimaRec(parse(Options, dict(shared) | more))


# L1 to L3: the recurrence itself.


@torch.no_grad()
def exactness(size: Size) -> dict[str, float]:
    """The largest difference, relative to the largest entry, between event by event and one pass."""
    length, worst = 200 if size == "quick" else 3_000, dict[str, float]()
    for name, dtype in (("fp32", torch.float32), ("fp64", torch.float64)):
        worst[f"relative error, {name}"] = 0.0
        for preset in ("faithful", "best"):
            torch.manual_seed(0)
            network = LimaRecNetwork(500, parse(Options, {"preset": preset})).to(dtype).eval()
            events, state, streamed = torch.randint(1, 501, (1, length)), None, list[torch.Tensor]()
            whole, _, _ = network(events)
            for place in range(length):
                f, state, _ = network(events[:, place : place + 1], state)
                streamed.append(f)
            error = (torch.cat(streamed, 1) - whole).abs().max() / whole.abs().max()
            worst[f"relative error, {name}"] = max(worst[f"relative error, {name}"], float(error))
    return worst


@torch.no_grad()
def latency(size: Size) -> dict[str, float]:
    """Milliseconds of one event on the state of a long history over those on that of a short one, medians."""
    network = LimaRecNetwork(3_416, parse(Options, {})).eval()
    states: dict[int, State] = {}
    for length in (100, 2_000 if size == "quick" else 100_000):
        _, states[length], _ = network(torch.randint(1, 3_417, (1, length)))
    taken: dict[int, list[float]] = {length: [] for length in states}
    event = torch.ones(1, 1, dtype=torch.long)
    for turn in range(40 if size == "quick" else 2_000):
        for length in sorted(states, reverse=bool(turn % 2)):
            started = time.perf_counter()
            network(event, states[length])
            taken[length].append(time.perf_counter() - started)
    short, long = (float(np.median(taken[length][5:])) for length in sorted(states))
    return {"latency, long to short": long / short}


def growth(size: Size) -> dict[str, Any]:
    """Seconds of a loss and its gradients over the length of one history, carried on in windows of 200."""
    from tenfold.systems.limarec.system import Stretches
    from tenfold.tasks.next_item import NextItemBatch

    lengths = (256, 1_024) if size == "quick" else (512, 2_048, 8_192, 16_384)
    system = limarec({"memory.stretch": max(lengths)})
    system.sizes = {"items": 500}
    system._network = system.build().train()
    taken: dict[str, list[float]] = {}
    for length in lengths:
        events = torch.randint(1, 501, (1, length + 1))
        batch = Stretches(NextItemBatch(events[:, :-1], events[:, 1:], torch.zeros(1, 0, dtype=torch.long)), None)
        taken[f"{length}"] = []
        for _ in range(5):
            started = time.perf_counter()
            system.loss(batch)[0].backward()
            taken[f"{length}"].append(time.perf_counter() - started)
    slope = np.polyfit(np.log(lengths), np.log([np.median(taken[f"{length}"]) for length in lengths]), 1)[0]
    return {"slope of seconds over length": float(slope)}


# L4 and L5: the two worlds.


def world_budget(size: Size) -> Budget:
    return Budget(max_epochs=1 if size == "quick" else 200, max_seconds=240, patience=10, progress="none")


def interests_world(size: Size, seed: int) -> Any:
    users, held_out = (40, 20) if size == "quick" else (1_500, 500)
    return returning(users, held_out, seed, events=60 if size == "quick" else 200)


def several(dim: int) -> Any:
    def arms(size: Size) -> dict[str, System]:
        shared = WORLD | {"dim": dim}
        by_interests: dict[str, System] = {f"K = {k}": limarec(shared, interests=k) for k in (1, 4)}
        return by_interests | {
            "faithful, K = 4": limarec(shared, preset="faithful", interests=4),
            "GRU4Rec": GRU4Rec(**shared),
            "personal frequency": PersonalFrequency(),
        }

    return arms


def early_world(gap: int) -> Any:
    def world(size: Size, seed: int) -> Any:
        users, held_out = (40, 20) if size == "quick" else (1_500, 500)
        return early(users, held_out, seed, gap=20 if size == "quick" else gap)

    return world


def remembering(size: Size) -> dict[str, System]:
    shared = WORLD | {"dim": 32}
    return {
        "LimaRec": limarec(shared),
        "LimaRec, nothing fades": limarec(shared, **{"memory.decay": "none"}),
        "faithful": limarec(shared, preset="faithful"),
        "GRU4Rec": GRU4Rec(**shared),
        "LRURec": LRURec(**shared | {"layers": 1}),
        "SASRec, last 50": SASRec(**shared | {"training.length": 50, "layers": 1}),
        "personal frequency": PersonalFrequency(),
    }


def known_beforehand(size: Size) -> dict[str, float]:
    """By simulation: who has counted everything, and who has counted the last 50 events, in each world."""
    found = dict[str, float]()
    for gap in (60, 200, 500):
        split = early(40 if size == "quick" else 200, 100 if size == "quick" else 1_000, 0, gap=gap)
        found |= {f"memory, gap {gap}": ideal(split), f"last 50, gap {gap}": ideal(split, last=50)}
    split = returning(40 if size == "quick" else 200, 100 if size == "quick" else 1_000, 0)
    return found | {"memory, returning": ideal(split)}


# L6 to L10: MovieLens-100K.


def movies(size: Size, seed: int) -> Any:
    return public("ml-100k" if size != "gpu" else "ml-1m")


def movie_budget(size: Size) -> Budget:
    return Budget(max_epochs=1 if size == "quick" else 60, max_seconds=600, patience=8, progress="none")


def incremental(size: Size) -> dict[str, System]:
    return {
        "LimaRec": limarec(MOVIES),
        "faithful": limarec(MOVIES, preset="faithful"),
        "GRU4Rec": GRU4Rec(**MOVIES),
        "LRURec": LRURec(**MOVIES | {"layers": 1}),
        "linear transformer": Transformer(**MOVIES | {"attention": "linear", "layers": 1, "heads": 4}),
        "ComiRec-SA": ComiRecSA(**MOVIES),
        "running mean": RunningMean(**MOVIES),
        "SASRec": SASRec(**MOVIES),
        "SASRec, last 50": SASRec(**MOVIES | {"training.length": 50}),
        "personal frequency": PersonalFrequency(),
    }


ABLATED: dict[str, dict[str, Any]] = {
    "as it is": {},
    "phi relu": {"memory.feature_map": "relu"},
    "phi exp": {"memory.feature_map": "exp"},
    "K = 1": {"interests": 1},
    "K = 8": {"interests": 8},
    "H = 1": {"heads": 1},
    "two layers": {"layers": 2},
    "soft choice": {"interest.choice": "soft"},
    "Gumbel choice": {"interest.choice": "gumbel"},
    "negatives by max": {"interest.negatives_by": "max"},
    "nothing fades": {"memory.decay": "none"},
    "by time": {"memory.decay": "time"},
    "time codes": {"memory.gap_codes": True},
    "short-term slot": {"interest.short_term": "slot"},
    "no short-term vector": {"interest.short_term": "none"},
    "weights product": {"interest.weights": "product"},
    "no carry-over": {"memory.stretch": 200},
}


def ablations(size: Size) -> dict[str, System]:
    return {name: limarec(MOVIES, **more) for name, more in ABLATED.items()}


at_20 = {"protocol": {"ks": (20,)}, "metric": "recall@20", "seeds": SEEDS, "budget": world_budget}
on_movies = {"data": movies, "budget": movie_budget, "split": "stream", "seeds": SEEDS}
world = partial(Claim, **at_20)  # type: ignore[arg-type]
ml = partial(Claim, **on_movies)  # type: ignore[arg-type]

CLAIMS = [
    Claim(name="L1", says="a stream gives what the whole history gives", source="abstract, section 2",
          measure=exactness, expect=Bound(figure="relative error, fp32", at_most=1e-4)),
    Claim(name="L1 fp64", says="the same in double precision", source="abstract, section 2", measure=exactness,
          expect=Bound(figure="relative error, fp64", at_most=1e-10)),
    Claim(name="L2", says="an event costs the same after 100 and after 100,000", source="abstract", measure=latency,
          expect=Bound(figure="latency, long to short", at_most=1.2)),
    Claim(name="L3", says="training is linear in the history", source="section 2", measure=growth,
          expect=Bound(figure="slope of seconds over length", at_most=1.1)),
    world(name="L4", says="several interests beat one where users have several, d = 16", source="abstract",
          data=interests_world, arms=several(16), expect=AtLeast(first="K = 4", times=1.15, second="K = 1")),
    world(name="L4 wide", says="and less so where one vector has room, d = 64", source="-", data=interests_world,
          arms=several(64), expect=Reported(figure="K = 4")),
    Claim(name="L5 known", says="what memory alone could foresee, by simulation", source="-", measure=known_beforehand,
          expect=Reported(figure="memory, gap 60")),
    world(name="L5", says="old evidence helps: at gap 60 at least 0.20", source="abstract", data=early_world(60),
          arms=remembering, expect=Bound(figure="LimaRec", at_least=0.20)),
    world(name="L5 gap 200", says="at gap 200", source="-", data=early_world(200), arms=remembering,
          expect=Reported(figure="LimaRec")),
    world(name="L5 gap 500", says="at gap 500 it is above personal frequency", source="-", data=early_world(500),
          arms=remembering, expect=AtLeast(first="LimaRec", times=1.0, second="personal frequency")),
    ml(name="L6", says="the best of those that are updated per event", source="abstract; IMSR, table IV",
       arms=incremental, expect=AtLeast(first="LimaRec", times=1.0, second="GRU4Rec")),
    ml(name="L7", says="near a SASRec that reads the last 200 events again", source="-", arms=incremental,
       expect=AtLeast(first="LimaRec", times=0.95, second="SASRec")),
    ml(name="L10", says="what each part is worth", source="-", arms=ablations, expect=Reported(figure="as it is")),
]  # fmt: skip
