"""What makes an attack's figures worthless, each in a sentence: wrong pixels, a ball out of reach, masking."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from tenfold.errors import DataError, OptionError
from tenfold.ops.attacks.objectives import cross_entropy
from tenfold.ops.attacks.pgd import Model, input_gradient, logits_of
from tenfold.ops.attacks.threat import Norm

MOST_ZERO = 0.5  # share of input gradients that are exactly 0, above which they say too little


class Finding(NamedTuple):
    """Something that a person must know of an attack on a model."""

    name: str
    says: str


def check_pixels(x: Tensor, of: str = "the pictures") -> None:
    """Raises DataError where pixels are not numbers in [0, 1]."""
    if not torch.isfinite(x).all():
        raise DataError(f"{of} hold values that are no numbers (nan or infinite); mend or leave out those pictures")
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        raise DataError(
            f"{of} hold pixels from {low:.4g} to {high:.4g}; attacks act on pixels in [0, 1]: divide by 255, and let "
            "the model normalise inside"
        )


def check_threat(eps: float, norm: Norm, step: float, steps: int) -> list[str]:
    """What a person must know of a budget and its steps. Raises OptionError for a budget that cannot be meant."""
    if not eps > 0 or not math.isfinite(eps):
        raise OptionError(f"eps = {eps:g}: an attack needs a budget above 0, such as 8/255")
    if norm == "linf" and eps >= 1:
        raise OptionError(
            f"eps = {eps:g} is in units of pixels in [0, 1], where 1 is everything; did you mean {eps:g}/255?"
        )
    notes = []
    if norm == "linf" and eps > 0.5:
        notes.append(f"eps = {eps:g} lets every pixel become grey: no classifier can stand that.")
    if steps and steps * step < eps:
        notes.append(
            f"{steps} steps of {step:.4g} reach {steps * step:.4g} at most, less than eps = {eps:.4g}: the attack is "
            "weaker than it is called."
        )
    if steps > 1 and step > 2 * eps:
        notes.append(f"A step of {step:.4g} is more than twice eps = {eps:.4g}: the attack leaps from side to side.")
    return notes


@torch.no_grad()
def masking(model: Model, x: Tensor, y: Tensor) -> list[Finding]:
    """What in a model's answers to a few pictures makes attacks weaker than they look."""
    found = []
    logits = logits_of(model, x)
    again = logits_of(model, x)
    if not torch.isfinite(logits).all():
        found.append(
            Finding("nan", "The model's answers hold values that are no numbers: nothing measured on them counts.")
        )
    if not torch.equal(logits, again) and not torch.allclose(logits, again, rtol=1e-4, atol=1e-5):
        found.append(Finding("random", "The model answers the same picture differently each time: gradients of one "
                             "answer are not the model's; average over many before trusting any figure."))  # fmt: skip
    if looks_like_probabilities(logits):
        found.append(Finding("probabilities", "The model's answers are probabilities, not logits: their gradients "
                             "vanish where it is sure; take the softmax away."))  # fmt: skip
    gradient, _ = input_gradient(model, x, y, cross_entropy)
    zero = float((gradient == 0).float().mean())
    if zero > MOST_ZERO:
        found.append(
            Finding(
                "zero gradients",
                f"{zero:.0%} of the gradients by pixels are exactly 0: steps cannot follow "
                "them; believe the attacks on margins (cw, aa-lite) and square more than pgd.",
            )
        )
    return found


def looks_like_probabilities(logits: Tensor) -> bool:
    """All rows are at least 0 and add up to 1."""
    return bool((logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones_like(logits[:, 0]), atol=1e-4))
