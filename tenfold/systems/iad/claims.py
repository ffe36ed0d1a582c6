"""What the paper says of IAD, C1 to C12, and how it is measured here.

At size `cpu` the data are scikit-learn's digits (1,797 pictures of 8 x 8) with an MLP of two hidden layers, attacked
within 0.2 of each pixel; at size `gpu` CIFAR-10 with ResNet-18, which is where the paper's tables are.
"""

from collections.abc import Mapping
from dataclasses import replace as with_changes
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import polars as pl
import torch

from tenfold.budget import Budget
from tenfold.claims import AtLeastBy, Bound, Claim, Reported, Size
from tenfold.data.labelled_pictures import LabelledPictures, read_labelled
from tenfold.data.public import files
from tenfold.data.vocabulary import Vocabulary
from tenfold.options import parse
from tenfold.system import System
from tenfold.systems.iad.options import Options
from tenfold.systems.iad.system import IAD
from tenfold.tasks.classification.baselines.trained import AKD2, ARD, AT
from tenfold.tasks.classification.losses import kl

DIGITS: dict[str, Any] = {
    "model.network": "mlp", "model.width": 256, "attack.eps": 0.2, "attack.steps": 10, "attack.step": 0.05,
    "training.batch_size": 64, "training.optimizer": "sgd", "training.lr": 0.1, "training.weight_decay": 2e-4,
    "training.schedule": "multistep",
}  # fmt: skip
SAME: dict[str, Any] = {"teacher.width": 256}  # as the paper's teachers: of the student's size
CIFAR: dict[str, Any] = {"preset": "corrected", "model.network": "resnet18"}
ATTACKED: dict[str, Any] = {"attacks": ("pgd",), "steps": 20}
EPOCHS: Mapping[Size, int] = {"cpu": 12, "gpu": 30, "quick": 2}
SEEDS: Mapping[Size, int] = {"cpu": 8, "gpu": 3, "quick": 1}
LR_DROPS = "half and three quarters of the epochs"


def digits(size: Size, seed: int) -> Any:
    """1,200 to learn from, of which 120 watch; 597 to test on."""
    if size == "gpu":
        return read_labelled(files("cifar10")["labels"])
    from sklearn.datasets import load_digits  # type: ignore[import-untyped, unused-ignore]

    found = load_digits()
    pixels = np.rint(found.images * 255 / 16).astype(np.uint8)[..., None]
    parts = np.where(np.arange(len(pixels)) < 1200, 0, 2).astype(np.uint8)
    classes = Vocabulary(pl.Series([str(n) for n in range(10)]))
    return LabelledPictures(pixels, (found.target + 1).astype(np.int32), classes, parts)


def budget(size: Size) -> Budget:
    return Budget(max_epochs=EPOCHS[size], progress="none", threads=1)


def shared(size: Size) -> dict[str, Any]:
    return dict(CIFAR) if size == "gpu" else dict(DIGITS)


def iad(size: Size, **more: Any) -> IAD:
    return IAD(parse(Options, shared(size) | SAME | {"second.width": 256} | more))


def ard(size: Size, **more: Any) -> ARD:
    return ARD(**_without_preset(size) | SAME | more)


def at(size: Size, **more: Any) -> AT:
    return AT(**_without_preset(size) | more)


def akd2(size: Size, **more: Any) -> AKD2:
    return AKD2(**_without_preset(size) | SAME | {"second.width": 256} | more)


def _without_preset(size: Size) -> dict[str, Any]:
    """Rivals have no preset `corrected`: theirs is `released`, with the schedule that was announced."""
    found = shared(size)
    return found | (
        {"preset": "released", "training.schedule": "multistep", "attack.bn": "eval"} if size == "gpu" else {}
    )


# The teacher on the student's questions.


@cache
def _teacher(size: Size, seed: int) -> str:
    """The folder of an adversarially trained teacher, trained once."""
    folder = Path(mkdtemp(prefix="tenfold-iad-")) / "teacher"
    at(size).fit(digits(size, seed), budget=with_changes(budget(size), seed=seed)).save(folder)
    return str(folder)


@cache
def _distilled(size: Size, seed: int, beta: float) -> IAD:
    """ARD is IAD-I without trust's fall, beta = 0."""
    taught = {"teacher.path": _teacher(size, seed), "trust.beta": beta}
    own = with_changes(budget(size), seed=seed)
    return iad(size, **taught).fit(digits(size, seed), budget=own)


