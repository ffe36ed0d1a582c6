"""The task: the files it reads, how they are cut, the protocol, and the verbs `predict_links`, `score` and `observe`.

A method gives `scores(links, queries, candidates)`; one that is trained is a `TrainedLinks` (trained.py), a rule that
only counts a `Rule` (baselines/rules.py). A fitted system keeps the interactions it was given: they are the past that
its answers look at, and `observe` lets it go on.

Shapes: Q queries, C candidates, E interactions.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from tenfold import artifact
from tenfold.data.graphs import Rows, TemporalGraph, read_interactions
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import ArtifactError, DataError, OptionError, UnknownIdError
from tenfold.files import digest
from tenfold.metrics.evaluation import Evaluation
from tenfold.options import parse
from tenfold.registry import load_class
from tenfold.system import Answer, PredictionSummary, System
from tenfold.tasks.link_prediction.data import Links, Queries
from tenfold.tasks.link_prediction.evaluation import figure_names, measure, tested
from tenfold.tasks.link_prediction.options import PredictOptions, Protocol, ReadOptions

SIDES = {"auto": None, "one": False, "two": True}


class Evidence(NamedTuple):
    """A past interaction that spoke for an answer."""

    source: Any
    destination: Any
    time: float
    weight: float  # its share


class Prediction(NamedTuple):
    node: Any  # the user's own id
    score: float
    evidence: Sequence[Evidence] = ()


class Answers(list[Prediction]):
    """The best first. `cold`: the source had no past, so that only the candidates' speaks."""

    cold: bool = False


