"""Streams of any length with a known place for what matters: stories among sentences of a book, facts among noise."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tenfold.data.dataset import ReadReport
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import DataError, OptionError
from tenfold.systems.rehearsal.data import COLUMNS, Ids, Packed, Story, Streams, words_of
from tenfold.systems.rehearsal.readers import read_text, split_sentences


def sentences_of(path: str | Path, encoding: str = "utf-8") -> list[str]:
    """A file of one sentence a line, or a text. Raises DataError, OptionError."""
    if not path:
        raise OptionError("lengthen needs sentences to lengthen with; name a text file with --background")
    text = read_text(Path(path), encoding)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    blank = sum(not line.strip() for line in text.splitlines())
    if blank > len(lines) // 100:
        return split_sentences(text)
    return [sentence for line in lines for sentence in split_sentences(line)]


def lengthen(
    stories: Iterable[Story],
    background: Sequence[str],
    words: int,
    *,
    seed: int = 0,
    region: tuple[float, float] = (0.0, 1.0),
) -> Iterator[Story]:
    """One stream for each question: the statements before it, in their order, among consecutive sentences of background
    that begin anywhere, until there are `words` words (BABILong's construction, Kuratov et al. 2024).

    region: the share of the stream, from where to where, in which the statements may lie. Raises DataError.
    """
    if not background:
        raise DataError("there is no sentence of background to lengthen with")
    lengths = np.array([len(words_of(sentence)) for sentence in background])
    rng, ids, asked = np.random.default_rng(seed), Ids(), Counter[str]()
    for count, story in enumerate(stories, start=1):
        if story.features is not None:
            raise DataError(
                f"{story.place}: items of the stream '{story.id}' are features, and only stories of sentences are "
                "lengthened; leave lengthen out"
            )
        ids.add(story, story.place or f"story {count}")
        for question in story.questions:
            asked[story.id] += 1
            number = asked[story.id]
            seen = question.get("time")
            facts = list(story.items[: len(story.items) if seen is None else seen])
            missing, start, around = (
                words - sum(len(words_of(fact)) for fact in facts),
                int(rng.integers(len(background))),
                list[str](),
            )
            while missing > 0:
                place = (start + len(around)) % len(background)
                around.append(background[place])
                missing -= int(lengths[place])
            gaps = np.arange(len(around) + 1)
            gaps = gaps[int(region[0] * len(around)) : max(int(np.ceil(region[1] * len(around))) + 1, 1)]
            where = np.sort(rng.choice(gaps, size=len(facts)))  # facts keep their order
            items, places, told = list[str](), list[int](), 0
            for fact, gap in zip(facts, where.tolist(), strict=True):
                items += around[told:gap]
                told = gap
                places.append(len(items))
                items.append(fact)
            items += around[told:]
            moved = {"time": None, "evidence": [places[place] for place in question.get("evidence") or ()]}
            yield Story(f"{story.id}/{number}", items, [dict(question) | moved], story.place)


def keyed_streams(
    count: int,
    *,
    segments: int = 16,
    segment: int = 8,
    facts: int = 8,
    keys: int = 64,
    values: int = 32,
    background: int = 40,
    alpha: float = 0.1,
    queries: int = 1,
    oldest: float = 1.0,
    held: float = 0.0,
    seed: int = 0,
) -> Streams:
    """Streams of segments x segment words: `facts` pairs of a key and its value at even places, no two the same, among
    words of an order-2 Markov chain, the same for every seed (alpha: of the Dirichlet draws of its rows; small is
    predictable, large is noise). A question is a key of the stream, its answer the value; chance is 1 / values.

    oldest: questions are about pairs in that first share of the stream.  held: so large a share of the streams each are
    the validation and the test part (split "given"), asked at their end; half of the others' questions come after any
    segment that has the pair or follows it, so that what is near is learned first. 0: no part is said, and all are
    asked at the end.
    Raises OptionError.
    """
    length = segments * segment
    if segment % 2 or facts > length // 2 or facts > keys:
        raise OptionError(
            f"keyed streams need segments of even length and at most {min(length // 2, keys)} facts; found segments of "
            f"{segment} and {facts} facts"
        )
    rng = np.random.default_rng((seed, 11))
    items = _background(count, length, background, alpha, rng)
    where = 2 * _places_of_facts(count, length // 2, facts, queries, oldest, rng)
    key = np.argsort(rng.random((count, keys)), axis=1)[:, :facts]
    value = rng.integers(values, size=(count, facts))
    rows = np.arange(count)[:, None]
    items[rows, where], items[rows, where + 1] = background + key, background + keys + value
    order = rng.random((count, facts)) + np.arange(facts) * (oldest < 1)
    chosen = np.argsort(order, axis=1)[:, :queries]
    taken = chosen.shape[1]
    places, stream = where[rows, chosen].ravel(), np.repeat(np.arange(count), taken)
    words = [f"b{n}" for n in range(background)] + [f"k{n}" for n in range(keys)] + [f"v{n}" for n in range(values)]
    asked, answers = key[rows, chosen].ravel(), value[rows, chosen].ravel()
    time, part = np.full(len(stream), length), np.array([None] * len(stream), dtype=object)
    if held:
        part = _part_of_each(stream, count, int(held * count))
        time = np.where(part == "train", _some_at_once(places, segment, segments, rng), length)
    frame = pl.DataFrame({
        "id": [f"{s}/{n}" for s, n in zip(stream.tolist(), range(len(stream)), strict=True)], "stream": stream,
        "time": time, "question": [f"k{n}" for n in asked.tolist()],
        "answer": [f"v{n}" for n in answers.tolist()], "kind": ["key"] * len(stream), "options": [[]] * len(stream),
        "evidence": [[p, p + 1] for p in places.tolist()], "split": part.tolist(),
        "place": [None] * len(stream)}, schema=COLUMNS)  # fmt: skip
    one = np.arange(count * length + 1)
    return Streams(
        Packed((items.ravel() + 1).astype(np.int32), one), np.arange(count + 1) * length,
        [str(n) for n in range(count)],
        Packed((background + asked + 1).astype(np.int32), np.arange(len(stream) + 1)), frame,
        Vocabulary(pl.Series(words)), Vocabulary(pl.Series(sorted(f"v{n}" for n in range(values)))),
        ReadReport(source="keyed streams"))  # fmt: skip


def _places_of_facts(
    count: int, places: int, facts: int, queries: int, oldest: float, rng: np.random.Generator
) -> np.ndarray:
    """(count, facts) of the places; those that are asked about come first where they must be among the oldest."""
    score = rng.random((count, places))
    if oldest < 1:
        early = np.argsort(score + (np.arange(places) >= oldest * places), axis=1)[:, :queries]
        np.put_along_axis(score, early, -1.0, axis=1)
    return np.argsort(score, axis=1)[:, :facts]


def _part_of_each(stream: np.ndarray, count: int, held: int) -> np.ndarray:
    """The last `held` streams are tested, and as many before them validated on."""
    return np.where(stream >= count - held, "test", np.where(stream >= count - 2 * held, "valid", "train"))


def _background(count: int, length: int, words: int, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """(count, length): words of the Markov chain, from 0."""
    chain = np.random.default_rng(7).dirichlet(np.full(words, alpha), size=(words, words)).cumsum(-1)
    items = np.zeros((count, length), np.int64)
    items[:, :2] = rng.integers(words, size=(count, 2))
    for place in range(2, length):
        row = chain[items[:, place - 2], items[:, place - 1]]
        items[:, place] = np.minimum((rng.random((count, 1)) > row).sum(1), words - 1)
    return items


def _some_at_once(places: np.ndarray, segment: int, segments: int, rng: np.random.Generator) -> np.ndarray:
    """When pairs at these places are asked: half behind any segment from the pair's own on, half at the end."""
    first = 1 + places // segment
    any_time = segment * (first + (rng.random(len(first)) * (segments + 1 - first)).astype(int))
    return np.where(rng.random(len(first)) < 0.5, any_time, segments * segment)
