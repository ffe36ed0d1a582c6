"""IAD: a small classifier that stays right under attack, taught by a teacher it trusts where it should (2106.04928).

The student's attacked pictures are questions on which its teacher was not trained, and the more the student learns the
more of them the teacher gets wrong. So the teacher is trusted by the probability that it gives the right class there
(alpha), and the student's own answer to the natural picture fills the rest. Read `losses.iad1`, `losses.iad2` and
`losses.trust` of the task for the mathematics; the task has the data, attacks, teachers and verbs.
"""

from typing import Any, ClassVar

from tenfold.errors import OptionError
from tenfold.options import parse
from tenfold.systems.iad.options import Options
from tenfold.tasks.classification.lesson import Method
from tenfold.tasks.classification.methods import Iad
from tenfold.tasks.classification.task import Classifier


class IAD(Classifier):
    options: Options
    tiny: ClassVar[Any] = parse(Options, {
        "base": "akd2", "trust.begin": 0.0, "model.network": "mlp", "model.width": 12, "attack.steps": 2,
        "attack.eps": 0.1, "training.batch_size": 8, "training.lr": 0.03, "training.schedule": "constant",
    })  # fmt: skip

    def _named(self) -> dict[str, Any]:
        """IAD-I has one teacher."""
        named = super()._named()
        return named if self.options.base == "akd2" else {"teacher": named["teacher"]}

    def method(self) -> Method:
        o, trust = self.options, self.options.trust
        if o.robust_weight + o.standard_weight > 1:
            raise OptionError(
                f"robust_weight = {o.robust_weight:g} and standard_weight = {o.standard_weight:g} leave labels less "
                "than nothing; their sum is at most 1"
            )
        begin = trust.begin if trust.begin is not None else 0.3 if o.base == "ard" else 0.2
        gated = o.base == "akd2" if trust.teacher_weight == "auto" else trust.teacher_weight == "trust"
        return Iad(
            base=o.base, beta=trust.beta, gamma=trust.gamma, begin=begin, gated=gated, detach=trust.detach,
            weight=o.weight, robust_weight=o.robust_weight, standard_weight=o.standard_weight, tau=o.tau,
            smoothing=o.training.smoothing,
        )  # fmt: skip
