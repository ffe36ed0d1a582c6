"""The task: the files it reads, how they are split, what is trained on, the protocol. Its verbs are in answers.py.

A trained method gives `build`, and `loss`, `encode` and `scores` where its own differ; it gets the rest. A rule that
only counts is a `Counted` (baselines/counted.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor
from torch.optim import Adam

from tenfold.data.events import Events, read_events, refuse_reading
from tenfold.data.options import ReadOptions
from tenfold.data.splits import Queries, Split, split
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import ArtifactError, OptionError
from tenfold.files import place
from tenfold.metrics import ranking
from tenfold.metrics.sampled import check_sampled
from tenfold.system import Answer, Evaluation, PredictionSummary
from tenfold.tasks.next_item.answers import OnUnseen, Recommender
from tenfold.tasks.next_item.evaluation import measure, passes, rank
from tenfold.tasks.next_item.events import NextItemBatch, NextItemSamples
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.tasks.next_item.options import PredictOptions, Protocol
from tenfold.tasks.next_item.predict import predict
from tenfold.training import Loss, Stage, schedule

if TYPE_CHECKING:
    from tenfold.tasks.next_item.session import Session


# A validation that would read more than so many times the events of an epoch is strided by half a window.
DEAR_VALIDATION = 4
PATIENT_STEPS = 100  # at least so many of them are no better before training ends: an epoch of a small log has few


def _log(dataset: Events | Split) -> Events:
    return dataset.events if isinstance(dataset, Split) else dataset


class NextItem(Recommender):
    """Next-item recommendation. Shapes: B users, L events, V items (0 is padding, always on the right)."""

    splits = ("loo", "stream", "time", "spans", "none")
    patience = 10
    read_options, protocol, predict_options = ReadOptions, Protocol, PredictOptions
    shown = ("user", "items", "titles")
    service = "tenfold.serving.next_item:NextItemService"

    # Data.

    def read(self, data: Any, read_options: ReadOptions | None = None, **inputs: Any) -> Events | Split:
        if isinstance(data, Split):
            refuse_reading(read_options)
            return data
        return read_events(data, read_options)

    def prepare(self, dataset: Events | Split, split_name: str) -> Split:
        if isinstance(dataset, Split):
            if dataset.name == split_name and self._knows(dataset.events):
                return dataset
            dataset = dataset.events
        if not self._knows(dataset):
            dataset = dataset.recoded(self.vocabularies["items"])
        return split(dataset, split_name)

    def _knows(self, events: Events) -> bool:
        return events.catalogue.fingerprint == self.vocabularies["items"].fingerprint

    def data_notes(self, dataset: Events | Split, prepared: Split) -> list[str]:
        return [*_log(dataset).report.sentences(), *prepared.sentences()]

    def log_of(self, dataset: Events | Split) -> str:
        return _log(dataset).fingerprint

    def learn_vocabularies(self, dataset: Events | Split) -> dict[str, Vocabulary]:
        return {"items": _log(dataset).catalogue}

    def training_statistics(self, prepared: Split, older: Any = None) -> dict[str, Tensor]:
        """item_counts (V + 1,): training events of each item. A newer log may hold the older one, whose events are not
        counted twice: of an item's two counts the larger stays."""
        counts = torch.from_numpy(prepared.train_counts())
        if older is not None:
            before = older.statistics["item_counts"]
            counts[: len(before)] = torch.maximum(counts[: len(before)], before)
        return {"item_counts": counts}

    @classmethod
    def _loaded(cls, folder: Path, weights: str) -> Self:
        system = super()._loaded(folder, weights)
        counts, items = system.statistics["item_counts"], len(system.vocabularies["items"])
        if counts.shape != (items + 1,):
            raise ArtifactError(
                f"{folder} holds counts of {counts.numel() - 1:,} items and a vocabulary of {items:,}; save or copy "
                "the system again"
            )
        return system

    # Training.

    def loss(self, batch: NextItemBatch) -> Loss:
        """Every event predicts the next one."""
        user, _ = self.encode(batch.events, **self.timed(batch.times))
        return next_item_loss(self.options.loss, user, self.item_table(), batch)

    def windows(self, prepared: Split) -> tuple[int, int]:
        """Events in a training window, and windows in a batch."""
        return self.options.training.length, self.options.training.batch_size

    def stages(self, prepared: Split) -> Iterator[Stage]:
        training, (length, batch_size) = self.options.training, self.windows(prepared)
        queries = prepared.queries("validation")
        samples = NextItemSamples(prepared, length, self.options.loss, times=self.uses_times)
        steps = max(1, -(-len(samples) // batch_size))  # of an epoch
        rates = schedule(training.schedule, training.warmup)
        ends_by_itself = len(queries.user) > 0 and rates is None
        yield Stage(
            name="next_item",
            network=self.network,
            loss=self.loss,
            data=samples,
            batch_size=batch_size,
            validate=partial(self._validate, prepared, queries, self._stride(prepared, queries))
            if len(queries.user)
            else None,
            optimizer=partial(Adam, lr=training.lr, betas=(0.9, training.beta2), fused=training.clip is None),
            schedule=rates,
            clip=training.clip,
            ema_decay=training.ema_decay,
            units=self.events_of,
            patience=max(self.patience, -(-PATIENT_STEPS // steps)) if ends_by_itself else None,
        )

    def events_of(self, batch: Any) -> int:
        """How many events a batch trains on: units of a budget."""
        return int((batch.next != 0).sum())

    def _stride(self, prepared: Split, queries: Queries) -> int:
        """Of validations."""
        if self.context is None or not self.causal:
            return 1
        begin, end, _ = passes(self, prepared, queries)
        if (end - begin).sum() <= DEAR_VALIDATION * max(int(prepared.trained().sum()), 1):
            return 1
        stride = max(self.context // 2, 1)
        self.notes.append(
            f"validations are strided: one pass answers {stride:,} held-out events of a user, after "
            f"{self.context - stride + 1:,} to {self.context:,} events each; `evaluate` reads a whole window for each, "
            f"unless given stride={stride}"
        )
        return stride

    def _validate(self, prepared: Split, queries: Queries, stride: int = 1) -> dict[str, float]:
        k = min(10, len(self.vocabularies["items"]))
        ranked = rank(self, prepared, queries, k=k, stride=stride)
        per_user = ranked.per_user(ranking.figures(ranked.above, ranked.tied, [k]))
        return {name: float(per_user[name].mean()) for name in (f"ndcg@{k}", f"hr@{k}")}  # the first one is watched

    # The protocol.

    @classmethod
    def figure_names(
        cls,
        dataset: Events | Split,
        *,
        split: str | None = None,
        ks: Sequence[int] | None = None,
        sampled: int = 0,
        **protocol: Any,
    ) -> Sequence[str]:
        if split == "none":
            raise OptionError(
                "split 'none' holds nothing out, so that there is nothing to measure; choose another split"
            )
        items = len(_log(dataset).catalogue)
        ks = ks or ranking.default_ks(items, sampled)
        ranking.check_ks(ks, items)
        check_sampled(sampled, ks, items)
        whole = [] if sampled else [f"coverage@{max(ks)}"]
        return [*ranking.figure_names(ks, f"sampled-{sampled}" if sampled else ""), *whole]

    def evaluate(self, data: Any, **protocol: Any) -> Evaluation:
        """hr@k, ndcg@k, recall@k and mrr, averaged within users, then over users; and coverage@k of the longest list:
        the share of the catalogue that somebody is shown.

        data: a path, frame, dataset or split.  split: the fitted one unless given.  part: 'test' or 'validation'.
        ks: list lengths, 10 unless given.  exclude_seen: leave what the user had before out of the ranking.
        sampled: 0 ranks among the whole catalogue, 100 is the protocol of SASRec's paper.  by: 'history',
        'gap', 'span': notes tell the figures of events after so many others, so long after one of the same `gap_of`, or
        in each sixth of the second half of the time.
        stride: held-out events of a user that one pass over a window answers, each after up to stride - 1 events fewer
        than a window holds; 1: each after a whole one.
        read_options: how a file is read.
        Raises DataError, OptionError.
        """
        return measure(self, data, **protocol)

    def open(self, where: Any = None, **how: Any) -> "Session":
        """Over states in memory (None), in a folder (LMDB), at redis://..., or in a store of ours; how: what `Session`
        takes, such as late='ignore' or keep_seen=1000. Raises OptionError, StateError."""
        from tenfold.tasks.next_item.session import Session

        _ = self.network
        if not self.state_size:
            raise self.keeps_no_state()
        return Session(self, where, **how)

    def predict(
        self,
        data: str | Path,
        output: str | Path,
        *,
        k: int | None = None,
        users: str | Path | None = None,
        history_from: str | Path | None = None,
        exclude_seen: bool = False,
        on_unseen: OnUnseen = "skip",
        read_options: ReadOptions | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> PredictionSummary:
        """File to file, in order; rows of histories in bounded memory, while an event log is read whole.

        What files may hold says `tasks.next_item.predict`.

        users: a file with a column `user`; with history_from, an event log, only they are answered, and one that the
        log does not hold is named.  read_options: of the log; of the other files only its encoding and on_bad_rows
        count.
        Returns the number of users answered.  Raises DataError, OptionError, UnknownIdError, OutputError.
        """
        self.check_inputs(inputs or {})
        source = Path(history_from or data)
        return predict(
            self, source, place(output), k=k, users=None if users is None else Path(users), exclude_seen=exclude_seen,
            on_unseen=on_unseen, read_options=read_options or ReadOptions(),
        )  # fmt: skip

    def answer(self, question: str, **how: Any) -> Answer:
        """What comes next after one history, written as item ids with commas between."""
        items = [item.strip() for item in question.split(",")] if question.strip() else []
        if "" in items:
            raise OptionError(f"the history '{question}' holds an empty item; give ids with one comma between: i9,i4")
        found = self.recommend(items, **how)
        notes = []
        if found.skipped:
            notes.append(f"{found.skipped} events of the history are of items that this system does not know")
        if found.by_popularity:
            why = "no item of the history is known" if items else "the history is empty"
            notes.append(f"{why}: these are the most popular items")
        rows = [[place, one.item, f"{one.score:.4f}"] for place, one in enumerate(found, 1)]
        return Answer(("rank", "item", "score"), rows, notes)
