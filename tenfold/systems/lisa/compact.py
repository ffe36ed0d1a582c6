"""An exported LISA, which only answers: an item is its codes (sections 3.1 and 3.4 of the paper).

    Compact.load("runs/served").recommend(history=["i9", "i4"], k=10)

A user's score of an item is the sum of B numbers that are looked up, after one inner product with each codeword: the
table (V, D) is in no file and never in memory. LISA-Soft counts soft codes and finds raw items; it keeps its table, in
float32.

Shapes: N users, V items, R = V + 1 rows (0 is padding), B codebooks, W codewords, D width.
"""

from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, cast

import polars as pl
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from tenfold import artifact
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import ArtifactError, OptionError
from tenfold.nn.codebooks import Encoded
from tenfold.nn.lisa import Tables
from tenfold.systems.lisa.model import Catalogue, LisaNetwork
from tenfold.systems.lisa.options import Options
from tenfold.systems.lisa.packing import ITEMS_AT_ONCE, unpack_codes
from tenfold.systems.lisa.system import LISA


class CodedTable:
    """A table (R, D) whose rows are sums of codewords, in the place of a tensor: it can what is asked of one there.

    Rows are decoded when they are looked at, `table[rows]` and F.embedding(rows, table); users @ table.T are lookups.
    """

    def __init__(self, codes: Tensor, codewords: Tensor) -> None:
        """codes (R, B) uint8, codewords (B, W, D)."""
        self.codes, self.codewords = codes, codewords.detach()

    def __getitem__(self, rows: Any) -> Tensor:
        total = torch.zeros(())
        for code, words in zip(self.codes[rows].long().unbind(-1), self.codewords, strict=True):
            total = total + words[code]
        return total

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[1][args[0]] if function is F.embedding else NotImplemented

    @property
    def T(self) -> "_Transposed":  # noqa: N802
        return _Transposed(self)

    def norm(self, dim: int) -> Tensor:
        """The length of each row, (R,)."""
        return self._norms

    @cached_property
    def _norms(self) -> Tensor:
        return torch.cat([self[part].norm(dim=1) for part in torch.arange(len(self.codes)).split(ITEMS_AT_ONCE)])


class _Transposed(NamedTuple):
    table: CodedTable

    def __rmatmul__(self, users: Tensor) -> Tensor:
        """users (N, D) -> (N, R): an inner product with each codeword, then B lookups a row."""
        products = torch.einsum("nd,bwd->nbw", users.detach(), self.table.codewords).contiguous()
        scores = torch.empty(len(users), len(self.table.codes))
        lookup_sums(products.numpy(), self.table.codes.numpy(), scores.numpy())
        return scores


def lookup_sums_reference(products: Tensor, codes: Tensor) -> Tensor:
    """products (N, B, W), codes (R, B) -> scores (N, R) = sum_b products[n, b, codes[r, b]]."""
    return sum(products[:, b, codes[:, b].long()] for b in range(codes.shape[1]))  # type: ignore[return-value]


@cast(Any, njit)(cache=True, nogil=True)
def lookup_sums(products, codes, scores):  # type: ignore[no-untyped-def]
    """The same into `scores`. A user's products, B W numbers, stay in the first cache."""
    for n in range(len(products)):
        for r in range(len(codes)):
            total = products[n, 0, codes[r, 0]]
            for b in range(1, codes.shape[1]):
                total += products[n, b, codes[r, b]]
            scores[n, r] = total


