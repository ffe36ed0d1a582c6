"""What can be chosen for SANA. Imports no torch."""

from typing import Annotated, ClassVar, Literal

from tenfold.options import option, options
from tenfold.tasks.table_text.options import NetworkOptions, SearchOptions, TextOptions, Training
from tenfold.tasks.table_text.options import PredictOptions as TaskPredictOptions
from tenfold.tasks.table_text.options import Protocol as TaskProtocol

Constraint = Literal["hard", "soft", "none"]


@options
class SketchOptions:
    """Stage 1 and what becomes of its skeletons."""

    search: SearchOptions = SearchOptions(block=3)
    longest: Annotated[int, option("tokens of a skeleton", gt=0)] = 40
    end_anchor: Annotated[str, option("the sign that ends each skeleton and so each text; empty: none")] = ""
    share: Annotated[
        float, option("of the seconds, steps or units that a fit is given; the edits have the rest", gt=0, lt=1)
    ] = 0.35
    crossfit: Annotated[
        int, option("skeletons to train stage 2 on come from so many networks that did not see them; 0: from one", ge=0)
    ] = 0


@options
class EditOptions:
    """Stage 2: how it is trained, and how it writes."""

    protect: Annotated[
        float, option("beta: how likely a skeleton's token stays when tokens are taken out", ge=0, le=1)
    ] = 0.7
    roll_in: Annotated[
        Literal["skeleton", "uniform"],
        option("what is taken out: not the skeleton, or anything (Levenshtein Transformer)"),
    ] = "skeleton"
    sampled: Annotated[bool, option("deletions are learned on drawn predictions, not on the likeliest")] = False
    room_smoothing: Annotated[float, option("label smoothing of how many tokens are missing", ge=0, lt=1)] = 0.01
    most_rounds: Annotated[int, option("rounds of edits", gt=0)] = 10
    eos_penalty: Annotated[float, option("taken from the score of 'nothing is missing': longer texts", ge=0)] = 0.0
    collapse: Annotated[bool, option("of equal neighbours one is left, unless both must stay")] = True


@options
class Options:
    presets: ClassVar = {
        "paper": {
            "network.dim": 512, "network.layers": 6, "network.heads": 8, "network.hidden": 2048,
            "network.word_dim": 420,
            "network.key_dim": 80, "network.dropout": 0.3, "network.norm": "post",
            "text.vocabulary": 24_996, "training.lr": 5e-4, "training.warmup": 10_000, "sketch.end_anchor": ".",
        },
    }  # fmt: skip

    text: TextOptions = TextOptions()
    network: NetworkOptions = NetworkOptions()
    sketch: SketchOptions = SketchOptions()
    edit: EditOptions = EditOptions()
    training: Training = Training()


@options
class Protocol(TaskProtocol):
    """How texts are measured, beside the split and its part."""

    constraint: Annotated[Constraint, option("as of predict")] = "hard"
    skeletons: Annotated[
        Literal["own", "gold", "cells"],
        option("stage 1's; those of the first reference, which no user has; or all cells in their order"),
    ] = "own"


@options
class PredictOptions(TaskPredictOptions):
    """How files of tables are answered."""

    constraint: Annotated[
        Constraint, option("hard: the skeleton stays; soft: it is where the text begins; none: there is none")
    ] = "hard"
    must_include: Annotated[tuple[str, ...], option("keys whose values are in the text word for word")] = ()
    leave_out: Annotated[tuple[str, ...], option("keys that are not told of")] = ()
    answers: Annotated[int, option("texts for each table, from as many skeletons", gt=0)] = 1
