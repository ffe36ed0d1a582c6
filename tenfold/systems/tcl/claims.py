"""What TCL's paper says, measured here. Its own tables could not be read: the claims are its abstract's, made precise.

Relay (synthetic.py) and public logs; budgets are in steps, so that arms have seen the same number of interactions.
`tenfold claims tcl` runs all of them, which takes hours at size cpu; `--only "C2 relay"` one.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from tenfold.budget import Budget
from tenfold.claims import AtLeast, AtLeastBy, Bound, Claim, Reported, Size
from tenfold.data.graphs import TemporalGraph, read_interactions
from tenfold.errors import DataError
from tenfold.shop import meetings
from tenfold.shop.options import Options as ShopOptions
from tenfold.system import System
from tenfold.systems.tcl.synthetic import relay
from tenfold.systems.tcl.system import TCL
from tenfold.tasks.link_prediction.baselines.rules import LatestPartner, PartnersPartners
from tenfold.tasks.link_prediction.public import edgebank_as_dyglib

PAPER: dict[str, Any] = {"preset": "paper", "loss.negatives": 4, "training.validated": 100}
RELAY = PAPER | {"past.depth": 2, "past.most": 3, "dropout": 0.0, "tokens.node_dropout": 0.0}
SEEDS: Mapping[Size, int] = {"cpu": 3, "gpu": 5, "quick": 2}
MORE_SEEDS: Mapping[Size, int] = {"cpu": 8, "gpu": 8, "quick": 2}  # where three left a verdict open
AMONG: dict[str, Any] = {"candidates": "sampled", "historical": 0, "pairs": (), "rules": False, "most": 300}
MRR = "mrr(100 sampled)"
RELAY_STEPS, COLLEGE_STEPS, SHOP_STEPS = 280, 210, 140  # three, one and two passes over the training part
LONGER = 627  # steps on CollegeMsg for what the paper claims: three passes
ON_FEW = "on 300 interactions of the test part, among 100 random destinations; validated on 100"


def public_log(name: str, two_sides: bool) -> TemporalGraph:
    return read_interactions(public_file(name), bipartite=two_sides)


def public_file(name: str) -> Path:
    """Raises DataError where it is not here."""
    folder = Path(os.environ.get("TENFOLD_DATA") or Path(__file__).parents[4] / "shared" / "data") / "tcl"
    if not (folder / name).exists():
        raise DataError(
            f"{name} is not in {folder}; set TENFOLD_DATA to the folder of public data that holds tcl/{name}"
        )
    return folder / name


def collegemsg(size: Size, seed: int) -> TemporalGraph:
    graph = public_log("CollegeMsg.txt.gz", False)
    return graph.take(np.arange(4_000)) if size == "quick" else graph


def relays(size: Size, seed: int) -> TemporalGraph:
    return relay(nodes=60, events=2_000, seed=seed) if size == "quick" else relay(seed=seed)


def shop_meetings(size: Size, seed: int) -> TemporalGraph:
    count = 2_000 if size == "quick" else 20_000
    rows = meetings.draw(ShopOptions(seed=seed, meetings=count), 0, count)
    return read_interactions(rows)


def steps(cpu: int) -> Any:
    def budget(size: Size) -> Budget:
        few = 10 if size == "quick" else cpu
        return Budget(max_epochs=100, max_steps=few, threads=1, progress="none")

    return budget


def arms(base: Mapping[str, Any], **changes: Mapping[str, Any]) -> Any:
    def make(size: Size) -> Mapping[str, System]:
        return {name.replace("_", " "): TCL(**{**base, **own}) for name, own in changes.items()}

    return make


def on_meetings(preset: str) -> Any:
    def make(size: Size) -> Mapping[str, System]:
        return {preset: TCL(preset=preset), "partner's partners": PartnersPartners()}

    return make


def on_messages(size: Size) -> Mapping[str, System]:
    return {"best": TCL(), "recency": LatestPartner()}


def noisy(size: Size) -> dict[str, float]:
    """The relative loss of MRR with 20 and 50 % of random interactions in the past, by objective."""
    found: dict[str, float] = {}
    for name in ("infonce", "bce"):
        clean = 0.0
        for noise in (0.0, 0.2, 0.5):
            graph = relay(60, 2_000, noise=noise) if size == "quick" else relay(noise=noise)
            system = TCL(**RELAY | {"loss.name": name}).fit(graph, budget=steps(RELAY_STEPS)(size))
            mrr = system.evaluate(graph, **AMONG)[MRR]
            clean = clean or mrr
            found[f"{name}, noise {noise:.0%}"] = mrr / clean
    return found


def trap(size: Size) -> dict[str, float]:
    """Average precision against random partners less that against earlier ones, in points, of one trained network."""
    graph = collegemsg(size, 0)
    system = TCL(**PAPER).fit(graph, budget=steps(COLLEGE_STEPS)(size))
    found = system.evaluate(graph, candidates="sampled", random=20, rules=False)
    return {"points": 100 * (found["ap(random)"] - found["ap(historical)"])}


def edgebank(size: Size) -> dict[str, float]:
    """By DyGLib's protocol; published are 76.20 (UCI, the same messages) and 90.37."""
    return {
        "CollegeMsg": round(100 * edgebank_as_dyglib(public_log("CollegeMsg.txt.gz", False)), 2),
        "Wikipedia": round(100 * edgebank_as_dyglib(public_log("wikipedia_edges.txt.gz", True)), 2),
    }


