"""TCL as a system: what a batch holds, what is scored, and what an answer is because of."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from tenfold import artifact
from tenfold.errors import ArtifactError
from tenfold.systems.tcl.model import TclNetwork
from tenfold.systems.tcl.options import Options, PastOptions
from tenfold.systems.tcl.pairs import first_weights
from tenfold.systems.tcl.ranking import fits, score_all
from tenfold.systems.tcl.tokens import TclBatch, Tokens
from tenfold.tasks.link_prediction.data import Links, Queries
from tenfold.tasks.link_prediction.negatives import false_pairs
from tenfold.tasks.link_prediction.options import LinkLoss, Training
from tenfold.tasks.link_prediction.task import Evidence
from tenfold.tasks.link_prediction.trained import TrainedLinks
from tenfold.training import Stage

WORTHWHILE = 32  # candidates from which keeping their trees pays
CALIBRATED_ON = 1_000  # interactions of the validation part, and as many false ones


class TCL(TrainedLinks):
    options: Options
    tiny = Options(dim=16, past=PastOptions(depth=2, most=3), loss=LinkLoss(negatives=2),
                   training=Training(batch_size=8, lr=0.01, validated=40))  # fmt: skip

    def infer_sizes(self, prepared: Links) -> dict[str, int]:
        graph = prepared.graph
        wide = {"features": graph.features, "about": graph.node_features}
        return super().infer_sizes(prepared) | {n: own.shape[1] for n, own in wide.items() if own is not None}

    def training_statistics(self, prepared: Links, older: Any = None) -> dict[str, Tensor]:
        """unit: the gap that counts as 1."""
        unit = self.options.tokens.unit or prepared.median_gap
        if older is not None and self.options.tokens.unit == 0:
            unit = float(older.statistics["unit"])  # the older weights are for gaps of that unit
        found = super().training_statistics(prepared, older)
        return found | {"unit": torch.tensor(unit, dtype=torch.float64)}

    def build(self) -> TclNetwork:
        return TclNetwork(self.options, self.sizes)

    def stages(self, prepared: Links) -> Iterator[Stage]:
        of_pair = self.network.of_pair
        if of_pair is not None and not of_pair.straight.weight.any():  # else an older fit's
            tokens = self.tokens(prepared)
            weights = first_weights(prepared, tokens.unit, tokens.half_life, self.budget.seed)
            with torch.no_grad():
                of_pair.straight.weight.copy_(weights)
        yield from super().stages(prepared)
        self.network.eval()
        if len(prepared.rows.validation) > 1:
            self._calibrate(prepared)

    @classmethod
    def from_dyglib(cls, state: Mapping[str, Tensor], interactions: Any, *, heads: int = 2) -> Self:
        """The public code's weights (encoder.*, predictor.*) over a graph, which is the past of all answers.

        interactions: a path, frame or graph, with `edge_features` and `node_features` as the weights know them.
        Raises ArtifactError, DataError.
        """
        from tenfold.systems.tcl.public import options_of, translated

        chosen, wanted = options_of(state, heads)
        system = cls(**chosen)
        graph = system.read(interactions)
        system.vocabularies = system.learn_vocabularies(graph)
        links = system.prepare(graph, "none")
        system.sizes, system.statistics = system.infer_sizes(links), system.training_statistics(links)
        for name, width in wanted.items():
            if system.sizes.get(name) != width:
                kind = "edge" if name == "features" else "node"
                raise ArtifactError(
                    f"these weights are for {width} {kind} features, and {graph.report.source} has "
                    f"{system.sizes.get(name, 0)}; give {kind}_features"
                )
        system._network = system.build().eval()
        artifact.put_weights(system._network, translated(state), "the state of DyGLib")
        system.fitted = {"split": "none", "data": links.fingerprint, "log": graph.fingerprint, "history": {}}
        return system

    # A batch and its scores.

    def tokens(self, links: Links) -> Tokens:
        """Made once for each graph."""
        if self._tokens is None or self._tokens.links is not links:
            self._tokens = Tokens(links, self.options, float(self.statistics["unit"]), self.budget.seed)
        return self._tokens

    _tokens: Tokens | None = None

    def collate(self, links: Links, queries: Queries, candidates: np.ndarray) -> TclBatch:
        return self.tokens(links).batch(queries, candidates)

    def score_batch(self, batch: TclBatch) -> Tensor:
        return self.network(batch)

    @torch.no_grad()
    def scores(self, links: Links, queries: Queries, candidates: np.ndarray) -> np.ndarray:
        """The same candidates for all: what is kept of their trees serves question after question (ranking.py)."""
        if candidates.ndim == 2 or len(candidates) < WORTHWHILE or not fits(self.options) or (candidates == 0).any():
            return super().scores(links, queries, candidates)
        was_training = self.network.training
        self.network.eval()
        order = np.argsort(queries.cuts, kind="stable")
        found = np.empty((len(order), len(candidates)))
        found[order] = score_all(self.network, self.tokens(links), queries.take(order), candidates)
        self.network.train(was_training)
        return found

    # Probabilities.

    @torch.no_grad()
    def _calibrate(self, prepared: Links) -> None:
        """Platt's logistic curve from scores to how likely a pair is true, against as many random false ones."""
        rows = prepared.rows.validation[:: max(1, len(prepared.rows.validation) // CALIBRATED_ON)]
        false = false_pairs(prepared, rows, "random", seed=0)
        both = np.stack([prepared.graph.destinations[rows].astype(np.int64), false.destinations], axis=1)
        scores = torch.from_numpy(self.scores(prepared, prepared.queries(rows), both))[torch.from_numpy(false.there)]
        self.network.calibration.copy_(platt(scores[:, 0], scores[:, 1]).to(self.network.calibration))

    def probability(self, pairs: Any) -> np.ndarray:
        """(source, destination, time) each -> (n,): how likely it is true, where every second pair is."""
        slope, offset = self.network.calibration.double().cpu().numpy()
        return 1 / (1 + np.exp(-(slope * self.score(pairs) + offset)))

    def anomaly(self, pairs: Any) -> np.ndarray:
        """-log of that probability: large for interactions that nobody would expect."""
        return -np.log(np.maximum(self.probability(pairs), 1e-12))

    # What it looked at.

    @torch.no_grad()
    def embed(self, nodes: Any, at: float | None = None) -> np.ndarray:
        """ids (n,) -> (n, d): each node's own stream at a moment, without a partner."""
        links = self.past
        queries = self._queries(list(nodes), None if at is None else [at] * len(nodes), "cold")
        streams = self.tokens(links).streams(queries.sources.astype(np.int64), queries.cuts, queries.times)
        return self.network.alone(streams).cpu().numpy()

    @torch.no_grad()
    def explain(self, links: Links, queries: Queries, destinations: np.ndarray, count: int) -> list[list[Evidence]]:
        """The past interactions that the attention between the two streams lay on most, of either side."""
        if not self.options.co_blocks:
            return super().explain(links, queries, destinations, count)
        found = []
        for v in destinations.tolist():
            weights = self.attention(links, queries, v)
            best = sorted(weights.items(), key=lambda each: -each[1])[:count]
            found.append([self._named(links, event, weight) for event, weight in best])
        return found

    @torch.no_grad()
    def attention(self, links: Links, queries: Queries, destination: int) -> dict[int, float]:
        """By event: its share of the attention of the last block between the streams of one pair, over both sides."""
        batch = self.collate(links, queries, np.array([[destination]]))
        network = self.network.eval()
        network(batch)
        looked = network.looked_at()
        found: dict[int, float] = {}
        for streams, weights in ((batch.candidates, looked[0]), (batch.sources, looked[1])):
            for event, weight in zip(streams.event[0].tolist(), weights.tolist(), strict=True):
                if event:
                    found[event] = found.get(event, 0.0) + weight / 2
        return found


def platt(true: Tensor, false: Tensor, steps: int = 50) -> Tensor:
    """(2,): slope and offset of the logistic curve through scores of true and false pairs, by Newton's method."""
    x = torch.cat([true, false]).double()
    y = torch.cat([torch.ones_like(true), torch.zeros_like(false)]).double()
    y = (y * (len(true) + 1) + (1 - y)) / (torch.where(y > 0, len(true), len(false)) + 2)  # Platt's targets
    design = torch.stack([x, torch.ones_like(x)], dim=1)
    w = torch.zeros(2, dtype=torch.float64)
    for _ in range(steps):
        p = (design @ w).sigmoid()
        gradient = design.T @ (p - y)
        curvature = (design * (p * (1 - p) + 1e-9).unsqueeze(1)).T @ design + 1e-6 * torch.eye(2, dtype=torch.float64)
        step = torch.linalg.solve(curvature, gradient)
        w = w - step * min(1.0, 5.0 / float(step.abs().max() + 1e-12))
    return w
