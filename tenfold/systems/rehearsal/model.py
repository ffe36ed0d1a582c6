"""The networks: items and questions as vectors, a memory that is read in hops, the decoder that rehearses, the teacher.

A memory machine is anything with `start`, `scan`, `write`, `opened`, `slot_keys` and `slot_interest`
(nn/slot_memory.py says how): the rivals bring their own, and everything else is shared.

Shapes: B streams, L items, W words, d width, N items of a segment, T full segments, K slots, Q questions, A answers, F
fragments of Nf items, J negatives.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nn.attention import FullAttention
from tenfold.nn.cross_attention import CrossAttention, Memory
from tenfold.nn.dropout import Dropout
from tenfold.nn.transformer import Transformer, feed_forward
from tenfold.systems.rehearsal.options import RehearsalOptions
from tenfold.systems.rehearsal.samples import Batch, Fragments

PLACES = 32  # of a word in its item that have a weight of their own; later words share the last one's


class Told(nn.Module):
    """A few words as one vector: sum_j p_j E[w_j], p_j learned for each place (Sukhbaatar et al. 2015, section 4.1), by
    the root of how many there are: a long sentence is no larger than a word, or than its place in a segment."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table
        self.place = nn.Parameter(1 + 0.1 * torch.randn(PLACES, table.embedding_dim))

    def forward(self, words: Tensor) -> Tensor:
        """words (..., W), 0 at padding -> (..., d)."""
        if words.shape[-1] == 1:
            return self.table(words[..., 0]) * self.place[0]
        place = self.place[torch.arange(words.shape[-1], device=words.device).clamp(max=PLACES - 1)]
        count = (words != 0).sum(-1, keepdim=True).clamp(min=1)
        return (self.table(words) * place).sum(-2) * count.rsqrt()


class Felt(nn.Module):
    """Features as one vector: a linear map without bias of what they are, each standardised as it was in training."""

    def __init__(self, mean: Tensor, scale: Tensor, dim: int) -> None:
        """mean, scale: (F,), subtracted and multiplied with."""
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", mean.clone(), persistent=False)  # the system keeps them
        self.register_buffer("scale", scale.clone(), persistent=False)
        self.map = nn.Linear(len(mean), dim, bias=False)
        nn.init.normal_(self.map.weight, std=len(mean) ** -0.5)  # as large as words are

    def forward(self, features: Tensor) -> Tensor:
        """features (..., F), NaN where there is none -> (..., d)."""
        x = (features - self.mean) * self.scale
        return self.map(torch.where(x.isnan(), 0.0, x).to(self.map.weight.dtype))


Standard = tuple[Tensor, Tensor]  # (F,) mean and scale of features


def item_encoder(table: nn.Embedding, standard: Standard | None) -> nn.Module:
    """Items to vectors: of words, or, where `standard` says how they are, of features."""
    return Told(table) if standard is None else Felt(*standard, table.embedding_dim)


def word_table(words: int, dim: int) -> nn.Embedding:
    return nn.Embedding(words + 1, dim, padding_idx=0)


