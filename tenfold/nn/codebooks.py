"""Additive quantisation that is learned with everything else: a vector becomes a sum of B codewords, one a codebook.

Wu et al., WWW 2021 (arXiv 2105.14068), section 3.1, after LightRec (Lian et al., WWW 2020). With u_1 = x,

    a_b = u_b M C_b^T     p_b = softmax(a_b / tau)     code_b = argmax a_b     u_{b+1} = u_b - r_b     x_hat = sum_b r_b

r_b is the chosen codeword, and its gradient that of the mixture p_b C_b (straight-through). One matrix M serves all
codebooks. What is ours: the start, chosen by name, the reseeding of codewords that no item uses, rows of equal codes
set apart, and a second coding, `nearest`: a_b = u_b C_b^T - |C_b|^2 / 2, the largest of which is the codeword nearest
to what is left, so that each codebook leaves less; x has the gradient of x_hat as it is (van den Oord et al. 2017).

Shapes: R rows, B codebooks, W codewords, D width, V items (0 is padding).
"""

import itertools
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.errors import OptionError, ShapeError
from tenfold.ops.codeword_histogram import MOST_CODEWORDS
from tenfold.ops.products import linear
from tenfold.ops.straight_through import decode, straight_through

Start = Literal["slice", "official", "kmeans"]
Coding = Literal["nearest", "bilinear"]
LOOKED_AT = 1 << 13  # rows from which codewords start
EARLY = 8  # steps after which codes may be one step older


class Encoded(NamedTuple):
    """Row 0 of a catalogue is padding; nobody looks its codes up."""

    vectors: Tensor  # x_hat (R, D)
    codes: Tensor  # (R, B) uint8
    p: Tensor | None  # (R, B, W), the soft codes; None where nothing learns by them and nothing is soft


