"""Streams of items, and questions about them.

An item is a few words: a sentence of a story, one word of a text, an event of a log told in words. All are numbers of
one vocabulary, packed end to end. Or an item is a row of features, such as a clip of a video or a reading of sensors;
all streams of a data set are of one kind. A question says of which stream it is asked, and how many items had been
seen.

Shapes: S streams, I items, T items of a stream, F features, Q questions.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl

from tenfold.data.dataset import Dataset, ReadReport, check_names, frame_bytes, renumbering
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, as_said
from tenfold.files import digest
from tenfold.splitmix import mix

WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")
UNKNOWN = 0.2  # share of words that may be unknown before a stream is refused
COLUMNS: dict[str, Any] = {
    "id": pl.String, "stream": pl.Int64, "time": pl.Int64, "question": pl.String, "answer": pl.String, 
    "kind": pl.String,
    "options": pl.List(pl.String), "evidence": pl.List(pl.Int64), "split": pl.String,
    "place": pl.String,  # file and line, for what is said of it; no part of what the data say
}  # fmt: skip


def words_of(text: str) -> list[str]:
    """Lower-case words, and punctuation, each by itself."""
    return WORD.findall(text.lower())


class Story(NamedTuple):
    """One stream as a reader gives it: items as texts, or features, and what is asked of it (names as in COLUMNS)."""

    id: str
    items: Sequence[str]
    questions: Sequence[Mapping[str, Any]] = ()
    place: str = ""  # file and line, for what is said of it
    weights: Sequence[float] | None = None  # of each item: how much it is worth to be rehearsed
    features: np.ndarray | None = None  # (T, F) float32, finite, in place of items

    @property
    def length(self) -> int:
        """How many items it has."""
        return len(self.items if self.features is None else self.features)


class Ids:
    """Ids of streams that have come, where, and what each said: two of one id are one stream, or wrong."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, str]] = {}
        self.questions: dict[tuple[str, str], str] = {}  # (stream, id) -> where
        self.again, self.first = 0, ""
        self.width: tuple[int, str] | None = None  # numbers of an item, 0 where items are texts, and where they came

    def add(self, story: Story, where: str) -> None:
        """Raises DataError for the id of another stream, and for items of another kind than those before."""
        width = 0 if story.features is None else story.features.shape[1]
        if self.width is None:
            self.width = (width, where)
        if width != self.width[0]:
            found, expected = (f"{n} features" if n else "texts" for n in (width, self.width[0]))
            raise DataError(
                f"{where}: items of the stream '{story.id}' are {found}, and those of {self.width[1]} {expected}; "
                "expected one kind of items in all streams, so give the others by themselves"
            )
        weights = None if story.weights is None else list(story.weights)
        items = list(map(str, story.items)) if story.features is None else digest(story.features.tobytes())
        said = digest(repr((items, weights)).encode())
        before = self.known.setdefault(story.id, (said, where))
        if before[0] != said:
            raise DataError(
                f"{where}: the stream id '{story.id}' is also that of {before[1]}, whose items are others; expected an "
                "id of its own for each stream (one without is called by its number), so rename one"
            )
        if before[1] != where:
            self.again, self.first = self.again + 1, self.first or where

    def sentences(self) -> list[str]:
        if not self.again:
            return []
        rows = "1 stream comes again" if self.again == 1 else f"{self.again:,} streams come again"
        return [f"{rows}, with the id and the items of one before (first {self.first}): taken as one, asked more often"]


