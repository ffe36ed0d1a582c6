"""What can be chosen of the task, by every method of it. Imports no torch."""

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from tenfold.options import Tune, option, options

Norm = Literal["linf", "l2"]
AttackName = Literal["fgsm", "pgd", "cw", "dlr", "apgd", "aa-lite", "square", "autoattack"]


def fraction(value: Any) -> Any:
    """'8/255' -> 0.0314; whatever else goes on as it is."""
    if isinstance(value, str) and "/" in value:
        try:
            return float(Fraction(value.replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            return value
    return value


AsFraction = BeforeValidator(fraction)


@options
class ReadOptions:
    """How files of pictures are read. npz, npy, IDX, CIFAR's batches and mosaics need none of the columns."""

    columns: Annotated[str, option("label=NAME,split=NAME where the names do not say it themselves")] = ""
    where: Annotated[tuple[str, ...], option("rows to keep: source=scan, quality>=4; all must hold")] = ()
    encoding: Annotated[str, option("encoding of text files: utf-8, latin-1, utf-16 ...")] = "utf-8"
    on_bad_rows: Annotated[
        Literal["refuse", "report"], option("what a wrong row does: refuse the file, or be left out and reported")
    ] = "refuse"
    size: Annotated[int | None, option("height and width to which all pictures are stretched", gt=0)] = None
    grey: Annotated[bool, option("convert pictures to greyscale")] = False


@options
class Protocol:
    """How a classifier is measured, beside the split and its part."""

    attacks: Annotated[
        tuple[AttackName, ...] | None,
        option(
            "fgsm, pgd, cw, dlr, apgd, aa-lite (apgd, then apgd towards other classes), square, autoattack (by "
            "pyautoattack, slow); none: no attack"
        ),
    ] = ("pgd", "aa-lite")
    eps: Annotated[float | None, option("budget of the attacks, such as 8/255; none: as trained", gt=0), AsFraction] = (
        None
    )
    norm: Annotated[Norm | None, option("norm of the budget; none: as trained")] = None
    steps: Annotated[int, option("steps of pgd, cw and dlr", gt=0)] = 20
    apgd_steps: Annotated[int, option("steps of apgd and aa-lite", gt=0)] = 50
    targets: Annotated[int, option("other classes that aa-lite leads to, one after the other", gt=0)] = 9
    queries: Annotated[int, option("queries of square", gt=0)] = 1000
    attacked: Annotated[int | None, option("number of pictures to attack, drawn at random; none: all", gt=0)] = None
    attack_seed: Annotated[int, option("seed of the attacks' random starts", ge=0)] = 0


@options
class AttackOptions:
    """Of the verb `attack`; its budget is a flag of its own."""

    attacks: Annotated[
        tuple[AttackName, ...], option("fgsm, pgd, cw, dlr, apgd, aa-lite, square, autoattack, with commas between")
    ] = ("fgsm", "pgd", "cw", "aa-lite", "square")
    norm: Annotated[Norm | None, option("norm of the budget; none: as trained")] = None
    steps: Annotated[int, option("steps of pgd, cw and dlr", gt=0)] = 20
    apgd_steps: Annotated[int, option("steps of apgd and aa-lite", gt=0)] = 50
    targets: Annotated[int, option("other classes that aa-lite leads to, one after the other", gt=0)] = 9
    queries: Annotated[int, option("queries of square", gt=0)] = 1000
    attacked: Annotated[int | None, option("number of pictures to attack, the first ones; none: all", gt=0)] = None
    attack_seed: Annotated[int, option("seed of the attacks' random starts", ge=0)] = 0


@options
class PredictOptions:
    """How files of pictures are answered."""

    flips: Annotated[bool, option("beside each answer the smallest budget at which an attack changes it; slow")] = False


@options
class ThreatOptions:
    """The attack that a method is trained against, and against which it is measured."""

    eps: Annotated[
        float, option("how far each pixel (linf) or the picture (l2) may be moved; 8/255", gt=0), AsFraction
    ] = 8 / 255
    norm: Annotated[Norm, option("norm of eps")] = "linf"
    steps: Annotated[int, option("steps of the attack in training", gt=0)] = 10
    step: Annotated[
        float | None, option("size of a step; none: eps / 4, or what reaches eps in fewer steps", gt=0), AsFraction
    ] = None
    bn: Annotated[
        Literal["eval", "train"], option("mode of batch norm while attacking; train: as the released code has it")
    ] = "eval"


@options
class ModelOptions:
    network: Annotated[
        str, option("small, resnet18, mobilenetv2, wrn-34-10, mlp, timm/NAME, or module:callable of classes, channels")
    ] = "small"
    width: Annotated[int | None, option("width of the first layer; none: the network's own", gt=0)] = None
    normalise: Annotated[bool, option("take means and deviations of the training pictures away, inside")] = False


@options
class Training:
    batch_size: Annotated[int, option("pictures in a batch, over all processes", gt=0)] = 64
    lr: Annotated[float, option("learning rate, at its highest", gt=0, tune=Tune(0.002, 0.05, "log"))] = 0.01
    optimizer: Annotated[Literal["adam", "sgd"], option("sgd has a momentum of 0.9, and wants an lr of about 0.1")] = (
        "adam"
    )
    weight_decay: Annotated[float, option("weight decay of all weights; with sgd 2e-4 or 5e-4 are usual", ge=0)] = 0.0
    schedule: Annotated[
        Literal["constant", "onecycle", "cosine", "multistep", "onedrop"],
        option("schedule of the learning rate; multistep: /10 at half and at three quarters; onedrop: at half only"),
    ] = "onecycle"
    crop: Annotated[int, option("pixels by which pictures are shifted at most; 4 for long trainings", ge=0)] = 0
    flip: Annotated[bool, option("half of the pictures are mirrored; not for digits or writing")] = False
    smoothing: Annotated[
        float, option("label smoothing: share of the probability that goes to all classes alike", ge=0, lt=1)
    ] = 0.0
    awp: Annotated[
        float, option("weights are moved by this share against the loss before each step (AWP); 0: no", ge=0)
    ] = 0.0
    clip: Annotated[float | None, option("norm to which a step's gradients are clipped; none: never", gt=0)] = None
    ema_decay: Annotated[
        float,
        option("decay of an exponential moving average of the weights, which is kept, such as 0.995", ge=0, lt=1),
    ] = 0.0
    watched: Annotated[int, option("validation pictures that are attacked after each epoch", gt=0)] = 512


@options
class TeacherOptions:
    """A teacher that is given, or one that is trained in the same fit, as a first stage."""

    path: Annotated[
        str, option("folder of a fitted classifier, or a checkpoint (.safetensors, .pt, .pth); empty: train")
    ] = ""
    network: Annotated[str | None, option("its network, for a checkpoint or to train; none: the student's")] = None
    width: Annotated[
        int | None, option("width of the first layer; none: twice the student's, or the network's own")
    ] = None
    mean: Annotated[
        tuple[float, ...], option("mean of each channel, which a checkpoint's network wants subtracted")
    ] = ()
    deviation: Annotated[
        tuple[float, ...], option("standard deviation of each channel, by which it wants them divided")
    ] = ()
    learns: Annotated[Literal["at", "trades", "st"], option("how it is trained: against attacks, or plainly (st)")] = (
        "at"
    )


@options
class SecondTeacherOptions:
    """The plainly trained teacher of methods that have two."""

    path: Annotated[str, option("folder or checkpoint of it; empty: train")] = ""
    network: Annotated[str | None, option("its network, for a checkpoint or to train; none: the student's")] = None
    width: Annotated[
        int | None, option("width of the first layer; none: twice the student's, or the network's own")
    ] = None
    mean: Annotated[
        tuple[float, ...], option("mean of each channel, which a checkpoint's network wants subtracted")
    ] = ()
    deviation: Annotated[
        tuple[float, ...], option("standard deviation of each channel, by which it wants them divided")
    ] = ()
    learns: Annotated[Literal["st", "at"], option("how it is trained")] = "st"
