"""What can be chosen for questions about streams, and for Rehearsal Memory. Imports no torch."""

from typing import Annotated, ClassVar, Literal

from tenfold.options import Tune, option, options
from tenfold.tasks.next_item.options import ItemCountOptions, LossOptions
from tenfold.tasks.next_item.options import Training as NextTraining

Sampler = Literal["uniform", "teacher", "teacher_flipped", "student", "custom", "oracle"]


@options
class ReadOptions:
    """How files of streams are read."""

    layout: Annotated[
        Literal["auto", "jsonl", "babi", "text", "events", "tutoring", "features"],
        option(
            "layout of the file: JSON lines, bAbI, plain text, event log (with --questions), tutoring, features (npy, "
            "npz or a folder of npy, with --questions or without); auto looks at it"
        ),
    ] = "auto"
    encoding: Annotated[str, option("encoding of text files: utf-8, latin-1, utf-16 ...")] = "utf-8"
    columns: Annotated[str, option("user=NAME,item=NAME,time=NAME of an event log, where names do not say it")] = ""
    question_columns: Annotated[
        str, option("question=NAME,answer=NAME,user=NAME,position=NAME of the questions beside it, where names do not")
    ] = ""
    items: Annotated[str, option("file of an event log's titles, joined by id")] = ""
    on_bad_rows: Annotated[
        Literal["refuse", "report"],
        option("what a wrong row of a log or of its questions does: refuse the file, or be left out and reported"),
    ] = "refuse"
    lengthen: Annotated[int, option("words to which stories are lengthened with sentences of background", ge=0)] = 0
    background: Annotated[str, option("text file of sentences, for lengthen")] = ""


@options
class Protocol:
    """How answers are measured, beside the split and its part."""

    by: Annotated[
        Literal["none", "kind", "age", "length"],
        option("accuracy also by kind of question, by how far back its evidence lies, by length of the stream"),
    ] = "none"


@options
class PredictOptions:
    """How questions are answered."""

    top: Annotated[int, option("answers shown of each question", ge=1)] = 3
    known_above: Annotated[float, option("an answer less likely than this is 'not known'", ge=0, le=1)] = 0.0


@options
class MemoryOptions:
    """The memory machine (section 3 of the paper as far as it is known)."""

    slots: Annotated[int, option("K, slots of the memory", gt=0)] = 16
    segment: Annotated[int, option("N, items that are written at once: as many as evidence spans, or more", gt=0)] = 8
    layers: Annotated[int, option("blocks of the encoder of a segment", gt=0)] = 2
    heads: Annotated[int, option("heads of the encoder, and of the slots' attention without competition", gt=0)] = 4
    score: Annotated[Literal["dot", "additive"], option("score of a slot's attention to an item")] = "dot"
    gate: Annotated[Literal["shared", "per_slot"], option("one gated cell for all slots, or one each")] = "shared"
    keep_bias: Annotated[
        float | None,
        option("bias of the keep gate at the start; none: -4 with competition, else spread, for `horizon`"),
    ] = None
    horizon: Annotated[
        float, option("segments that a stream has, about; without competition it spreads the keep gates", gt=0)
    ] = 16.0
    strict: Annotated[bool, option("as the public code: slots begin at zero, without identities and biases")] = False
    self_keys: Annotated[bool, option("without competition: a slot may also attend to its own content")] = False
    competition: Annotated[
        bool, option("slots compete for items, and one that wins nothing stays; false: each reads all, as in the paper")
    ] = True
    beside: Annotated[
        bool | None, option("an item begins with what stands before and behind it; none: where items are one word each")
    ] = None
    ages: Annotated[
        bool, option("a slot has one number more, how long ago it was written, and who reads it is told")
    ] = True
    oldest_first: Annotated[
        bool, option("with competition and ages: the slots that were written longest ago are ahead in it")
    ] = True
    sparse_write: Annotated[int, option("slots that a segment may write; 0: all", ge=0)] = 0
    periods: Annotated[int, option("slot k is written every 2^(k mod periods) segments", ge=1)] = 1
    bptt: Annotated[int, option("segments after which gradients end; 0: never", ge=0)] = 0
    recompute: Annotated[
        int, option("segments whose activations are computed again in the backward pass; 0: all are kept", ge=0)
    ] = 0


@options
class RehearsalOptions:
    """What is rehearsed in training, and how much it counts (section 3)."""

    recollection: Annotated[
        float, option("weight of restoring masked items; 0: none", ge=0, tune=Tune(0.03, 1.0, "log"))
    ] = 0.3
    familiarity: Annotated[
        float, option("weight of telling real fragments from changed ones; 0: none", ge=0, tune=Tune(0.03, 1.0, "log"))
    ] = 0.15
    fragments: Annotated[int, option("fragments of a stream in a training step", gt=0)] = 4
    length: Annotated[int, option("items of a fragment", gt=1)] = 8
    masked: Annotated[float, option("share of a fragment's items that are masked", gt=0, lt=1)] = 0.5
    replaced: Annotated[
        float, option("share of the other items that a changed fragment has of elsewhere", gt=0, le=1)
    ] = 0.5
    negatives: Annotated[
        int, option("items from which the masked one is told, where an item has several words", gt=0)
    ] = 64
    temperature: Annotated[float, option("temperature of these scores, which are of normalised vectors", gt=0)] = 0.1
    min_gap: Annotated[
        int, option("of features: items of the fragment itself so far away are told apart too; 0: none", ge=0)
    ] = 4
    sampler: Annotated[
        Sampler,
        option(
            "what chooses fragments; student: learned from the teacher, also for streams without questions; custom: "
            "the weights of items in the data; oracle: the evidence itself, for diagnosis; no questions: uniform"
        ),
    ] = "teacher"
    uniform_share: Annotated[
        float, option("share of fragments that are drawn uniformly, whatever the sampler says", ge=0, le=1)
    ] = 0.2
    at: Annotated[Literal["end", "random"], option("when it is rehearsed: after the stream, or at a random place")] = (
        "end"
    )
    layers: Annotated[int, option("blocks of the decoder", gt=0)] = 1
    teacher_share: Annotated[
        float, option("share of a limited fit's time for the teacher; a student gets a third of that", gt=0, lt=0.7)
    ] = 0.15


