"""Rehearsal Memory as a system: the teacher that says what is worth rehearsing, the losses, a stream in words.

Read `stages` for the training, `rehearsal_losses` for what is ours of it, `read_stream` for the use.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold import artifact
from tenfold.errors import DataError, OptionError
from tenfold.files import digest
from tenfold.nn.slot_memory import SlotMemory
from tenfold.system import Answer
from tenfold.systems.rehearsal.data import Cut, Packed, Streams, check_unknown, features_of, unknown_words, words_of
from tenfold.systems.rehearsal.model import Rehearsed, Rehearser, StreamNetwork, Student, Teacher
from tenfold.systems.rehearsal.options import MemoryOptions, Options, RehearsalOptions, Training
from tenfold.systems.rehearsal.samples import (
    Batch,
    StreamSamples,
    questions_by_stream,
    starts,
    tensors,
)
from tenfold.systems.rehearsal.stream import Memory, State, with_pending
from tenfold.systems.rehearsal.task import StreamQuestions, answer_loss, named_stream
from tenfold.training import Loss, Losses, Stage

TAUGHT = ("teacher", "teacher_flipped", "student")  # samplers that have a teacher


class Capacity(NamedTuple):
    """What a state can hold at most, by rule of thumb: a trained float carries one to two bits of use."""

    floats: int
    bytes: int
    bits: int
    facts: int  # of as many answers as the system knows

    def __str__(self) -> str:
        return f"{self.floats:,} numbers, {self.bytes:,} bytes: about {self.bits:,} bits, or {self.facts:,} facts"


def slot_memory(dim: int, m: MemoryOptions, dropout: float, *, one_word: bool = True) -> SlotMemory:
    """one_word: an item is one thing, which may belong to the one beside it; not a sentence, which says all itself."""
    beside = one_word if m.beside is None else m.beside
    return SlotMemory(
        dim, m.slots, m.segment, layers=m.layers, encoder_heads=m.heads, heads=m.heads, score=m.score, gate=m.gate,
        keep_bias=m.keep_bias, horizon=m.horizon, strict=m.strict, self_keys=m.self_keys, competition=m.competition,
        beside=beside, ages=m.ages, oldest_first=m.oldest_first, sparse_write=m.sparse_write, periods=m.periods,
        dropout=dropout, bptt=m.bptt, recompute=m.recompute,
    )  # fmt: skip


class Rehearsal(StreamQuestions):
    options: Options
    tiny = Options(
        dim=16, hops=1, dropout=0.1,
        memory=MemoryOptions(slots=4, segment=4, layers=1, heads=2),
        rehearsal=RehearsalOptions(fragments=2, length=4, negatives=8),
        training=Training(batch_size=8, lr=0.01),
    )  # fmt: skip
    stage_name = "rehearsal"
    parts_may_be_new = ("teacher", "student")  # who was fitted without questions has none

    # The network: what answers and what rehearses are trained together, the teacher before them.

    @property
    def heads(self) -> int:
        return self.options.memory.heads

    @property
    def rehearses(self) -> bool:
        r = self.options.rehearsal
        return r.recollection > 0 or r.familiarity > 0

    def infer_sizes(self, prepared: Cut) -> dict[str, int]:
        return super().infer_sizes(prepared) | {"taught": int(self._taught(prepared.part("train")))}

    def _taught(self, train: Streams) -> bool:
        r = self.options.rehearsal
        return self.rehearses and r.sampler in TAUGHT and len(train.questions) > 0

    def memory_machine(self) -> SlotMemory:
        return slot_memory(self.options.dim, self.options.memory, self.options.dropout, one_word=self.one_word)

    def build(self) -> nn.ModuleDict:
        o = self.options
        parts: dict[str, nn.Module] = {"streams": self.stream_network()}
        if self.rehearses:
            parts["rehearser"] = Rehearser(o.dim, o.memory.heads, o.dropout, o.rehearsal)
        found = nn.ModuleDict({"pupil": nn.ModuleDict(parts)})
        if self.sizes.get("taught"):
            found["teacher"] = Teacher(o.dim, self.sizes["words"], self.sizes["answers"], o.rehearsal.length, o.dropout,
                                       self.standard)  # fmt: skip
            if o.rehearsal.sampler == "student":
                found["student"] = Student(o.dim)
        return found

    @property
    def streams(self) -> StreamNetwork:
        found: StreamNetwork = self.network["pupil"]["streams"]
        return found

    @property
    def teacher(self) -> Teacher:
        """Raises OptionError where none was trained."""
        if "teacher" not in self.network:
            raise OptionError("this system has no teacher: it was fitted without questions, or with another sampler")
        found: Teacher = self.network["teacher"]
        return found

    # Training.

    def stages(self, prepared: Cut) -> Iterator[Stage]:
        train, r = prepared.part("train"), self.options.rehearsal
        if not len(train.questions) and not self.rehearses:
            raise DataError(
                f"{train.report.source} has no question, and nothing is rehearsed: there is nothing to learn"
            )
        asked = self.checked(prepared) if len(train.questions) else None
        priority = None
        if self.sizes["taught"]:
            held = prepared.part("validation")
            check = None if asked is None else lambda: {"accuracy": self._teacher_accuracy(held)}
            yield self.stage("teacher", self.teacher, self.teacher_loss, StreamSamples(train, None), check,
                             share=r.teacher_share)  # fmt: skip
            if r.sampler == "student":
                told = StreamSamples(train, None)
                yield self.stage("student", self.network["student"], self.student_loss, told, None,
                                 share=r.teacher_share / 3)  # fmt: skip
            priority = self.priorities(train)
        elif self.rehearses and r.sampler in ("oracle", "custom"):
            priority = (oracle if r.sampler == "oracle" else custom)(train, r.length)
        samples = StreamSamples(train, r if self.rehearses else None, priority)
        yield self.stage(self.stage_name, self.network["pupil"], self.loss, samples, asked)

    def teacher_loss(self, batch: Batch) -> Losses:
        return answer_loss(self.teacher(batch)[0], batch.answer)

    def student_loss(self, batch: Batch) -> Losses:
        """KL(beta || student) of the batch's streams that are asked about."""
        with torch.no_grad():
            self.teacher.eval()
            h, begin, there = self.teacher.fragments(batch)
            beta = self.teacher.attend(batch, h, begin, there)[1]
            asked = torch.zeros(len(h), device=h.device).index_add(0, batch.stream, torch.ones_like(beta[:, 0]))
            mean = torch.zeros_like(h[..., 0]).index_add(0, batch.stream, beta) / asked.clamp(min=1).unsqueeze(1)
        told = self.network["student"](h, there)
        apart = (torch.xlogy(mean, mean) - mean * told.clamp(min=-1e4)).sum(-1)
        return (apart * (asked > 0)).sum(), (asked > 0).sum()

    def loss(self, batch: Batch) -> Losses:
        """The task's loss and the two of rehearsal (section 3), each over its own count."""
        network = self.streams
        x = network.items(batch.words)
        states = network.read(x, batch.length)
        found: dict[str, Loss] = {}
        if len(batch.asked):
            memory = network.memory_at(states, x, batch.stream, batch.time)
            found["answer"] = answer_loss(network.answer(batch.asked, memory).scores, batch.answer)
        if batch.fragments is not None:
            r, done = self.options.rehearsal, self.rehearsed(batch, x, states)
            found["recollection"] = (r.recollection * done.recollection, done.masked)
            found["familiarity"] = (r.familiarity * done.familiarity, done.fragments)
        return found

    def rehearsed(self, batch: Batch, x: Tensor, states: Tensor, memory: Tensor | None = None) -> Rehearsed:
        """What the decoder makes of the batch's fragments, from the memory when they are rehearsed, or another one."""
        network, parts = self.streams, batch.fragments
        assert parts is not None
        if memory is None:
            memory = network.memory_at(states, x, torch.arange(len(x), device=x.device), parts.at)
        rehearser: Rehearser = self.network["pupil"]["rehearser"]
        return rehearser(
            network.item, network.question.table.weight, x, batch.words, network.machine.slot_keys(memory), parts
        )

    # What is worth rehearsing.

    @torch.no_grad()
    def priorities(self, data: Streams) -> list[np.ndarray]:
        """By stream, a weight for each place where a fragment may begin (samples.starts): the teacher's attention, the
        mean over the stream's questions; flipped in time with sampler=teacher_flipped; what the student says with
        sampler=student, of streams without questions too. Raises OptionError."""
        found = [np.ones(len(starts(n, self.options.rehearsal.length))) for n in data.lengths.tolist()]
        numbers, by_stream = data.answer_numbers(), questions_by_stream(data)
        if self.options.rehearsal.sampler == "student":
            self.teacher.eval()
            for rows in np.array_split(np.arange(len(data)), -(-len(data) // 64)):
                h, _, there = self.teacher.fragments(tensors(data, rows, numbers, by_stream).answering(self.device))
                shares = self.network["student"](h, there).exp().float().cpu().numpy()
                for row, own in zip(rows.tolist(), shares, strict=True):
                    found[row] = own[: len(found[row])]
            return found
        asked = np.flatnonzero(np.diff(by_stream[1]))
        for first in range(0, len(asked), 64):
            rows = asked[first : first + 64]
            batch = tensors(data, rows, numbers, by_stream).answering(self.device)
            beta = self.teacher(batch)[1].float().cpu().numpy()
            own = batch.stream.cpu().numpy()
            for place, row in enumerate(rows.tolist()):
                mean = beta[own == place].mean(0)[: len(found[row])]
                found[row] = mean[::-1].copy() if self.options.rehearsal.sampler == "teacher_flipped" else mean
        return found

    @torch.no_grad()
    def _teacher_accuracy(self, data: Streams) -> float:
        numbers, by_stream = data.answer_numbers(), questions_by_stream(data)
        asked, right = np.flatnonzero(np.diff(by_stream[1])), 0
        for first in range(0, len(asked), 64):
            batch = tensors(data, asked[first : first + 64], numbers, by_stream).answering(self.device)
            right += int((self.teacher(batch)[0].argmax(-1) + 1 == batch.answer).sum())
        return right / len(numbers)

    # A stream in words.

    def word_numbers(self, items: Sequence[str]) -> Tensor:
        """(L, W) of texts, on the network's device."""
        lists = [self.vocabularies["words"].numbers(words_of(item)) for item in items]
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
        packed = Packed(np.concatenate([*lists, np.zeros(0, np.int32)]).astype(np.int32), offsets)
        return torch.from_numpy(packed.table(np.arange(len(lists)))).to(self.device)

    def item_tensor(self, items: Sequence[Any]) -> Tensor:
        """Texts as (L, W), or features as (L, F), on the network's device; None for one that is masked.
        Raises DataError."""
        width = self.sizes.get("features", 0)
        if not width:
            return self.word_numbers(["" if item is None else item for item in named_stream(items)])
        there = [item for item in items if item is not None]
        found = np.full((len(items), width), np.nan, np.float32)
        if there:
            told = features_of(np.asarray(items) if len(there) == len(items) else there, "the stream")
            if told.shape[1] != width:
                raise DataError(
                    f"items of the stream have {told.shape[1]} features, and this system was fitted on items that have "
                    f"{width}; give such items"
                )
            found[[item is not None for item in items]] = told
        return torch.from_numpy(found).to(self.device)

    def read_stream(self, items: Sequence[Any] = (), *, traced: bool = False) -> Memory:
        """A memory that was told these items, oldest first; `tell` it more whenever there is more."""
        self.network.eval()
        return Memory(self, traced=traced).tell(items)

    @property
    def stream_fingerprint(self) -> str:
        """Of what decides what a state means: the weights that read, and the words."""
        weights = artifact.pack(artifact.own_weights(self.streams))
        standard = [artifact.pack(self.statistics)] if self.statistics else []
        return digest(weights, self.vocabularies["words"].to_bytes(), *standard)

    def answer(  # type: ignore[override]
        self, question: str, *, top: int = 3, known_above: float = 0.0
    ) -> Answer:
        """'ITEM | ITEM | QUESTION': a stream, and what is asked of it after the last bar.

        Raises OptionError, DataError.
        """
        if "features" in self.sizes:
            raise OptionError(
                "items of this system are features, which a question in the terminal does not hold; write them into "
                "a file"
            )
        stream, bar, asked = question.rpartition("|")
        items = [each.strip() for each in stream.split("|") if each.strip()]
        if not bar or not items:
            raise OptionError(
                "write the stream and the question with '|' between: 'mary went to the hall | where is mary?'"
            )
        memory = self.read_stream(items)
        words = [word for item in items for word in words_of(item)]
        such = unknown_words(words, self.vocabularies["words"])
        check_unknown(memory.unknown / max(memory.told, 1), "this stream", such)
        told = memory.ask(asked, top=top, known_above=known_above)
        return Answer(("answer", "probability"), [[name, round(share, 3)] for name, share in told.alternatives])

    def export(self, folder: str | Path) -> artifact.Exported:
        """Encoder, update and reader as ONNX files beside the artifact: export.py says what they take and give."""
        from tenfold.systems.rehearsal.export import export

        return export(self, folder)

    def capacity_report(self) -> Capacity:
        m, dim = self.options.memory, self.options.dim
        floats, answers = m.slots * dim, max(len(self.vocabularies.get("answers", ())), 2)
        size = 4 * (m.slots * self.streams.machine.start(1).shape[2] + (m.segment - 1) * dim) + 16
        return Capacity(floats, size, int(1.5 * floats), int(1.5 * floats / np.log2(answers)))

    # The decoder, after training: what is in a memory.

    @property
    def rehearser(self) -> Rehearser:
        """Raises OptionError where nothing was rehearsed."""
        if "rehearser" not in self.network["pupil"]:
            raise OptionError("this system was fitted without rehearsal, and has no decoder to recall with")
        found: Rehearser = self.network["pupil"]["rehearser"]
        return found

    def _decoded(self, state: State, items: Sequence[Any]) -> Tensor:
        """(1 + n, d) of a fragment in which None is masked."""
        longest = self.options.rehearsal.length
        if not 1 <= len(items) <= longest:
            raise OptionError(f"a fragment has 1 to {longest} items, as those that were rehearsed; found {len(items)}")
        network, rehearser = self.streams, self.rehearser
        x = network.item(self.item_tensor(items))
        hidden = torch.tensor([item is None for item in items], device=x.device)
        x = torch.where(hidden.unsqueeze(-1), rehearser.mask, x)
        real = torch.arange(longest, device=x.device) < len(items)
        x = F.pad(x, (0, 0, 0, longest - len(items)))
        keys = network.machine.slot_keys(with_pending(network, state))
        return rehearser.decode(x[None, None], real[None, None], keys)[0, 0]

    @torch.no_grad()
    def recalled(self, state: State, items: list[Any], among: list[Any], top: int) -> list[list[tuple[Any, float]]]:
        """Raises OptionError, DataError."""
        if not any(item is None for item in items):
            raise OptionError("nothing is masked in this fragment; write None where an item is to be recalled")
        hidden = [place for place, item in enumerate(items, start=1) if item is None]
        u = self.rehearser.restore(self._decoded(state, items)[hidden])
        told = self.streams.item
        if among:
            y = told(self.item_tensor(among))
            scores = F.normalize(u, dim=-1) @ F.normalize(y, dim=-1).T / self.options.rehearsal.temperature
            names: list[Any] = list(range(len(among))) if "features" in self.sizes else among
        elif "features" in self.sizes:
            raise OptionError("features are recalled among given ones only; give the candidates as `among`")
        else:
            scores = (u @ told.table.weight.T * u.shape[-1] ** -0.5)[:, 1:]
            names = self.vocabularies["words"].series.to_list()
        best = scores.softmax(-1).topk(min(top, len(names)), dim=-1)
        return [
            [(names[i], share) for i, share in zip(where, shares, strict=True)]
            for where, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    @torch.no_grad()
    def familiarity(self, state: State, items: list[Any]) -> float:
        return float(self.rehearser.real(self._decoded(state, items)[0]).sigmoid())


def oracle(data: Streams, fragment: int) -> list[np.ndarray]:
    """Weights of fragments that hold evidence; for diagnosis only. Raises DataError where the data name none."""
    evidence = data.questions["evidence"].to_list()
    if not any(evidence):
        raise DataError(f'{data.report.source} names no evidence for sampler=oracle; write "support" beside a question')
    begins = [starts(length, fragment) for length in data.lengths.tolist()]
    found = [np.zeros(len(begin)) for begin in begins]
    for stream, places in zip(data.questions["stream"].to_list(), evidence, strict=True):
        for place in places or ():
            found[stream] += (begins[stream] <= place) & (place < begins[stream] + fragment)
    return found


def custom(data: Streams, fragment: int) -> list[np.ndarray]:
    """Weights of fragments: the sums of their items', as the data have them. Raises DataError where they have none."""
    if data.weights is None:
        raise DataError(
            f'{data.report.source} has no weights for sampler=custom; write "weights", a number for each item, beside '
            "a stream"
        )
    sums = np.concatenate([[0.0], data.weights.cumsum()])
    found = []
    for first, length in zip(data.offsets[:-1].tolist(), data.lengths.tolist(), strict=True):
        begin = first + starts(length, fragment)
        found.append(np.maximum(sums[np.minimum(begin + fragment, first + length)] - sums[begin], 0.0))
    return found