class LinkPrediction(System):
    """Whom somebody interacts with next, at a moment."""

    splits = ("time", "inductive", "none")
    read_options, protocol, predict_options = ReadOptions, Protocol, PredictOptions
    shown = ("source", "time", "destination", "score")
    units = "interactions"
    service = "tenfold.serving.links:LinkService"

    @abstractmethod
    def scores(self, links: Links, queries: Queries, candidates: np.ndarray) -> np.ndarray:
        """candidates (Q, C) or, the same for all, (C,); 0 is none -> (Q, C), more is likelier."""

    @classmethod
    def direction(cls, figure: str) -> int:
        return -1 if figure.startswith("mean_rank") else 1

    # Data.

    def read(self, data: Any, read_options: ReadOptions | None = None, **inputs: Any) -> TemporalGraph:
        """Raises DataError, OptionError."""
        how = read_options or ReadOptions()
        if isinstance(data, TemporalGraph):
            if how != ReadOptions():
                raise OptionError("these interactions were read before; say how a file is read to read_interactions")
            return data
        return read_interactions(
            data,
            columns=how.columns,
            features=how.features,
            bipartite=SIDES[how.sides],
            where=how.where,
            encoding=how.encoding,
            format=how.format,
            separator=how.separator,
            quote=how.quote,
            time_format=how.time_format,
            on_bad_rows=how.on_bad_rows,
            edge_features=how.edge_features,
            node_features=how.node_features,
            require_sorted=how.require_sorted,
        )

    def learn_vocabularies(self, dataset: TemporalGraph) -> dict[str, Vocabulary]:
        self.sizes = {}  # of an older fit: all ids of these interactions have a part in this one
        return dict(dataset.vocabularies)

    def prepare(self, dataset: TemporalGraph, split: str) -> Links:
        return Links.of(dataset, split, self.vocabularies, self.sizes)

    def training_statistics(self, prepared: Links, older: Any = None) -> dict[str, Tensor]:
        """The interactions, and which of them were trained on. Features that stand in a file are not copied."""
        graph = prepared.graph
        columns = {"sources": graph.sources, "destinations": graph.destinations, "times": graph.times}
        columns |= {"trained_on": prepared.rows.train}
        columns |= {name: own for name in ("kinds", "node_features") if (own := getattr(graph, name)) is not None}
        found = {f"past_{name}": torch.from_numpy(np.array(column)) for name, column in columns.items()}
        if graph.features is not None:
            found["past_features"] = torch.from_numpy(np.require(graph.features, requirements=["C", "W"]))
        return found

    @classmethod
    def _loaded(cls, folder: Path, weights: str) -> Self:
        """Tables of the past are built of the interactions without looking again. Raises ArtifactError."""
        system = super()._loaded(folder, weights)
        if wrong := system._wrong_past():
            raise ArtifactError(f"{folder} holds interactions {wrong}; save or copy the system again")
        return system

    def _wrong_past(self) -> str:
        """What is wrong with the interactions that were loaded; '' for nothing."""
        own = {name.removeprefix("past_"): x for name, x in self.statistics.items() if name.startswith("past_")}
        nodes = sum(len(self.vocabularies[name]) for name in ("entities", "partners") if name in self.vocabularies)
        if {"sources", "destinations", "times", "trained_on"} - own.keys() or "entities" not in self.vocabularies:
            return "of which columns are missing"
        if not isinstance(self.sizes.get("entities"), int):
            return "and does not say how many nodes there were"
        count, ends = len(own["times"]), torch.cat([own["sources"].flatten(), own["destinations"].flatten()])
        lengths = {name: count for name in ("sources", "destinations", "features", "kinds")} | {
            "node_features": nodes + 1
        }
        if any(name in own and len(own[name]) != length for name, length in lengths.items()):
            return "whose columns are of different lengths"
        if any(own[name].is_floating_point() for name in ("sources", "destinations", "trained_on")):
            return "whose nodes are no whole numbers"
        if count and not (int(ends.min()) >= 1 and int(ends.max()) <= nodes):
            return f"of other nodes than its {nodes:,}"
        if not (bool(own["times"].isfinite().all()) and bool((own["times"].diff() >= 0).all())):
            return "that are not in order of time"
        rows = own["trained_on"]
        if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < count):
            return "and says that others were trained on"
        kinds, names = own.get("kinds"), self.vocabularies.get("kinds")
        if (
            kinds is not None
            and len(kinds)
            and not (names is not None and int(kinds.min()) >= 0 and int(kinds.max()) <= len(names))
        ):
            return "of kinds that have no name"
        return ""

    @property
    def past(self) -> Links:
        """The interactions that answers look at: those of the file that was fitted on, and what `observe` brought."""
        _ = self.network  # refuses one that was not fitted
        if self._past is None or self._past_of is not self.statistics:
            self._past, self._past_of = self._restored(), self.statistics
        return self._past

    _past: Links | None = None
    _past_of: Any = None

    def _restored(self) -> Links:
        own: dict[str, Any] = {
            name.removeprefix("past_"): x.numpy() for name, x in self.statistics.items() if name.startswith("past_")
        }
        train, nothing = own.pop("trained_on"), np.zeros(0, np.int64)
        vocabularies: dict[str, Any] = {name: self.vocabularies.get(name) for name in ("entities", "partners")}
        graph = TemporalGraph(**own, **vocabularies, kind_names=self.vocabularies.get("kinds"))
        known = self.sizes["entities"], self.sizes.get("partners", 0)
        return Links(graph, Rows(train, nothing, nothing), "none", *known)

    # The protocol.

    def evaluate(
        self,
        data: Any,
        *,
        split: str | None = None,
        part: str = "test",
        read_options: ReadOptions | None = None,
        inputs: Mapping[str, Any] | None = None,
        **protocol: Any,
    ) -> Evaluation:
        """mrr, hit@k and mean_rank of the true destination; average precision against false pairs.

        data: a path, frame or graph.  split: the fitted one unless given.  part: 'test' or 'validation'.  protocol:
        the fields of `Protocol`.  Raises DataError, OptionError.
        """
        _ = self.network
        how = parse(Protocol, protocol)
        links = self.prepare(self.read(data, read_options, **(inputs or {})), split or self.fitted["split"])
        return measure(self, links, part, how)

    @classmethod
    def figure_names(cls, dataset: TemporalGraph, **protocol: Any) -> Sequence[str]:
        """Raises DataError, OptionError."""
        split = protocol.pop("split", None) or cls.splits[0]
        if split == "none":
            raise OptionError(
                "split 'none' holds nothing out, so that there is nothing to measure; choose another split"
            )
        links = Links.of(dataset, split, dataset.vocabularies, {})
        return figure_names(links, protocol.pop("part", None) or "test", parse(Protocol, protocol))

    # The verbs.

    def fingerprint(self) -> str:
        """16 hex digits of this very model: its options and weights, whatever was observed since."""
        return digest(repr(self.options).encode(), artifact.pack(artifact.own_weights(self.network)))[:16]

    def predict_links(
        self,
        node: Any,
        *,
        at: float | None = None,
        k: int = 10,
        candidates: Sequence[Any] | None = None,
        exclude_seen: bool = False,
        evidence: int = 0,
        shortlist: int = 0,
        on_unseen: str = "cold",
    ) -> Answers:
        """Whom `node` interacts with at the moment `at` (none: after all that is known), the best first.

        candidates: ids to choose from; none: all destinations.  exclude_seen: leave earlier partners out.  evidence:
        how many past interactions are named with each answer.  shortlist: the candidates that `recency` picks first;
        0: all are scored.  on_unseen: 'cold' lets an unknown node ask without a past, 'refuse' raises UnknownIdError.
         Raises DataError, OptionError.
        """
        links = self.past
        queries = self._queries([node], None if at is None else [at], on_unseen)
        asked = self._candidates(links, queries, candidates, exclude_seen, shortlist)
        if not k >= 1:
            raise OptionError(f"k = {k}: give a k of at least 1")
        scores = self.scores(links, queries, asked)[0]
        best = np.argsort(-scores, kind="stable")[:k]
        chosen = asked[best]
        reasons = self.explain(links, queries, chosen, evidence) if evidence else [[] for _ in chosen]
        found = Answers(map(Prediction, links.graph.ids(chosen), scores[best].tolist(), reasons))
        found.cold = bool(links.index.cuts(queries.times)[0] == 0 or not self._has_past(links, queries)[0])
        return found

    def score(self, pairs: Sequence[tuple[Any, Any, float]]) -> np.ndarray:
        """(source, destination, time) each -> (n,): more is likelier. Unknown nodes have no past. Raises DataError."""
        if not len(pairs):
            raise DataError("there are no pairs to score; give (source, destination, time) for each")
        links, (sources, destinations, times) = self.past, zip(*pairs, strict=True)
        asked = links.graph.destination_numbers(list(destinations)).astype(np.int64)
        queries = self._queries(list(sources), list(times), "cold")
        return self.scores(links, queries, asked[:, None])[:, 0]

    def observe(self, interactions: Any) -> Self:
        """Interactions that happened since: rows (source, destination, time), a frame or a file.

        They must not be earlier than the last one; new nodes are taken in, without weights of their own. Raises
        DataError.
        """
        graph = self._observed(interactions)
        links = self.past
        last = links.graph.times[-1]
        if len(graph) and graph.times[0] < last:
            raise DataError(
                f"an interaction at {graph.times[0]} is earlier than the last one that is known, at {last}; a stream "
                "goes on in time: fit anew for a past that has changed"
            )
        grown = {side: self.vocabularies[side].extended(own) for side, own in graph.vocabularies.items()}
        shifted = links.graph.partners is not None and len(grown["entities"]) > len(self.vocabularies["entities"])
        self.vocabularies |= grown
        graph = graph.recoded(grown)
        old = links.graph.recoded(grown) if shifted else links.graph
        more: dict[str, Any] = {
            name: _joined(getattr(old, name), getattr(graph, name)) for name in ("kinds", "features")
        }
        if shifted:  # numbers of destinations begin behind those of sources: the tables are made anew
            columns = {n: _joined(getattr(old, n), getattr(graph, n)) for n in ("sources", "destinations", "times")}
            links = replace(links, graph=replace(old, **columns, **more))
        else:
            index = links.index.append(graph.sources, graph.destinations, graph.times)
            columns = {"sources": index.sources, "destinations": index.destinations, "times": index.times}
            sides: dict[str, Any] = {side: grown[side] for side in ("entities", "partners") if side in grown}
            links = replace(links, graph=replace(old, **columns, **sides, **more))
            vars(links)["index"] = index
        self._past = links
        return self

    def _observed(self, interactions: Any) -> TemporalGraph:
        if isinstance(interactions, list | tuple):
            import polars as pl

            interactions = pl.DataFrame(interactions, schema=["source", "destination", "time"], orient="row")
        kept = self.fitted.get("read_options", {})
        how = parse(
            ReadOptions, {"columns": "" if not isinstance(interactions, str | Path) else kept.get("columns", "")}
        )
        two = "partners" in self.vocabularies
        return self.read(interactions, replace(how, sides="two" if two else "one"))

    def save(self, folder: str | Path) -> None:
        """With all that was observed. Raises OutputError."""
        if self._past is not None and self._past_of is self.statistics:
            self.statistics = self.training_statistics(self._past)
            self._past_of = self.statistics
        super().save(folder)

    def explain(self, links: Links, queries: Queries, destinations: np.ndarray, count: int) -> list[list[Evidence]]:
        """For each destination (n,) of one query, past interactions of the source that speak for it: those of the pair
        itself, the latest first."""
        index, u, cut = links.index, int(queries.sources[0]), int(queries.cuts[0])
        events = index.events[index.begin[u] : index.end[u]]
        events = events[: np.searchsorted(events, cut, side="right")][::-1]
        found = []
        for v in destinations.tolist():
            own = [e for e in dict.fromkeys(events.tolist()) if v in (index.sources[e - 1], index.destinations[e - 1])]
            found.append([self._named(links, e, 1 / len(own[:count])) for e in own[:count]])
        return found

    def _named(self, links: Links, event: int, weight: float) -> Evidence:
        index = links.index
        source, destination = links.graph.ids([index.sources[event - 1], index.destinations[event - 1]])
        return Evidence(source, destination, float(index.times[event - 1]), weight)

    def _queries(self, sources: Sequence[Any], times: Sequence[float] | None, on_unseen: str) -> Queries:
        links = self.past
        numbers = links.graph.source_numbers(list(sources))
        if on_unseen not in ("cold", "refuse"):
            raise OptionError(f"on_unseen is 'cold' or 'refuse'; found {on_unseen!r}")
        if on_unseen == "refuse" and (numbers == 0).any():
            unknown = sources[int(np.flatnonzero(numbers == 0)[0])]
            raise UnknownIdError(f"there is no node {unknown!r}; {links.graph.entities.nearest(unknown)}")
        dtype = links.index.times.dtype
        if times is None:
            cuts = np.full(len(numbers), len(links.index), np.int64)
            return Queries(numbers, np.full(len(numbers), links.index.times[-1], dtype), cuts)
        moments = np.asarray(times, np.float64)
        if not np.isfinite(moments).all():
            raise DataError(f"a moment is {moments[~np.isfinite(moments)][0]}; give a number, in the file's own time")
        return Queries(numbers, moments.astype(dtype), links.index.cuts(moments.astype(dtype)))

    def _candidates(
        self, links: Links, queries: Queries, ids: Sequence[Any] | None, exclude_seen: bool, shortlist: int
    ) -> np.ndarray:
        """(C,). Raises DataError, UnknownIdError."""
        found = links.destinations.astype(np.int64)
        if ids is not None:
            if not len(ids):
                raise DataError("the list of candidates is empty; leave it out to choose among all destinations")
            found = links.graph.destination_numbers(list(ids)).astype(np.int64)
            if (found == 0).any():
                unknown = ids[int(np.flatnonzero(found == 0)[0])]
                side = links.graph.partners or links.graph.entities
                raise UnknownIdError(f"there is no node {unknown!r} among the candidates; {side.nearest(unknown)}")
            found = np.array(list(dict.fromkeys(found.tolist())))
        if exclude_seen:
            index, u = links.index, int(queries.sources[0])
            before = index.events[index.begin[u] : index.end[u]]
            before = before[before <= queries.cuts[0]]
            partners = index.partners[index.begin[u] : index.begin[u] + len(before)]
            found = found[~np.isin(found, partners)]
            if not len(found):
                raise DataError("no candidate is left without earlier partners; leave exclude_seen out")
        if shortlist and len(found) > shortlist:
            rule: Any = load_class("recency")()
            order = np.argsort(-rule.scores(links, queries, found)[0], kind="stable")
            found = found[order[:shortlist]]
        return found

    def _has_past(self, links: Links, queries: Queries) -> np.ndarray:
        index = links.index
        first = np.array(
            [index.events[index.begin[u]] if index.end[u] > index.begin[u] else 0 for u in queries.sources]
        )
        return (first > 0) & (first <= queries.cuts)

    def predict(
        self,
        data: str | Path,
        output: str | Path,
        *,
        read_options: ReadOptions | None = None,
        inputs: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> PredictionSummary:
        """Rows of source and time: whom they meet; with a destination as well: the score of the pair.

        how: the fields of `PredictOptions`.  Raises DataError, OptionError, OutputError.
        """
        from tenfold.tasks.link_prediction.predict import predict

        return predict(self, Path(data), Path(output), parse(PredictOptions, how), read_options or ReadOptions())

    def answer(self, question: str, **how: Any) -> Answer:
        """'NODE' or 'NODE,TIME'."""
        node, _, moment = question.partition(",")
        try:
            at = float(moment) if moment.strip() else None
        except ValueError:
            raise OptionError(f"'{question}' is no question; write NODE or NODE,TIME, such as 17,1.6e9") from None
        found = self.predict_links(node.strip(), at=at, **how)
        rows = [[place, p.node, f"{p.score:.4f}", *_shown(p.evidence)] for place, p in enumerate(found, 1)]
        columns = ["rank", "node", "score", *(["because of"] if any(p.evidence for p in found) else [])]
        rows = [row[: len(columns)] for row in rows]
        notes = [f"{node} has no past at that moment: what is known of the candidates answered"] if found.cold else []
        return Answer(columns, rows, notes)


def _shown(evidence: Sequence[Evidence]) -> list[str]:
    return ["; ".join(f"{e.source} -> {e.destination} at {e.time:g} ({e.weight:.0%})" for e in evidence)]


def _joined(one: Any, other: Any) -> Any:
    return None if one is None or other is None else np.concatenate([one, other])


__all__ = ["Answers", "Evidence", "LinkPrediction", "Prediction", "tested"]
