"""Batches of streams, and which of their fragments are rehearsed.

All that is drawn is a function of (seed, epoch, stream, what for): it does not matter in which batch, or in which
process, a stream is trained on.

Shapes: B streams, L items, W words of an item, Q questions, F fragments of Nf items, J negatives, I places where a
fragment can begin.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tenfold.errors import OptionError
from tenfold.splitmix import GOLDEN, mix
from tenfold.systems.rehearsal.data import Streams
from tenfold.systems.rehearsal.options import RehearsalOptions
from tenfold.training import Draw


class Fragments(NamedTuple):
    """What is rehearsed of each stream, and how it is changed."""

    at: Tensor  # (B,) how many items have been seen when it is
    place: Tensor  # (B, F, Nf) of each item in its stream
    real: Tensor  # (B, F, Nf) bool; the stream may be shorter than a fragment
    masked: Tensor  # (B, F, Nf) bool
    replaced: Tensor  # (B, F, Nf) bool: in the changed fragment, by `donors`
    donors: Tensor  # (B, F, Nf, W) words, or features, of items of other streams
    negatives: Tensor  # (B, J, W) words, or features, of items of other streams, from which a masked one is told
    same: Tensor  # (B, F, Nf, J) bool: the negative says the same as the item


class Batch(NamedTuple):
    words: Tensor  # (B, L, W), 0 at padding and unknown words; of features (B, L, F), NaN at padding
    length: Tensor  # (B,) items
    asked: Tensor  # (Q, W') words of the questions
    stream: Tensor  # (Q,) row of the batch that each is about
    time: Tensor  # (Q,) items that had been seen
    answer: Tensor  # (Q,) number of the answer; 0: unknown
    fragments: Fragments | None = None

    def answering(self, device: torch.device) -> "Batch":
        """The same on a device, for answers alone: without fragments. (A method `to` would be called in training.)"""
        return Batch(self.words.to(device), self.length.to(device), self.asked.to(device), self.stream.to(device),
                     self.time.to(device), self.answer.to(device))  # fmt: skip


def tensors(data: Streams, rows: np.ndarray, numbers: np.ndarray, by_stream: tuple[np.ndarray, np.ndarray]) -> Batch:
    """The streams `rows` with all their questions. numbers (Q,): of answers; by_stream: `questions_by_stream`."""
    order, ends = by_stream
    length = data.lengths[rows]
    place = np.arange(int(length.max()))
    item = np.where(place < length[:, None], data.offsets[rows][:, None] + place, -1)
    counts = ends[rows + 1] - ends[rows]
    which = np.concatenate([order[ends[row] : ends[row + 1]] for row in rows]) if len(rows) else order[:0]
    time = data.questions["time"].to_numpy()[which]
    arrays = (data.item_table(item), length, data.asked.table(which), np.repeat(np.arange(len(rows)), counts), time)
    words, lengths, asked, stream, seen = (torch.from_numpy(np.ascontiguousarray(each)) for each in arrays)
    return Batch(words, lengths, asked, stream, seen, torch.from_numpy(numbers[which]))


def questions_by_stream(data: Streams) -> tuple[np.ndarray, np.ndarray]:
    """Questions in the order of their streams (Q,), and where those of each stream begin and end (S + 1,)."""
    own = data.questions["stream"].to_numpy()
    order = np.argsort(own, kind="stable")
    return order, np.searchsorted(own[order], np.arange(len(data) + 1))


def starts(length: int, fragment: int) -> np.ndarray:
    """(I,) where fragments may begin in a stream of this length: every half fragment, and the last possible place."""
    last, stride = max(length - fragment, 0), max(fragment // 2, 1)
    return np.minimum(np.arange(-(-last // stride) + 1) * stride, last)


class StreamSamples:
    """What is trained on. priority: of each stream a weight (I,) for each place where a fragment may begin; None: all
    are alike. Without `rehearsal` no fragment is drawn. Raises OptionError for weights that are none."""

    def __init__(
        self, data: Streams, rehearsal: RehearsalOptions | None, priority: Sequence[np.ndarray] | None = None
    ) -> None:
        self.data, self.rehearsal = data, rehearsal
        self.numbers, self.by_stream = data.answer_numbers(), questions_by_stream(data)
        self.hashes = _hashes(data)
        self.one_word = data.one_word
        self.priority: list[np.ndarray] = []
        if rehearsal is not None:
            self.prioritise(priority)

    def prioritise(self, priority: Sequence[np.ndarray] | None) -> None:
        assert self.rehearsal is not None
        options, found = self.rehearsal, list[np.ndarray]()
        for row, length in enumerate(self.data.lengths.tolist()):
            count = len(starts(length, options.length))
            own = np.ones(count) if priority is None else np.asarray(priority[row], dtype=float)
            if own.shape != (count,) or not np.isfinite(own).all() or (own < 0).any():
                raise OptionError(
                    f"a sampler gives each of the {count} places of a stream a weight of 0 or more; found {own!r} for "
                    f"stream '{self.data.ids[row]}'"
                )
            own = own / own.sum() if own.sum() > 0 else np.full(count, 1 / count)
            found.append((1 - options.uniform_share) * own + options.uniform_share / count)
        self.priority = found

    def __len__(self) -> int:
        return len(self.data)

    def lengths(self, seed: int, epoch: int) -> np.ndarray:
        return self.data.lengths

    def batch(self, draw: Draw) -> Batch:
        batch = tensors(self.data, draw.indices, self.numbers, self.by_stream)
        return batch if self.rehearsal is None else batch._replace(fragments=self._fragments(draw, batch))

    def _fragments(self, draw: Draw, batch: Batch) -> Fragments:
        options = self.rehearsal
        assert options is not None
        rows, length = draw.indices, self.data.lengths[draw.indices]
        at = length
        if options.at == "random":
            at = 1 + (uniforms(draw, 1, 1)[:, 0] * length).astype(np.int64)
        place = self._starts(draw, at)[..., None] + np.arange(options.length)  # (B, F, Nf)
        real = place < at[:, None, None]
        masked, replaced = self._changed(draw, real)
        item = np.where(real, self.data.offsets[rows][:, None, None] + place, 0)
        donor = self._elsewhere(draw, 4, options.fragments * options.length).reshape(place.shape)
        equal = self.hashes[donor] == self.hashes[item]
        donor = np.where(
            equal, self._elsewhere(draw, 5, options.fragments * options.length).reshape(place.shape), donor
        )
        negative = self._elsewhere(draw, 6, 1 if self.one_word else options.negatives)
        same = self.hashes[item][..., None] == self.hashes[negative][:, None, None]
        arrays = (at, np.where(real, place, 0), real, masked, replaced, self.data.item_table(donor),
                  self.data.item_table(negative), same)  # fmt: skip
        return Fragments(*(torch.from_numpy(np.ascontiguousarray(each)) for each in arrays))

    def _starts(self, draw: Draw, at: np.ndarray) -> np.ndarray:
        """(B, F): drawn without replacement by the priorities, among fragments that end by `at`."""
        options = self.rehearsal
        assert options is not None
        own = [self.priority[row] for row in draw.indices]
        widest = max(map(len, own))
        weight = np.stack([np.pad(each, (0, widest - len(each))) for each in own])
        begin = np.stack([
            np.pad(starts(int(length), options.length), (0, widest - len(each)))
            for length, each in zip(self.data.lengths[draw.indices], own, strict=True)
        ])  # fmt: skip
        allowed = (weight > 0) & (begin + options.length <= np.maximum(at, options.length)[:, None])
        gumbel = -np.log(-np.log(np.clip(uniforms(draw, 2, widest), 1e-12, 1 - 1e-12)))
        score = np.where(allowed, np.log(np.maximum(weight, 1e-30)) + gumbel, -np.inf)
        score[:, 0] = np.where(allowed.any(1), score[:, 0], 0.0)
        order, count = np.argsort(-score, axis=1), np.maximum(allowed.sum(1), 1)
        rank = np.arange(options.fragments) % count[:, None]  # again from the first where there are too few
        return np.take_along_axis(begin, np.take_along_axis(order, rank, 1), 1)

    def _changed(self, draw: Draw, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which items are masked, and which of the others are replaced, (B, F, Nf) each: exact shares of the real."""
        options = self.rehearsal
        assert options is not None
        order = uniforms(draw, 3, *real.shape[1:]) + 2.0 * ~real
        rank, count = np.argsort(np.argsort(order, -1), -1), real.sum(-1, keepdims=True)
        masks = np.clip(np.round(options.masked * count), 1, np.maximum(count - 1, 1))
        others = np.maximum(np.round(options.replaced * (count - masks)), 1)
        return real & (rank < masks), real & (rank >= masks) & (rank < masks + others)

    def _elsewhere(self, draw: Draw, what: int, count: int) -> np.ndarray:
        """(B, count) items of other streams; of the own where there is no other."""
        total, own = len(self.data.items), self.data.lengths[draw.indices][:, None]
        first = self.data.offsets[draw.indices][:, None]
        others = np.where(total > own, total - own, total)
        item = np.minimum((uniforms(draw, what, count) * others).astype(np.int64), others - 1)
        return np.where((total > own) & (item >= first), item + own, item)


