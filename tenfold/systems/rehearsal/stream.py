"""A stream as it is read: a state of one size, whatever was seen, and pure functions on it.

Shapes: U streams, K slots, N items of a segment, d width, L new items.
"""

import json
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.errors import ArtifactError, OptionError
from tenfold.files import digest
from tenfold.systems.rehearsal.data import words_of
from tenfold.systems.rehearsal.model import Found, StreamNetwork
from tenfold.systems.rehearsal.task import NOT_KNOWN

if TYPE_CHECKING:
    from tenfold.systems.rehearsal.system import Rehearsal

MAGIC = b"TENFOLD-STREAM-1"
AGAIN = "copy it again, or read the stream again"


class State(NamedTuple):
    """What is kept of U streams: K d + (N - 1) d floats each, K more where slots have ages, and two numbers."""

    memory: Tensor  # (U, K, d or d + 1)
    pending: Tensor  # (U, N - 1, d) items that fill no segment yet
    waiting: Tensor  # (U,) how many these are
    seen: Tensor  # (U,) items in the memory; pending ones are not

    def rows(self, which: Tensor) -> Self:
        return type(self)(*(part[which] for part in self))


def init(network: StreamNetwork, streams: int = 1) -> State:
    """States of streams of which nothing was seen."""
    memory = network.machine.start(streams).detach().clone()
    pending = memory.new_zeros(streams, network.machine.segment - 1, network.machine.dim)
    zero = torch.zeros(streams, dtype=torch.long, device=memory.device)
    return State(memory, pending, zero, zero.clone())