def parity(size: Size) -> dict[str, float]:
    """The public network's logits and ours, on its own weights and events."""
    held = np.load(public_file("public_tcl_parity.npz"))
    state = {name: torch.from_numpy(held[name]) for name in held.files if name.startswith(("encoder.", "predictor."))}
    ends = {"source": held["events_src"], "destination": held["events_dst"], "time": held["events_time"]}
    graph = read_interactions(pl.DataFrame(ends), bipartite=False)
    rows = np.concatenate([np.zeros((1, held["node_features"].shape[1])), held["node_features"][graph_ids(graph)]])
    graph = replace(graph, features=held["edge_features"][1:].astype(np.float32), node_features=rows.astype(np.float32))
    pairs = list(zip(held["query_src"].tolist(), held["query_dst"].tolist(), held["query_time"].tolist(), strict=True))
    off = np.abs(TCL.from_dyglib(state, graph).score(pairs) - held["logit"].ravel())
    return {"largest difference": float(off.max())}


def graph_ids(graph: TemporalGraph) -> np.ndarray:
    return np.array(graph.ids(np.arange(1, graph.size + 1)))


ON_RELAY: dict[str, Any] = {
    "data": relays,
    "budget": steps(RELAY_STEPS),
    "metric": MRR,
    "protocol": AMONG,
    "seeds": SEEDS,
    "note": ON_FEW,
}
ON_COLLEGE: dict[str, Any] = {
    "data": collegemsg,
    "budget": steps(LONGER),
    "metric": MRR,
    "protocol": AMONG,
    "seeds": SEEDS,
    "note": ON_FEW,
}
ON_SHOP: dict[str, Any] = {"pairs": (), "rules": False, "most": 600}
CHOSEN = (
    "each has the learning rate, of 2, 4 and 8 thousandths, that is best on the validation part of a relay of its own; "
    "relays are tested that no rate was tried on"
)
OBJECTIVES: dict[str, dict[str, Any]] = {"InfoNCE": {}, "BCE": {"loss.name": "bce"}}
RATES = (2e-3, 4e-3, 8e-3)
FRESH, CHOOSING = 10, 100  # the first of the seeds that are tested, and the one that a rate is chosen on


def fresh_relays(size: Size, seed: int) -> TemporalGraph:
    """Others than those on which rates were tried before."""
    return relays(size, FRESH + seed)


@cache
def rate(objective: str, size: Size) -> float:
    """The learning rate with the best MRR of the validation part, on a relay that is not tested."""
    graph, found = relays(size, CHOOSING), dict[float, float]()
    for one in RATES:
        system = TCL(**RELAY | OBJECTIVES[objective] | {"training.lr": one})
        system.fit(graph, budget=steps(RELAY_STEPS)(size))
        found[one] = system.evaluate(graph, part="validation", **AMONG)[MRR]
    return max(found, key=lambda one: found[one])


def objectives(base: Mapping[str, Any]) -> Any:
    """Contrast and single pairs, each at the learning rate that suits it."""

    def make(size: Size) -> Mapping[str, System]:
        return {name: TCL(**{**base, **own, "training.lr": rate(name, size)}) for name, own in OBJECTIVES.items()}

    return make


TOWERS: dict[str, dict[str, Any]] = {"co_attention": {}, "two_towers": {"co_blocks": 0}}
DEPTHS: dict[str, dict[str, Any]] = {"k_=_1": {"past.depth": 1, "past.most": 1}, "k_=_2": {}}