class Reader(nn.Module):
    """A question reads the slots: alpha = softmax_k <W q, LayerNorm(m_k) + s_k>, c = sum_k alpha_k m_k, W' q + c."""

    def __init__(self, dim: int, hops: int) -> None:
        super().__init__()
        self.ask = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(hops))
        self.on = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(hops))

    def forward(
        self, q: Tensor, memory: Tensor, keys: Tensor, there: Tensor | None = None, interest: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """q (Q, d), memory and its keys (Q, K, d), there and interest (Q, K) or None: which count, and what is
        added to all scores -> c (Q, d), the last q and alpha."""
        for ask, on in zip(self.ask, self.on, strict=True):
            scores = (keys @ ask(q).unsqueeze(-1)).squeeze(-1) * q.shape[-1] ** -0.5
            if interest is not None:
                scores = scores + interest
            if there is not None:
                scores = scores.masked_fill(~there, -1e9)
            alpha = scores.softmax(-1)
            c = (alpha.unsqueeze(1) @ memory).squeeze(1)
            q = on(q) + c
        return c, q, alpha


class AnswerHead(nn.Module):
    def __init__(self, dim: int, answers: int, dropout: float) -> None:
        super().__init__()
        self.inner, self.outer, self.drop = nn.Linear(3 * dim, 2 * dim), nn.Linear(2 * dim, answers), Dropout(dropout)

    def forward(self, asked: Tensor, c: Tensor, q: Tensor) -> Tensor:
        """(Q, A) scores of the answers 1, 2, ..."""
        return self.outer(self.drop(F.gelu(self.inner(torch.cat([asked, c, q], -1)))))


class Found(NamedTuple):
    scores: Tensor  # (Q, A)
    slots: Tensor  # (Q, K) how much of each slot the last hop read


class StreamNetwork(nn.Module):
    """Reads streams into a memory, and answers from it alone: the question has no part in what is kept."""

    def __init__(
        self, machine: nn.Module, *, dim: int, words: int, answers: int, hops: int, dropout: float,
        standard: Standard | None = None,
    ) -> None:  # fmt: skip
        """standard: mean and scale of the items' features, where they are no words."""
        super().__init__()
        table = word_table(words, dim)
        self.item: Any = item_encoder(table, standard)
        self.question, self.drop = Told(table), Dropout(dropout)
        self.machine: Any = machine
        self.reader, self.head = Reader(dim, hops), AnswerHead(dim, max(answers, 1), dropout)

    def items(self, words: Tensor) -> Tensor:
        """Words (B, L, W), or features (B, L, F) -> (B, L, d)."""
        return self.drop(self.item(words))

    def read(self, x: Tensor, length: Tensor) -> Tensor:
        """Items x (B, L, d) -> the memory before each full segment and after the last, (B, T + 1, K, d)."""
        size = self.machine.segment
        count = x.shape[1] // size
        segments = (
            x[:, : count * size].unflatten(1, (count, size)) if count else x.new_zeros(len(x), 0, size, x.shape[2])
        )
        full = (torch.arange(1, count + 1, device=x.device) * size).unsqueeze(0) <= length.unsqueeze(1)
        return self.machine.scan(segments, full.unsqueeze(-1).expand(-1, -1, size))

    def memory_at(self, states: Tensor, x: Tensor, rows: Tensor, time: Tensor) -> Tensor:
        """The memory (Q, K, d) when `time` (Q,) items of the streams `rows` (Q,) had been seen: that after the last
        full segment, into which what came since is written for these questions only, once for all of one time."""
        if x.device.type == "cpu" and len(rows):
            each, back = torch.unique(rows * (x.shape[1] + 1) + time, return_inverse=True)
            if len(each) < len(rows):
                return self._at_time(states, x, each // (x.shape[1] + 1), each % (x.shape[1] + 1))[back]
        return self._at_time(states, x, rows, time)

    def _at_time(self, states: Tensor, x: Tensor, rows: Tensor, time: Tensor) -> Tensor:
        size = self.machine.segment
        done = time // size
        memory = states[rows, done]
        rest = time - done * size
        if x.device.type == "cpu" and not bool(rest.any()):
            return memory
        place = (done * size).unsqueeze(1) + torch.arange(size, device=x.device)
        keep = place < time.unsqueeze(1)
        pending = x[rows.unsqueeze(1), place.clamp(max=x.shape[1] - 1)]
        return self.machine.write(memory, pending * keep.unsqueeze(-1), keep, done)[0]

    def answer(self, asked: Tensor, memory: Tensor) -> Found:
        """Words asked (Q, W'), memory (Q, K, d), or more numbers of a slot, of which the first d are its content."""
        q, memory = self.question(asked), self.machine.opened(memory)
        keys, interest = self.machine.slot_keys(memory), self.machine.slot_interest(memory)
        c, last, alpha = self.reader(q, memory[..., : q.shape[-1]], keys, interest=interest)
        return Found(self.head(q, c, last), alpha)

    def forward(self, batch: Batch) -> Found:
        x = self.items(batch.words)
        return self.answer(batch.asked, self.memory_at(self.read(x, batch.length), x, batch.stream, batch.time))


def _of_fragments(x: Tensor, count: int) -> Tensor:
    """(n, ...) of streams -> (n count, ...) of their fragments."""
    return x.unsqueeze(1).expand(-1, count, *[-1] * (x.dim() - 1)).flatten(0, 1)


class Rehearsed(NamedTuple):
    """Sums over a batch, and what each is a sum of."""

    recollection: Tensor
    masked: Tensor
    familiarity: Tensor
    fragments: Tensor
    right: Tensor  # (B, F, Nf) bool: the masked item was the likeliest


class Rehearser(nn.Module):
    """The decoder that knows a stream only by its memory: it restores masked items of a fragment, and tells real
    fragments from changed ones (section 3, "learning to rehearse")."""

    def __init__(
        self, dim: int, heads: int, dropout: float, options: RehearsalOptions, *, familiar: bool = True
    ) -> None:
        """familiar: whether it also learns to tell real fragments from changed ones."""
        super().__init__()
        self.options = options
        self.mask, self.first = (nn.Parameter(0.5 * torch.randn(dim)) for _ in range(2))
        self.places = nn.Parameter(0.1 * torch.randn(1 + options.length, dim))
        self.decoder = Transformer(
            dim,
            options.layers,
            attention=lambda: FullAttention(dim, heads, dropout),
            feed_forward=lambda: feed_forward("dense", dim, 2 * dim, dropout, "gelu"),
            cross=lambda: CrossAttention(dim, heads, dropout),
            norm="pre",
            dropout=dropout,
        )
        self.restore = nn.Linear(dim, dim)
        if familiar:
            self.real = nn.Linear(dim, 1)

    def decode(self, fragments: Tensor, real: Tensor, keys: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Items (n, F, Nf, d), which of them there are, and the slots' keys (n, K, d) of the stream of each row ->
        (n, F, 1 + Nf, d); or, of the places `wanted` (n, R), counted over a stream's fragments, (n, R, d)."""
        count = fragments.shape[1]
        x = torch.cat([self.first.expand(*fragments.shape[:2], 1, -1), fragments], 2) + self.places
        # Without a mask the fused attention is faster; a graphics card would have to be waited for to know.
        whole = real.device.type == "cpu" and not torch.compiler.is_compiling() and bool(real.all())
        keep = None if whole else F.pad(real, (1, 0), value=True).flatten(0, 1)
        memory, rows = self.decoder.remember(keys), None
        each = memory if wanted is None else memory[:-1]
        # The memory of a stream goes to each of its own fragments, which stand next to each other.
        each = [Memory(_of_fragments(own.k, count), _of_fragments(own.v, count), None) for own in each]
        if wanted is not None:

            def rows(x: Tensor) -> Tensor:
                return x.view(len(wanted), -1, x.shape[2]).gather(1, wanted.unsqueeze(2).expand(-1, -1, x.shape[2]))

            each.append(memory[-1])
        y, _ = self.decoder(x.flatten(0, 1), keep, None, each, rows)
        return y if rows is not None else y.unflatten(0, (-1, count))

    def forward(
        self, item: nn.Module, table: Tensor, x: Tensor, words: Tensor, keys: Tensor, parts: Fragments
    ) -> Rehearsed:
        """item: words or features to vectors; table (V + 1, d): of single words; x (B, L, d): items; words (B, L, W),
        or features; keys (B, K, d): of memory."""
        rows = torch.arange(len(x), device=x.device).view(-1, 1, 1)
        own = x[rows, parts.place]
        shown = torch.where(parts.masked.unsqueeze(-1), self.mask, own)
        changed = torch.where(parts.replaced.unsqueeze(-1), item(parts.donors), shown)
        # Of what is decoded only the masked places and each fragment's first one are looked at.
        streams, count, length = parts.masked.shape
        firsts = torch.arange(0, 2 * count * (1 + length), 1 + length, device=x.device)
        masks = self.most_masked()
        # (B, F, masks): the masked ones first
        places = (~parts.masked).byte().argsort(dim=-1, stable=True)[..., :masks]
        wanted = torch.cat([firsts.expand(streams, -1), (places + 1 + firsts[:count, None]).flatten(1)], 1)
        both = self.decode(torch.cat([shown, changed], 1), torch.cat([parts.real, parts.real], 1), keys, wanted)
        first = self.real(both[:, : 2 * count]).squeeze(-1).float()
        u = both[:, 2 * count :].unflatten(1, (count, masks))[parts.masked.gather(2, places)]
        enough = (parts.real.sum(-1) > 1).float()
        loss, right = self._restored(item, table, u, own, words[rows, parts.place], parts)
        told = F.softplus(-first[:, :count]) + F.softplus(first[:, count:])
        return Rehearsed(loss, parts.masked.sum(), (told * enough).sum(), enough.sum(), right)

    def most_masked(self) -> int:
        """How many items of a fragment are masked at most (samples.py draws exact shares)."""
        share, length = self.options.masked, self.options.length
        return int(min(max(round(share * length), 1), length - 1))

    def _restored(
        self, item: nn.Module, table: Tensor, u: Tensor, own: Tensor, words: Tensor, parts: Fragments
    ) -> tuple[Tensor, Tensor]:
        """The sum over masked items of -log of their share: among all words where an item is one, else among drawn
        items that say something else, and, of features, items of the fragment that are far enough away: what stands
        next to each other is nearly the same."""
        where = parts.masked
        u = self.restore(u)  # (n, d)
        if words.shape[-1] == 1 and not words.is_floating_point():
            # Not among nothing: the row of padding would be trained, and an answer would hang on how much there is.
            scores = (u @ table[1:].T).float() * u.shape[-1] ** -0.5
            target = words[where][:, 0] - 1  # -1: a word that is not known has no share
        else:
            true = F.normalize(own[where], dim=-1)
            others = F.normalize(item(parts.negatives), dim=-1)  # (B, J, d)
            stream = where.nonzero()[:, 0]
            u = F.normalize(u, dim=-1)
            against = (others[stream] @ u.unsqueeze(-1)).squeeze(-1).masked_fill(parts.same[where], -1e4)
            beside = [self._far(u, own, words, parts)] if words.is_floating_point() and self.options.min_gap else []
            scores = torch.cat([(u * true).sum(-1, keepdim=True), against, *beside], 1).float()
            scores = scores / self.options.temperature
            target = torch.zeros(len(u), dtype=torch.long, device=u.device)
        right = torch.zeros_like(where)
        right[where] = scores.argmax(-1) == target
        return F.cross_entropy(scores, target, reduction="sum", ignore_index=-1), right

    def _far(self, u: Tensor, own: Tensor, features: Tensor, parts: Fragments) -> Tensor:
        """Scores (n, Nf) of what is restored, u (n, d), beside the items of its own fragment, as far as these are
        negatives: `min_gap` places away or further, and other than the masked one."""
        where = parts.masked.nonzero()  # (n, 3)
        at = where[:, 0] * parts.masked.shape[1] + where[:, 1]
        mine = F.normalize(own, dim=-1).flatten(0, 1)[at]  # (n, Nf, d)
        place = torch.arange(own.shape[2], device=u.device)
        far = (place - where[:, 2:]).abs() >= self.options.min_gap
        told = features.flatten(0, 1)[at]
        other = (told != features[parts.masked].unsqueeze(1)).any(-1)
        real = parts.real.flatten(0, 1)[at]
        return (mine @ u.unsqueeze(-1)).squeeze(-1).masked_fill(~(far & other & real), -1e4)


class Teacher(nn.Module):
    """Sees the whole stream and answers by attention to its fragments: what it attends to is worth rehearsing ("what to
    rehearse?"). A fragment is the mean of its items."""

    def __init__(
        self, dim: int, words: int, answers: int, fragment: int, dropout: float, standard: Standard | None = None
    ) -> None:
        super().__init__()
        table = word_table(words, dim)
        self.item, self.question, self.fragment = item_encoder(table, standard), Told(table), fragment
        self.ask, self.key = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.value, self.head = nn.Linear(dim, dim), AnswerHead(dim, max(answers, 1), dropout)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """-> scores (Q, A), and beta (Q, I): how much each question attends to each fragment of its stream."""
        return self.attend(batch, *self.fragments(batch))

    def attend(self, batch: Batch, h: Tensor, begin: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """The same from the stream's fragments."""
        q = self.question(batch.asked)
        keys, values = self.key(h)[batch.stream], self.value(h)[batch.stream]
        seen = there[batch.stream] & (begin[batch.stream] < batch.time.unsqueeze(1))
        scores = (keys @ self.ask(q).unsqueeze(-1)).squeeze(-1) * q.shape[-1] ** -0.5
        beta = scores.masked_fill(~seen, -1e9).softmax(-1)
        c = (beta.unsqueeze(1) @ values).squeeze(1)
        return self.head(q, c, q * c), beta

    def fragments(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The mean of each fragment's items (B, I, d), where it begins, (B, I), and which there are, (B, I)."""
        begin, end, there = self.places(batch.length)
        x = self.item(batch.words)
        inside = torch.arange(x.shape[1], device=x.device) < batch.length.unsqueeze(1)
        sums = F.pad((x * inside.unsqueeze(-1)).cumsum(1), (0, 0, 1, 0))
        rows = torch.arange(len(x), device=x.device).unsqueeze(1)
        return (sums[rows, end] - sums[rows, begin]) / (end - begin).clamp(min=1).unsqueeze(-1), begin, there

    def places(self, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Begin, end (B, I) of the fragments of streams of these lengths, and which there are (samples.starts)."""
        last, stride = (length - self.fragment).clamp(min=0), max(self.fragment // 2, 1)
        count = (last + stride - 1) // stride + 1
        number = torch.arange(int(count.max()), device=length.device)
        begin = torch.minimum(number * stride, last.unsqueeze(1))
        end = torch.minimum(begin + self.fragment, length.unsqueeze(1))
        return begin, end, number < count.unsqueeze(1)


class Student(nn.Module):
    """Says which fragments are worth rehearsing without a question: softmax over i of g(h_i, mean h), where h_i are the
    teacher's fragments. It learns the teacher's attention, the mean over a stream's questions."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(3 * dim, dim), nn.Linear(dim, 1)

    def forward(self, h: Tensor, there: Tensor) -> Tensor:
        """h (B, I, d), there (B, I) -> logarithms of shares (B, I)."""
        mean = (h * there.unsqueeze(-1)).sum(1, keepdim=True) / there.sum(1).clamp(min=1).view(-1, 1, 1)
        both = torch.cat([h, mean.expand_as(h), h * mean], -1)
        scores = self.outer(F.gelu(self.inner(both))).squeeze(-1)
        return scores.masked_fill(~there, -1e9).log_softmax(-1)
