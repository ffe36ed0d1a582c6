"""What can be chosen for the baselines. Imports no torch."""

from typing import Annotated, ClassVar

from tenfold.options import Tune, option, options
from tenfold.tasks.classification.options import (
    ModelOptions,
    SecondTeacherOptions,
    TeacherOptions,
    ThreatOptions,
    Training,
)

RELEASED = {
    "training.batch_size": 128, "training.optimizer": "sgd", "training.lr": 0.1, "training.weight_decay": 2e-4,
    "training.crop": 4, "training.flip": True,
}  # fmt: skip


@options
class PlainOptions:
    """Of ST and AT."""

    presets: ClassVar = {"released": RELEASED | {"training.schedule": "multistep"}}

    model: ModelOptions = ModelOptions()
    attack: ThreatOptions = ThreatOptions()
    training: Training = Training()


@options
class ConsistencyOptions:
    """Of TRADES and MART."""

    presets: ClassVar = {"released": RELEASED | {"training.schedule": "multistep"}}

    weight: Annotated[
        float, option("weight of consistency between a picture and its attack", gt=0, tune=Tune(1, 10, "log"))
    ] = 6.0
    model: ModelOptions = ModelOptions()
    attack: ThreatOptions = ThreatOptions()
    training: Training = Training()


@options
class ArdOptions:
    presets: ClassVar = {"released": RELEASED | {"training.schedule": "onedrop", "attack.bn": "train"}}

    weight: Annotated[float, option("weight of the teacher; the labels have the rest", ge=0, le=1)] = 1.0
    tau: Annotated[float, option("temperature of the soft labels", gt=0, tune=Tune(1, 30, "log"))] = 1.0
    teacher: TeacherOptions = TeacherOptions()
    model: ModelOptions = ModelOptions()
    attack: ThreatOptions = ThreatOptions()
    training: Training = Training()


@options
class TaughtOptions:
    """Of RSLAD."""

    teacher: TeacherOptions = TeacherOptions()
    model: ModelOptions = ModelOptions()
    attack: ThreatOptions = ThreatOptions()
    training: Training = Training()


@options
class AdaAdOptions:
    weight: Annotated[float, option("weight of attacked pictures; natural ones have the rest", ge=0, le=1)] = 1.0
    teacher: TeacherOptions = TeacherOptions()
    model: ModelOptions = ModelOptions()
    attack: ThreatOptions = ThreatOptions()
    training: Training = Training()


@options
class AdaIadOptions:
    beta: Annotated[
        float, option("how sharply trust falls with the teacher's probability of the right class", ge=0)
    ] = 0.1
    gamma: Annotated[float, option("weight of introspection", ge=0)] = 1.0
    begin: Annotated[float, option("share of the epochs before introspection begins", ge=0, le=1)] = 0.3
    teacher: TeacherOptions = TeacherOptions()
    model: ModelOptions = ModelOptions()
    attack: ThreatOptions = ThreatOptions()
    training: Training = Training()


@options
class Akd2Options:
    presets: ClassVar = {"released": RELEASED | {"training.schedule": "onedrop", "attack.bn": "train"}}

    robust_weight: Annotated[float, option("weight of the robust teacher; with the other's at most 1", ge=0, le=1)] = (
        0.5
    )
    standard_weight: Annotated[
        float, option("weight of the standard teacher; the labels have the rest", ge=0, le=1)
    ] = 0.25
    tau: Annotated[float, option("temperature of the soft labels", gt=0, tune=Tune(1, 10, "log"))] = 1.0
    teacher: TeacherOptions = TeacherOptions()
    second: SecondTeacherOptions = SecondTeacherOptions()
    model: ModelOptions = ModelOptions()
    attack: ThreatOptions = ThreatOptions()
    training: Training = Training()


@options
class MtardOptions:
    rate: Annotated[
        float, option("learning rate at which the two teachers' weights follow their losses", gt=0, le=1)
    ] = 0.025
    teacher: TeacherOptions = TeacherOptions()
    second: SecondTeacherOptions = SecondTeacherOptions()
    model: ModelOptions = ModelOptions()
    attack: ThreatOptions = ThreatOptions()
    training: Training = Training()
