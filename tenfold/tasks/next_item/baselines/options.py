"""What can be chosen for the baselines. Imports no torch."""

from typing import Annotated, Literal

from tenfold.options import Tune, option, options
from tenfold.tasks.next_item.options import LossOptions, Training


@options
class NoOptions:
    """There is nothing to choose."""


@options
class SASRecOptions:
    dim: Annotated[int, option("d, width of an item and of the user vector", gt=0)] = 64
    layers: Annotated[int, option("blocks", gt=0)] = 2
    heads: Annotated[int, option("heads of the attention; they divide dim", gt=0)] = 1
    dropout: Annotated[
        float, option("dropout of embeddings, attention and feed-forward", ge=0, lt=1, tune=Tune(0.1, 0.5))
    ] = 0.2
    norm: Annotated[Literal["pre", "post"], option("where a block's norms stand")] = "pre"
    expansion: Annotated[int, option("width of the feed-forward's hidden layer, in multiples of dim", gt=0)] = 4
    loss: LossOptions = LossOptions()
    training: Training = Training()


@options
class GRU4RecOptions:
    dim: Annotated[int, option("d, width of an item and of the user vector", gt=0)] = 64
    dropout: Annotated[float, option("dropout of the events' embeddings", ge=0, lt=1, tune=Tune(0.0, 0.5))] = 0.2
    loss: LossOptions = LossOptions()
    training: Training = Training()


@options
class LRURecOptions:
    dim: Annotated[int, option("d, width of an item and of the user vector", gt=0)] = 64
    layers: Annotated[int, option("blocks", gt=0)] = 2
    dropout: Annotated[
        float, option("dropout of embeddings, recurrence and feed-forward", ge=0, lt=1, tune=Tune(0.1, 0.5))
    ] = 0.2
    r_min: Annotated[float, option("inner radius of the ring on which the recurrence's factors start", gt=0, lt=1)] = (
        0.8
    )
    r_max: Annotated[float, option("outer radius: the nearer to 1, the longer the memory", gt=0, lt=1)] = 0.99
    loss: LossOptions = LossOptions()
    training: Training = Training()


@options
class TransformerOptions:
    attention: Annotated[str, option("softmax, linear, local, random-feature, key-quantised, lisa or lisa+recent")] = (
        "softmax"
    )
    dim: Annotated[int, option("d, width of an item and of the user vector", gt=0)] = 64
    layers: Annotated[int, option("blocks", gt=0)] = 2
    heads: Annotated[int, option("heads of the attention; they divide dim", gt=0)] = 2
    dropout: Annotated[
        float, option("dropout of embeddings, attention and feed-forward", ge=0, lt=1, tune=Tune(0.1, 0.5))
    ] = 0.2
    norm: Annotated[Literal["pre", "post"], option("where a block's norms stand")] = "pre"
    expansion: Annotated[int, option("width of the feed-forward's hidden layer, in multiples of dim", gt=0)] = 4
    window: Annotated[int, option("events that local attention looks back on", gt=0)] = 32
    features: Annotated[int, option("features of random-feature attention, for each head", gt=0)] = 64
    codewords: Annotated[int, option("codewords of key-quantised and lisa, for each head", gt=0)] = 64
    recent: Annotated[int, option("events that lisa+recent attends to one by one; at most training.length", gt=0)] = 50
    loss: LossOptions = LossOptions()
    training: Training = Training()


@options
class ItemKNNOptions:
    neighbours: Annotated[int, option("K, neighbours of each item", gt=0, tune=Tune(20, 500, "log", whole=True))] = 100
    shrink: Annotated[float, option("events that a pair lacks for its likeness to be halved", ge=0)] = 20.0
    half_life: Annotated[float, option("events back at which an item of the history counts half", gt=0,
                                       tune=Tune(1, 100, "log"))] = 10.0  # fmt: skip
