"""Losses and gradients of all methods against the released expressions, in float64, on one committed random case.

data/make_iad_losses.py writes the case.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tenfold.tasks.classification import losses

CASE = {
    name: torch.from_numpy(each) for name, each in np.load(Path(__file__).parent / "data" / "iad_losses.npz").items()
}
T, T_A, ST, Y = (CASE[f"in_{name}"] for name in ("t", "t_a", "st", "y"))


def alpha(beta):
    return losses.trust(T_A, Y, beta)


def ours(name, s, a):
    """The same case by our functions: a number for each picture."""
    return {
        "ard": lambda: losses.ard(None, a, T, Y),
        "ard_labels": lambda: losses.ard(s, a, T, Y, weight=0.7, tau=3.0),
        "iad1": lambda: losses.iad1(s, a, T, Y, alpha(0.1)),
        "iad1_labels": lambda: losses.iad1(s, a, T, Y, alpha(1.0), weight=0.7, tau=3.0),
        "akd2": lambda: losses.akd2(a, T_A, ST, Y, robust_weight=0.5, standard_weight=0.25),
        "akd2_warm": lambda: losses.akd2(a, T_A, ST, Y, robust_weight=0.3, standard_weight=0.4, tau=2.0),
        "iad2": lambda: losses.iad2(s, a, T_A, ST, Y, alpha(0.1), robust_weight=0.5, standard_weight=0.25),
        "iad2_warm": lambda: losses.iad2(s, a, T_A, ST, Y, alpha(1.0), robust_weight=0.3, standard_weight=0.4, tau=2.0),
    }[name]()


NAMES = [name.removesuffix("_loss") for name in CASE if name.endswith("_loss")]


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradients_equal_the_released_expression(name):
    s, a = (CASE[f"in_{each}"].clone().requires_grad_() for each in "sa")
    loss = ours(name, s, a).mean()
    slopes = torch.autograd.grad(loss, (s, a), allow_unused=True)
    near = {"rtol": 1e-9, "atol": 1e-9}
    assert_close(loss, CASE[f"{name}_loss"], **near)
    for which, slope in zip("sa", slopes, strict=True):
        wanted = CASE[f"{name}_by_{which}"]
        assert_close(torch.zeros_like(wanted) if slope is None else slope, wanted, **near)


def test_without_beta_iad_is_what_it_stands_on_to_the_bit():
    s, a = CASE["in_s"], CASE["in_a"]
    assert torch.equal(losses.iad1(s, a, T, Y, alpha(0.0)), losses.ard(None, a, T, Y))
    weights = {"robust_weight": 0.5, "standard_weight": 0.25}
    assert torch.equal(losses.iad2(s, a, T_A, ST, Y, alpha(0.0), **weights), losses.akd2(a, T_A, ST, Y, **weights))


def test_trust_is_the_teacher_s_probability_to_the_power_beta_also_where_that_is_nearly_nothing():
    logits = torch.tensor([[0.0, 0.0], [200.0, 0.0], [float("inf"), 0.0]])
    y = torch.tensor([1, 1, 1])
    assert_close(losses.trust(logits[:2], y[:2], 0.5), torch.tensor([0.5**0.5, np.exp(-100.0)]).float())
    assert losses.trust(logits, y, 0.0).tolist() == [1.0, 1.0, 1.0]
    assert not losses.trust(logits.clone().requires_grad_(), y, 0.5).requires_grad


def test_the_abstract_s_iad_leaves_a_teacher_that_is_not_trusted_out():
    """Case (c): alpha = 0 leaves only the student's own answer, where the teacher's term is weighed by it."""
    s, a, none = CASE["in_s"], CASE["in_a"], torch.zeros(len(Y), dtype=torch.float64)
    assert_close(losses.iad1(s, a, T, Y, none, gated=True), losses.kl(s, a))
    assert_close(losses.iad1(s, a, T, Y, none), losses.kl(T, a) + losses.kl(s, a))


def test_detached_introspection_sends_no_gradient_into_the_natural_answer():
    s, a = (CASE[f"in_{each}"].clone().requires_grad_() for each in "sa")
    loss = losses.iad1(s, a, T, Y, alpha(1.0), detach=True).sum()
    slopes = torch.autograd.grad(loss, (s, a), allow_unused=True)
    assert slopes[0] is None
    two_sided = losses.iad1(s, a, T, Y, alpha(1.0)).sum()
    assert_close(slopes[1], torch.autograd.grad(two_sided, a)[0])


def test_adaad_and_mtard_are_what_their_papers_say():
    s, a = CASE["in_s"], CASE["in_a"]
    assert_close(losses.adaad(None, a, None, T_A, weight=1.0), losses.kl(T_A, a))
    assert_close(losses.adaad(s, a, T, T_A, weight=0.3), 0.3 * losses.kl(T_A, a) + 0.7 * losses.kl(T, s))
    assert_close(losses.adaiad(s, a, T_A, alpha(1.0)), losses.kl(T_A, a) + (1 - alpha(1.0)) * losses.kl(s, a))
    robust, plain = losses.mtard(s, a, T_A, ST)
    assert_close(robust, losses.kl(T_A, a))
    assert_close(plain, losses.kl(ST, s))


def test_trades_mart_and_rslad_are_what_their_papers_say():
    """Written once more, picture by picture, in numpy."""
    s, a, t = (CASE[f"in_{name}"].numpy() for name in ("s", "a", "t"))
    p_s, p_a, p_t = (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (s, a, t))
    found = {"trades": [], "mart": [], "rslad": []}
    for i, y in enumerate(Y.tolist()):

        def kl(q, p):
            return sum(q[k] * np.log(q[k] / p[k]) for k in range(len(q)))

        found["trades"].append(-np.log(p_s[i, y]) + 6 * kl(p_s[i], p_a[i]))
        wrong = max(p for k, p in enumerate(p_a[i]) if k != y)
        boosted = -np.log(p_a[i, y]) - np.log(1.0001 - wrong + 1e-12)
        found["mart"].append(boosted + 5 * kl(p_s[i], p_a[i]) * (1 - p_s[i, y]))
        found["rslad"].append(5 / 6 * kl(p_t[i], p_a[i]) + 1 / 6 * kl(p_t[i], p_s[i]))
    natural, attacked = CASE["in_s"], CASE["in_a"]
    assert_close(losses.trades(natural, attacked, Y, weight=6.0), torch.tensor(found["trades"]))
    assert_close(losses.mart(natural, attacked, Y, weight=5.0), torch.tensor(found["mart"]))
    assert_close(losses.rslad(natural, attacked, T), torch.tensor(found["rslad"]))


def test_smoothed_labels_are_shared_out():
    s, y = CASE["in_s"], Y
    p = torch.log_softmax(s, 1)
    wanted = -(0.9 * p.gather(1, y[:, None])[:, 0] + 0.1 * p.mean(1))
    assert_close(losses.ce(s, y, 0.1), wanted)
