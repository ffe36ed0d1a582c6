"""What can be chosen for LimaRec. Imports no torch.

`preset=faithful` is the paper as far as it is known: running sums in which nothing ever fades, four interests and no
other vector, and ComiRec's rule, by which the chosen interest alone scores all items in training. What the default adds
(events that fade, a gate to the latest event, sharper weights) gives it the order of events, which a mean has not. It
reads one interest: four did worse on the validation part of MovieLens-100K, and far worse where items are not scored in
training as in answers, by the best interest (docs/log.md). What each part is worth is claim L10.
"""

from typing import Annotated, ClassVar, Literal

from tenfold.options import Tune, option, options
from tenfold.tasks.next_item.options import ItemCountOptions, LossOptions, Training

FeatureMap = Literal["elu", "relu", "exp", "softplus"]
Decay = Literal["none", "event", "time"]


@options
class MemoryOptions:
    """What the running sums hold of a history."""

    feature_map: Annotated[FeatureMap, option("phi of the attention; exp: a softmax over its features")] = "elu"
    decay: Annotated[
        Decay, option("what fades the sums, at a pace that each head and interest learns; time: by time_unit")
    ] = "event"
    time_unit: Annotated[float, option("time that fades as much as one event, for decay=time", gt=0)] = 86_400.0
    gap_codes: Annotated[bool, option("an event is read with the time since the one before, as one of 34 codes")] = (
        False
    )
    stretch: Annotated[
        int, option("events of a user trained on in a row, the state carried over from window to window", gt=1)
    ] = 4_096


@options
class InterestOptions:
    """How the interests are read, which of them learns, and how they are kept apart."""

    weights: Annotated[
        Literal["product", "exp"], option("weight of an event in an interest; product: phi(mu) phi(k); exp: exp(mu k)")
    ] = "exp"
    short_term: Annotated[
        Literal["none", "slot", "gate"],
        option("the latest event, as one more vector (slot), or mixed into every interest (gate)"),
    ] = "gate"
    choice: Annotated[
        Literal["hard", "soft", "gumbel"],
        option("which interest learns: the nearest to the next item, all by nearness, or the nearest with noise"),
    ] = "hard"
    power: Annotated[float, option("sharpness of choice=soft", gt=0)] = 1.0
    noise: Annotated[float, option("size of choice=gumbel's noise in the first epoch; it halves in each", ge=0)] = 1.0
    negatives_by: Annotated[
        Literal["max", "chosen"], option("what scores the other items in training: the best interest, or the chosen")
    ] = "max"
    read: Annotated[Literal["max", "logsumexp"], option("an item's score from its scores by each interest")] = "max"
    apart: Annotated[float, option("penalty on interests that lean on few events, as REMI's; 0: none", ge=0)] = 0.0


@options
class Options:
    presets: ClassVar = {
        "best": {},
        "faithful": {
            "interests": 4,
            "memory.decay": "none",
            "interest.weights": "product",
            "interest.short_term": "none",
            "interest.negatives_by": "chosen",
            "counts.of": "none",
        },
    }

    dim: Annotated[int, option("d, width of an item and of an interest", gt=0)] = 64
    interests: Annotated[
        int, option("K, interests of a user; several are for users whose tastes one vector cannot hold", gt=0)
    ] = 1
    layers: Annotated[int, option("blocks; each keeps sums of its own", gt=0)] = 1
    heads: Annotated[int, option("H, heads of the attention; more heads make a smaller state", gt=0)] = 4
    expansion: Annotated[int, option("width of the feed-forward's hidden layer, in multiples of dim", gt=0)] = 4
    dropout: Annotated[
        float, option("dropout of events, attention and feed-forward", ge=0, lt=1, tune=Tune(0.1, 0.5))
    ] = 0.2
    memory: MemoryOptions = MemoryOptions()
    interest: InterestOptions = InterestOptions()
    counts: ItemCountOptions = ItemCountOptions()
    loss: LossOptions = LossOptions()
    training: Training = Training(batch_size=8, lr=3e-3)  # a sample is a whole history, or 4,096 events of it


@options
class RivalOptions:
    """Of the rivals that keep several vectors."""

    dim: Annotated[int, option("d, width of an item and of a user vector", gt=0)] = 64
    interests: Annotated[int, option("vectors of a user, or slots of a memory", gt=0)] = 4
    dropout: Annotated[float, option("dropout of the events' embeddings", ge=0, lt=1, tune=Tune(0.0, 0.5))] = 0.2
    loss: LossOptions = LossOptions()
    training: Training = Training()


@options
class HPMNOptions(RivalOptions):
    period: Annotated[int, option("changes of a level after which the one above it changes", gt=1)] = 2
    covariance: Annotated[float, option("penalty on levels that vary together", ge=0)] = 1e-5
