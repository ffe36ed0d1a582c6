"""The task: the files it reads, how they are split, what is trained on, the protocol, and the verb `recommend`.

A trained method gives `build`, and `loss`, `encode` and `scores` where its own differ; it gets the rest. A rule that
only counts is a `Counted` (baselines/counted.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, get_args

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

from tenfold import artifact
from tenfold.data.events import Events, check_times, read_events, refuse_reading
from tenfold.data.options import ReadOptions
from tenfold.data.packing import alike
from tenfold.data.sequences import histories_of, ids_of, seconds
from tenfold.data.splits import Queries, Split, split
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import ArtifactError, OptionError, UnknownIdError
from tenfold.files import digest, place
from tenfold.metrics import ranking
from tenfold.metrics.sampled import check_sampled
from tenfold.system import Answer, Evaluation, PredictionSummary, System
from tenfold.tasks.next_item.evaluation import EVENTS_AT_ONCE, measure, rank, scores_at_once
from tenfold.tasks.next_item.events import NextItemBatch, NextItemSamples
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.tasks.next_item.options import PredictOptions, Protocol
from tenfold.training import Loss, Stage, schedule

if TYPE_CHECKING:
    from tenfold.tasks.next_item.session import Session

State = Any
OnUnseen = Literal["skip", "refuse"]


def _log(dataset: Events | Split) -> Events:
    return dataset.events if isinstance(dataset, Split) else dataset


def _ids(ids: Any) -> list[Any]:
    """Raises OptionError for one text, whose letters would be taken for items."""
    return ids_of(ids, error=OptionError)


class Recommendation(NamedTuple):
    item: Any  # the user's own id
    score: float


class Recommendations(list[Recommendation]):
    """The best first. `skipped` events of the history were unknown; with none known, `by_popularity` answered."""

    skipped: int = 0
    by_popularity: bool = False
    numbers: np.ndarray  # (k,) of the items
    interests: np.ndarray | None = (
        None  # (k,) which of a user's several vectors found each; None: there is one, or not asked
    )


class NextItem(System):
    """Next-item recommendation. Shapes: B users, L events, V items (0 is padding, always on the right)."""

    splits = ("loo", "stream", "time", "none")
    read_options, protocol, predict_options = ReadOptions, Protocol, PredictOptions
    shown = ("user", "items", "titles")
    service = "tenfold.serving.next_item:NextItemService"
    causal: ClassVar[bool] = True  # what `encode` gives at a position depends on no later event
    # `encode` and `advance` take the times of events too, and `batch.times` holds them. Where a log or a history has
    # none they are None, and in `advance` NaN. They are numbers as the log counts them, or seconds since 1970.
    uses_times: ClassVar[bool] = False

    def encode(self, events: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """events (B, L), a whole history or what came since `state` -> a user vector at each position, (B, L, ...)."""
        return self.network(events, state)

    def scores(self, user: Tensor) -> Tensor:
        """User vectors (N, ...) -> (N, V + 1), a fresh tensor; column 0 means nothing."""
        return user @ self.item_table().T

    def loss(self, batch: NextItemBatch) -> Loss:
        """Every event predicts the next one."""
        user, _ = self.encode(batch.events, **self.timed(batch.times))
        return next_item_loss(self.options.loss, user, self.item_table(), batch)

    def timed(self, times: Tensor | np.ndarray | None) -> dict[str, Any]:
        """The argument `times` for those methods that take one."""
        return {"times": times} if self.uses_times else {}

    def item_table(self) -> Tensor:
        """(V + 1, d), tied: what an event is read as is also what it is found by."""
        return self.network.item.weight

    @property
    def context(self) -> int | None:
        """How many events back an answer looks; None for all."""
        return self.options.training.length

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

    def stages(self, prepared: Split) -> Iterator[Stage]:
        training = self.options.training
        queries = prepared.queries("validation")
        yield Stage(
            name="next_item",
            network=self.network,
            loss=self.loss,
            data=NextItemSamples(prepared, training.length, self.options.loss, times=self.uses_times),
            batch_size=training.batch_size,
            validate=partial(self._validate, prepared, queries) if len(queries.user) else None,
            optimizer=partial(Adam, lr=training.lr, betas=(0.9, training.beta2), fused=training.clip is None),
            schedule=schedule(training.schedule, training.warmup),
            clip=training.clip,
            ema_decay=training.ema_decay,
        )

    def _validate(self, prepared: Split, queries: Queries) -> dict[str, float]:
        k = min(10, len(self.vocabularies["items"]))
        ranked = rank(self, prepared, queries, k=k)
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
        sampled: 0 ranks among the whole catalogue, 100 is the protocol of SASRec's paper.
        read_options: how a file is read.
        Raises DataError, OptionError.
        """
        return measure(self, data, **protocol)

    # The verb.

    @torch.no_grad()
    def recommend(
        self,
        history: Sequence[Any],
        *,
        k: int | None = None,
        exclude: Sequence[Any] = (),
        candidates: Sequence[Any] | None = None,
        exclude_seen: bool = False,
        on_unseen: OnUnseen = "skip",
        times: Sequence[Any] | None = None,
    ) -> Any:
        """What comes next after `history`, item ids, oldest first: Recommendations. Several histories: a list of them.

        history: a list, an array or a column of ids; several are a list of such, or a column of lists.

        k: 10 unless given, or all items there are.  exclude, candidates: item ids never and only to be recommended.
        on_unseen: what an item unknown to the system does in a history: 'skip' leaves it out and counts it, 'refuse'
        raises UnknownIdError.  times: of the events, as the log that was fitted counts them; only methods that use
        times look at them.  Keeps no state.
        """
        histories, several = histories_of(history, error=OptionError)
        clocks = None if times is None else [seconds(own) for own in (ids_of(times, "times") if several else [times])]
        found = self.recommend_batch(
            histories, k=k, exclude=exclude, candidates=candidates, exclude_seen=exclude_seen, on_unseen=on_unseen,
            times=clocks,
        )  # fmt: skip
        return found if several else found[0]

    def recommend_batch(
        self,
        histories: Sequence[Sequence[Any]],
        *,
        k: int | None = None,
        exclude: Sequence[Any] = (),
        candidates: Sequence[Any] | None = None,
        exclude_seen: bool = False,
        on_unseen: OnUnseen = "skip",
        times: Sequence[np.ndarray] | None = None,
    ) -> list[Recommendations]:
        numbers = [self.item_numbers(h, on_unseen) for h in histories]
        if times is not None:
            check_times(histories, times)
            times = [own[n > 0] for own, n in zip(times, numbers, strict=True)]
        top, values = self.top_k(
            [n[n > 0].astype(np.int64) for n in numbers],
            times=times,
            k=self.check_k(k),
            exclude=self._items().numbers(_ids(exclude)),
            candidates=None if candidates is None else self._candidates(candidates, on_unseen),
            exclude_seen=exclude_seen,
        )
        answers = self._named(top, values, np.array([not (ids > 0).any() for ids in numbers]))
        for answer, ids in zip(answers, numbers, strict=True):
            answer.skipped = int((ids == 0).sum())
        return answers

    def item_numbers(self, ids: Sequence[Any], on_unseen: OnUnseen = "skip") -> np.ndarray:
        """(n,) int32, 0 for an unknown item; raises UnknownIdError where on_unseen is 'refuse'."""
        if on_unseen not in get_args(OnUnseen):
            raise OptionError(f"on_unseen is 'skip' or 'refuse'; found {on_unseen!r}")
        ids = _ids(ids)
        numbers = self._items().numbers(ids)
        if on_unseen == "refuse":
            self._refuse_unseen(numbers, ids)
        return numbers

    def best(
        self,
        scores: Tensor,
        *,
        k: int,
        exclude: Sequence[Any] = (),
        candidates: Sequence[Any] | None = None,
        by_popularity: np.ndarray,
    ) -> list[Recommendations]:
        """scores (N, V + 1), which are written to; exclude, candidates: item ids; by_popularity (N,): flags."""
        found = self._first_k(
            scores,
            k,
            exclude=self._items().numbers(_ids(exclude)),
            candidates=None if candidates is None else self._candidates(candidates, "skip"),
        )
        return self._named(*found, by_popularity)

    def _named(self, top: np.ndarray, values: np.ndarray, by_popularity: np.ndarray) -> list[Recommendations]:
        """Numbers and scores (N, k), -inf for none, as the user's own ids."""
        answers, vocabulary = [], self._items()
        for row in range(len(top)):
            real = np.isfinite(values[row])
            items = vocabulary.ids(top[row][real])
            answer = Recommendations(map(Recommendation, items, values[row][real].tolist()))
            answer.by_popularity, answer.numbers = bool(by_popularity[row]), top[row][real]
            answers.append(answer)
        return answers

    def top_k(
        self,
        histories: Sequence[np.ndarray],
        *,
        k: int,
        exclude: np.ndarray | None = None,
        candidates: np.ndarray | None = None,
        exclude_seen: bool = False,
        times: Sequence[np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Histories in numbers, each known -> the numbers (B, k) of the best items and their scores, -inf for none.
        times: of each history's events.

        Histories of about one length are answered together, a few at a time: memory does not grow with their number.
        """
        self.check_k(k)
        lengths = np.array([len(h) for h in histories], dtype=np.int64)
        read = lengths if self.context is None else np.minimum(lengths, self.context)
        items, scores = np.zeros((len(histories), k), dtype=np.int64), np.zeros((len(histories), k), dtype=np.float32)
        for some in alike(read, EVENTS_AT_ONCE, scores_at_once(len(self._items()))):
            clocks = None if times is None else [times[n] for n in some]
            found = self._scored([histories[n] for n in some], exclude_seen, clocks)
            items[some], scores[some] = self._first_k(found, k, exclude=exclude, candidates=candidates)
        return items, scores

    @torch.no_grad()
    def _scored(
        self, histories: Sequence[np.ndarray], exclude_seen: bool, times: Sequence[np.ndarray] | None
    ) -> Tensor:
        """(B, V + 1), -inf for what is not to be recommended."""
        context = self.context
        looked_at = [h if context is None else h[-context:] for h in histories]
        lengths = torch.tensor([len(h) for h in looked_at])
        rows = torch.zeros(len(looked_at), max(int(lengths.max()), 1), dtype=torch.long)
        real = torch.arange(rows.shape[1]) < lengths[:, None]
        rows[real] = torch.from_numpy(np.concatenate(looked_at)).long()
        device, row, clock = self.device, torch.arange(len(rows)), None
        if self.uses_times and times is not None:
            clock = torch.zeros(rows.shape, dtype=torch.float64)
            clock[real] = torch.from_numpy(np.concatenate([t if context is None else t[-context:] for t in times]))
            clock = clock.to(device)
        last = (lengths - 1).clamp(min=0).to(device)
        users = self.users_at(rows.to(device), row.to(device), last, **self.timed(clock))
        scores = self.scores(users)
        if bool((lengths == 0).any()):
            scores[(lengths == 0).to(device)] = self.popularity().to(scores)
        if exclude_seen:
            of_row = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
            scores[
                torch.from_numpy(of_row).to(device), torch.from_numpy(np.concatenate(histories)).to(device)
            ] = -torch.inf
        return scores

    def check_k(self, k: int | None) -> int:
        """The length of a list: k or, for None, 10 or all items there are. Raises OptionError."""
        return ranking.list_length(k, len(self._items()))

    def _first_k(
        self, scores: Tensor, k: int, *, exclude: np.ndarray | None, candidates: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        scores[:, 0] = -torch.inf
        if candidates is not None:
            others = torch.ones(scores.shape[1], dtype=torch.bool)
            others[torch.from_numpy(candidates).long()] = False
            scores[:, others.to(scores.device)] = -torch.inf
        if exclude is not None and len(exclude):
            scores[:, torch.from_numpy(exclude).long().to(scores.device)] = -torch.inf
        best = scores.topk(k, dim=1)
        return best.indices.cpu().numpy(), best.values.float().cpu().numpy()

    def users_at(self, rows: Tensor, row: Tensor, column: Tensor, times: Tensor | None = None) -> Tensor:
        """rows (B, L), padded on the right; row, column (N,): the user vectors (N, ...) after those events."""
        user, _ = self.encode(rows, **self.timed(times))
        return user[row, column]

    def scores_at(
        self, rows: Tensor, row: Tensor, column: Tensor, at_once: int, times: Tensor | None = None
    ) -> Iterator[Tensor]:
        """The scores (at most at_once, V + 1) after those events, part after part. To be used at once:
        the next part may stand in the same place."""
        users = self.users_at(rows, row, column, **self.timed(times))
        for part in users.split(at_once):
            yield self.scores(part)

    @torch.no_grad()
    def similar(self, item: Any, k: int | None = None) -> Recommendations:
        """The items most like this one, by the cosine of what they are found by; it is left out itself.

        k: 10 unless given, or all others there are. Raises OptionError, UnknownIdError; OptionError where a rule has
        no vectors.
        """
        number = int(self.item_numbers([item], "refuse")[0])
        k = min(self.check_k(k), max(len(self._items()) - 1, 1))
        if not self.trains:
            raise OptionError(
                f"a {type(self).__name__} counts and has no vectors of items; fit a system that is trained"
            )
        table = self.item_table()
        cosine = (table @ table[number]) / (table.norm(dim=1) * table[number].norm()).clamp(min=1e-30)
        cosine[number] = -torch.inf
        return self._named(*self._first_k(cosine[None], k, exclude=None, candidates=None), np.array([False]))[0]

    def interests_of(self, user: Tensor, items: np.ndarray) -> np.ndarray | None:
        """Which of a user's several vectors (N, ...) each item (N, k) was found by; None where there is only one."""
        return None

    # Streams: a method whose state has one size says how large it is, how events change it, and what it answers from.

    state_size: int = 0  # numbers of one user's state; 0 where a method keeps none that can be stored

    def advance(self, states: np.ndarray, rows: np.ndarray) -> None:
        """states (N,) of streaming/records.py, whose `state` is changed in place by the events rows (N, L), 0: none.
        Where the class `uses_times` a third argument `times` (N, L) comes with them, NaN where an event has none."""
        raise NotImplementedError

    def users_after(self, states: np.ndarray) -> Tensor:
        """The user vectors (N, ...) after the last events of these states."""
        raise NotImplementedError

    def open(self, where: Any = None, **how: Any) -> "Session":
        """Over states in memory (None), in a folder (LMDB), at redis://..., or in a store of ours; how: what `Session`
        takes, such as late='ignore' or keep_seen=1000. Raises OptionError, StateError."""
        from tenfold.tasks.next_item.session import Session

        _ = self.network
        if not self.state_size:
            raise OptionError(
                f"a {type(self).__name__} keeps no state of constant size to store; give `recommend` the history, or "
                f"fit a system that streams, such as LimaRec"
            )
        return Session(self, where, **how)

    def fingerprint(self) -> str:
        """16 hex digits of this very model: its options and weights."""
        weights = artifact.pack(artifact.own_weights(self.network))
        return digest(repr(self.options).encode(), weights)

    def popularity(self) -> Tensor:
        """(V + 1,): how often each item stands in the training part; what a user without history gets."""
        return self.statistics["item_counts"].float()

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
        from tenfold.tasks.next_item.predict import predict

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

    def _items(self) -> Vocabulary:
        _ = self.network
        return self.vocabularies["items"]

    def _candidates(self, ids: Sequence[Any], on_unseen: OnUnseen) -> np.ndarray:
        ids = _ids(ids)
        numbers = self._items().numbers(ids)
        if on_unseen == "refuse":
            self._refuse_unseen(numbers, ids)
        if not (numbers > 0).any():
            raise OptionError("none of the candidates is an item of this system; give at least one that is")
        return numbers[numbers > 0]

    def _refuse_unseen(self, numbers: np.ndarray, ids: Sequence[Any]) -> None:
        if (numbers == 0).any():
            unknown = ids[int(np.flatnonzero(numbers == 0)[0])]
            raise UnknownIdError(f"there is no item {unknown!r} in this system; {self._items().nearest(unknown)}")
