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

    search: SearchOptions = SearchOptions(block=3, ends="majority")
    longest: Annotated[int, option("tokens of a skeleton", gt=0)] = 40
    phrases: Annotated[
        bool, option("skeletons to learn from have the stop words within what is copied word for word: bank of russia")
    ] = True
    eos_penalty: Annotated[
        float | None,
        option(
            "number taken from the score of a skeleton's end, which makes skeletons longer; none: validation chooses",
            ge=0,
        ),
    ] = None
    repeats: Annotated[bool, option("a skeleton may have a token more often than its table has it")] = False
    end_anchor: Annotated[str, option("the sign that ends each skeleton and so each text; empty: none")] = ""
    share: Annotated[float, option("share of a fit's seconds, steps or units; the edits have the rest", gt=0, lt=1)] = (
        0.35
    )
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
    from_skeleton: Annotated[
        float,
        option("share of training texts from which all but the skeleton is taken out, as writing begins", ge=0, le=1),
    ] = 0.5
    distilled: Annotated[
        bool, option("the edits learn texts that a network writing token by token has written for the training tables")
    ] = False
    from_sketch: Annotated[bool, option("the edits' network begins with the weights of stage 1")] = True
    most_rounds: Annotated[int, option("rounds of edits", gt=0)] = 10
    passes: Annotated[int, option("missing tokens are filled in so many passes, the surest first", gt=0)] = 2
    surely: Annotated[
        float, option("a token is deleted where it is wrong with more than this probability", ge=0, lt=1)
    ] = 0.9
    repeats: Annotated[bool, option("edits may write a skeleton's token once more that is no stop word")] = False
    together: Annotated[bool, option("what stands together in a cell and in the skeleton has nothing put between")] = (
        True
    )
    eos_penalty: Annotated[
        float | None,
        option(
            "taken from the first round's score of 'nothing is missing', for longer texts; none: validation chooses",
            ge=0,
        ),
    ] = None
    collapse: Annotated[bool, option("only one of equal neighbouring tokens is kept, unless both must stay")] = True


@options
class Options:
    presets: ClassVar = {
        "paper": {
            "network.dim": 512, "network.layers": 6, "network.heads": 8, "network.hidden": 2048,
            "network.word_dim": 420,
            "network.key_dim": 80, "network.dropout": 0.3, "network.norm": "post",
            "text.vocabulary": 24_996, "training.lr": 5e-4, "training.warmup": 10_000, "sketch.end_anchor": ".",
            "sketch.search.ends": "likeliest", "sketch.repeats": True,
            "sketch.phrases": False, "sketch.eos_penalty": 0.0, "edit.from_skeleton": 0.0, "edit.from_sketch": False,
            "edit.passes": 1, "edit.surely": 0.5, "edit.repeats": True, "edit.together": False, "edit.eos_penalty": 0.0,
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

    constraint: Annotated[Constraint, option("constraints, as for predict")] = "hard"
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
