"""What can be chosen of how interactions are read, measured and answered. Imports no torch."""

from typing import Annotated, Literal

from tenfold.options import Tune, option, options

Pairs = Literal["random", "historical", "inductive", "historical_edges", "dyglib_random", "dyglib_historical",
                "dyglib_inductive"]  # fmt: skip


@options
class ReadOptions:
    """How a file of interactions is read."""

    columns: Annotated[
        str, option("source=NAME,destination=NAME,time=NAME where the names do not say it themselves; also kind, split")
    ] = ""
    features: Annotated[tuple[str, ...] | None, option("column of numbers; none: those called feature..., f0 ...")] = (
        None
    )
    edge_features: Annotated[str | None, option("a .npy file with one row for each interaction, as DyGLib has it")] = (
        None
    )
    node_features: Annotated[str | None, option("a .npy file with one row for each node; row 0 is for no node")] = None
    sides: Annotated[
        Literal["auto", "one", "two"],
        option(
            "whether sources and destinations are two sets (two: user 5 is not item 5); auto: by the columns' names"
        ),
    ] = "auto"
    where: Annotated[tuple[str, ...], option("rows to take, such as 'kind=gift'; repeat")] = ()
    require_sorted: Annotated[bool, option("refuse a file that is not in order of time")] = False
    encoding: Annotated[str, option("encoding of text files: utf-8, latin-1, utf-16 ...")] = "utf-8"
    format: Annotated[
        str, option("layout of the file: csv, tsv, lines, jsonl, parquet; auto looks at its name and content")
    ] = "auto"
    separator: Annotated[
        str, option("separator of columns: ';', '|', tab, space ...; none: told by the first lines")
    ] = ""
    quote: Annotated[
        Literal["auto", "double", "none"],
        option('whether " quotes a field; auto: not in a tab-separated file whose lines are complete without'),
    ] = "auto"
    time_format: Annotated[str, option("format of times that are neither numbers nor ISO 8601: %d/%m/%Y %H:%M ...")] = (
        ""
    )
    on_bad_rows: Annotated[
        Literal["refuse", "report"], option("what a wrong row does: refuse the file, or be left out and reported")
    ] = "refuse"


@options
class Protocol:
    """How predictions are measured, beside the split and its part."""

    block: Annotated[
        int, option("interactions that see the past up to the first of them; 0: all that is earlier", ge=0)
    ] = 0
    candidates: Annotated[
        Literal["auto", "all", "sampled"], option("candidates among which the true partner is ranked")
    ] = "auto"
    random: Annotated[int, option("random destinations of the sampled candidates", ge=1)] = 100
    historical: Annotated[int, option("earlier partners among the sampled candidates, at most", ge=0)] = 50
    negatives: Annotated[
        str, option("a file of false partners for each interaction, among which the true one is ranked instead")
    ] = ""
    pairs: Annotated[
        tuple[Pairs, ...], option("false pairs that average precision is taken against; repeat for more")
    ] = ("random", "historical")
    ties: Annotated[
        Literal["expectation", "average"],
        option("rank of equal scores: its expectation in a random order, or TGB's average"),
    ] = "expectation"
    rules: Annotated[bool, option("also measure simple rules that only count")] = True
    most: Annotated[int, option("interactions that are measured, evenly spread; 0: all", ge=0)] = 0
    draw: Annotated[int, option("seed of sampled candidates and false pairs", ge=0)] = 0


@options
class PredictOptions:
    """How files of questions are answered."""

    k: Annotated[int, option("partners for each source", flag="-k", gt=0)] = 10
    exclude_seen: Annotated[bool, option("earlier partners are not predicted")] = False
    evidence: Annotated[int, option("past interactions named with each answer", ge=0)] = 0
    shortlist: Annotated[int, option("candidates that a rule picks first; 0: all destinations", ge=0)] = 0
    on_unseen: Annotated[Literal["cold", "refuse"], option("an unknown node: without a past, or an error")] = "cold"


@options
class RuleOptions:
    """Of rules that count."""

    half_life: Annotated[
        float, option("half-life of popularity, in the file's time; 0: a fiftieth of the time", ge=0)
    ] = 0.0


@options
class EdgeBankOptions:
    memory: Annotated[
        Literal["all", "window", "repeat-window", "threshold"],
        option("pairs that count as known: all; of the last 15 % of the past; of a mean repeat's time; frequent ones"),
    ] = "all"
    window: Annotated[float, option("share of the past that memory=window looks at", gt=0, le=1)] = 0.15


@options
class RecencyOptions:
    both: Annotated[bool, option("also who met the source last, not only whom it met")] = True
    half_life: Annotated[
        float, option("half-life of popularity, in the file's time; 0: a fiftieth of the time", ge=0)
    ] = 0.0


@options
class LinkLoss:
    name: Annotated[Literal["infonce", "bce"], option("contrast with all false partners at once, or each alone")] = (
        "infonce"
    )
    negatives: Annotated[
        int, option("false partners of each interaction", gt=0, tune=Tune(2, 20, "log", whole=True))
    ] = 5
    historical: Annotated[
        float, option("share of them that are last partners of the source, or of its last two", ge=0, le=1)
    ] = 0.0
    symmetric: Annotated[bool, option("half of the loss is of false sources, random ones, of the destination")] = False


@options
class Training:
    batch_size: Annotated[int, option("interactions in a batch, over all processes", gt=0)] = 200
    lr: Annotated[float, option("learning rate of Adam", gt=0, tune=Tune(3e-4, 5e-3, "log"))] = 1e-3
    schedule: Annotated[
        Literal["constant", "cosine"], option("schedule of the learning rate; cosine falls to 0 at max_epochs")
    ] = "constant"
    warmup: Annotated[float, option("share of all steps in which the learning rate rises from 0", ge=0, lt=1)] = 0.0
    clip: Annotated[float | None, option("norm to which a step's gradients are clipped; none: never", gt=0)] = 1.0
    validated: Annotated[int, option("interactions that are validated on, evenly spread; 0: all", ge=0)] = 500
