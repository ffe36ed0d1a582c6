"""What is claimed of LimaRec, L1 to L10, and how it is measured here.

Sure from the paper is little: that it is superior on long histories, and its cost. The worlds of synthetic.py say what
could be had; MovieLens-100K is split `stream`. All arms of a claim have one width, loss and budget; at size `cpu` they
are few, small and briefly trained, no claim more than about eight minutes of one quiet core: what is said there is of
methods after so much training, and the levels are far from what could be had.
"""

import time
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, cast

import numpy as np
import torch

from tenfold.budget import Budget
from tenfold.claims import AtLeast, Bound, Claim, Reported, Size
from tenfold.data.events import Events
from tenfold.data.public import load, public
from tenfold.options import parse
from tenfold.system import System
from tenfold.systems.limarec.memories import HPMN, MIMN
from tenfold.systems.limarec.model import LimaRecNetwork, State
from tenfold.systems.limarec.options import Options
from tenfold.systems.limarec.rivals import MIND, ComiRecDR, ComiRecSA, RunningMean
from tenfold.systems.limarec.synthetic import early, ideal, returning
from tenfold.systems.limarec.system import LimaRec
from tenfold.tasks.next_item.baselines.counted import PersonalFrequency
from tenfold.tasks.next_item.baselines.gru4rec import GRU4Rec
from tenfold.tasks.next_item.baselines.lrurec import LRURec
from tenfold.tasks.next_item.baselines.sasrec import SASRec
from tenfold.tasks.next_item.baselines.transformer import Transformer

WORLD = {"dropout": 0.0, "training.batch_size": 8, "training.lr": 0.01, "training.length": 400}
MOVIES = {"training.batch_size": 8, "training.length": 200, "dropout": 0.2}
SEEDS: Mapping[Size, int] = {"cpu": 3, "gpu": 5, "quick": 1}


def limarec(shared: Mapping[str, Any], **more: Any) -> LimaRec:
    """Without counts of candidates, unless a claim is about them: they are in no paper."""
    return LimaRec(parse(Options, {"counts.of": "none"} | dict(shared) | more))


# L1 to L3: the recurrence itself.


@cache  # two claims ask for it
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
    if size == "gpu":
        return Budget(max_epochs=200, max_seconds=240, patience=10, progress="none")
    if size == "quick":
        return Budget(max_epochs=1, progress="none", threads=1)
    return Budget(max_epochs=50, progress="none", threads=1)


USERS: Mapping[Size, tuple[int, int]] = {"quick": (40, 20), "cpu": (200, 150), "gpu": (1_500, 500)}  # and held out


def interests_world(size: Size, seed: int) -> Any:
    return returning(*USERS[size], seed, events={"quick": 60, "cpu": 100, "gpu": 200}[size])


def several(dim: int) -> Any:
    def arms(size: Size) -> dict[str, System]:
        shared = WORLD | {"dim": dim}
        found: dict[str, System] = {f"K = {k}": limarec(shared, interests=k) for k in (1, 4)}
        found["personal frequency"] = PersonalFrequency()
        if size != "cpu":
            found["faithful, K = 4"] = limarec(shared, preset="faithful", interests=4)
            found["GRU4Rec"] = GRU4Rec(**shared)
        return found

    return arms


def early_world(gap: int) -> Any:
    def world(size: Size, seed: int) -> Any:
        more = {"gap": 20 if size == "quick" else gap, "rounds": 4 if size == "gpu" else 2}
        return early(*USERS[size], seed, **more)

    return world


def remembering(size: Size) -> dict[str, System]:
    shared = WORLD | {"dim": 32}
    found: dict[str, System] = {"LimaRec": limarec(shared), "personal frequency": PersonalFrequency()}
    if size == "cpu":
        return found
    return found | {
        "LimaRec, nothing fades": limarec(shared, **{"memory.decay": "none"}),
        "faithful": limarec(shared, preset="faithful"),
        "GRU4Rec": GRU4Rec(**shared),
        "LRURec": LRURec(**shared | {"layers": 1}),
        "SASRec, last 50": SASRec(**shared | {"training.length": 50, "layers": 1}),
    }


def counting(size: Size) -> dict[str, System]:
    """Who counts a candidate itself, all events alike."""
    counts = {"counts.of": "items", "counts.decay": 0.0}
    return {"LimaRec, counting": limarec(WORLD | {"dim": 32} | counts), "personal frequency": PersonalFrequency()}


