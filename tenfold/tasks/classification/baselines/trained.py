"""Plain and adversarial training, with consistency, and with teachers. Same trainer, attack and evaluation for all."""

from typing import Any

from tenfold.options import parse
from tenfold.tasks.classification import methods
from tenfold.tasks.classification.baselines.options import (
    AdaAdOptions,
    AdaIadOptions,
    Akd2Options,
    ArdOptions,
    ConsistencyOptions,
    MtardOptions,
    PlainOptions,
    TaughtOptions,
)
from tenfold.tasks.classification.lesson import Method
from tenfold.tasks.classification.task import Classifier


def tiny(cls: type) -> Any:
    """Options with which the tests fit a method in a second."""
    small = {
        "model.network": "mlp", "model.width": 12, "attack.steps": 2, "attack.eps": 0.1, "training.batch_size": 8,
        "training.lr": 0.03, "training.schedule": "constant",
    }  # fmt: skip
    return parse(cls, small | ({"begin": 0.0} if hasattr(cls, "begin") else {}))


class Plain(Classifier):
    """ST: no attack in training, none stood."""

    options: PlainOptions
    tiny = tiny(PlainOptions)

    def method(self) -> Method:
        return methods.Standard(self.options.training.smoothing)


class AT(Classifier):
    """Madry et al., ICLR 2018."""

    options: PlainOptions
    tiny = tiny(PlainOptions)

    def method(self) -> Method:
        return methods.Adversarial(self.options.training.smoothing)


class TRADES(Classifier):
    """Zhang et al., ICML 2019."""

    options: ConsistencyOptions
    tiny = tiny(ConsistencyOptions)

    def method(self) -> Method:
        return methods.Trades(self.options.weight, self.options.training.smoothing)


class MART(Classifier):
    """Wang et al., ICLR 2020."""

    options: ConsistencyOptions
    tiny = tiny(ConsistencyOptions)

    def method(self) -> Method:
        return methods.Mart(self.options.weight)


class ARD(Classifier):
    """Goldblum et al., AAAI 2020."""

    options: ArdOptions
    tiny = tiny(ArdOptions)

    def method(self) -> Method:
        return methods.Ard(self.options.weight, self.options.tau, self.options.training.smoothing)


class RSLAD(Classifier):
    """Zi et al., ICCV 2021."""

    options: TaughtOptions
    tiny = tiny(TaughtOptions)

    def method(self) -> Method:
        return methods.Rslad()


class AdaAD(Classifier):
    """Huang et al., CVPR 2023."""

    options: AdaAdOptions
    tiny = tiny(AdaAdOptions)

    def method(self) -> Method:
        return methods.AdaAd(self.options.weight)


class AdaIAD(Classifier):
    """Huang et al., CVPR 2023: AdaAD with IAD's introspection."""

    options: AdaIadOptions
    tiny = tiny(AdaIadOptions)

    def method(self) -> Method:
        return methods.AdaIad(self.options.beta, self.options.gamma, self.options.begin)


class AKD2(Classifier):
    """Chen et al., ICLR 2021."""

    options: Akd2Options
    tiny = tiny(Akd2Options)

    def method(self) -> Method:
        o = self.options
        return methods.Akd2(o.robust_weight, o.standard_weight, o.tau, o.training.smoothing)


class MTARD(Classifier):
    """Zhao et al., ECCV 2022."""

    options: MtardOptions
    tiny = tiny(MtardOptions)

    def method(self) -> Method:
        return methods.Mtard(self.options.rate)