def reliability(size: Size) -> dict[str, Any]:
    """Accuracy of the teacher on the student's pictures over the epochs of ARD, and the four cells of it."""
    runs = [_distilled(size, seed, 0.0).history["student"] for seed in range(SEEDS[size])]
    first, last = ([run[at_] for run in runs] for at_ in (0, -1))

    def change(name: str) -> np.ndarray:
        return np.array([a[name] - b[name] for a, b in zip(first, last, strict=True)])

    names = [f"right_on_{cell}" for cell in ("both", "natural_only", "attacked_only", "none")]
    counts = [
        sum(round(epoch[n] * epoch["pictures"]) for n in names) - epoch["pictures"] for run in runs for epoch in run
    ]
    return {
        "fall on attacked pictures": change("teacher_attacked"),
        "change on natural pictures": np.abs(change("teacher_natural")),
        "first epoch": np.array([each["teacher_attacked"] for each in first]),
        "last epoch": np.array([each["teacher_attacked"] for each in last]),
        "pictures in no cell or two": float(max(map(abs, counts))),
        "growth of right on natural only": -change("right_on_natural_only"),
    }


BETAS = (0.0, 0.1, 1.0, 5.0)


def dose(size: Size) -> dict[str, Any]:
    """Trust, consistency and accuracy over beta; the smallest step of each, which is above 0 where it only falls."""
    found: dict[str, list[list[float]]] = {"trust": [], "self KL": [], "natural": [], "robust": []}
    for seed in range(SEEDS[size]):
        data = digits(size, seed)
        rows: list[tuple[float, ...]] = []
        for beta in BETAS:
            system = _distilled(size, seed, beta)
            figures = system.evaluate(data, **ATTACKED)
            trust = system.history["student"][-1].get("trust", 1.0)
            rows.append((trust, _consistency(system, data), figures["natural"], figures["robust"]))
        for name, values in zip(found, zip(*rows, strict=True), strict=True):
            found[name].append(list(values))
    means = {name: np.mean(values, 0) for name, values in found.items()}
    told = {f"{name}, beta {beta:g}": float(means[name][i]) for name in means for i, beta in enumerate(BETAS)}
    steps = {name: float(-np.diff(means[name]).max()) for name in ("trust", "self KL")}
    return told | {
        "smallest fall of trust": steps["trust"],
        "smallest fall of self KL": steps["self KL"],
        "largest rise of natural": float(np.diff(means["natural"]).max()),
    }


@torch.no_grad()
def _consistency(system: IAD, data: LabelledPictures) -> float:
    """Mean KL(S(x) || S(x~)) on the test part, attacked by pgd-20."""
    _, found = system.attacked(data, keep=True, **ATTACKED)
    tested = system.tested(data, None, "test")
    natural, attacked = system.logits(tested.x()), system.logits(torch.from_numpy(found.pictures["pgd"]))
    return float(kl(natural, attacked).mean())


def from_a_plain_teacher(size: Size) -> Mapping[str, System]:
    """The `robust` teacher is trained plainly: queried where it knows nothing."""
    plain = {"teacher.learns": "st"}
    return {
        "IAD-II": iad(size, base="akd2", **plain, **{"trust.beta": 1.0}),
        "AKD2": akd2(size, **plain),
        "IAD-I": iad(size, **plain),
        "ARD": ard(size, **plain),
    }


def side_by_side(size: Size) -> Mapping[str, System]:
    return {"AT": at(size), "ARD": ard(size), "IAD-I": iad(size)}


def small_from_large(size: Size) -> Mapping[str, System]:
    """A quarter of the teacher's width; at size gpu MobileNetV2 from ResNet-18."""
    small = {"model.network": "mobilenetv2"} if size == "gpu" else {"model.width": 64}
    large = {"teacher.network": "resnet18"} if size == "gpu" else {}
    return {"AT": at(size, **small), "IAD-I": iad(size, **small, **large)}


def overfitting(size: Size) -> dict[str, Any]:
    """How much robust accuracy, on held-out training pictures, the last weights have lost to the best ones."""
    lost: dict[str, list[float]] = {"AT": [], "IAD-I": []}
    for seed in range(SEEDS[size]):
        for name, system in (("AT", AT.load(_teacher(size, seed))), ("IAD-I", _distilled(size, seed, 0.1))):
            robust = [epoch["pgd"] for epoch in system.history["student"]]
            lost[name].append(max(robust) - robust[-1])
    apart = np.array(lost["AT"]) - np.array(lost["IAD-I"])
    return {"gap of AT - gap of IAD-I": apart, **{f"gap of {name}": np.array(gaps) for name, gaps in lost.items()}}