def twelve_epochs(size: Size) -> Budget:
    return Budget(max_epochs=1 if size == "quick" else 12, progress="none", threads=1)


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
    if size == "gpu":
        return Budget(max_epochs=60, max_seconds=600, patience=8, progress="none")
    return Budget(max_epochs=1 if size == "quick" else 6, progress="none", threads=1)


def on_films(size: Size) -> dict[str, Any]:
    return MOVIES | ({"dim": 64} if size == "gpu" else {"dim": 32, "training.lr": 0.003})


def incremental(size: Size) -> dict[str, System]:
    films = on_films(size) | ({"training.batch_size": 16, "training.lr": 0.005} if size == "cpu" else {})
    found: dict[str, System] = {
        "LimaRec": limarec(films),
        "GRU4Rec": GRU4Rec(**films),
        "MIMN-like": MIMN(**films),
        "HPMN-like": HPMN(**films),
        "personal frequency": PersonalFrequency(),
    }
    if size == "cpu":
        return found
    return found | {
        "SASRec": SASRec(**films),
        "ComiRec-DR": ComiRecDR(**films),
        "MIND-like": MIND(**films),
        "faithful": limarec(films, preset="faithful"),
        "LRURec": LRURec(**films | {"layers": 1}),
        "linear transformer": Transformer(**films | {"attention": "linear", "layers": 1, "heads": 4}),
        "ComiRec-SA": ComiRecSA(**films),
        "running mean": RunningMean(**films),
        "SASRec, last 50": SASRec(**films | {"training.length": 50}),
    }


def rereading(size: Size) -> dict[str, System]:
    films = on_films(size)
    found: dict[str, System] = {"LimaRec": limarec(films), "SASRec": SASRec(**films)}
    if size == "cpu":
        return found
    return found | {"faithful": limarec(films, preset="faithful"), "LRURec": LRURec(**films | {"layers": 1})}


class Looking(LimaRec):
    """It looks at the last events of a history only, as many as `back` says; None: at all."""

    back: int | None = None

    @property
    def context(self) -> int | None:  # type: ignore[override]
        return self.back


def more_history(size: Size) -> dict[str, float]:
    """NDCG@10 of one fitted system on users of 500 films and more, told the last of them only."""
    whole = cast(Events, load("ml-100k" if size == "quick" else "ml-1m"))
    few = {"quick": 20, "cpu": 400, "gpu": 1_600}[size]
    long = np.flatnonzero(np.diff(whole.offsets) >= (200 if size == "quick" else 500))
    users = np.random.default_rng(0).permutation(long)[:few]
    events = Events.from_histories([whole.history(int(user)).tolist() for user in users])
    system = Looking(parse(Options, on_films(size))).fit(events, split="loo", budget=movie_budget(size))
    found = dict[str, float]()
    for system.back in (50, 100, 200, 500, None):
        found[f"last {system.back}" if system.back else "all"] = float(system.evaluate(events, split="loo")["ndcg@10"])
    return found


def carrying(size: Size) -> dict[str, System]:
    films = on_films(size)
    return {"carried on": limarec(films), "each window by itself": limarec(films, **{"memory.stretch": 200})}


ABLATED: dict[str, dict[str, Any]] = {
    "as it is": {},
    "phi relu": {"memory.feature_map": "relu"},
    "phi exp": {"memory.feature_map": "exp"},
    "K = 4": {"interests": 4},
    "K = 4, negatives by the chosen": {"interests": 4, "interest.negatives_by": "chosen"},
    "K = 8": {"interests": 8},
    "H = 1": {"heads": 1},
    "two layers": {"layers": 2},
    "K = 4, soft choice": {"interests": 4, "interest.choice": "soft"},
    "K = 4, Gumbel choice": {"interests": 4, "interest.choice": "gumbel"},
    "nothing fades": {"memory.decay": "none"},
    "by time": {"memory.decay": "time"},
    "time codes": {"memory.gap_codes": True},
    "short-term slot": {"interest.short_term": "slot"},
    "no short-term vector": {"interest.short_term": "none"},
    "weights product": {"interest.weights": "product"},
    "no carry-over": {"memory.stretch": 200},
}


FEW = ("as it is", "K = 4", "K = 4, negatives by the chosen", "nothing fades", "no short-term vector",
       "weights product")  # fmt: skip