class Packed(NamedTuple):
    """Lists of words end to end."""

    words: np.ndarray  # (W,) int32; 0 is an unknown word
    offsets: np.ndarray  # (n + 1,) int64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: np.ndarray) -> "Packed":
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return Packed(self.words[ranges(self.offsets[:-1][rows], lengths)], offsets)

    def table(self, rows: np.ndarray, width: int | None = None) -> np.ndarray:
        """(..., W) int64 of the lists `rows` (...), padded with 0 on the right; a row -1 is empty."""
        starts, lengths = self.offsets[:-1], np.diff(self.offsets)
        if not len(lengths):
            return np.zeros((*rows.shape, width or 1), np.int64)
        count = np.where(rows >= 0, lengths[rows], 0)
        place = np.arange(width or max(int(count.max(initial=1)), 1))
        inside = place < count[..., None]
        return np.where(inside, self.words[np.where(inside, starts[rows][..., None] + place, 0)], 0).astype(np.int64)


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """start, start + 1, ... of each, end to end."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)


@dataclass(frozen=True, eq=False)
class Streams(Dataset):
    """S streams and Q questions."""

    items: Packed  # (I) words of each item
    offsets: np.ndarray  # (S + 1,) stream s has the items offsets[s] to offsets[s + 1]
    ids: Sequence[str]  # (S) the streams' own
    asked: Packed  # (Q) words of each question
    questions: pl.DataFrame  # (Q rows) COLUMNS; time: items that had been seen
    words: Vocabulary
    answers: Vocabulary
    report: ReadReport = field(default_factory=ReadReport)
    weights: np.ndarray | None = None  # (I,) how much each item is worth to be rehearsed, for sampler=custom
    features: np.ndarray | None = None  # (I, F) float32 of each item; its list of words is then empty

    @classmethod
    def of(
        cls, stories: Iterable[Story], report: ReadReport | None = None, *, first: int = 0, seen: Ids | None = None
    ) -> Self:
        """first: questions that came before these, where ids are made of their number; seen: streams that did. A stream
        that comes again is one with more questions. Raises DataError."""
        report, seen = report or ReadReport(source="the streams"), seen or Ids()
        numbers: dict[str, int] = {}
        told: dict[str, list[int]] = {}

        def read(text: str) -> list[int]:
            if text not in told:
                told[text] = [numbers.setdefault(word, len(numbers) + 1) for word in words_of(text)]
            return told[text]

        items, lengths, ids = list[list[int]](), list[int](), list[str]()
        rows, asked = list[dict[str, Any]](), list[list[int]]()
        place_of: dict[str, int] = {}
        weights, weighted, features = list[np.ndarray](), False, list[np.ndarray]()
        for count, story in enumerate(stories, start=1):
            if story.features is not None:
                told_words = [list[int]()] * len(story.features)
            else:
                told_words = [read(item) for item in items_of(story, report.source)]
            if not any(told_words) and not (story.features is not None and len(story.features)):
                where = story.place or report.source
                raise DataError(f"{where}: the stream '{story.id}' is empty; a stream has one item or more, with words")
            own_weights = _weights(story, report.source)
            seen.add(story, story.place or f"stream {count} of {report.source}")
            if story.id not in place_of:
                place_of[story.id] = len(ids)
                weights.append(own_weights)
                weighted |= story.weights is not None
                items += told_words
                features += [] if story.features is None else [story.features]
                lengths.append(len(told_words))
                ids.append(story.id)
            for question in story.questions:
                said = _question(question, story, report.source)
                own = _question_id(question, story, said["place"], seen.questions)
                place = {"id": own or f"{story.id}/{first + len(rows) + 1}", "stream": place_of[story.id]}
                rows.append({name: question.get(name) for name in COLUMNS} | said | place)
                asked.append(read(said["question"]))
        if not ids:
            raise DataError(f"{report.source} holds no stream; give a file with one stream or more")
        report = replace(report, remarks=(*report.remarks, *seen.sentences()))
        frame = pl.DataFrame(rows, schema=COLUMNS)
        known = pl.concat([frame["answer"].drop_nulls(), frame["options"].explode().drop_nulls()]).unique().sort()
        return cls(_packed(items), np.concatenate([[0], np.cumsum(lengths)]), ids, _packed(asked), frame,
                   Vocabulary(pl.Series(list(numbers), dtype=pl.String)), Vocabulary(known), report,
                   np.concatenate(weights) if weighted else None,
                   np.concatenate(features) if features else None)  # fmt: skip

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """(S,) items of each stream."""
        return np.diff(self.offsets)

    @property
    def one_word(self) -> bool:
        """Whether no item has more than one word; features are no words."""
        return self.features is None and bool((np.diff(self.items.offsets) <= 1).all())

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        own = [each for each in (self.weights, self.features) if each is not None]
        parts = [*own, self.items.words, self.items.offsets, self.offsets, self.asked.words, self.asked.offsets]
        texts = [
            frame_bytes(self.questions.drop("place")),
            repr(list(self.ids)).encode(),
            self.words.to_bytes(),
            self.answers.to_bytes(),
        ]
        return digest(*(np.ascontiguousarray(part).tobytes() for part in parts), *texts)

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {"words": self.words, "answers": self.answers}

    def recoded(self, vocabularies: Mapping[str, Vocabulary]) -> Self:
        check_names(self, vocabularies)
        words, answers = vocabularies.get("words", self.words), vocabularies.get("answers", self.answers)
        if words is not self.words and words != self.words:
            number = renumbering(self.words, words)
            changed = (Packed(number[self.items.words], self.items.offsets),
                       Packed(number[self.asked.words], self.asked.offsets))  # fmt: skip
            return replace(self, items=changed[0], asked=changed[1], words=words, answers=answers)
        return replace(self, answers=answers)

    def answer_numbers(self) -> np.ndarray:
        """(Q,) int64; 0 for an answer that the vocabulary does not hold."""
        return self.answers.numbers(self.questions["answer"]).astype(np.int64)

    def age(self) -> np.ndarray:
        """(Q,) how many items before the question the first of its evidence stands; -1 where none is known."""
        first = self.questions["evidence"].list.min()
        return (self.questions["time"] - first).fill_null(-1).to_numpy()

    def unknown(self) -> float:
        """The share of words that the vocabulary does not hold."""
        return float((self.items.words == 0).mean()) if len(self.items.words) else 0.0

    def item_table(self, rows: np.ndarray) -> np.ndarray:
        """The items `rows` (...), -1 for none: their words (..., W) int64, 0 at padding, or their features (..., F),
        NaN where there is none."""
        if self.features is None:
            return self.items.table(rows)
        return np.where((rows >= 0)[..., None], self.features[np.maximum(rows, 0)], np.float32(np.nan))

    def take(self, streams: np.ndarray, questions: np.ndarray) -> Self:
        """Some streams (S,), and of their questions those that hold in `questions` (Q,); both of bool."""
        place = np.cumsum(streams) - 1
        which = np.flatnonzero(streams)
        own = self.questions["stream"].to_numpy()
        kept = np.flatnonzero(questions & streams[own]) if len(own) else np.zeros(0, np.int64)
        lengths = self.lengths[which]
        inside = ranges(self.offsets[:-1][which], lengths)
        frame = self.questions[kept].with_columns(stream=pl.Series(place[own[kept]], dtype=pl.Int64))
        return replace(
            self, items=self.items.take(inside), weights=None if self.weights is None else self.weights[inside],
            features=None if self.features is None else self.features[inside],
            offsets=np.concatenate([[0], np.cumsum(lengths)]), ids=[self.ids[i] for i in which.tolist()],
            asked=self.asked.take(kept), questions=frame)  # fmt: skip

    def sentences(self) -> list[str]:
        lengths = self.lengths
        asked = f"{len(self.questions):,} questions with {len(self.answers):,} answers"
        if none := self.questions["answer"].null_count():
            asked += f", {none:,} of the questions without one"
        kind = "items" if self.features is None else f"items of {self.features.shape[1]:,} features"
        said = (
            f"{len(self):,} streams of {lengths.mean():,.1f} {kind} on average, at most {lengths.max():,}; "
            f"{len(self.words):,} words; {asked if len(self.questions) else 'no questions'}"
        )
        return [said, *self.report.sentences()]


def unknown_words(words: Iterable[str], known: Vocabulary, most: int = 3) -> list[str]:
    """The first few of them that a system does not know."""
    each = list(dict.fromkeys(words))
    return [each[row] for row in np.flatnonzero(known.numbers(each) == 0)[:most].tolist()] if each else []


def check_unknown(share: float, source: str, such: Sequence[str] = ()) -> None:
    """Raises DataError where this share of unknown words is too large. such: some of them."""
    if share > UNKNOWN:
        shown = f" ({', '.join(map(repr, such))} ...)" if such else ""
        raise DataError(
            f"{share:.0%} of the words of {source} are unknown to this system{shown}, and at most {UNKNOWN:.0%} may "
            f"be; fit it on streams of this kind, or fit on these with {as_said('start_from', 'DIR')}"
        )


def check_answered(data: Streams, what: str) -> None:
    """Raises DataError where a question has no answer. what: needs them."""
    none = data.questions.filter(pl.col("answer").is_null())
    if len(none):
        first = none.row(0, named=True)
        many = f", and {len(none):,} of {len(data.questions):,} have none" if len(none) > 1 else ""
        raise DataError(
            f"{first['place'] or data.report.source}: the question {first['question']!r:.60} about "
            f"'{data.ids[first['stream']]}' has no answer{many}; {what} needs each question's, so write it, or leave "
            "the question out"
        )


def _packed(lists: Sequence[Sequence[int]]) -> Packed:
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    words = np.fromiter((word for one in lists for word in one), np.int32, int(lengths.sum()))
    return Packed(words, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def items_of(story: Story, source: str) -> list[str]:
    """Its items as texts. Raises DataError."""
    found = []
    for number, item in enumerate(story.items):
        if not isinstance(item, str) and not _is_number(item):
            shown = "null" if item is None else f"{item!r:.40}"
            raise DataError(
                f"{story.place or source}: item {number}, from 0, of the stream '{story.id}' is {shown}, expected a "
                "text, or a number that names something; mend it, or, where items are features, make each of them a "
                "list of numbers"
            )
        found.append(str(item))
    return found


def features_of(items: Any, where: str) -> np.ndarray:
    """(T, F) float32 of items that are rows of numbers, lists or an array. where: file, line or stream, for what is
    said of them. Raises DataError with the item, from 0, that is none."""
    if not isinstance(items, np.ndarray):
        for number, item in enumerate(items):
            if not isinstance(item, list | tuple | np.ndarray) or not all(_is_real(value) for value in item):
                raise DataError(
                    f"{where}: item {number}, from 0, is {item!r:.60}, and items here are lists of numbers; expected "
                    "such a list, so mend it"
                )
            if len(item) != len(items[0]):
                raise DataError(
                    f"{where}: item {number}, from 0, has {len(item)} features, and the first one {len(items[0])}; "
                    "expected as many of each, so mend it"
                )
        items = np.array([list(item) for item in items], dtype=np.float64)
    if items.ndim != 2 or items.dtype.kind not in "fiub" or not items.shape[1]:
        raise DataError(
            f"{where}: the array is {items.shape} of {items.dtype}, expected (items, features) of numbers; save one "
            "such array for each stream"
        )
    with np.errstate(over="ignore"):
        found = items.astype(np.float32)
    if not np.isfinite(found).all():
        row, column = np.argwhere(~np.isfinite(found))[0].tolist()
        raise DataError(
            f"{where}: row {row}, column {column}, both from 0, is {items[row, column]!s}, expected a finite float32; "
            "mend it, or leave the row out"
        )
    return np.ascontiguousarray(found)


def are_features(items: Any) -> bool:
    """Whether items as they came are rows of numbers."""
    if isinstance(items, np.ndarray):
        return items.ndim > 1
    return isinstance(items, list | tuple) and bool(items) and isinstance(items[0], list | tuple | np.ndarray)


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_real(value) and bool(np.isfinite(float(value)))


def _whole(value: Any) -> int | None:
    """A whole number, also one that is written as text or with a point; None for what is none."""
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"-?\d{1,18}", value.strip()) else None
    return int(value) if _is_number(value) and float(value).is_integer() else None


def _weights(story: Story, source: str) -> np.ndarray:
    """Of each item; 1 where a stream says nothing. Raises DataError."""
    if story.weights is None:
        return np.ones(story.length)
    try:
        found = np.asarray(story.weights, dtype=float)
    except (TypeError, ValueError):
        found = np.full(1, np.nan)
    if found.shape != (story.length,) or not np.isfinite(found).all() or (found < 0).any():
        raise DataError(
            f"{story.place or source}: the weights of stream '{story.id}' are one number of 0 or more for each of its "
            f"{story.length} items; found {story.weights!r:.80}; mend them, or leave them out"
        )
    return found


def _question(question: Mapping[str, Any], story: Story, source: str) -> dict[str, Any]:
    """What is asked, checked: question, time, answer, options and evidence of COLUMNS. Raises DataError."""
    place = str(question.get("place") or story.place or source)
    where = f"{place}: a question about '{story.id}'"
    text, answer, count = question.get("question"), question.get("answer"), story.length
    if not (isinstance(text, str) or _is_number(text)) or not str(text).strip():
        raise DataError(f'{where} has no text; write it as "q"')
    if answer is not None and not isinstance(answer, str | bool) and not _is_number(answer):
        raise DataError(f"{where} has the answer {answer!r:.40}, expected a text; write several as one text")
    if isinstance(answer, str) and not answer.strip():
        raise DataError(f"{where} has an empty answer; write the answer, or leave it out where it is not known")
    seen = question.get("time")
    time = count if seen is None else _whole(seen)
    if time is None:
        raise DataError(
            f"{where} is asked after {seen!r:.40} items; a time is a whole number, how many had been seen; "
            "mend it, or leave it out where these are all"
        )
    if not 1 <= time <= count:
        raise DataError(
            f"{where} is asked after {time} items, and the stream has {count}; a time is between 1 and that; "
            "mend it, or leave it out where these are all"
        )
    options, evidence = (_list(question.get(name)) for name in ("options", "evidence"))
    if options is None or not all(isinstance(each, str | bool) or _is_number(each) for each in options):
        raise DataError(
            f"{where} has the options {question['options']!r:.40}, expected a list of answers; write a list of texts"
        )
    if options and answer is not None and str(answer) not in [str(each) for each in options]:
        raise DataError(
            f"{where} has the answer {answer!r}, which is none of its options {_some(options)}; "
            "add it to them, or mend it"
        )
    places = [_whole(each) for each in ([question["evidence"]] if evidence is None else evidence)]
    numbers = [place for place in places if place is not None]
    if len(numbers) < len(places):
        raise DataError(
            f"{where} has the evidence {question['evidence']!r:.40}, expected a list of items, counted from 0; "
            "mend it, or leave it out"
        )
    if numbers and not (min(numbers) >= 0 and max(numbers) < time):
        raise DataError(
            f"{where} has evidence {numbers}, and {time} items had been seen, counted from 0; evidence is among "
            "these; mend it, or leave it out"
        )
    for name in ("kind", "split"):
        value = question.get(name)
        if value is not None and not isinstance(value, str) and not _is_number(value):
            raise DataError(f"{where} has the {name} {value!r:.40}, expected a text; mend it, or leave it out")
    words = {name: None if question.get(name) is None else str(question[name]) for name in ("kind", "split")}
    return {"question": str(text), "time": time, "answer": None if answer is None else str(answer), **words,
            "options": list(map(str, options)), "evidence": numbers, "place": place}  # fmt: skip


def _question_id(
    question: Mapping[str, Any], story: Story, place: str, known: dict[tuple[str, str], str]
) -> str | None:
    """The question's own id; None where it has none, or only that of its stream, which was asked before (one question a
    line). known: (stream, id) -> where, which grows. Raises DataError for two questions of one id about a stream."""
    own = question.get("id")
    if own is None or own == "":
        return None
    if isinstance(own, bool) or not isinstance(own, str | Real):
        raise DataError(
            f"{place}: a question about '{story.id}' has the id {own!r:.40}, expected a text or a number; mend it, or "
            "leave it out"
        )
    before = known.get((story.id, str(own)))
    if before is None:
        known[story.id, str(own)] = place
        return str(own)
    if str(own) == story.id:
        return None
    raise DataError(
        f"{place}: a question about '{story.id}' has the id '{own}', as one of {before} has; expected an id of its own "
        "for each question about a stream, so rename one, or leave ids out"
    )


def _some(names: Iterable[Any], most: int = 5) -> str:
    """The first few, in quotes, for a sentence."""
    shown = [f"'{name}'" for name in names]
    return ", ".join(shown[:most]) + (" ..." if len(shown) > most else "")


def _list(value: Any) -> list[Any] | None:
    """A list of anything; None for what is none."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | np.ndarray | pl.Series) else None


