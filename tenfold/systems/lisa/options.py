"""What can be chosen for LISA. Its three variants are presets: base, soft and mini (section 3.4 of the paper).

The presets are the paper's. The defaults have the sizes of base, which the validation part of MovieLens-100K prefers to
mini at equal training time, by 1 % (benchmarks/lisa_preset.py), another coding and counts of candidates (docs/log.md).
"""

from typing import Annotated, ClassVar, Literal

from tenfold.options import Tune, option, options
from tenfold.tasks.next_item.options import LossOptions, SketchOptions, Training

# What the presets, the paper's variants, have and the defaults have not.
PAPER = {
    "codebooks.coding": "bilinear",
    "codebooks.start": "slice",
    "codebooks.distinct": False,
    "codebooks.refresh": 1,
    "training.lr": 1e-3,
    "expansion": 1,
    "counts.of": "none",
    "long_windows": False,
}
Targets = Literal["same", "own", "items"]


@options
class CodebookOptions:
    books: Annotated[int, option("B, codebooks; an item is one codeword of each", gt=0)] = 8
    words: Annotated[int, option("W, codewords in each codebook of the histories", gt=1, le=256)] = 128
    target_words: Annotated[int, option("codewords in each codebook of the targets, for targets=own", gt=1, le=256)] = (
        128
    )
    temperature: Annotated[float, option("tau of the soft codes", gt=0)] = 0.7
    coding: Annotated[
        Literal["nearest", "bilinear"],
        option("nearest: the codeword nearest to what is left, and items learn as if they were not coded; bilinear: "
               "the paper's, by a learned matrix and a straight-through softmax"),
    ] = "nearest"  # fmt: skip
    start: Annotated[
        Literal["slice", "official", "kmeans"],
        option("start of codewords and projections; official: tiny; kmeans: codewords from the items' own start"),
    ] = "kmeans"
    distinct: Annotated[
        bool, option("where items share all codes, all but one change a code for the nearest that is free")
    ] = True
    residual: Annotated[bool, option("a codebook encodes what those before it left")] = True
    refresh: Annotated[
        int | None,
        option("steps of training in which the codes of all items are made anew, an equal part at each, for "
               "coding=nearest; none: one and another for every 3,000 items, at most 4", gt=0),
    ] = None  # fmt: skip
    learn_counts: Annotated[bool, option("the codes learn through the histograms too")] = True
    revive: Annotated[int, option("training steps after which unused codewords are seeded anew; 0: never", ge=0)] = 0


@options
class AttentionOptions:
    decay: Annotated[float, option("lambda, by which an event fades with each one after it; 0: never", ge=0)] = 0.1
    long_decay: Annotated[
        float | None, option("lambda of every second codebook, by which old events count; none: decay", ge=0)
    ] = None
    learn_decay: Annotated[bool, option("learn lambda, one for each codebook, from decay on")] = False
    recent: Annotated[
        int | None,
        option(
            "w, the last events, attended to one by one, older ones by their codewords; at most training.length; "
            "none: all by their codewords",
            gt=0,
        ),
    ] = None
    shared: Annotated[bool, option("one projection of queries, keys and values for all codebooks")] = False


@options
class CountOptions(SketchOptions):
    """The sketch is that of counts.of=items and joint."""

    of: Annotated[
        Literal["none", "items", "joint", "codewords"],
        option("a candidate's own count adds to its score: of none; that of a sketch of items, or of all codes of an "
               "item together; or the least of its codewords' counts"),
    ] = "none"  # fmt: skip


@options
class Options:
    presets: ClassVar = {
        "base": {"codebooks.words": 128, "soft": False, "targets": "same"} | PAPER,
        "soft": {"codebooks.words": 16, "soft": True, "targets": "items"} | PAPER,
        "mini": {"codebooks.words": 16, "soft": False, "targets": "own"} | PAPER,
    }

    dim: Annotated[int, option("D, width of an item and of the user vector", gt=0)] = 64
    layers: Annotated[int, option("blocks; those above the first quantise their input anew", gt=0)] = 1
    dropout: Annotated[
        float, option("dropout of events, attention and feed-forward", ge=0, lt=1, tune=Tune(0.1, 0.5))
    ] = 0.2
    expansion: Annotated[int, option("width of the feed-forward's hidden layer, in multiples of D", gt=0)] = 4
    soft: Annotated[bool, option("histograms of soft codes (LISA-Soft)")] = False
    targets: Annotated[
        Targets, option("what is found: items by the histories' codes, by codes of their own, or raw")
    ] = "same"
    positions: Annotated[bool, option("a learned vector for each position of a window")] = True
    long_windows: Annotated[
        bool,
        option(
            "training windows of 2,048 events, fewer in a batch, where the user of a training event has 1,000 or more"
        ),
    ] = True
    regulariser: Annotated[float, option("pulls an item towards its codes, for soft", ge=0)] = 0.01
    codebooks: CodebookOptions = CodebookOptions()
    attention: AttentionOptions = AttentionOptions()
    counts: CountOptions = CountOptions(of="items")
    loss: LossOptions = LossOptions()
    training: Training = Training(lr=3e-3)  # what nearest codewords need: docs/log.md
