"""What can be chosen of TCL, and its presets. Imports no torch.

The defaults are `preset=best`: the paper's method, and what the past says of the pair beside it. `paper` is the method
alone, as far as it can be known; `dyglib` is the public code's reading of it.
"""

from typing import Annotated, Any, ClassVar, Literal

from tenfold.options import Tune, option, options
from tenfold.tasks.link_prediction.options import LinkLoss, Training


@options
class PastOptions:
    """What of the past is read."""

    kind: Annotated[Literal["tree", "recent", "uniform"], option("dependency tree, or a node's own interactions")] = (
        "tree"
    )
    depth: Annotated[int, option("levels of the tree, k", ge=1, le=6, tune=Tune(2, 4, whole=True))] = 3
    most: Annotated[int, option("interactions of a tree, M, or of a list", ge=1, le=63)] = 7
    topology: Annotated[bool, option("an interaction attends only to those it depends on")] = True


@options
class TokenOptions:
    """What a token says."""

    identity: Annotated[
        Literal["table", "hashed", "none"], option("a vector for each node, for each bucket, or none")
    ] = "table"
    buckets: Annotated[int, option("of identity=hashed", ge=2)] = 10_000
    node_dropout: Annotated[float, option("share of nodes that are shown as a new one, in training", ge=0, lt=1)] = 0.1
    side: Annotated[bool, option("whether it is the source or the destination")] = True
    times: Annotated[int, option("cosines of a gap; 0: as many as dim", ge=0)] = 0
    log: Annotated[bool, option("the log of a gap beside its cosines")] = True
    gaps: Annotated[
        Literal["query", "child"], option("times are counted from the query, or from the next interaction")
    ] = "child"
    unit: Annotated[float, option("a gap of 1, in the file's time; 0: the median gap of the training part", ge=0)] = 0.0
    norm: Annotated[bool, option("layer norm over the sum of a token's parts")] = True


@options
class Options:
    dim: Annotated[int, option("width, d", gt=0, tune=Tune(choices=(32, 64)))] = 32
    heads: Annotated[int, option("attention heads", gt=0)] = 2
    self_blocks: Annotated[int, option("blocks within a stream, Ns", ge=0)] = 1
    co_blocks: Annotated[int, option("blocks between the streams, Nc; 0: two towers", ge=0)] = 1
    layout: Annotated[Literal["stacked", "interleaved"], option("all self-attention first, or in turns")] = "stacked"
    share_blocks: Annotated[bool, option("one block for both kinds of attention of a layer")] = False
    share_streams: Annotated[bool, option("sources and destinations have the same weights")] = True
    readout: Annotated[Literal["query", "query+mean"], option("of a stream: its query token, and the mean of all")] = (
        "query+mean"
    )
    score: Annotated[Literal["dot", "bilinear", "mlp"], option("of the two streams' representations")] = "dot"
    pair: Annotated[bool, option("the network is told what the past says of the pair; not the paper's")] = True
    half_life: Annotated[float, option("in the file's time, of popularity; 0: a fiftieth of the time", ge=0)] = 0.0
    dropout: Annotated[float, option("after attention and inside the feed-forward layers", ge=0, lt=1)] = 0.1
    past: PastOptions = PastOptions()
    tokens: TokenOptions = TokenOptions()
    loss: LinkLoss = LinkLoss(historical=0.4)
    training: Training = Training(lr=2e-3)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "best": {},
        "paper": {"pair": False, "loss.historical": 0.0},
        "dyglib": {
            "dim": 172,
            "heads": 2,
            "self_blocks": 2,
            "co_blocks": 2,
            "layout": "interleaved",
            "share_blocks": True,
            "readout": "query",
            "score": "mlp",
            "pair": False,
            "past.kind": "recent",
            "past.most": 20,
            "past.topology": False,
            "tokens.identity": "none",
            "tokens.side": False,
            "tokens.times": 100,
            "tokens.log": False,
            "tokens.gaps": "query",
            "tokens.unit": 1.0,
            "tokens.norm": False,
            "loss.name": "bce",
            "loss.negatives": 1,
            "loss.historical": 0.0,
            "training.lr": 1e-4,
            "training.clip": None,
        },
    }