# What is trained on, and what is tested ------------------------------------------------------------------------------

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Cut:
    """Streams whose questions are each of a part."""

    data: Streams
    split: str
    where: np.ndarray  # (Q,) number in PARTS of each question; -1: in all of them

    @property
    def fingerprint(self) -> str:
        return digest(self.data.fingerprint.encode(), self.split.encode())

    def sentences(self) -> list[str]:
        counts = [f"{int((self.where == number).sum()):,} {part}" for number, part in enumerate(PARTS)]
        known = self.data.questions["answer"].drop_nulls().unique()
        same = f"all questions have the one answer '{known.first()!s}': there is nothing to tell apart"
        one = [same] if len(known) == 1 else []
        cut = [] if self.split == "none" or not len(self.where) else [f"questions: {', '.join(counts)}"]
        gone = self.data.unknown()
        unknown = [f"{gone:.1%} of the words are unknown, and read as nothing"] if gone else []
        return [*self.data.sentences(), *cut, *one, *unknown]

    def part(self, name: str) -> Streams:
        """Its questions and their streams; in the training part also streams of which nothing is asked."""
        if name not in PARTS:
            raise DataError(f"parts are {', '.join(PARTS)}; found '{name}'")
        mine = (self.where == PARTS.index(name)) | (self.where == -1)
        own = self.data.questions["stream"].to_numpy()
        streams = np.zeros(len(self.data), bool)
        streams[own[mine]] = True
        if name == "train":
            asked = np.zeros(len(self.data), bool)
            asked[own] = True
            streams |= ~asked
        return self.data.take(streams, mine)