@torch.no_grad()
def update(network: StreamNetwork, state: State, words: Tensor, length: Tensor) -> State:
    """New items, words (U, L, W), of which each stream has `length` (U,). The old state stays what it was."""
    size, x = network.machine.segment, network.items(words)
    total = state.waiting + length
    place = torch.arange(int(total.max()) if len(total) else 0, device=x.device).expand(len(x), -1)
    old = place < state.waiting.unsqueeze(1)
    joined = torch.where(
        old.unsqueeze(-1), _at(state.pending, place), _at(x, place - state.waiting.unsqueeze(1))
    )  # (U, count + L, d)
    joined = joined * (place < total.unsqueeze(1)).unsqueeze(-1)
    segments = int(total.max()) // size if len(total) else 0
    memory = state.memory
    if segments:
        full = (torch.arange(1, segments + 1, device=x.device) * size).unsqueeze(0) <= total.unsqueeze(1)
        cut = joined[:, : segments * size].unflatten(1, (segments, size))
        keep = full.unsqueeze(-1).expand(-1, -1, size)
        memory = network.machine.scan(cut, keep, memory, first=state.seen // size)[:, -1]
    done = total // size * size
    left = done.unsqueeze(1) + torch.arange(size - 1, device=x.device)
    pending = _at(joined, left) * (left < total.unsqueeze(1)).unsqueeze(-1)
    return State(memory, pending, total - done, state.seen + done)


def _at(x: Tensor, place: Tensor) -> Tensor:
    """x (U, L, d) at places (U, n), of which some may lie outside: there it is anything."""
    if not x.shape[1]:
        return x.new_zeros(*place.shape, x.shape[2])
    return x[torch.arange(len(x), device=x.device).unsqueeze(1), place.clamp(0, x.shape[1] - 1)]


@torch.no_grad()
def with_pending(network: StreamNetwork, state: State) -> Tensor:
    """The memory (U, K, d) with what is pending written in, for a question: it is not kept."""
    size = network.machine.segment
    if not bool(state.waiting.any()):
        return state.memory
    pending = F.pad(state.pending, (0, 0, 0, 1))
    keep = torch.arange(size, device=pending.device) < state.waiting.unsqueeze(1)
    return network.machine.write(state.memory, pending, keep, state.seen // size)[0]


@torch.no_grad()
def query(network: StreamNetwork, state: State, asked: Tensor, stream: Tensor) -> Found:
    """Questions, words (Q, W), each of a stream's state (Q,). Nothing of the state changes."""
    return network.answer(asked, with_pending(network, state)[stream])


def save(state: State, fingerprint: str) -> bytes:
    """All of it: a header and then, for each stream, bytes of one size."""
    streams, slots, width = state.memory.shape
    floats = torch.cat([state.memory.flatten(1), state.pending.flatten(1)], 1).float().cpu().numpy()
    numbers = torch.stack([state.waiting, state.seen], 1).cpu().numpy()
    body = floats.astype("<f4").tobytes() + numbers.astype("<i8").tobytes()
    head = json.dumps({"system": fingerprint, "streams": streams, "slots": slots, "width": width,
                       "dim": state.pending.shape[2], "segment": state.pending.shape[1] + 1,
                       "digest": digest(body)}).encode()  # fmt: skip
    return b"".join([MAGIC, struct.pack("<I", len(head)), head, body])


def load(network: StreamNetwork, content: bytes, fingerprint: str) -> State:
    """The other way. Raises ArtifactError for a state of another system, or one that is cut short or changed."""
    if not content.startswith(MAGIC) or len(content) < len(MAGIC) + 4:
        raise ArtifactError(f"this is no state of a stream as Tenfold writes it, or it was cut short; {AGAIN}")
    (size,) = struct.unpack_from("<I", content, len(MAGIC))
    begin = len(MAGIC) + 4
    try:
        head = json.loads(content[begin : begin + size])
        system, streams = str(head["system"]), int(head["streams"])
        found = tuple(int(head[name]) for name in ("slots", "width", "dim", "segment"))
    except (ValueError, KeyError, TypeError, OverflowError):
        raise ArtifactError(f"the head of this state of a stream was changed or cut short; {AGAIN}") from None
    if system != fingerprint:
        raise ArtifactError("this state is of a stream that another system read; read the stream again with this one")
    machine = network.machine
    slots, width, dim, segment = wanted = (*machine.start(1).shape[1:], machine.dim, machine.segment)
    if found != wanted or streams < 0:
        raise ArtifactError(f"the head of this state of a stream was changed; {AGAIN}")
    floats_each = slots * width + (segment - 1) * dim
    body = content[begin + size :]
    if len(body) != streams * (4 * floats_each + 16):
        raise ArtifactError(
            f"this state should have {streams * (4 * floats_each + 16):,} bytes after its head, and has {len(body):,}; "
            f"{AGAIN}"
        )
    if head.get("digest", digest(body)) != digest(body):  # states that were written before have none
        raise ArtifactError(f"this state of a stream was changed after it was written; {AGAIN}")
    floats = torch.from_numpy(np.frombuffer(body, "<f4", streams * floats_each).reshape(streams, -1).copy())
    numbers = torch.from_numpy(
        np.frombuffer(body, "<i8", 2 * streams, 4 * streams * floats_each).reshape(streams, 2).copy()
    )
    device = network.machine.start(1).device
    memory, pending = floats.to(device).split([slots * width, (segment - 1) * dim], 1)
    count, seen = numbers.to(device).unbind(1)
    return State(memory.unflatten(1, (slots, width)), pending.unflatten(1, (segment - 1, dim)), count, seen)


# One stream, in words ------------------------------------------------------------------------------------------------


class Told(NamedTuple):
    """An answer, and where in the memory it comes from."""

    answer: str
    probability: float
    alternatives: list[tuple[str, float]]
    slots: list[tuple[int, float]]  # those that were read most, from 0, and their share
    unknown_words: list[str]  # of the question


class Memory:
    """One stream: `tell` it items, `ask` it, `recall` masked items, and whether a fragment is `familiar`.

    With `traced` it also notes which items each slot was written from; that is for people to look at, grows with
    nothing, and no answer depends on it.
    """

    TOP = 6  # items noted of each slot

    def __init__(self, system: "Rehearsal", *, traced: bool = False) -> None:
        self.system, self.state = system, init(system.streams)
        self.unknown, self.told = 0, 0  # words so far
        self.written: list[list[tuple[float, int]]] | None = (
            [[] for _ in range(self.state.memory.shape[1])] if traced else None
        )

    def __len__(self) -> int:
        """Items that it was told."""
        return int(self.state.seen[0] + self.state.waiting[0])

    @property
    def size(self) -> int:
        """Bytes of the state, whatever was told."""
        return 4 * (self.state.memory.numel() + self.state.pending.numel()) + 16

    def tell(self, items: Sequence[Any]) -> "Memory":
        """items: texts, or features (T, F), as those that the system was fitted on. Raises DataError, OptionError."""
        if len(items):
            words = self.system.item_tensor(items)
            if not words.is_floating_point():
                lists = [words_of(str(item)) for item in items]
                self.told += sum(map(len, lists))
                known = self.system.vocabularies["words"]
                self.unknown += int(sum((known.numbers(each) == 0).sum() for each in lists))
            if self.written is not None:
                self._trace(words)
            network = self.system.streams
            length = torch.tensor([len(items)], device=words.device)
            self.state = update(network, self.state, words.unsqueeze(0), length)
        return self

    def ask(self, question: str, *, top: int = 3, known_above: float = 0.0) -> Told:
        """Raises OptionError for an empty question, or before anything was told."""
        if not words_of(question):
            raise OptionError("the question is empty; ask something such as 'where is mary?'")
        if not len(self):
            raise OptionError("nothing was told yet; tell the memory a stream, then ask")
        asked = self.system.word_numbers([question])
        found = query(self.system.streams, self.state, asked, torch.zeros(1, dtype=torch.long, device=asked.device))
        shares = found.scores[0].softmax(-1)
        best = shares.topk(min(top, len(shares)))
        names = self.system.vocabularies["answers"].ids((best.indices + 1).cpu().numpy())
        slots = found.slots[0].topk(min(3, found.slots.shape[1]))
        unknown = [word for word in words_of(question) if self.system.vocabularies["words"].numbers([word])[0] == 0]
        likely = float(best.values[0])
        return Told(names[0] if likely >= known_above else NOT_KNOWN, likely,
                    list(zip(names, best.values.tolist(), strict=True)),
                    list(zip(slots.indices.tolist(), slots.values.tolist(), strict=True)), unknown)  # fmt: skip

    def recall(
        self, fragment: Sequence[Any], among: Sequence[Any] = (), *, top: int = 3
    ) -> list[list[tuple[Any, float]]]:
        """What stood where the fragment says None: the likeliest items of `among` (of all words where it is empty, and
        items are words); of features their numbers in `among`, from 0. Raises OptionError, DataError."""
        return self.system.recalled(self.state, list(fragment), list(among), top)

    def familiar(self, fragment: Sequence[Any]) -> float:
        """How likely it is that this fragment was in the stream. Raises OptionError, DataError."""
        return self.system.familiarity(self.state, list(fragment))

    def written_from(self, slot: int) -> list[tuple[int, float]]:
        """Items, from 0, that the slot holds most of, and how much. Raises OptionError where it was not traced."""
        if self.written is None:
            raise OptionError("what slots were written from is noted with traced=True only")
        return [(item, weight) for weight, item in sorted(self.written[slot], reverse=True)]

    def to_bytes(self) -> bytes:
        return save(self.state, self.system.stream_fingerprint)

    @classmethod
    def from_bytes(cls, system: "Rehearsal", content: bytes) -> "Memory":
        """Raises ArtifactError."""
        found = cls(system)
        found.state = load(system.streams, content, system.stream_fingerprint)
        return found

    @torch.no_grad()
    def _trace(self, words: Tensor) -> None:
        """What a slot keeps of older items fades by its gate; what a segment writes comes by its attention."""
        network, state, size = self.system.streams, self.state, self.system.streams.machine.segment
        x = torch.cat([state.pending[0, : int(state.waiting[0])], network.items(words.unsqueeze(0))[0]])
        memory, first = state.memory, int(state.seen[0])
        keep = torch.ones(1, size, dtype=torch.bool, device=x.device)
        written: Any = self.written
        for begin in range(0, len(x) - size + 1, size):
            memory, writes = network.machine.write(
                memory, x[begin : begin + size].unsqueeze(0), keep, (first + begin) // size
            )
            if writes is None:
                raise OptionError(
                    f"the memory of a {type(self.system).__name__} does not say what it is written from; leave traced "
                    "out"
                )
            for slot, (kept, share) in enumerate(
                zip(writes.keep[0].tolist(), writes.attention[0].tolist(), strict=True)
            ):
                old = [(weight * kept, item) for weight, item in written[slot]]
                new = [(part * (1 - kept), first + begin + n) for n, part in enumerate(share)]
                written[slot] = sorted(old + new, reverse=True)[: self.TOP]