class Codebooks(nn.Module):
    """x (R, D) -> Encoded.

    soft: r_b is the mixture p_b C_b itself (LISA-Soft).  residual = False: every codebook looks at x.
    coding: bilinear, the paper's, by M; nearest: there is no M, and hard codes have no soft ones.
    start: how codewords begin. official: as the authors' code, whose Xavier counts a codebook as a channel, so that
    codewords are up to 8 times smaller than by `slice`, Xavier for each codebook. kmeans: `slice`, until `start_from`.
    """

    def __init__(
        self,
        dim: int,
        books: int,
        words: int,
        *,
        temperature: float = 0.7,
        soft: bool = False,
        residual: bool = True,
        start: Start = "slice",
        coding: Coding = "bilinear",
    ) -> None:
        super().__init__()
        if not 1 <= words <= MOST_CODEWORDS:
            raise OptionError(f"a codebook has 1 to {MOST_CODEWORDS} codewords, since a code is a byte; found {words}")
        if books < 1:
            raise OptionError(f"at least one codebook is needed; found {books}")
        if not temperature > 0:
            raise OptionError(f"the temperature tau must be above 0; found {temperature}")
        self.temperature, self.soft, self.residual = temperature, soft, residual
        self.codewords = nn.Parameter(torch.empty(books, words, dim))  # C
        self.similarity = nn.Parameter(torch.empty(dim, dim)) if coding == "bilinear" else None  # M
        if self.similarity is not None:
            nn.init.xavier_normal_(self.similarity)
        if start == "official":
            nn.init.xavier_normal_(self.codewords)
        else:
            nn.init.normal_(self.codewords, std=(2 / (words + dim)) ** 0.5)

    def forward(self, x: Tensor, *, vectors_only: bool = False, given: Tensor | None = None) -> Encoded:
        """vectors_only: nobody asks for the soft codes, and they are not kept together.

        given: codes (R, B) to take in place of x's own; for hard codes of coding=nearest alone.
        """
        if x.dim() != 2 or x.shape[1] != self.codewords.shape[2]:
            raise ShapeError(f"codebooks need x (R, D = {self.codewords.shape[2]}); found {tuple(x.shape)}")
        if self.similarity is None and not self.soft:
            hard = self.nearest(x) if given is None else given
            return Encoded(decode(x, hard, self.codewords), hard, None)
        learns = torch.is_grad_enabled() and (x.requires_grad or self.codewords.requires_grad)
        keys, far = self._keys()
        rest, total = x, torch.zeros_like(x)
        codes, soft_codes = [], []
        for b, (key, codewords) in enumerate(zip(keys, self.codewords, strict=True)):
            a = linear(rest, key) if far is None else linear(rest, key) - far[b]  # (R, W)
            code = largest(a)
            if learns or self.soft:
                p = (a / self.temperature).softmax(1)
                if not vectors_only:
                    soft_codes.append(p)
                r = p @ codewords if self.soft else straight_through(p, code, codewords)
            else:
                r = codewords[code]
            codes.append(code.to(torch.uint8))
            total = total + r
            if self.residual:
                rest = rest - r
        return Encoded(total, torch.stack(codes, 1), torch.stack(soft_codes, 1) if soft_codes else None)

    def _keys(self) -> tuple[Tensor, Tensor | None]:
        """What a rest is multiplied with, (B, W, D), and what is subtracted, (B, W): |C|^2 / 2, or nothing."""
        if self.similarity is None:
            return self.codewords, 0.5 * self.codewords.square().sum(-1)
        # u M C^T = u (C M^T)^T: R D W in place of R D (D + W) for each codebook.
        return self.codewords @ self.similarity.T, None

    @torch.no_grad()
    def nearest(self, x: Tensor) -> Tensor:
        """x (R, D) -> the hard codes (R, B) uint8, by the coding that was chosen."""
        keys, far = self._keys()
        rest, codes = x, []
        for b, key in enumerate(keys):
            a = linear(rest, key)
            code = largest(a if far is None else a.sub_(far[b]))
            codes.append(code.to(torch.uint8))
            if self.residual:
                rest = rest - self.codewords[b][code]
        return torch.stack(codes, 1)

    @torch.no_grad()
    def apart(self, x: Tensor, codes: Tensor) -> Tensor:
        """Codes (R, B) of x (R, D) with each row's own: where rows share all codes, the row that they tell best keeps
        them, and the others change one, the last unless nothing is free there, for the nearest that makes them new.

        Of more rows than single changes tell apart, the rest change two codes; those for which that is not enough
        either, as in small codebooks, stay as they are.
        """
        first = collisions(codes)
        shared = np.flatnonzero(np.bincount(first, minlength=len(first))[first] > 1)
        if not len(shared):
            return codes
        told, vectors = codes.cpu().numpy().copy(), torch.from_numpy(shared).to(x.device)
        parts = torch.stack([words[code.long()] for words, code in zip(self.codewords, codes[vectors].T, strict=True)])
        left = x[vectors] - parts.sum(0)  # what no codeword tells
        order = np.lexsort((left.norm(dim=1).cpu().numpy(), first[shared]))
        keeps = np.diff(first[shared[order]], prepend=-1) != 0
        moving = order[~keeps]
        taken = {row.tobytes() for row in told}
        for b in reversed(range(len(self.codewords))):
            if not len(moving):
                break
            here = torch.from_numpy(moving).to(x.device)
            # Nearest to what is left without this codebook, whatever the coding: the others stay.
            without = left[here] + parts[b, here] if self.residual else x[vectors[here]]
            wanted = (without @ self.codewords[b].T - 0.5 * self.codewords[b].square().sum(1)).argsort(
                1, descending=True
            )
            full: set[bytes] = set()  # codes of which no change in this codebook is free: those of many rows alike
            stays = np.ones(len(moving), bool)
            for i, alternatives in enumerate(wanted.to(torch.uint8).cpu().numpy()):
                row = told[shared[moving[i]]]
                if (own := row.tobytes()) not in full:
                    stays[i] = not _takes_a_free_one(row, b, alternatives, taken)
                    full |= {own} if stays[i] else set()
            moving = moving[stays]
        self._change_two(told, shared[moving], taken)
        return torch.from_numpy(told).to(codes.device)

    def _change_two(self, told: np.ndarray, moving: np.ndarray, taken: set[bytes]) -> None:
        """Rows of `told` (R, B) that many others equal: those of one group go through pairs of codes in one order, that
        of what the pairs change in the group's vector."""
        words = self.codewords.detach()
        for pair in itertools.combinations(reversed(range(len(words))), 2) if len(moving) else ():
            groups: dict[bytes, list[int]] = {}
            for row in moving.tolist():
                groups.setdefault(told[row].tobytes(), []).append(row)
            left: list[int] = []
            for group in groups.values():
                one, other = (words[b] - words[b, int(told[group[0], b])] for b in pair)
                cost = (one.square().sum(1)[:, None] + other.square().sum(1) + 2 * one @ other.T).flatten()
                waiting = iter(group)
                row = next(waiting, None)
                for place in cost.argsort().tolist():
                    if row is None:
                        break
                    tried = told[row].copy()
                    tried[list(pair)] = divmod(place, words.shape[1])
                    if (key := tried.tobytes()) not in taken:
                        taken.add(key)
                        told[row], row = tried, next(waiting, None)
                left += [] if row is None else [row, *waiting]
            moving = np.array(left, np.int64)
            if not left:
                return

    @torch.no_grad()
    def start_from(self, x: Tensor, *, rounds: int = 4, seed: int = 0) -> None:
        """Codewords from residual k-means of x (R, D), or of some of its rows; M the identity, where there is one."""
        generator = torch.Generator().manual_seed(seed)
        rest = x
        if len(rest) > LOOKED_AT:
            rest = rest[torch.randperm(len(rest), generator=generator)[:LOOKED_AT].to(rest.device)]
        for codewords in self.codewords:
            chosen = torch.randperm(len(rest), generator=generator)[torch.arange(len(codewords)) % len(rest)]
            centres = rest[chosen.to(rest.device)].clone()
            for _ in range(rounds):
                nearest = _nearest(rest, centres)
                count = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)
                means = torch.zeros_like(centres).index_add_(0, nearest, rest) / count.unsqueeze(1)
                used = torch.bincount(nearest, minlength=len(centres)) > 0
                centres = torch.where(used.unsqueeze(1), means, centres)
            codewords.copy_(centres)
            if self.residual:
                rest = rest - centres[_nearest(rest, centres)]
        if self.similarity is not None:
            self.similarity.copy_(torch.eye(len(self.similarity)))

    @torch.no_grad()
    def revive(self, x: Tensor) -> int:
        """Codewords that no row of x (R, D) uses become what the rows with the largest rest still lack; how many.

        Nothing is drawn: every process that holds the same x does the same.
        """
        revived, rest = 0, x
        keys, far = self._keys()
        for b, codewords in enumerate(self.codewords):
            a = rest @ keys[b].T
            code = (a if far is None else a - far[b]).argmax(1)
            dead = torch.bincount(code, minlength=len(codewords)) == 0
            after = rest - codewords[code]
            count = min(int(dead.sum()), len(rest))
            if count:
                farthest = after.norm(dim=1).topk(count).indices
                self.codewords[b, dead.nonzero()[:count, 0]] = rest[farthest]
                revived += count
            rest = after if self.residual else rest
        return revived