def begins(size: Size) -> Mapping[str, System]:
    return {f"begin {share:g}": iad(size, **{"trust.begin": share, "trust.beta": 1.0}) for share in (0.0, 0.3, 1.0)}


FIT: dict[str, Any] = {"data": digits, "budget": budget, "metric": "robust", "seeds": SEEDS, "protocol": ATTACKED}
ON_DIGITS = f"digits, pgd-20; SGD with drops at {LR_DROPS}, 12 epochs, to be affordable on two cores"

CLAIMS = [
    Claim(
        name="C1",
        says="a robust teacher gets the student's attacked pictures wrong more and more",
        source="figure 1a",
        measure=reliability,
        expect=Bound(figure="fall on attacked pictures", at_least=0.10),
        note=ON_DIGITS,
    ),
    Claim(
        name="C1 natural",
        says="and the pictures themselves as before",
        source="figure 1a",
        measure=reliability,
        expect=Bound(figure="change on natural pictures", at_most=0.01),
        note=ON_DIGITS,
    ),
    Claim(
        name="C2",
        says="each picture is one of four cases of the teacher: right or wrong, as it is or attacked",
        source="section 3",
        measure=reliability,
        expect=Bound(figure="pictures in no cell or two", at_most=0.0),
    ),
    Claim(
        name="C3",
        says="distillation is at least as robust as adversarial training",
        source="table 2",
        arms=side_by_side,
        expect=AtLeastBy(first="ARD", points=-0.02, second="AT"),
        note=f"{ON_DIGITS}; on digits the two cannot be told apart, so no more than -2 points is asked",
        **FIT,
    ),
    Claim(
        name="C4",
        says="a student of its teacher's size is more robust than the teacher",
        source="table 2",
        arms=side_by_side,
        expect=AtLeastBy(first="IAD-I", points=0.005, second="AT"),
        note=f"{ON_DIGITS}; the teacher is AT, of the same network and seed",
        **FIT,
    ),
    Claim(
        name="C5",
        says="IAD-I is at least as robust as ARD",
        source="table 2",
        arms=side_by_side,
        expect=AtLeastBy(first="IAD-I", points=-0.01, second="ARD"),
        note=f"{ON_DIGITS}; the paper has +0.6 points of AutoAttack, others -1.0 to +0.7",
        **FIT,
    ),
    Claim(
        name="C6 trust",
        says="the larger beta, the less the teacher is trusted",
        source="section 5.3",
        measure=dose,
        expect=Bound(figure="smallest fall of trust", at_least=1e-6),
        note=ON_DIGITS,
    ),
    Claim(
        name="C6 consistency",
        says="and the more alike are the answers to a picture and its attack",
        source="section 5.3",
        measure=dose,
        expect=Bound(figure="smallest fall of self KL", at_least=1e-6),
        note=ON_DIGITS,
    ),
    Claim(
        name="C7",
        says="a teacher that knows no attack harms IAD-I no more than ARD",
        source="section 3",
        arms=from_a_plain_teacher,
        expect=AtLeastBy(first="IAD-I", points=-0.015, second="ARD"),
        note=ON_DIGITS,
        **FIT,
    ),
    Claim(
        name="C7 gated",
        says="and IAD-II less than AKD2, which asks it about attacked pictures",
        source="section 3",
        arms=from_a_plain_teacher,
        expect=AtLeastBy(first="IAD-II", points=0.0, second="AKD2"),
        note=f"{ON_DIGITS}; beta = 1",
        **FIT,
    ),
    Claim(
        name="C8",
        says="when introspection begins matters little",
        source="section 5.3",
        arms=begins,
        expect=Reported(figure="begin 0.3"),
        note=f"{ON_DIGITS}; beta = 1",
        **FIT,
    ),
    Claim(
        name="C9",
        says="the last weights lose less to the best ones than those of adversarial training",
        source="section 5",
        measure=overfitting,
        expect=Bound(figure="gap of AT - gap of IAD-I", at_least=0.015),
        note=f"{ON_DIGITS}; best and last by 120 held-out pictures",
    ),
    Claim(
        name="C12",
        says="a small student gains from a large teacher",
        source="section 5",
        arms=small_from_large,
        expect=AtLeastBy(first="IAD-I", points=0.01, second="AT"),
        note=f"{ON_DIGITS}; a student of width 64, a teacher of 256",
        **FIT,
    ),
]