CLAIMS = [
    Claim(
        name="C1 relay",
        says="contrast beats single pairs, after the same 280 steps",
        source="abstract",
        arms=objectives(RELAY),
        expect=AtLeastBy(first="InfoNCE", points=0.10, second="BCE"),
        **ON_RELAY | {"data": fresh_relays, "note": f"{CHOSEN}; {ON_FEW}", "seeds": MORE_SEEDS},
    ),
    Claim(
        name="C1 CollegeMsg",
        says="the same on public messages, after 627 steps",
        source="abstract",
        arms=objectives(PAPER),
        expect=AtLeastBy(first="InfoNCE", points=0.10, second="BCE"),
        **ON_COLLEGE | {"note": f"{CHOSEN}; {ON_FEW}"},
    ),
    Claim(
        name="C2 relay",
        says="attention between the streams matters where the pair does",
        source="abstract",
        arms=arms(RELAY, **TOWERS),
        expect=AtLeastBy(first="co attention", points=0.20, second="two towers"),
        **ON_RELAY,
    ),
    Claim(
        name="C2 CollegeMsg",
        says="the same on public messages, after 627 steps",
        source="abstract",
        arms=arms(PAPER, **TOWERS),
        expect=AtLeastBy(first="co attention", points=0.05, second="two towers"),
        **ON_COLLEGE,
    ),
    Claim(
        name="C3 shallow",
        says="one level of the tree is not enough where the answer is two steps away",
        source="section 3.1, the k-depth neighbourhood",
        arms=arms(RELAY, **DEPTHS),
        expect=Bound(figure="k = 1", at_most=0.10),
        **ON_RELAY | {"seeds": MORE_SEEDS},
    ),
    Claim(
        name="C3 deep",
        says="and two levels are",
        source="section 3.1, the k-depth neighbourhood",
        arms=arms(RELAY, **DEPTHS),
        expect=Bound(figure="k = 2", at_least=0.5),
        **ON_RELAY | {"seeds": MORE_SEEDS},
    ),
    Claim(
        name="C4",
        says="the mask of the graph's topology",
        source="abstract",
        arms=arms(RELAY, masked={}, not_masked={"past.topology": False, "tokens.gaps": "query"}),
        expect=Reported(figure="masked"),
        **ON_RELAY | {"note": f"without it times are counted from the query too, so that two things change; {ON_FEW}"},
    ),
    Claim(
        name="C5",
        says="on the shop's meetings the method alone is near the rule by which they were drawn",
        source="the issue of this room",
        arms=on_meetings("paper"),
        expect=AtLeast(first="paper", times=0.9, second="partner's partners"),
        data=shop_meetings,
        budget=steps(SHOP_STEPS),
        metric="mrr",
        protocol=ON_SHOP,
        seeds=SEEDS,
        note=f"{SHOP_STEPS} steps; on 600 interactions of the test part, among all customers",
    ),
    Claim(
        name="C5 best",
        says="and with what the past says of the pair above it",
        source="the issue of this room",
        arms=on_meetings("best"),
        expect=AtLeast(first="best", times=1.0, second="partner's partners"),
        data=shop_meetings,
        budget=steps(SHOP_STEPS),
        metric="mrr",
        protocol=ON_SHOP,
        seeds=SEEDS,
        note=f"{SHOP_STEPS} steps; on 600 interactions of the test part, among all customers",
    ),
    Claim(
        name="C5 CollegeMsg",
        says="on public messages it is above whom one met last",
        source="the issue of this room",
        arms=on_messages,
        expect=AtLeast(first="best", times=1.0, second="recency"),
        data=collegemsg,
        budget=steps(COLLEGE_STEPS),
        metric="mrr",
        protocol=ON_SHOP,
        seeds=SEEDS,
        note=f"{COLLEGE_STEPS} steps, one pass; on 600 interactions of the test part, among all destinations",
    ),
    Claim(
        name="C6",
        says="contrast is robust to interactions that mean nothing",
        source="abstract",
        measure=noisy,
        expect=Reported(figure="infonce, noise 50%"),
        note="share of the MRR without noise that is left; one seed",
    ),
    Claim(
        name="C7 CollegeMsg",
        says="a rule without training has 76.20 by the usual protocol",
        source="DyGFormer's Table 1",
        measure=edgebank,
        expect=Bound(figure="CollegeMsg", at_least=76.20, at_most=76.20),
    ),
    Claim(
        name="C7 Wikipedia",
        says="and 90.37",
        source="DyGFormer's Table 1",
        measure=edgebank,
        expect=Bound(figure="Wikipedia", at_least=90.37, at_most=90.37),
    ),
    Claim(
        name="C7 trap",
        says="average precision falls by five points where false partners are earlier ones",
        source="DyGFormer's Table 1: 9.3 for TCL on UCI",
        measure=trap,
        expect=Bound(figure="points", at_least=5.0),
        note=f"one seed, {COLLEGE_STEPS} steps",
    ),
    Claim(
        name="C9",
        says="on the public code's weights the network gives its logits",
        source="DyGLib",
        measure=parity,
        expect=Bound(figure="largest difference", at_most=1e-5),
    ),
]
