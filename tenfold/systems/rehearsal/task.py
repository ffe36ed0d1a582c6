"""Questions about streams: what Rehearsal Memory and its rivals share. Files, parts, training on answers, figures.

Shapes: S streams, Q questions, A answers.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from tenfold.data.answers import write_answers
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, OptionError
from tenfold.metrics.evaluation import Statistic
from tenfold.system import Evaluation, PredictionSummary, System
from tenfold.systems.rehearsal.data import Cut, Streams, check_answered, check_unknown, cut, unknown_words
from tenfold.systems.rehearsal.model import StreamNetwork
from tenfold.systems.rehearsal.options import PredictOptions, Protocol, ReadOptions
from tenfold.systems.rehearsal.readers import read_streams, streams_in_parts
from tenfold.systems.rehearsal.samples import Batch, StreamSamples, questions_by_stream, tensors
from tenfold.training import Losses, Samples, Stage, schedule

EPS = 1e-5  # of AdamW: some gradients are so small that with its own eps their rounding would become steps
ITEMS_AT_ONCE = 20_000  # of streams that are answered about together, padding included
NOT_KNOWN = "not known"
AGES = ("newest quarter", "second quarter", "third quarter", "oldest quarter")


class StreamQuestions(System):
    """What is asked of streams; what reads them is a subclass's."""

    splits = ("streams", "given", "none")
    units = "questions"
    read_options, protocol, predict_options = ReadOptions, Protocol, PredictOptions
    inputs: ClassVar = {"questions": "a file of questions about DATA, where that is an event log or features"}
    shown = ("id", "question", "answer", "probability")
    stage_name = "questions"

    # Data.

    def read(self, data: Any, read_options: Any = None, **inputs: Any) -> Streams:
        return read_streams(data, read_options, **inputs)

    def learn_vocabularies(self, dataset: Streams) -> dict[str, Vocabulary]:
        return dataset.vocabularies

    def prepare(self, dataset: Streams, split: str) -> Cut:
        data = dataset.recoded(self.vocabularies)
        check_unknown(data.unknown(), data.report.source, unknown_words(dataset.words.series, data.words))
        return cut(data, split)

    # The network.

    def infer_sizes(self, prepared: Cut) -> dict[str, int]:
        for part in ("train", "validation"):
            check_answered(prepared.part(part), f"fit's {part} part")
        features = prepared.data.features
        wide = {} if features is None else {"features": features.shape[1]}
        return super().infer_sizes(prepared) | {"one_word": int(prepared.part("train").one_word)} | wide

    def training_statistics(self, prepared: Cut, older: Any = None) -> dict[str, Tensor]:
        """Of features the mean and what makes them of one size, each; those of a system that is started from, whose
        weights know them so."""
        features = prepared.part("train").features
        if features is None:
            return {}
        if older is not None and older.statistics.get("mean", torch.empty(0)).shape == features.shape[1:]:
            return {name: older.statistics[name] for name in ("mean", "scale")}
        own = features.astype(np.float64)
        spread = own.std(0)
        scale = np.where(spread > 1e-6 * np.abs(own).max(0), 1 / np.maximum(spread, 1e-30), 0.0)  # 0: always the same
        return {
            name: torch.from_numpy(each.astype(np.float32)) for name, each in (("mean", own.mean(0)), ("scale", scale))
        }

    @property
    def standard(self) -> tuple[Tensor, Tensor] | None:
        """Mean and scale (F,) of the items' features; None where items are words."""
        return (self.statistics["mean"], self.statistics["scale"]) if "features" in self.sizes else None

    def check_kind(self, data: Streams) -> None:
        """Raises DataError for items of another kind than those that were trained on."""
        width, known = 0 if data.features is None else data.features.shape[1], self.sizes.get("features", 0)
        if width != known:
            found, expected = (f"{n} features" if n else "texts" for n in (width, known))
            raise DataError(
                f"items of {data.report.source} are {found}, and this system was fitted on items that are {expected}; "
                "give streams of that kind, or fit another system on these"
            )

    @property
    def one_word(self) -> bool:
        """Whether an item of the training streams is one word: it may then belong to the one beside it."""
        return bool(self.sizes.get("one_word", 1))

    @abstractmethod
    def memory_machine(self) -> nn.Module:
        """What reads the stream (rivals.Machine says what it has), untrained."""

    def build(self) -> nn.Module:
        return self.stream_network()

    def stream_network(self) -> StreamNetwork:
        o = self.options
        if o.dim % self.heads:
            raise OptionError(f"dim must be a multiple of the heads; found dim {o.dim} and {self.heads} heads")
        return StreamNetwork(self.memory_machine(), dim=o.dim, words=self.sizes["words"], answers=self.sizes["answers"],
                             hops=o.hops, dropout=o.dropout, standard=self.standard)  # fmt: skip

    @property
    def heads(self) -> int:
        return int(self.options.heads)

    @property
    def streams(self) -> StreamNetwork:
        """The part of the network that answers."""
        found: StreamNetwork = self.network
        return found

    # Training.

    def stages(self, prepared: Cut) -> Iterator[Stage]:
        train = prepared.part("train")
        if not len(train.questions):
            raise DataError(
                f"{train.report.source} has no question to train a {type(self).__name__} on, and it learns from "
                "nothing else; give a file that asks"
            )
        yield self.stage(self.stage_name, self.network, self.loss, StreamSamples(train, None), self.checked(prepared))

    def stage(self, name: str, network: nn.Module, loss: Any, data: Samples, validate: Any, **more: Any) -> Stage:
        o = self.options.training
        return Stage(
            name=name, network=network, loss=loss, data=data, batch_size=o.batch_size, validate=validate, clip=o.clip,
            optimizer=partial(AdamW, lr=o.lr, weight_decay=o.weight_decay, eps=EPS),
            schedule=schedule(o.schedule, o.warmup),
            **more,
        )  # fmt: skip

    def checked(self, prepared: Cut) -> Any:
        """A stage's `validate`; None where no question is held out."""
        held = prepared.part("validation")
        if prepared.split == "none" or not len(held.questions):
            return None
        return lambda: {"accuracy": float(self.right(held, self.probabilities(held)).mean())}

    def loss(self, batch: Batch) -> Losses:
        return {"answer": answer_loss(self.streams(batch).scores, batch.answer)}

    # Answers.

    @torch.no_grad()
    def probabilities(self, data: Streams) -> np.ndarray:
        """(Q, A): of each answer, among a question's options where it has some. Streams of like length go together."""
        found = np.zeros((len(data.questions), max(len(data.answers), 1)), np.float32)
        numbers, by_stream = data.answer_numbers(), questions_by_stream(data)
        network, training = self.streams, self.streams.training
        network.eval()
        for rows in together(data.lengths, by_stream[1]):
            batch = tensors(data, rows, numbers, by_stream).answering(self.device)
            which = np.concatenate([by_stream[0][by_stream[1][row] : by_stream[1][row + 1]] for row in rows])
            found[which] = self.likelihoods(batch).float().cpu().numpy()
        network.train(training)
        return among_options(data, found)

    def likelihoods(self, batch: Batch) -> Tensor:
        return self.streams(batch).scores.softmax(-1)

    @staticmethod
    def right(data: Streams, probabilities: np.ndarray) -> np.ndarray:
        """(Q,) 1 where the likeliest answer is the true one."""
        return (probabilities.argmax(1) + 1 == data.answer_numbers()).astype(float)

    def evaluate(  # type: ignore[override]
        self,
        data: Any,
        *,
        split: str | None = None,
        part: str = "test",
        by: str = "none",
        read_options: Any = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> Evaluation:
        """accuracy, and, where there are two answers, auc of the second. Raises DataError."""
        _ = self.network
        split = split or self.fitted["split"]
        asked = self.prepare(self.read(data, read_options, **(inputs or {})), split).part(part)
        if not len(asked.questions):
            raise DataError(
                f"{asked.report.source} has no question in the {part} part of split '{split}', and measuring needs "
                "one; choose another part or split, or give a file that asks"
            )
        check_answered(asked, "measuring")
        self.check_kind(asked)
        found, numbers = self.probabilities(asked), asked.answer_numbers()
        right = self.right(asked, found)
        figures = {"accuracy": right}
        for name, where in groups(asked, by).items():
            figures[f"accuracy[{name}]"] = right[where]
        statistics = {}
        if len(self.vocabularies["answers"]) == 2 and len(np.unique(numbers)) == 2:
            statistics["auc"] = Statistic(partial(auc, found[:, 1], numbers == 2), len(numbers))
        unknown = int((numbers == 0).sum())
        notes = [f"{unknown:,} answers are none that the system knows; they count as wrong"] if unknown else []
        if len(numbers) > 1 and numbers[0] and (numbers == numbers[0]).all():
            auc_too = ", and auc, which needs both answers, is not defined" * (len(self.vocabularies["answers"]) == 2)
            one = asked.questions["answer"][0]
            notes.append(f"all {len(numbers):,} answers are '{one}': who always says so is always right{auc_too}")
        said = f"split {split}, {part} part, {len(right):,} questions about {len(asked):,} streams"
        return Evaluation.of(figures, statistics=statistics, protocol=said, notes=notes)

    def predict(
        self,
        data: Any,
        output: str | Path,
        *,
        top: int = 3,
        known_above: float = 0.0,
        read_options: Any = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> PredictionSummary:
        """A row for each question: its id, the likeliest answer, its probability, the first `top` of them. Of JSON
        lines a part at a time is in memory; the output is written whole, or not at all. Raises DataError."""
        _ = self.network
        parts, notes = streams_in_parts(data, read_options, **(inputs or {})), list[str]()
        done = PredictionSummary(write_answers(output, self._answered(parts, top, known_above, notes)))
        done.notes = notes
        return done

    def _answered(
        self, parts: Iterable[Streams], top: int, known_above: float, notes: list[str]
    ) -> Iterator[dict[str, Any]]:
        """notes: what a person must know, added at the end."""
        asked, words, unknown, source, such = 0, 0, 0.0, "", list[str]()
        streams, silent, no_answer, said = 0, 0, 0, list[str]()
        for part in parts:
            own = part.recoded(self.vocabularies)
            self.check_kind(own)
            source, said = own.report.source, own.report.sentences()
            asked, words = asked + len(own.questions), words + len(own.items.words)
            streams, silent = streams + len(own), silent + len(own) - own.questions["stream"].n_unique()
            no_answer += own.questions["answer"].null_count()
            unknown += own.unknown() * len(own.items.words)
            such = such or unknown_words(part.words.series, own.words)
            if len(own.questions):
                yield from answered(own, self.probabilities(own), top, known_above)
        check_unknown(unknown / max(words, 1), source, such)
        if not asked:
            raise DataError(f'{source} asks nothing; write questions beside the streams as "queries"')
        notes += said
        if silent:
            notes.append(f"{silent:,} of {streams:,} streams are not asked about: of them nothing is written")
        if 0 < no_answer < asked:
            notes.append(f"{no_answer:,} of {asked:,} questions come without an answer, and are answered as the others")
        if unknown:
            notes.append(f"{unknown / words:.1%} of the words are unknown, and read as nothing")


def answer_loss(scores: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of -log p of the true answers, and how many there are; a question without a known one has none."""
    known = answer > 0
    return F.cross_entropy(scores.float(), answer - 1, reduction="sum", ignore_index=-1), known.sum()


def together(lengths: np.ndarray, ends: np.ndarray) -> Iterator[np.ndarray]:
    """Streams that are asked about, in groups of about one length."""
    rows = np.flatnonzero(np.diff(ends))
    rows = rows[np.argsort(lengths[rows], kind="stable")]
    first = 0
    while first < len(rows):
        size = 1
        while first + size < len(rows) and (size + 1) * lengths[rows[first + size]] <= ITEMS_AT_ONCE and size < 256:
            size += 1
        yield rows[first : first + size]
        first += size


def among_options(data: Streams, found: np.ndarray) -> np.ndarray:
    """Probabilities among a question's options, where it has some that are known."""
    options = data.questions["options"]
    for row in np.flatnonzero((options.list.len().fill_null(0) > 0).to_numpy()).tolist():
        numbers = data.answers.numbers(options[row].to_list())
        allowed = np.zeros(found.shape[1], bool)
        allowed[numbers[numbers > 0] - 1] = True
        if allowed.any():
            kept = np.where(allowed, np.maximum(found[row], 1e-30), 0)
            found[row] = kept / kept.sum()
    return found


def answered(data: Streams, found: np.ndarray, top: int, known_above: float) -> Iterator[dict[str, Any]]:
    order = np.argsort(-found, axis=1, kind="stable")[:, :top]
    for row, question in enumerate(data.questions.iter_rows(named=True)):
        names, shares = data.answers.ids(order[row] + 1), found[row, order[row]].tolist()
        yield {
            "id": question["id"], "stream": data.ids[question["stream"]], "question": question["question"],
            "answer": names[0] if shares[0] >= known_above else NOT_KNOWN, "probability": round(shares[0], 6),
            "alternatives": [f"{name} {share:.3f}" for name, share in zip(names, shares, strict=True)],
        }  # fmt: skip


def groups(data: Streams, by: str) -> dict[str, np.ndarray]:
    """Questions (indices) apart, by the words of Protocol.by. Raises DataError."""
    if by == "none":
        return {}
    if by == "kind":
        kinds = data.questions["kind"].fill_null("no kind").to_numpy()
        return {str(kind): np.flatnonzero(kinds == kind) for kind in sorted(set(kinds))}
    time = data.questions["time"].to_numpy()
    if by == "length":
        size = np.ceil(np.log2(time)).astype(int)
        return {f"up to {2**power} items": np.flatnonzero(size == power) for power in sorted(set(size.tolist()))}
    age = data.age()
    if (age < 0).all():
        raise DataError(f'{data.report.source} names no evidence, so that its age is not known; write "support"')
    quarter = np.minimum(np.maximum(np.ceil(4 * age / time), 1), 4).astype(int)
    found = {name: np.flatnonzero((age >= 0) & (quarter == number)) for number, name in enumerate(AGES, start=1)}
    return {name: rows for name, rows in found.items() if len(rows)}


def auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    """The share of pairs in which the positive scores higher, a tie counting half; units count `weights` times."""
    order = np.argsort(scores, kind="stable")
    scores, up, down = scores[order], (weights * positive)[order], (weights * ~positive)[order]
    first = np.flatnonzero(np.concatenate([[True], np.diff(scores) > 0]))
    up, down = np.add.reduceat(up, first), np.add.reduceat(down, first)
    pairs = up.sum() * down.sum()
    return float((up * (down.cumsum() - down / 2)).sum() / pairs) if pairs else float("nan")


def named_stream(items: Sequence[str]) -> list[str]:
    """Items as a list of texts. Raises DataError for one that is a single text."""
    if isinstance(items, str):
        raise DataError(
            "a stream is a list of items; split a text into sentences first, or give its path to the command"
        )
    return [item if item is None else str(item) for item in items]
