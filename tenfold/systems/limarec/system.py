"""LimaRec as a system: what is trained on, how an interest is chosen for the next item, what a stream keeps of a user.

Read `loss` for the training, `scores` for the retrieval, `advance` for the update of a stored state.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.data.splits import Split
from tenfold.errors import OptionError
from tenfold.ops.interest_cross_entropy import interest_cross_entropy
from tenfold.splitmix import mix
from tenfold.systems.limarec.model import LimaRecNetwork, State, Weights, vectors_in
from tenfold.systems.limarec.options import Options
from tenfold.systems.limarec.step import Step
from tenfold.tasks.next_item import NextItem, NextItemBatch
from tenfold.tasks.next_item.events import NextItemSamples
from tenfold.tasks.next_item.losses import loss_of_scores, next_item_loss
from tenfold.tasks.next_item.options import Training
from tenfold.training import Draw, Loss, Stage


class Stretches(NamedTuple):
    """Users' events, many windows long, and the noise (B, L, M) by which interests are chosen; None without."""

    events: NextItemBatch
    noise: Tensor | None


class StretchSamples:
    """Stretches of consecutive windows. What is drawn is a function of (seed, epoch, stretch, place, interest)."""

    def __init__(self, split: Split, options: Options, vectors: int, *, times: bool) -> None:
        longest = max(options.memory.stretch, options.training.length)
        self.samples = NextItemSamples(split, longest, options.loss, times=times)
        self.vectors, self.noise = vectors, options.interest.noise if options.interest.choice == "gumbel" else 0.0

    def __len__(self) -> int:
        return len(self.samples)

    def lengths(self, seed: int, epoch: int) -> np.ndarray:
        return self.samples.lengths(seed, epoch)

    def batch(self, draw: Draw) -> Stretches:
        events = self.samples.batch(draw)
        size = self.noise * 0.5**draw.epoch
        return Stretches(events, torch.from_numpy(size * self._gumbel(draw, events.events.shape[1])) if size else None)

    def _gumbel(self, draw: Draw, length: int) -> np.ndarray:
        seed = mix(np.array([draw.seed], np.uint64) + np.uint64(0x6C696D61) + (np.uint64(draw.epoch) << np.uint64(32)))
        keys = mix(seed + draw.indices.astype(np.uint64))[:, None, None]  # (B, 1, 1)
        places = np.arange(length * self.vectors, dtype=np.uint64).reshape(length, self.vectors)
        uniform = ((mix(keys ^ mix(places + np.uint64(1))) >> np.uint64(11)) + 0.5) * 2.0**-53
        return -np.log(-np.log(uniform)).astype(np.float32)


