"""What can be chosen wherever texts are made from tables. Imports no torch."""

from typing import Annotated, Literal

from tenfold.options import Tune, option, options

Layout = Literal[
    "auto", "csv", "tsv", "jsonl", "parquet", "wikibio", "wikitabletext", "webnlg", "e2e", "parent", "parallel"
]


@options
class ReadOptions:
    """How a file of tables and texts is read."""

    columns: Annotated[
        str, option("table=NAME,text=NAME,title=NAME,id=NAME,split=NAME where the names do not say it themselves")
    ] = ""
    encoding: Annotated[str, option("encoding of text files: utf-8, latin-1, utf-16 ...")] = "utf-8"
    format: Annotated[Layout, option("layout of the file; auto looks at its name and its first lines")] = "auto"
    on_bad_rows: Annotated[
        Literal["refuse", "report"], option("what a wrong row does: refuse the file, or be left out and reported")
    ] = "refuse"


@options
class TextOptions:
    """How texts and values are split into tokens, and which of these have a number of their own."""

    tokens: Annotated[
        Literal["words", "spaces"], option("split at words and signs, or, as published sets, at spaces")
    ] = "words"
    case: Annotated[
        Literal["restore", "keep"], option("small letters inside, capitals restored in answers; or as written")
    ] = "restore"
    vocabulary: Annotated[int, option("tokens with a number; rarer ones can only be copied from the table", gt=0)] = (
        5_000
    )
    keys: Annotated[int, option("keys with a number; rarer ones are all alike", gt=0)] = 6_000
    longest: Annotated[int, option("tokens of a text; longer ones are not trained on, nor written", gt=2)] = 128
    longest_table: Annotated[int, option("tokens of a table; records at its end are left out beyond", gt=1)] = 1_024


@options
class NetworkOptions:
    """Encoder and decoder of one network. dim=512, layers=6, heads=8, hidden=2048, word_dim=420, key_dim=80 are the
    sizes of SANA's authors."""

    dim: Annotated[int, option("width", gt=0)] = 128
    layers: Annotated[int, option("blocks of the encoder, and of the decoder", gt=0)] = 2
    heads: Annotated[int, option("attention heads", gt=0)] = 4
    hidden: Annotated[int, option("width of the feed-forward layers", gt=0)] = 512
    word_dim: Annotated[int, option("width of a table's token before it is joined with its key and position", gt=0)] = (
        96
    )
    key_dim: Annotated[int, option("width of a key", gt=0)] = 24
    norm: Annotated[
        Literal["pre", "post"],
        option("where layer norms stand: before each layer, or after its sum, as SANA's authors have it"),
    ] = "pre"
    dropout: Annotated[
        float, option("dropout of what blocks and embeddings return", ge=0, lt=1, tune=Tune(0.05, 0.3))
    ] = 0.1


@options
class Training:
    lr: Annotated[float, option("highest learning rate of Adam", gt=0, tune=Tune(3e-4, 5e-3, "log"))] = 2e-3
    batch_size: Annotated[int, option("texts in a batch, over all processes", gt=0)] = 32
    warmup: Annotated[
        int,
        option("steps in which the learning rate rises from 0; after them it falls with the root of the steps", gt=0),
    ] = 200
    weight_decay: Annotated[float, option("weight decay of Adam, decoupled", ge=0)] = 0.01
    clip: Annotated[float | None, option("norm to which a step's gradients are clipped; none: never", gt=0)] = 1.0
    smoothing: Annotated[float, option("label smoothing of tokens", ge=0, lt=1)] = 0.1
    validated: Annotated[int, option("tables of the validation part that are written after each epoch", gt=0)] = 200


@options
class SearchOptions:
    """Beam search of what is written token by token."""

    beam: Annotated[int, option("width of the beam: texts that are followed at once", gt=0)] = 5
    length_penalty: Annotated[
        float, option("a text's score is its log probability over length to this power", ge=0)
    ] = 1.0
    block: Annotated[int, option("length of n-grams that never come twice; 0: no such rule", ge=0)] = 0
    ends: Annotated[
        Literal["likeliest", "majority"],
        option("a text may end where its end is one of the likeliest tokens, or likelier than all others together"),
    ] = "likeliest"


@options
class RuleOptions:
    """Of rivals that only count."""

    text: TextOptions = TextOptions()


@options
class TemplateOptions(RuleOptions):
    prefer: Annotated[
        Literal["share", "cells"],
        option(
            "choice of texts of tables with equal keys: most of the text replaced, or most cells, then the shortest"
        ),
    ] = "share"


@options
class GeneratorOptions:
    """Of rivals that write token by token."""

    text: TextOptions = TextOptions()
    network: NetworkOptions = NetworkOptions()
    search: SearchOptions = SearchOptions()
    training: Training = Training()


@options
class Protocol:
    """How texts are measured, beside the split and its part."""

    lam: Annotated[
        float | None, option("weight of the table in PARENT's recall; none: what the reference leaves", ge=0, le=1)
    ] = None
    entailment: Annotated[Literal["overlap", "cooccurrence"], option("PARENT's model of what a table entails")] = (
        "overlap"
    )
    group_by_key: Annotated[bool, option("PARENT takes the values of equal keys for one, as SANA's authors")] = False
    facts: Annotated[
        bool, option("also report how many cells are told in the shop's words for them: a hooded top says hoodie")
    ] = False
    at_most: Annotated[int | None, option("tables of the part that are written; none: all", gt=0)] = None


@options
class PredictOptions:
    """How files of tables are answered."""

    batch_size: Annotated[int, option("tables written at once", gt=0)] = 64
    explain: Annotated[bool, option("rows say from which cell each token comes, and what was said of each cell")] = (
        False
    )
