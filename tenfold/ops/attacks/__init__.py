"""Attacks: the small change of a picture that a classifier gets most wrong. Plain functions of model, x and y.

Shapes throughout: x (N, C, H, W) float32 pixels in [0, 1], y (N,) int64 classes, K classes; a model is any callable
that gives logits (N, K). What a model normalises, it normalises inside. Changes are bounded by a `Threat`.
"""

from tenfold.ops.attacks.apgd import aa_lite, apgd, apgd_targeted
from tenfold.ops.attacks.checks import Finding, check_pixels, check_threat, masking
from tenfold.ops.attacks.folded import Folded
from tenfold.ops.attacks.noise import noise
from tenfold.ops.attacks.objectives import OBJECTIVES, Objective, cross_entropy, divergence, dlr, margin, targeted_dlr
from tenfold.ops.attacks.pgd import fgsm, input_gradient, pgd, pgd_reference, right
from tenfold.ops.attacks.square import square
from tenfold.ops.attacks.threat import Norm, Threat

__all__ = [
    "OBJECTIVES", "Finding", "Folded", "Norm", "Objective", "Threat", "aa_lite", "apgd", "apgd_targeted",
    "check_pixels", "check_threat", "cross_entropy", "divergence", "dlr", "fgsm", "input_gradient", "margin", "masking",
    "noise", "pgd", "pgd_reference", "right", "square", "targeted_dlr",
]  # fmt: skip