class LimaRec(NextItem):
    options: Options
    tiny = Options(
        dim=16, heads=2, interests=3, expansion=1, dropout=0.1, training=Training(length=20, batch_size=8, lr=0.01)
    )

    def build(self) -> LimaRecNetwork:
        o = self.options
        if o.dim % o.heads:
            raise OptionError(f"dim must be a multiple of heads; found dim {o.dim} and {o.heads} heads")
        if o.interests > self.sizes["items"]:
            raise OptionError(
                f"a user cannot have more interests than there are items; found {o.interests} interests and "
                f"{self.sizes['items']} items"
            )
        if o.counts.of == "items" and self.vectors > 1:
            raise OptionError(
                f"counts.of={o.counts.of} goes with one vector of a user; found interests={o.interests} and "
                f"interest.short_term={o.interest.short_term}; take interests=1 without a slot, or counts.of=auto"
            )
        return LimaRecNetwork(self.sizes["items"], o)

    @property
    def context(self) -> None:
        """An answer looks at all events, however old."""
        return None

    @property
    def uses_times(self) -> bool:  # type: ignore[override]
        return self.options.memory.decay == "time" or self.options.memory.gap_codes

    @property
    def vectors(self) -> int:
        """M, of a user."""
        return vectors_in(self.options)

    # Training.

    def stages(self, prepared: Split) -> Iterator[Stage]:
        for stage in super().stages(prepared):
            stage.data = StretchSamples(prepared, self.options, self.vectors, times=self.uses_times)
            yield stage

    def events_of(self, batch: Stretches) -> int:
        return super().events_of(batch.events)

    def loss(self, batch: Stretches) -> Loss:  # type: ignore[override]
        """Every event predicts the next one. Windows of a stretch follow each other: each starts from the state that
        the one before left, through which no gradient goes back."""
        events, length = batch.events, self.options.training.length
        total, weight = self.network.item.weight.new_zeros(()), events.next.new_zeros(())
        state, rows = None, torch.arange(len(events.events), device=events.events.device)
        for start in range(0, events.events.shape[1], length):
            going = events.events[rows, start] != 0  # the others have ended
            rows = rows[going]
            window, part = _cut(events, rows, start, length), slice(start, start + length)
            before = None if state is None else state.of(going).detached()
            f, state, weights = self.network(window.events, before, window.times)
            found, count = self._window(f, window, None if batch.noise is None else batch.noise[rows, part])
            total, weight = total + found, weight + count
            if self.options.interest.apart:
                total = total + self.options.interest.apart * count * _leaning(weights.a, window.events != 0)
        return total, weight

    def _window(self, f: Tensor, window: NextItemBatch, noise: Tensor | None) -> Loss:
        """f (B, L, M, d): the next item is scored by the chosen interest, the others by it or by the best."""
        options, table, counts = self.options, self.network.item.weight, self.network.counts
        if counts is not None:
            return counts.loss(options.loss, f[:, :, 0], table, self.network.keys, window, items=self.sizes["items"])
        user = self.chosen(f, F.embedding(window.next, table), noise)  # (B, L, d)
        if options.interest.negatives_by == "chosen" or f.shape[2] == 1:
            return next_item_loss(options.loss, user, table, window)
        own = (user * F.embedding(window.next, table)).sum(-1)  # (B, L)
        if options.loss.name == "softmax":
            real = window.next != 0
            return interest_cross_entropy(f[real], own[real], table, window.next[real], first=1), real.sum()
        others = F.embedding(window.negatives, table)  # (B, k, d), or each position's own (B, L, k, d)
        if others.dim() == 3:
            others = others.unsqueeze(1)
        scores = (f @ others.mT).amax(2)  # (B, L, k)
        return loss_of_scores(options.loss, own, scores, window, items=self.sizes["items"])

    def chosen(self, f: Tensor, item: Tensor, noise: Tensor | None = None) -> Tensor:
        """Label-aware choice: vectors f (..., M, d) and the next item (..., d) -> the answering one (..., d).

        Reconstructed: hard is ComiRec's rule, soft is MIND's with its power p.
        """
        near = (f @ item.unsqueeze(-1)).squeeze(-1)  # (..., M)
        if self.options.interest.choice == "soft":
            return (F.softmax(self.options.interest.power * near, -1).unsqueeze(-1) * f).sum(-2)
        best = (near if noise is None else near + noise.to(near)).argmax(-1)
        return f.take_along_dim(best[..., None, None], dim=-2).squeeze(-2)

    # Answers.

    def encode(self, events: Tensor, state: State | None = None, times: Tensor | None = None) -> tuple[Tensor, State]:
        """events (B, L), a whole history or what came since `state` -> vectors (B, L, M, d), a state of one size."""
        f, state, _ = self.network(events, state, times)
        return f, state

    def scores(self, user: Tensor) -> Tensor:
        """score(u, i) of the vectors (N, M, d) -> (N, V + 1): the best over the vectors, or their soft maximum."""
        if (counts := self.network.counts) is not None:  # of one vector
            return counts.scores(user[:, 0], self.item_table(), self.network.keys)
        each = user @ self.item_table().T  # (N, M, V + 1)
        return each.amax(1) if self.options.interest.read == "max" else each.logsumexp(1)

    @property
    def by_products(self) -> bool:
        return self.options.interest.read == "max"

    def beside_products(self, user: Tensor) -> Tensor | None:
        counts = self.network.counts
        return None if counts is None else counts.readout(user[:, 0], self.network.keys)

    def vectors_of(self, user: Tensor) -> Tensor:
        return user[..., : self.options.dim]

    @torch.no_grad()
    def interests_of(self, user: Tensor, items: np.ndarray) -> np.ndarray:
        """The vector (N, k) of each user, from 0, that finds each item (N, k) best."""
        vectors = self.item_table()[torch.from_numpy(items).to(self.device)]  # (N, k, d)
        return (vectors @ self.vectors_of(user).mT).argmax(-1).cpu().numpy()

    @torch.no_grad()
    def interests(self, history: Sequence[Any], times: Sequence[float] | None = None) -> np.ndarray:
        """(M, d): the vectors of a user with this history, oldest event first; the short-term slot is the last.

        Raises OptionError where no event of it is known.
        """
        f, _ = self._read(history, times)
        return self.vectors_of(f[0, -1]).cpu().numpy()

    @torch.no_grad()
    def weights(self, history: Sequence[Any], times: Sequence[float] | None = None) -> np.ndarray:
        """(K, L): what share of each interest is each event's, at the end of the history; an unknown item has none.

        Raises OptionError where no event of it is known.
        """
        numbers, (_, weights) = self.item_numbers(history), self._read(history, times)
        share = np.zeros((self.options.interests, len(numbers)))
        share[:, numbers > 0] = weights.at_the_end()[0].cpu().numpy()
        return share

    def _read(self, history: Sequence[Any], times: Sequence[float] | None) -> tuple[Tensor, Weights]:
        numbers = self.item_numbers(history)
        if not (numbers > 0).any():
            raise OptionError("no event of this history is known; a user without a known event has no interests")
        known = torch.from_numpy(numbers[numbers > 0].astype(np.int64)).unsqueeze(0).to(self.device)
        clock = None
        if times is not None and self.uses_times:
            clock = torch.from_numpy(np.asarray(times, dtype=np.float64)[numbers > 0]).unsqueeze(0).to(self.device)
        f, _, weights = self.network(known, None, clock)
        return f, weights

    # Streams: a user is the running sums, as many numbers whatever was seen.

    @property
    def state_size(self) -> int:  # type: ignore[override]
        return sum(int(np.prod(shape)) for shape in self.network.shapes())

    @torch.no_grad()
    def advance(self, states: np.ndarray, rows: np.ndarray, times: np.ndarray | None = None) -> None:
        """One event each without times, which is what a service gets, goes a shorter way (step.py)."""
        step = self._step() if rows.shape[1] == 1 and times is None and (rows > 0).all() else None
        if step is not None:
            numbers = states["state"].copy()
            step(numbers, rows[:, 0])
            states["state"] = numbers
            return
        clock = None if times is None else torch.from_numpy(times).to(self.device)
        after = self.network.carried(torch.from_numpy(rows).to(self.device), self._state(states), clock)
        states["state"] = self.network.numbers(after).cpu().numpy()

    @torch.no_grad()
    def users_after(self, states: np.ndarray) -> Tensor:
        return self.network.after(self._state(states))

    def _step(self) -> Step | None:
        """Made anew when the weights have changed; None where they are not float32 on the CPU."""
        weight = self.network.item.weight
        if weight.dtype != torch.float32 or weight.device.type != "cpu" or self.network.training:
            return None
        if self._stepped is None or self._stepped[0] is not self.network or self._stepped[1] != weight._version:
            self._stepped = self.network, weight._version, Step(self.network)
        return self._stepped[2]

    _stepped: tuple[LimaRecNetwork, int, Step] | None = None

    def _state(self, states: np.ndarray) -> State:
        numbers = torch.from_numpy(states["state"].copy()).to(self.device)
        time = torch.from_numpy(states["time"].copy())  # in a record it stands at any byte
        return self.network.state(numbers, time.to(self.device))


def _cut(batch: NextItemBatch, rows: Tensor, start: int, length: int) -> NextItemBatch:
    """The window that begins at a place of these rows; negatives of a whole stretch stay as they are."""
    part = slice(start, start + length)
    negatives = batch.negatives
    if len(negatives) > 1:  # else all windows share one row of them
        negatives = negatives[rows] if negatives.dim() == 2 else negatives[rows, part]
    times = None if batch.times is None else batch.times[rows, part]
    return batch._replace(
        events=batch.events[rows, part], next=batch.next[rows, part], negatives=negatives, times=times
    )


def _leaning(a: Tensor, keep: Tensor) -> Tensor:
    """The variance of an interest's weights over a window, in units of their mean, squared and averaged (after REMI,
    arXiv 2302.14532, section 3.3): 0 where all events count alike. a (B, K, L), keep (B, L)."""
    count = keep.sum(1).clamp(min=1).view(-1, 1, 1)
    a = a * keep.unsqueeze(1)
    relative = a * count / a.sum(2, keepdim=True).clamp(min=1e-12) - 1
    return ((relative.square() * keep.unsqueeze(1)).sum(2, keepdim=True) / count).square().mean()