def ablations(size: Size) -> dict[str, System]:
    some = FEW if size == "cpu" else tuple(ABLATED)
    return {name: limarec(on_films(size), **ABLATED[name]) for name in some}


# What a reader of figures of size cpu must know.
USED = "size cpu: 200 users to train on, 150 each to validate and test"
SHORT = f"{USED}, 50 epochs, of which the best is kept, steps of 0.01"
TWO = "; two rounds of gaps, not four"
FILMS = "size cpu: d = 32, 6 epochs, batches of 8, steps of 0.003 for all, chosen on the validation part"
SIX = "size cpu: d = 32, 6 epochs, batches of 16, steps of 0.005 for all"
ONCE: Mapping[Size, int] = {"cpu": 1, "gpu": 5, "quick": 1}


at_20 = {"protocol": {"ks": (20,)}, "metric": "recall@20", "budget": world_budget}
on_movies = {"data": movies, "budget": movie_budget, "split": "stream", "note": FILMS}
world = partial(Claim, **at_20)  # type: ignore[arg-type]
counted = partial(world, arms=counting, budget=twelve_epochs, seeds=SEEDS, note=f"{USED}, 12 epochs{TWO}")
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
          data=interests_world, arms=several(16), expect=AtLeast(first="K = 4", times=1.15, second="K = 1"),
          seeds=SEEDS, note=SHORT),
    world(name="L4 wide", says="and less so where one vector has room, d = 64", source="-", data=interests_world,
          arms=several(64), expect=Reported(figure="K = 4"), seeds=ONCE, note=SHORT),
    Claim(name="L5 known", says="what memory alone could foresee, by simulation", source="-", measure=known_beforehand,
          expect=Reported(figure="memory, gap 60")),
    world(name="L5", says="old evidence helps: at gap 60 at least 0.20", source="abstract", data=early_world(60),
          arms=remembering, expect=Bound(figure="LimaRec", at_least=0.20), seeds=SEEDS, note=SHORT + TWO),
    world(name="L5 gap 200", says="at gap 200", source="-", data=early_world(200), arms=remembering,
          expect=Reported(figure="LimaRec"), seeds=ONCE,
          note=SHORT + TWO),
    world(name="L5 gap 500", says="at gap 500 it is above personal frequency", source="-", data=early_world(500),
          arms=remembering, expect=AtLeast(first="LimaRec", times=1.0, second="personal frequency"), seeds=SEEDS,
          note=SHORT + TWO),
    counted(name="L5 counting", says="with a candidate's own count in its score, at gap 60 at least 0.20",
            source="ours",
            data=early_world(60), expect=Bound(figure="LimaRec, counting", at_least=0.20)),
    counted(name="L5 counting, gap 500", says="and at gap 500 it is above personal frequency", source="ours",
            data=early_world(500),
            expect=AtLeast(first="LimaRec, counting", times=1.0, second="personal frequency")),
    ml(name="L6", says="the best of those that are updated per event", source="abstract; IMSR, table IV",
       arms=incremental, expect=AtLeast(first="LimaRec", times=1.0, second="GRU4Rec"), seeds=SEEDS, note=SIX),
    ml(name="L6 MIMN", says="3 % above a small Turing machine", source="abstract", arms=incremental,
       expect=AtLeast(first="LimaRec", times=1.03, second="MIMN-like"), seeds=SEEDS, note=SIX),
    ml(name="L6 HPMN", says="3 % above a hierarchy of memories", source="abstract", arms=incremental,
       expect=AtLeast(first="LimaRec", times=1.03, second="HPMN-like"), seeds=SEEDS, note=SIX),
    ml(name="L7", says="near a SASRec that reads the last 200 events again", source="-", arms=rereading,
       expect=AtLeast(first="LimaRec", times=0.95, second="SASRec"), seeds=SEEDS),
    Claim(name="L8", says="more history, better: users of 500 films and more, told the last of them only", source="-",
          measure=more_history, expect=Reported(figure="all"),
          note="400 users of MovieLens-1M, each one's last film; one seed; size cpu: d = 32, 6 epochs"),
    ml(name="L9", says="trained on windows of 200, served on whole histories, it gains by states that are carried on",
       source="-", arms=carrying, expect=AtLeast(first="carried on", times=1.0, second="each window by itself"),
       seeds=SEEDS),
    ml(name="L10", says="what each part is worth", source="-", arms=ablations, expect=Reported(figure="as it is"),
       seeds=ONCE),
]  # fmt: skip