def uniforms(draw: Draw, what: int, *shape: int) -> np.ndarray:
    """(B, *shape) in [0, 1): a function of (seed, epoch, stream, what, place)."""
    with np.errstate(over="ignore"):
        key = mix(np.array([draw.seed], np.uint64) + np.uint64(what) * GOLDEN)
        key = mix(key + (np.uint64(draw.epoch) << np.uint64(32)))
        each = mix(key + draw.indices.astype(np.uint64))[:, None]
        words = mix(each + np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * GOLDEN)
    return ((words >> np.uint64(11)) * 2.0**-53).reshape(-1, *shape)


def _hashes(data: Streams) -> np.ndarray:
    """(I,) a number of what each item says."""
    if data.features is not None:
        bits = (data.features + np.float32(0)).view(np.uint32).astype(np.uint64)  # -0.0 is 0.0
        with np.errstate(over="ignore"):
            return mix(bits + np.arange(1, bits.shape[1] + 1, dtype=np.uint64) * GOLDEN).sum(1, dtype=np.uint64)
    lengths = np.diff(data.items.offsets)
    place = np.arange(len(data.items.words)) - np.repeat(data.items.offsets[:-1], lengths)
    with np.errstate(over="ignore"):
        words = mix(data.items.words.astype(np.uint64) * np.uint64(1_000_003) + place.astype(np.uint64))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words, dtype=np.uint64)])
        return sums[data.items.offsets[1:]] - sums[data.items.offsets[:-1]]