class CodedNetwork(LisaNetwork):
    """LISA's network without its items and without what encodes them; `hold` brings the items' codes.

    Of projections and the tables T and V that are made from them it has what is smaller: B W (W + D) numbers, or 3 D^2
    for each codebook (or for all, where they share them).
    """

    scores: Tensor  # T (B, W, W)
    values: Tensor  # V (B, W, D)
    held: Catalogue

    def __init__(self, options: Options) -> None:
        super().__init__(0, options)
        books, words, dim = self.codebooks.codewords.shape
        del self.item, self.codebooks.similarity
        if self.target_codebooks is not None:
            del self.target_codebooks.similarity
        self.tabled = books * words * (words + dim) <= 3 * self.attention.query.numel()
        if self.tabled:
            del self.attention.query, self.attention.key, self.attention.value
            self.register_buffer("scores", torch.empty(books, words, words))
            self.register_buffer("values", torch.empty(books, words, dim))

    @torch.no_grad()
    def hold(self, history: Tensor, targets: Tensor | None) -> None:
        """Codes (V, B) of the items in histories and, where they are others, of what is found."""
        tables = Tables(self.scores, self.values) if self.tabled else self.attention.tables(self.codebooks.codewords)
        events = CodedTable(F.pad(history, (0, 0, 1, 0)), self.codebooks.codewords)
        found = events
        if self.target_codebooks is not None and targets is not None:
            found = CodedTable(F.pad(targets, (0, 0, 1, 0)), self.target_codebooks.codewords)
        encoded = Encoded(cast(Tensor, events), events.codes, None)
        keys = None
        if self.counts is not None:
            self.counts.have(len(history))
            keys = self.counts.keys(events.codes)
        self.held = Catalogue(cast(Tensor, None), encoded, tables, cast(Tensor, found), found.codes, keys)

    def catalogue(self, items: Tensor | None = None) -> Catalogue:
        return self.held


def keeps_items(options: Options) -> bool:
    """Whether answers need the items themselves: soft codes are made from them, raw targets are them."""
    return options.soft or options.targets == "items"


class Compact(LISA):
    """An exported LISA: it recommends, streams, predicts and is evaluated as the system is, on the CPU.

    It takes the system's states for its own: a store that the one has written the other goes on with.
    """

    _fingerprint: str

    def build(self) -> LisaNetwork:
        return super().build() if keeps_items(self.options) else CodedNetwork(self.options)

    @classmethod
    def load(cls, folder: str | Path, *, weights: Literal["best", "last"] = "best") -> Self:
        """Raises ArtifactError where the folder does not hold a whole export, OptionError for the last weights."""
        if weights != "best":
            raise OptionError("an export holds the best weights only; load the folder that it was exported from")
        return super().load(folder)

    @classmethod
    def _loaded(cls, folder: Path, weights: str) -> Self:
        system, config = cls._configured(folder)
        try:
            system._fingerprint, items = str(config["fingerprint"]), int(config["sizes"]["items"])
        except KeyError as error:
            raise ArtifactError(f"{folder}/config.json was changed or is another version's: no {error}") from None
        frame = pl.read_parquet(BytesIO(artifact.read_file(folder, config, "items")))
        system.vocabularies = {"items": Vocabulary(frame["id"])}
        system.statistics = {"item_counts": F.pad(torch.from_numpy(frame["count"].to_numpy().copy()), (1, 0))}
        network = system._network = system.build().eval()
        parts = (artifact.unpack(artifact.read_file(folder, config, name)) for name in ("model", "codebooks"))
        artifact.put_weights(network, next(parts) | next(parts), f"{folder}")
        if isinstance(network, CodedNetwork):
            books, own = system.options.codebooks, network.target_codebooks is not None

            def codes(name: str, words: int) -> Tensor:
                return unpack_codes(artifact.read_file(folder, config, name), items, books.books, words)

            network.hold(
                codes("history_codes", books.words), codes("target_codes", books.target_words) if own else None
            )
        return system

    def fingerprint(self) -> str:
        """The exported system's."""
        return self._fingerprint

    def target_codes(self) -> Tensor:
        table = self.item_table()
        return table.codes[1:] if isinstance(table, CodedTable) else super().target_codes()

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise OptionError("a Compact only answers, and on the CPU; fit, save and move a LISA, and export that")

    fit = save = to = _refuse  # type: ignore[assignment]
