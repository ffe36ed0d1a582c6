"""What can be chosen of TCL, and its presets. Imports no torch.

The defaults are `preset=best`: the paper's method, and what the past says of the pair beside it. `paper` is the method
alone, as far as it can be known; `dyglib` is the public code's reading of it.
"""

from typing import Annotated, Any, ClassVar, Literal

from tenfold.options import Tune, option, options
from tenfold.tasks.link_prediction.options import LinkLoss, Training


@options
class PastOptions:
    """What is read of the past."""

    kind: Annotated[
        Literal["tree", "recent", "uniform"],
        option("what of the past is read: a dependency tree, or a node's latest or drawn interactions"),
    ] = "tree"
    depth: Annotated[int, option("k, levels of the dependency tree", ge=1, le=6, tune=Tune(2, 4, whole=True))] = 3
    most: Annotated[int, option("M, most interactions read of each node", ge=1, le=63)] = 7
    topology: Annotated[bool, option("in the tree, an interaction attends only to those it depends on")] = True


@options
class TokenOptions:
    """What a token says."""

    identity: Annotated[
        Literal["table", "hashed", "none"], option("embedding of a node: its own, one shared by a hash bucket, or none")
    ] = "table"
    buckets: Annotated[int, option("hash buckets, for identity=hashed", ge=2)] = 10_000
    node_dropout: Annotated[float, option("share of nodes that training replaces by the unknown node", ge=0, lt=1)] = (
        0.1
    )
    side: Annotated[bool, option("a token says whether its node is a source or a destination")] = True
    times: Annotated[int, option("cosines that encode a time gap; 0: as many as dim", ge=0)] = 0
    log: Annotated[bool, option("the logarithm of a time gap, beside its cosines")] = True
    gaps: Annotated[
        Literal["query", "child"], option("time gaps are to the query, or to the later interaction that depends on it")
    ] = "child"
    unit: Annotated[
        float, option("time unit of gaps, in the file's units; 0: the median gap of the training set", ge=0)
    ] = 0.0
    norm: Annotated[bool, option("layer norm over a token's embedding")] = True


@options
class Options:
    dim: Annotated[int, option("d, width of the network", gt=0, tune=Tune(choices=(32, 64)))] = 32
    heads: Annotated[int, option("attention heads", gt=0)] = 2
    self_blocks: Annotated[int, option("Ns, self-attention blocks of each stream", ge=0)] = 1
    co_blocks: Annotated[
        int, option("Nc, cross-attention blocks between the streams; 0: two separate towers", ge=0)
    ] = 1
    layout: Annotated[
        Literal["stacked", "interleaved"], option("all self-attention blocks first, or one of each kind in turns")
    ] = "stacked"
    share_blocks: Annotated[bool, option("a layer's self-attention and cross-attention share their weights")] = False
    share_streams: Annotated[bool, option("the source's and the destination's stream share their weights")] = True
    readout: Annotated[
        Literal["query", "query+mean"],
        option("representation of a stream: its query token, or that and the mean of all tokens"),
    ] = "query+mean"
    score: Annotated[Literal["dot", "bilinear", "mlp"], option("score of a pair, from its two representations")] = "dot"
    pair: Annotated[bool, option("features of the pair's own past, such as how often it met; not in the paper")] = True
    half_life: Annotated[
        float,
        option(
            "half-life of recent popularity, in the file's time units; 0: a fiftieth of the training set's span", ge=0
        ),
    ] = 0.0
    dropout: Annotated[float, option("dropout after attention and inside the feed-forward layers", ge=0, lt=1)] = 0.1
    past: PastOptions = PastOptions()
    tokens: TokenOptions = TokenOptions()
    loss: LinkLoss = LinkLoss(historical=0.8)
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
