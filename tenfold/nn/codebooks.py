"""Additive quantisation that is learned with everything else: a vector becomes a sum of B codewords, one a codebook.

Wu et al., WWW 2021 (arXiv 2105.14068), section 3.1, after LightRec (Lian et al., WWW 2020). With u_1 = x,

    a_b = u_b M C_b^T     p_b = softmax(a_b / tau)     code_b = argmax a_b     u_{b+1} = u_b - r_b     x_hat = sum_b r_b

r_b is the chosen codeword, and its gradient that of the mixture p_b C_b (straight-through). One matrix M serves all
codebooks. What is ours: the start, chosen by name, and the reseeding of codewords that no item uses.

Shapes: R rows, B codebooks, W codewords, D width, V items (0 is padding).
"""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.errors import OptionError, ShapeError
from tenfold.ops.codeword_histogram import MOST_CODEWORDS
from tenfold.ops.products import linear
from tenfold.ops.straight_through import straight_through

Start = Literal["slice", "official", "kmeans"]


class Encoded(NamedTuple):
    """Row 0 of a catalogue is padding; nobody looks its codes up."""

    vectors: Tensor  # x_hat (R, D)
    codes: Tensor  # (R, B) uint8
    p: Tensor | None  # (R, B, W), the soft codes; None where nothing learns and nothing is soft


class Codebooks(nn.Module):
    """x (R, D) -> Encoded.

    soft: r_b is the mixture p_b C_b itself (LISA-Soft).  residual = False: every codebook looks at x.
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
        self.similarity = nn.Parameter(torch.empty(dim, dim))  # M
        nn.init.xavier_normal_(self.similarity)
        if start == "official":
            nn.init.xavier_normal_(self.codewords)
        else:
            nn.init.normal_(self.codewords, std=(2 / (words + dim)) ** 0.5)

    def forward(self, x: Tensor, *, vectors_only: bool = False) -> Encoded:
        """vectors_only: nobody asks for the soft codes, and they are not kept together."""
        if x.dim() != 2 or x.shape[1] != self.codewords.shape[2]:
            raise ShapeError(f"codebooks need x (R, D = {self.codewords.shape[2]}); found {tuple(x.shape)}")
        learns = torch.is_grad_enabled() and (x.requires_grad or self.codewords.requires_grad)
        # u M C^T = u (C M^T)^T: R D W in place of R D (D + W) for each codebook.
        keys = self.codewords @ self.similarity.T  # (B, W, D)
        rest, total = x, torch.zeros_like(x)
        codes, soft_codes = [], []
        for key, codewords in zip(keys, self.codewords, strict=True):
            a = linear(rest, key)  # (R, W)
            code = a.argmax(1)  # of equal ones the first
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

    @torch.no_grad()
    def start_from(self, x: Tensor, *, rounds: int = 20, seed: int = 0) -> None:
        """Codewords from residual k-means of x (R, D), and M the identity: codes begin near the nearest codeword."""
        generator = torch.Generator().manual_seed(seed)
        rest = x
        for codewords in self.codewords:
            chosen = torch.randperm(len(rest), generator=generator)[torch.arange(len(codewords)) % len(rest)]
            centres = rest[chosen.to(rest.device)].clone()
            for _ in range(rounds):
                nearest = torch.cdist(rest, centres).argmin(1)
                count = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)
                means = torch.zeros_like(centres).index_add_(0, nearest, rest) / count.unsqueeze(1)
                used = torch.bincount(nearest, minlength=len(centres)) > 0
                centres = torch.where(used.unsqueeze(1), means, centres)
            codewords.copy_(centres)
            if self.residual:
                rest = rest - centres[torch.cdist(rest, centres).argmin(1)]
        self.similarity.copy_(torch.eye(len(self.similarity)))

    @torch.no_grad()
    def revive(self, x: Tensor) -> int:
        """Codewords that no row of x (R, D) uses become what the rows with the largest rest still lack; how many.

        Nothing is drawn: every process that holds the same x does the same.
        """
        revived, rest = 0, x
        for b, codewords in enumerate(self.codewords):
            a = rest @ (codewords @ self.similarity.T).T
            code = a.argmax(1)
            dead = torch.bincount(code, minlength=len(codewords)) == 0
            after = rest - codewords[code]
            count = min(int(dead.sum()), len(rest))
            if count:
                farthest = after.norm(dim=1).topk(count).indices
                self.codewords[b, dead.nonzero()[:count, 0]] = rest[farthest]
                revived += count
            rest = after if self.residual else rest
        return revived


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
    _, first, inverse = np.unique(codes.cpu().numpy(), axis=0, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]
