"""LISA as a system: what is trained, how items of equal codes are told apart, and what a stream keeps of a user."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenfold.data.splits import Queries, Split
from tenfold.errors import OptionError
from tenfold.nn.codebooks import collisions, sharing, usage
from tenfold.systems.lisa.counts import sketch_counters
from tenfold.systems.lisa.model import Catalogue, LisaNetwork, State, recent_events
from tenfold.systems.lisa.options import CodebookOptions, Options
from tenfold.tasks.next_item import NextItem, NextItemBatch
from tenfold.tasks.next_item.answers import Recommendations
from tenfold.tasks.next_item.events import distinct
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.tasks.next_item.options import Training
from tenfold.training import Loss, Stage

LONG, MANY_EVENTS = 2_048, 1_000  # events of a long window, and of users from which windows are long: docs/log.md
EVENTS_AT_ONCE = 4096  # of a replay, counted at a time
MOST_ITEMS = 1 << 24  # whole numbers that a float32 tells apart


class LISA(NextItem):
    options: Options
    tiny = Options(
        dim=16,
        expansion=2,
        dropout=0.1,
        targets="own",
        codebooks=CodebookOptions(books=3, words=5, target_words=7),
        training=Training(length=20, batch_size=8, lr=0.01),
    )

    def build(self) -> LisaNetwork:
        return LisaNetwork(self.sizes["items"], self.options)

    @property
    def context(self) -> None:
        """An answer looks at all events, however old."""
        return None

    def item_table(self) -> Tensor:
        return self.network.catalogue().targets

    def windows(self, prepared: Split) -> tuple[int, int]:
        """An answer looks at all events: where these are many, windows that hold as many teach what to make of them."""
        length, batch_size = super().windows(prepared)
        events = (prepared.train_end - prepared.events.offsets[:-1]).astype(np.float64)
        of_typical = float((events**2).sum() / max(events.sum(), 1))  # how many the user of an event has
        if not self.options.long_windows or length >= LONG or of_typical < MANY_EVENTS:
            return length, batch_size
        batch_size = max(1, length * batch_size // LONG)
        self.notes.append(
            f"training windows hold {LONG:,} events, {batch_size:,} in a batch, since the user of a training event has "
            f"{of_typical:,.0f} on average; long_windows=false takes training.length = {length:,}"
        )
        return LONG, batch_size

    def stages(self, prepared: Split) -> Iterator[Stage]:
        yield from super().stages(prepared)
        if (codes := self.network.codes) is not None and int(codes.steps):  # a sampled loss may look at few items
            self.notes.append(
                f"codes of {self.sizes['items']:,} items were made anew over {codes.every} steps each time; "
                f"codebooks.refresh=1 makes them anew at every step"
            )
        self.network.eval()
        if shared := self.collided():
            self.notes.append(
                f"{shared:,} of {self.sizes['items']:,} items share all their codes with another; the more popular of "
                f"them comes first"
            )

    def _validate(self, prepared: Split, queries: Queries, stride: int = 1) -> dict[str, float]:
        """Beside what is watched, how the items are coded."""
        return super()._validate(prepared, queries, stride) | self.code_use()

    @torch.no_grad()
    def code_use(self) -> dict[str, float]:
        """Of the codes by which items are found (where that is not by codes, of those of histories): the share of items
        whose codes another has too, as they are learned (`distinct` sets them apart afterwards), of codewords that no
        item has, and how many evenly used codewords a codebook amounts to."""
        network = self.network
        books = network.target_codebooks or network.codebooks
        codes = books(network.item.weight[1:] * network.scale, vectors_only=True).codes
        use = usage(codes, books.codewords.shape[1])
        return {
            "shared codes": sharing(codes) / max(len(codes), 1),
            "unused codewords": use.dead,
            "perplexity": float(use.perplexity.mean()),
        }

    def loss(self, batch: NextItemBatch) -> Loss:
        """Only the items that the loss looks at are encoded: all for the full softmax, else those of the batch."""
        network, options = self.network, self.options
        if network.training:
            network.reset_dead_codes()
        if options.loss.name == "softmax":
            catalogue = network.catalogue()
        else:
            items, batch = distinct(batch)
            catalogue = network.catalogue(items)
        user, _ = network(batch.events, catalogue=catalogue)
        given = options.loss, user, catalogue.targets
        if network.counts is None or catalogue.keys is None:
            total, weight = next_item_loss(*given, batch, items=self.sizes["items"])
        else:
            total, weight = network.counts.loss(*given, catalogue.keys, batch, items=self.sizes["items"])
        if options.soft and options.regulariser:
            total = total + options.regulariser * self._unlike(catalogue, batch.events)
        return total, weight

    def _unlike(self, catalogue: Catalogue, events: Tensor) -> Tensor:
        """sum over the events of |x - stopgrad(x_hat)|^2."""
        count = torch.bincount(events.flatten(), minlength=len(catalogue.vectors)).to(catalogue.vectors.dtype)
        count[0] = 0
        return (count.unsqueeze(1) * (catalogue.vectors - catalogue.history.vectors.detach()).square()).sum()

    def export(self, folder: str | Path) -> Any:
        """Codes as bits and the tables that they are looked up in: export.py."""
        from tenfold.systems.lisa.export import export

        return export(self, folder)

    # Streams: a user is B histograms of W counts and, where asked for, the numbers of the last w items and a sketch.

    @property
    def state_size(self) -> int:  # type: ignore[override]
        if self.options.layers > 1:
            raise OptionError(
                f"LISA streams with one layer; found layers = {self.options.layers}; fit it with layers=1"
            )
        if (window := recent_events(self.options)) and self.sizes.get("items", 0) >= MOST_ITEMS:
            raise OptionError(
                f"a ring of recent events holds items as float32 numbers, fewer than {MOST_ITEMS:,}; found "
                f"{self.sizes['items']:,}; fit it without attention.recent"
            )
        return self.options.codebooks.books * self.options.codebooks.words + window + sketch_counters(self.options)

    @property
    def _parts(self) -> tuple[slice, slice, slice]:
        """Where in a record the histograms, the ring and the sketch stand."""
        ring = self.options.codebooks.books * self.options.codebooks.words
        sketch = ring + recent_events(self.options)
        return slice(ring), slice(ring, sketch), slice(sketch, sketch + sketch_counters(self.options))

    @torch.no_grad()
    def advance(self, states: np.ndarray, rows: np.ndarray) -> None:
        history, rate = self.network.catalogue().history, self.network.attention.decay
        books, words = self.network.codebooks.codewords.shape[:2]
        fade = np.ones(books) if rate is None else torch.exp(-rate.double()).cpu().numpy()
        real = rows != 0
        count = real.sum(1)
        at_histograms, at_ring, at_sketch = self._parts
        before, ring = states["state"][:, at_histograms], None
        h = before.reshape(len(states), books, words) * (fade ** count[:, None])[:, :, None]  # in float64
        later = count[:, None] - np.cumsum(real, axis=1)  # events that came after each
        self._sketch(states["state"][:, at_sketch], rows)
        if self.network.recent is not None:  # an event is counted when it leaves the ring
            entered = np.take_along_axis(rows, np.argsort(~real, axis=1, kind="stable"), axis=1)
            every = np.concatenate([states["state"][:, at_ring].astype(rows.dtype), entered], axis=1)
            window = self.network.recent.window
            ring = np.take_along_axis(every, count[:, None] + np.arange(window), axis=1)
            rows = every[:, : rows.shape[1]]
            later = count[:, None] - 1 - np.arange(rows.shape[1])
            real = (rows != 0) & (later >= 0)
        user, place = np.nonzero(real)
        age = later[user, place]
        for start in range(0, len(user), EVENTS_AT_ONCE):
            part = slice(start, start + EVENTS_AT_ONCE)
            items = torch.from_numpy(rows[user[part], place[part]]).to(self.device)
            weight = fade ** age[part, None]  # (E, B)
            if self.options.soft and history.p is not None:
                np.add.at(h, user[part], weight[:, :, None] * history.p[items].double().cpu().numpy())
            else:
                codes = history.codes[items].long().cpu().numpy()
                np.add.at(h, (user[part, None], np.arange(books), codes), weight)
        states["state"][:, at_histograms] = h.reshape(len(states), -1)
        if ring is not None:
            states["state"][:, at_ring] = ring

    def _sketch(self, kept: np.ndarray, rows: np.ndarray) -> None:
        """Events (N, L) into the sketches (N, R W), in place."""
        counts, keys = self.network.counts, self.network.catalogue().keys
        if counts is None or keys is None or not counts.sketched:
            return
        events = torch.from_numpy(rows).to(self.device)
        before = torch.from_numpy(np.ascontiguousarray(kept)).to(self.device).unflatten(1, (counts.rows, counts.width))
        kept[:] = counts.after(keys[events], events != 0, before, before).flatten(1).cpu().numpy()

    @torch.no_grad()
    def users_after(self, states: np.ndarray) -> Tensor:
        shape = (len(states), *self.network.codebooks.codewords.shape[:2])
        last, seen = (torch.from_numpy(states[name].astype(np.int64)) for name in ("item", "events"))
        kept = torch.from_numpy(np.ascontiguousarray(states["state"])).to(self.device)
        histogram, ring, sketch = (kept[:, part] for part in self._parts)
        counts = self.network.counts
        joint = None if counts is None or not counts.sketched else sketch.unflatten(1, (counts.rows, counts.width))
        seen, last = seen.to(self.device), last.to(self.device)
        return self.network.at(State(seen, last, histogram.reshape(shape), [], ring.long(), joint))

    # Items of equal codes have equal scores; what is had more often comes first.

    def scores(self, user: Tensor) -> Tensor:
        counts, keys = self.network.counts, self.network.catalogue().keys
        scores = super().scores(user if counts is None else counts.split(user)[0])
        items, first, place = self._colliding_items()
        if len(items):
            scores[:, items] = scores[:, first]  # one number for all of a group, whatever the product's rounding did
        if counts is not None and keys is not None:
            scores += counts.readout(user, keys)
        if len(items):
            own = scores[:, items]
            scores[:, items] = own - place.to(own.dtype) * own.abs().clamp(min=1e-6) * torch.finfo(own.dtype).eps
        return scores

    def _colliding_items(self) -> tuple[Tensor, Tensor, Tensor]:
        """Items that share all codes: their numbers, the first of each one's group, its place there by popularity."""
        catalogue = self.network.catalogue()
        if self._told is None or self._told[0] is not catalogue:
            self._told = catalogue, self._groups(catalogue)
        return self._told[1]

    _told: tuple[Catalogue, tuple[Tensor, Tensor, Tensor]] | None = None

    def _groups(self, catalogue: Catalogue) -> tuple[Tensor, Tensor, Tensor]:
        none = torch.zeros(0, dtype=torch.long, device=self.device)
        if catalogue.target_codes is None:
            return none, none, none  # found by vectors that are no sums of codewords
        first = collisions(self.target_codes())  # (V,), from 0
        shared = np.flatnonzero(np.bincount(first, minlength=len(first))[first] > 1)
        popularity = self.popularity().cpu().numpy()[1:]
        order = shared[np.lexsort((shared, -popularity[shared], first[shared]))]
        group = first[order]
        begins = np.flatnonzero(np.diff(group, prepend=-1))  # where each group starts in `order`
        place = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
        return tuple(torch.from_numpy(x).to(self.device) for x in (order + 1, group + 1, place))  # type: ignore[return-value]

    @torch.no_grad()
    def target_codes(self) -> Tensor:
        """The codes by which items are found, (V, B)."""
        codes = self.network.catalogue().target_codes
        if codes is None:
            raise OptionError("items are found by vectors, not by codes, where soft=true or targets=items")
        return codes[1:]

    @torch.no_grad()
    def similar(self, item: Any, k: int | None = None) -> Recommendations:
        """The items most like this one, by the cosine of what they are found by: decoded codes, or the raw items.

        It is left out itself; what is equally alike comes by popularity. Raises OptionError, UnknownIdError.
        """
        number = int(self.item_numbers([item], "refuse")[0])
        k = self.check_k(k)
        table = self.item_table()
        length = table.norm(dim=1)
        cosine = ((table[number : number + 1] @ table.T)[0] / (length[number] * length).clamp(min=1e-30)).clamp(-1, 1)
        items, first, _ = self._colliding_items()
        cosine[items] = cosine[first]  # whatever the product's rounding did
        cosine[[0, number]] = -torch.inf
        alike, popularity = cosine.cpu().numpy(), self.popularity().cpu().numpy()
        near = np.flatnonzero(alike >= np.partition(alike, -k)[-k])  # with all that are as near as the k-th
        best = near[np.lexsort((-popularity[near], -alike[near]))][:k]
        return self._named(best[None], alike[best][None], np.array([False]))[0]

    @torch.no_grad()
    def history_codes(self) -> Tensor:
        """The codes by which items stand in histories, (V, B)."""
        return self.network.catalogue().history.codes[1:]

    @torch.no_grad()
    def attention_to(self, history: Sequence[Any]) -> np.ndarray:
        """What share of the attention each event of a history (L,) has at its end, over all codebooks; it sums to 1.

        An item that is unknown has none. A codeword's weight is shared by the events that were counted there.
        """
        numbers = torch.from_numpy(self.item_numbers(history).astype(np.int64)).to(self.device)
        known = numbers[numbers > 0]
        share = np.zeros(len(history))
        if len(known):
            network, catalogue = self.network, self.network.catalogue()
            _, state = network(known.unsqueeze(0))
            codes, rate, h = catalogue.history.codes[known].long(), network.attention.decay, state.histogram
            if network.recent is not None:
                share[(numbers > 0).cpu().numpy()] = self._attention_to_recent(known, state).cpu().numpy()
                return share
            each = network.attention.weights(h, codes[-1:], catalogue.tables)[0] / h[0].clamp(min=1e-30)  # (B, W)
            if network.soft:
                own = torch.einsum("lbw,bw->lb", catalogue.history.p[known], each)
            else:
                own = each[torch.arange(len(each), device=self.device), codes]  # (L, B)
            if rate is not None:
                age = torch.arange(len(known) - 1, -1, -1, device=self.device)
                own = own * torch.exp(-rate * age.unsqueeze(1))
            share[(numbers > 0).cpu().numpy()] = own.mean(1).cpu().numpy()
        return share

    def _attention_to_recent(self, known: Tensor, state: State) -> Tensor:
        """The same (L,) where the last events are attended to one by one; `known` (L,) items, the state after them."""
        network, catalogue = self.network, self.network.catalogue()
        window, rate = network.recent.window, network.attention.decay
        codes = catalogue.history.codes[known].long()  # (L, B)
        scores, _ = network.recent.scores(catalogue.history.vectors[known[-1:]], network._ring(state, catalogue).events)
        at = torch.arange(codes.shape[1], device=self.device)
        coded = catalogue.tables.scores[at, codes[-1]][at, codes]  # (L, B): of the last event's codes to each one's
        back = torch.arange(len(known) - 1, -1, -1, device=self.device).unsqueeze(1)
        if rate is not None:
            coded = coded - rate * back
        exact = scores[0, -len(known) :] if len(known) < window else scores[0]
        every = torch.cat((coded[: max(len(known) - window, 0)], exact.unsqueeze(1).expand(-1, codes.shape[1])))
        return every.softmax(0).mean(1)

    def collided(self) -> int:
        """How many items share all their codes with another."""
        with torch.no_grad():
            return len(self._colliding_items()[0])