@options
class Training:
    batch_size: Annotated[int, option("streams in a batch, over all processes", gt=0)] = 32
    lr: Annotated[float, option("learning rate of AdamW", gt=0, tune=Tune(3e-4, 3e-3, "log"))] = 1e-3
    weight_decay: Annotated[float, option("weight decay of AdamW", ge=0)] = 1e-4
    warmup: Annotated[float, option("share of all steps in which the learning rate rises from 0", ge=0, lt=1)] = 0.0
    schedule: Annotated[Literal["constant", "cosine"], option("schedule of the learning rate")] = "constant"
    clip: Annotated[float, option("norm to which a step's gradients are cut down", gt=0)] = 1.0


@options
class Options:
    presets: ClassVar = {
        "best": {},
        "events": {"dim": 64, "memory.slots": 8, "memory.segment": 16, "memory.layers": 1, "memory.heads": 2,
                   "rehearsal.length": 16},
        "faithful": {"memory.strict": True, "memory.heads": 1, "hops": 1},
    }  # fmt: skip

    dim: Annotated[int, option("d, width of an item and of a slot", gt=0)] = 128
    hops: Annotated[int, option("times that a question reads the memory", ge=1, le=3)] = 2
    dropout: Annotated[float, option("dropout in encoder, decoder and answer", ge=0, lt=1)] = 0.1
    memory: MemoryOptions = MemoryOptions()
    rehearsal: RehearsalOptions = RehearsalOptions()
    training: Training = Training()


@options
class PlainOptions:
    """A rival with a memory of the same bytes: it is trained on the questions alone."""

    dim: Annotated[int, option("d, width of an item and of a vector of the memory", gt=0)] = 128
    hops: Annotated[int, option("times that a question reads the memory", ge=1, le=3)] = 2
    dropout: Annotated[float, option("dropout in encoder and answer", ge=0, lt=1)] = 0.1
    slots: Annotated[int, option("vectors of the memory", gt=0)] = 16
    segment: Annotated[int, option("items that are read at once", gt=0)] = 8
    layers: Annotated[int, option("blocks of the encoder", gt=0)] = 2
    heads: Annotated[int, option("heads of the attention", gt=0)] = 4
    bptt: Annotated[int, option("segments after which gradients end; 0: never", ge=0)] = 0
    training: Training = Training()


@options
class CompressiveOptions(PlainOptions):
    compressed: Annotated[int, option("vectors of the memory that hold compressed items; the others are the last ones",
                                      gt=0)] = 8  # fmt: skip
    rate: Annotated[int, option("items that become one compressed vector", gt=1)] = 4
    compression: Annotated[
        Literal["conv", "mean", "max"], option("how items are compressed: a learned convolution, or pooling")
    ] = "conv"
    reconstruction: Annotated[
        float,
        option(
            "weight of attention reconstruction, from which alone the convolution then learns; 0: it learns from the "
            "answers",
            ge=0,
        ),
    ] = 0.0


@options
class ComputerOptions(PlainOptions):
    reads: Annotated[int, option("read heads of the controller", gt=0)] = 1
    links: Annotated[
        bool, option("temporal links: a read head may follow the order of writing, for K numbers a row")
    ] = False


@options
class PeriodicOptions(PlainOptions):
    levels: Annotated[int, option("recurrent networks one above the other; slots are shared out to them", gt=0)] = 4
    period: Annotated[int, option("changes of a level after which the one above it changes", gt=1)] = 2
    covariance: Annotated[float, option("penalty on levels that vary together", ge=0)] = 1e-5


@options
class NextOptions:
    """What can be chosen for next items by this memory."""

    dim: Annotated[int, option("d, width of an item, a slot and the user vector", gt=0)] = 64
    dropout: Annotated[float, option("dropout of embeddings, encoder and decoder", ge=0, lt=1, tune=Tune(0.0, 0.5))] = (
        0.2
    )
    memory: MemoryOptions = MemoryOptions(slots=8, segment=8, layers=1, heads=2)
    recollection: Annotated[
        float, option("weight of restoring masked events of a window; 0: none", ge=0, tune=Tune(0.03, 1.0, "log"))
    ] = 0.1
    fragments: Annotated[int, option("fragments of a window in a training step", gt=0)] = 2
    length: Annotated[int, option("events of a fragment", gt=1)] = 8
    masked: Annotated[float, option("share of a fragment's events that are masked", gt=0, lt=1)] = 0.5
    counts: ItemCountOptions = ItemCountOptions()
    loss: LossOptions = LossOptions()
    training: NextTraining = NextTraining()