class CodesInTurns(nn.Module):
    """The hard codes of a table in training: at each step those of every n-th row are made anew, another n-th at the
    next; codewords and vectors are those of the step.

    n grows with the steps so far, since vectors move fastest at first.
    """

    of_training = ("codes", "steps")  # what a checkpoint holds, and a saved system does not
    codes: Tensor
    steps: Tensor

    def __init__(self, rows: int, books: int, every: int) -> None:
        """every: the largest n."""
        super().__init__()
        self.every = every
        self.register_buffer("codes", torch.zeros(rows, books, dtype=torch.uint8), persistent=False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64), persistent=False)

    @torch.no_grad()
    def forward(self, books: Codebooks, table: Tensor, scale: float, rows: Tensor | None = None) -> Tensor:
        """The codes (R, B) of scale * table (R, D), or of these rows of it. One call a step.

        Rows so few that a turn would take longer have their own codes made anew.
        """
        if rows is not None and len(rows) * self.every <= len(table):
            return books.nearest(table[rows] * scale)
        steps = int(self.steps)
        n = min(self.every, 1 + steps // EARLY)
        self.codes[steps % n :: n] = books.nearest(table[steps % n :: n] * scale)
        self.steps += 1
        return self.codes.clone() if rows is None else self.codes[rows]


class Usage(NamedTuple):
    """How evenly codewords are used, by codebook."""

    counts: np.ndarray  # (B, W), rows that have this code
    perplexity: np.ndarray  # (B,), exp of the entropy: W where all are used alike
    dead: float  # share of codewords that no row uses


def usage(codes: Tensor, words: int) -> Usage:
    """codes (R, B) of real rows, without the padding's."""
    counts = np.stack([np.bincount(book, minlength=words) for book in codes.T.cpu().numpy()])
    share = counts / max(len(codes), 1)
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(1)
    return Usage(counts, np.exp(entropy), float((counts == 0).mean()))


def collisions(codes: Tensor) -> np.ndarray:
    """codes (R, B) -> (R,): the first row with exactly these codes, which is the row itself where no other has them."""
    told = np.ascontiguousarray(codes.cpu().numpy())
    if told.dtype == np.uint8 and told.shape[1] <= 8:  # a row as one number is sorted much sooner
        wide = np.zeros((len(told), 8), np.uint8)
        wide[:, : told.shape[1]] = told
        _, first, inverse = np.unique(wide.view(np.uint64)[:, 0], return_index=True, return_inverse=True)
    else:
        _, first, inverse = np.unique(told, axis=0, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def _nearest(x: Tensor, centres: Tensor) -> Tensor:
    """x (R, D), centres (W, D) -> (R,): which is nearest."""
    return largest(torch.addmm(-0.5 * centres.square().sum(1), x, centres.T))


def largest(a: Tensor) -> Tensor:
    """a (R, W) -> (R,): where each row is largest, of equal places the first.

    On a CPU by numpy, which took a sixth of the time of torch's argmax at W = 128.
    """
    if a.device.type == "cpu" and a.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(a.detach().numpy().argmax(1))
    return a.argmax(1)


def sharing(codes: Tensor) -> int:
    """How many rows of codes (R, B) share all of them with another."""
    first = collisions(codes)
    return int((np.bincount(first, minlength=len(first))[first] > 1).sum())


def _takes_a_free_one(row: np.ndarray, book: int, alternatives: np.ndarray, taken: set[bytes]) -> bool:
    """Give a row (B,) the first of the alternatives in this book that no other row has; False where all are taken."""
    before = row[book]
    for code in alternatives:
        row[book] = code
        if (told := row.tobytes()) not in taken:
            taken.add(told)
            return True
    row[book] = before
    return False
