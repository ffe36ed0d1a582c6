"""The options that every trained method of the task has. Imports no torch."""

from typing import Annotated, Literal

from tenfold.options import Tune, option, options

LossName = Literal["softmax", "sampled_softmax", "bce", "gbce"]


@options
class LossOptions:
    name: Annotated[
        LossName, option("name of the loss; softmax sees the whole catalogue, the others only negatives")
    ] = "softmax"
    negatives: Annotated[
        int | None,
        option("a positive's negatives; none: 1 for bce, else 256, or 1024 where a batch shares them", gt=0),
    ] = None
    share_negatives: Annotated[
        bool, option("sampled_softmax and gbce draw negatives once for a whole batch, not for each window")
    ] = False
    calibration: Annotated[float, option("t of gbce: 0 is bce, 1 removes all overconfidence", ge=0, le=1)] = 0.75
    exclude_history: Annotated[bool, option("negatives of bce are never items that the user had")] = False


@options
class SketchOptions:
    """Of counters of single items in a user's state."""

    rows: Annotated[int, option("rows of the sketch; an item's count is the least of its rows'", gt=0, le=16)] = 2
    width: Annotated[int, option("counters in a row of the sketch", gt=0, le=1 << 20)] = 512
    decay: Annotated[float, option("lambda of the sketch, by which an event fades with each one after it", ge=0)] = 1e-3


@options
class ItemCountOptions(SketchOptions):
    of: Annotated[
        Literal["auto", "items", "none"],
        option("items: how often a candidate itself came, by a sketch in the state, adds to its score; auto: items, "
               "where one vector stands for a user"),
    ] = "auto"  # fmt: skip


@options
class Training:
    length: Annotated[int, option("events in a training window, and (but for LISA) those an answer looks at", gt=1)] = (
        200
    )
    batch_size: Annotated[int, option("windows in a batch, over all processes", gt=0)] = 32
    lr: Annotated[float, option("learning rate of Adam", gt=0, tune=Tune(3e-4, 3e-3, "log"))] = 1e-3
    beta2: Annotated[float, option("decay of Adam's second moment", gt=0, lt=1)] = 0.98
    schedule: Annotated[
        Literal["constant", "cosine"], option("schedule of the learning rate; cosine falls to 0 at max_epochs")
    ] = "constant"
    warmup: Annotated[float, option("share of all steps in which the learning rate rises from 0", ge=0, lt=1)] = 0.0
    clip: Annotated[float | None, option("norm to which a step's gradients are clipped; none: never", gt=0)] = None
    ema_decay: Annotated[
        float,
        option(
            "decay of an exponential moving average of the weights, which is validated and kept: 0.999; 0: none",
            ge=0,
            lt=1,
        ),
    ] = 0.0


@options
class PredictOptions:
    """How files of users are answered."""

    k: Annotated[int | None, option("items for each user; none: 10, or all there are", flag="-k", gt=0)] = None
    exclude_seen: Annotated[bool, option("what the history holds is not recommended")] = False
    on_unseen: Annotated[Literal["skip", "refuse"], option("what is done with an unknown item in a history")] = "skip"
    users: Annotated[str | None, option("a file of users to answer, with history_from")] = None
    history_from: Annotated[str | None, option("the log that holds these users' histories, in place of a file")] = None


@options
class Protocol:
    """How recommendations are measured, beside the split and its part."""

    ks: Annotated[tuple[int, ...] | None, option("list length; repeat for more; none: 10", flag="-k")] = None
    exclude_seen: Annotated[bool, option("what the user had before is left out of the ranking")] = False
    sampled: Annotated[
        int, option("rank among so many items that the user never had, as 2018's papers; 0: all", ge=0)
    ] = 0
    by: Annotated[
        Literal["none", "history", "gap", "span"],
        option("metrics also by number of earlier events, by events since one of the same kind (--gap-of), by span"),
    ] = "none"
    stride: Annotated[
        int,
        option("held-out events of a user that one pass over a window answers, each after up to so many events fewer; "
               "1: each after a whole window", gt=0),
    ] = 1  # fmt: skip
    gap_of: Annotated[str, option("attribute of items by which two events are of the same kind, for by=gap")] = (
        "category"
    )