def cut(data: Streams, split: str) -> Cut:
    """streams: a tenth of the streams for validation, a tenth for testing; given: as the file says; none: all are all.

    Raises DataError.
    """
    own = data.questions["stream"].to_numpy()
    if split == "none" or not len(own):
        return Cut(data, split, np.full(len(own), -1))
    if split == "streams":
        part = np.zeros(len(data), np.int64)
        asked = np.unique(own)
        if len(asked) < 3:
            raise DataError(
                f"split 'streams' needs three streams with questions, one each to train, validate and test on; found "
                f"{len(asked)} in {data.report.source}; use split 'none'"
            )
        order = asked[np.argsort(mix(asked.astype(np.uint64) + np.uint64(1)), kind="stable")]
        tenth = max(1, len(asked) // 10)
        part[order[:tenth]], part[order[tenth : 2 * tenth]] = 2, 1
        return Cut(data, split, part[own])
    names = data.questions["split"]
    if names.null_count():
        row = data.questions.row(int(np.flatnonzero(names.is_null().to_numpy())[0]), named=True)
        raise DataError(
            f"{row['place'] or data.report.source}: of the question {row['question']!r:.60} it is not said which part "
            f"it is of, and of {names.null_count():,} it is not; write \"split\" beside each, or use split 'streams'"
        )
    known = {"train": 0, "training": 0, "valid": 1, "validation": 1, "dev": 1, "test": 2}
    unknown = [name for name in names.unique().to_list() if name.lower() not in known]
    if unknown:
        row = data.questions.row(int(np.flatnonzero((names == unknown[0]).to_numpy())[0]), named=True)
        raise DataError(
            f"{row['place'] or data.report.source}: a question's part is train, validation or test; found "
            f"'{unknown[0]}'; mend it, or use split 'streams'"
        )
    where = np.array([known[name.lower()] for name in names.to_list()])
    if not (where == 1).any():  # a tenth of the streams that are trained on
        train = np.unique(own[where == 0])
        order = train[np.argsort(mix(train.astype(np.uint64) + np.uint64(1)), kind="stable")]
        where[np.isin(own, order[: max(1, len(train) // 10)]) & (where == 0)] = 1
    return Cut(data, split, where)
