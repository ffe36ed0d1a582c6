"""TCL's part of the report: who meets whom next among the shop's customers, beside rules, and why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenfold.budget import Budget
from tenfold.data.events import Events
from tenfold.data.graphs import TemporalGraph, read_interactions
from tenfold.registry import load_class
from tenfold.report import Section, paragraph, picture, table
from tenfold.shop import meetings
from tenfold.shop.options import Options as ShopOptions
from tenfold.systems.tcl.pictures import trees
from tenfold.systems.tcl.system import TCL

RULES = ("partners-partners", "recency", "popular-partner", "pair-count", "edgebank")
ASKED: dict[str, Any] = {"most": 150, "pairs": (), "rules": False}


def sections(folder: Path, events: Events, *, quick: bool, tell: Callable[[str], None]) -> list[Section]:
    count = 1_500 if quick else 20_000
    graph = read_interactions(meetings.draw(ShopOptions(meetings=count), 0, count))
    budget = Budget(max_epochs=1, max_seconds=None if quick else 12, progress="none")
    system = TCL(**{"training.validated": 100, "loss.negatives": 5}).fit(graph, budget=budget)
    system.save(folder / "fitted" / "TCL")
    found: dict[str, Any] = {"TCL": system.evaluate(graph, **ASKED)}
    found |= {name: load_class(name)().fit(graph).evaluate(graph, **ASKED) for name in RULES}
    tell(f"TCL on {count:,} meetings: mrr {found['TCL']['mrr']:.3f}")
    return [_beside(found, graph, count), _why(system, graph)]


def _beside(found: dict[str, Any], graph: TemporalGraph, count: int) -> Section:
    order = sorted(found, key=lambda name: -found[name]["mrr"])
    rows = [[name, *(f"{found[name][figure]:.3f}" for figure in ("mrr", "hit@1", "hit@10"))] for name in order]
    said = (
        f"{count:,} gifts and messages between {graph.size:,} customers; who is met next is ranked among everybody, on "
        f"{ASKED['most']} of the last 15 %. They are drawn so that the partner's own recent partners come next; "
        "partners-partners is close to how they were made, and what knows the simulator itself has about 0.48."
    )
    return Section(
        "Who meets whom next", paragraph(said) + table(["", "MRR", "hit@1", "hit@10"], rows, strong=order.index("TCL"))
    )


def _why(system: TCL, graph: TemporalGraph) -> Section:
    """One of the last meetings whose partner stood high: the answer, and the trees that it was read from."""
    last = graph.split().test[-400:]
    asked = zip(graph.ids(graph.sources[last]), graph.ids(graph.destinations[last]), graph.times[last], strict=True)
    best: tuple[float, Any, Any, float] = (-1.0, None, None, 0.0)
    for source, destination, at in list(asked)[::8]:
        answers = system.predict_links(source, at=float(at), k=3)
        if not answers.cold and destination in [each.node for each in answers[:2]]:
            best = max(best, (answers[0].score - answers[-1].score, source, destination, float(at)))
    if best[1] is None:
        return Section("Why", paragraph("None of the last meetings was foretold; a longer training would."))
    _, source, destination, at = best
    rows = []
    for place, each in enumerate(system.predict_links(source, at=at, k=5, evidence=2), 1):
        because = "; ".join(f"{e.source} → {e.destination} ({e.weight:.0%})" for e in each.evidence)
        rows.append([str(place), str(each.node), f"{each.score:.2f}", because])
    said = (
        f"{source} is about to meet {destination}. Each side's last meetings, and those that led to them, are read as "
        "a tree; the larger a dot, the more of the attention between the two sides lay on that meeting."
    )
    drawn = picture(trees(system, source, destination, at), f"the trees of {source} and {destination}")
    return Section("Why this partner", paragraph(said) + table(["", "partner", "score", "because of"], rows) + drawn)
