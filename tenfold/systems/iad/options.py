"""What can be chosen for IAD. Imports no torch.

Presets: `released` is the training of the authors' code (one drop of the learning rate, batch norm trains while
attacking), `corrected` the same without its two slips; both want 200 epochs. Symbols are the paper's.
"""

from typing import Annotated, ClassVar, Literal

from tenfold.options import Tune, option, options
from tenfold.tasks.classification.baselines.options import RELEASED
from tenfold.tasks.classification.options import (
    ModelOptions,
    SecondTeacherOptions,
    TeacherOptions,
    ThreatOptions,
    Training,
)


@options
class TrustOptions:
    beta: Annotated[
        float,
        option("how sharply trust falls with the teacher's probability of the right class; 0: full trust", ge=0,
               tune=Tune(0.05, 1.0, "log")),
    ] = 0.1  # fmt: skip
    gamma: Annotated[float, option("weight of introspection", ge=0)] = 1.0
    begin: Annotated[
        float | None, option("share of the epochs before introspection begins; none: 0.3 (ard), 0.2 (akd2)", ge=0, le=1)
    ] = None
    teacher_weight: Annotated[
        Literal["auto", "constant", "trust"],
        option("weight of the robust teacher's term; auto: constant (ard), trust (akd2), as released"),
    ] = "auto"
    detach: Annotated[bool, option("introspection sends no gradient into the answer to the natural picture")] = False


@options
class Options:
    presets: ClassVar = {
        "released": RELEASED | {"training.schedule": "onedrop", "attack.bn": "train"},
        "corrected": RELEASED | {"training.schedule": "multistep", "attack.bn": "eval"},
        "two": {"base": "akd2"},
    }

    base: Annotated[
        Literal["ard", "akd2"], option("what it stands on: ard (IAD-I), akd2 (IAD-II, a second teacher)")
    ] = "ard"
    trust: TrustOptions = TrustOptions()
    tau: Annotated[float, option("temperature of the teachers' soft labels", gt=0, tune=Tune(1, 10, "log"))] = 1.0
    weight: Annotated[float, option("lambda of ard: weight of the teacher; the labels have the rest", ge=0, le=1)] = 1.0
    robust_weight: Annotated[float, option("lambda_1 of akd2: weight of the robust teacher", ge=0, le=1)] = 0.5
    standard_weight: Annotated[float, option("lambda_2 of akd2: weight of the standard teacher", ge=0, le=1)] = 0.25
    teacher: TeacherOptions = TeacherOptions()
    second: SecondTeacherOptions = SecondTeacherOptions()
    model: ModelOptions = ModelOptions()
    attack: ThreatOptions = ThreatOptions()
    training: Training = Training()
