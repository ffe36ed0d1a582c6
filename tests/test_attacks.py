"""Attacks against their definitions and against other libraries, on a small network trained for it."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from tenfold.errors import DataError, OptionError
from tenfold.nn.convolutional import MLP, MobileNetV2, ResNet18, SmallNetwork, WideResNet
from tenfold.ops import attacks
from tenfold.ops.attacks import Folded, Threat, noise, right
from tenfold.ops.attacks.apgd import checkpoints
from tenfold.ops.attacks.square import _hill

N, C, H, W, K = 60, 2, 6, 7, 10
ROWS = np.arange(N)


def pictures():
    generator = torch.Generator().manual_seed(5)
    y = torch.randint(K, (N,), generator=generator)
    patterns = torch.rand(K, C, H, W, generator=generator)
    return (0.2 * patterns[y] + 0.8 * torch.rand(N, C, H, W, generator=generator)).clamp(0, 1), y


@pytest.fixture(scope="module")
def fitted():
    """x, y and a small network in eval mode that stands half of the attacks."""
    torch.manual_seed(0)
    x, y = pictures()
    network = nn.Sequential(
        nn.Conv2d(C, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * H * W, K)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    threat = Threat(0.05)
    for epoch in range(15):
        start = threat.start(x, noise(0, epoch, ROWS, (C, H, W)))
        worse = attacks.pgd(Folded(network), x, y, threat=threat, steps=3, step=0.02, start=start)
        optimizer.zero_grad()
        F.cross_entropy(network(worse), y).backward()
        optimizer.step()
    return x, y, network.eval()


def share(network, x, y):
    with torch.no_grad():
        return right(network(x), y).float().mean().item()


# Ball and pixels.


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("eps", [1 / 255, 0.3, 0.9])
def test_what_is_projected_stays_in_the_ball_and_among_pixels(norm, eps):
    torch.manual_seed(1)
    x, threat = torch.rand(9, C, H, W), Threat(eps, norm)
    moved = threat.project(x + 3 * torch.randn_like(x), x)
    assert threat.size(moved - x).max() <= eps + 1e-6 and moved.min() >= 0 and moved.max() <= 1
    assert_close(threat.project(moved, x), moved)
    for begin in (threat.start, threat.edge):
        started = begin(x, noise(0, 0, np.arange(9), (C, H, W)))
        assert threat.size(started - x).max() <= eps + 1e-6 and started.min() >= 0 and started.max() <= 1


def test_l2_projection_is_the_nearest_point_of_the_ball():
    x = torch.full((1, 1, 1, 2), 0.5)
    moved = Threat(0.1, "l2").project(x + torch.tensor([[[[0.3, 0.4]]]]), x)
    assert_close(moved, x + torch.tensor([[[[0.06, 0.08]]]]))


def test_noise_is_a_function_of_seed_epoch_and_picture():
    whole = noise(1, 2, np.arange(6), (3, 4))
    assert torch.equal(noise(1, 2, np.array([4, 2]), (3, 4)), whole[[4, 2]])
    assert not torch.equal(noise(1, 3, np.arange(6), (3, 4)), whole)
    many = noise(0, 0, np.arange(2000), (10,))
    assert many.min() >= -1 and many.max() < 1 and abs(many.mean()) < 0.02 and abs(many.std() - 3**-0.5) < 0.01


# PGD.


@pytest.mark.parametrize("norm, eps, step", [("linf", 0.06, 0.02), ("l2", 0.5, 0.15)])
@pytest.mark.parametrize("objective", ["ce", "margin", "dlr"])
def test_pgd_is_its_definition(fitted, norm, eps, step, objective):
    x, y, network = fitted
    threat = Threat(eps, norm)
    how = {"threat": threat, "steps": 4, "step": step, "objective": attacks.OBJECTIVES[objective]}
    start = threat.start(x, noise(3, 0, ROWS, (C, H, W)))
    double = network.double()
    slow = attacks.pgd_reference(double, x.double(), y, start=start.double(), **how)
    fast = attacks.pgd(Folded(network.float()), x, y, start=start, **how)
    apart = (fast - slow).abs().flatten(1).amax(1) > 1e-4  # where a gradient is 0 to rounding its sign may differ
    assert apart.float().mean() < 0.05
    assert threat.size(fast - x).max() <= eps + 1e-6


def test_pictures_that_are_fooled_drop_out_and_none_is_lost(fitted):
    x, y, network = fitted
    threat = Threat(0.08)
    start = threat.start(x, noise(3, 0, ROWS, (C, H, W)))
    asked = []

    def counting(z):
        asked.append(len(z))
        return network(z)

    how = {"threat": threat, "steps": 6, "step": 0.03, "start": start}
    stopped = attacks.pgd(counting, x, y, stop=True, **how)
    fooled = ~right(network(stopped), y)
    assert 0.2 < fooled.float().mean() < 1 and asked[-1] < len(x)
    last = attacks.pgd_reference(network, x, y, **how)
    assert (fooled | right(network(last), y)).float().mean() >= 0.97  # what the last step fools was fooled, to rounding
    wrong = ~right(network(x), y)
    assert torch.equal(stopped[wrong], x[wrong])

    assert torch.equal(start, threat.start(x, noise(3, 0, ROWS, (C, H, W))))  # what was given is not written into


def test_a_picture_is_attacked_alone_as_in_a_batch(fitted):
    """The network is in double precision, where no sign of a gradient is rounding's."""
    x, y, network = fitted
    threat, double = Threat(0.08), copy.deepcopy(network).double()
    start = threat.start(x, noise(3, 0, ROWS, (C, H, W)))
    how = {"threat": threat, "steps": 6, "step": 0.03, "stop": True}

    def wide(z):
        return double(z.double())

    together = attacks.pgd(wide, x, y, start=start, **how)
    alone = [
        attacks.pgd(wide, *each, start=begun, **how)
        for *each, begun in zip(x.split(1), y.split(1), start.split(1), strict=True)
    ]
    assert_close(torch.cat(alone), together, rtol=0, atol=1e-5)


def test_gradients_are_of_the_input_only_also_inside_no_grad_and_autocast(fitted):
    x, y, network = fitted
    for weight in network.parameters():
        weight.grad = None
    wanted, _ = attacks.input_gradient(network, x, y, attacks.cross_entropy)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found, logits = attacks.input_gradient(network, x, y, attacks.cross_entropy)
    assert torch.equal(found, wanted) and logits.dtype == torch.float32
    assert all(weight.grad is None for weight in network.parameters())


def test_more_steps_and_larger_budgets_never_help_the_classifier(fitted):
    x, y, network = fitted
    model = Folded(network)

    def robust(eps, steps):
        threat = Threat(eps)
        start = threat.start(x, noise(0, 0, ROWS, (C, H, W)))
        return share(
            network, attacks.pgd(model, x, y, threat=threat, steps=steps, step=eps / 4, start=start, stop=True), y
        )

    by_eps = [robust(eps, 10) for eps in (0.01, 0.03, 0.06, 0.12, 0.25)]
    by_steps = [robust(0.06, steps) for steps in (1, 3, 10, 30)]
    assert all(b <= a + 0.02 for some in (by_eps, by_steps) for a, b in pairwise(some))
    assert by_eps[-1] <= 1 / K


def test_a_tie_and_a_number_that_is_none_are_wrong():
    logits = torch.tensor([[2.0, 1.0], [1.0, 1.0], [float("nan"), 0.0], [0.0, 1.0]])
    assert right(logits, torch.tensor([0, 0, 0, 0])).tolist() == [True, False, False, False]


# Objectives.


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
def test_objectives_are_their_definitions_for_any_number_of_classes(classes):
    torch.manual_seed(classes)
    logits, y = torch.randn(6, classes, dtype=torch.float64), torch.arange(6) % classes
    target = (y + 1) % classes
    for i in range(6):
        z, own = logits[i].tolist(), int(y[i])
        best = max(z[k] for k in range(classes) if k != own)
        order = sorted(z, reverse=True)
        assert_close(attacks.margin(logits, y)[i].item(), best - z[own])
        if classes > 2:
            assert_close(
                attacks.dlr(logits, y)[i].item(), (best - z[own]) / (order[0] - order[2]), rtol=1e-9, atol=1e-9
            )
        towards = z[int(target[i])] - z[own]
        wanted = towards if classes < 4 else towards / (order[0] - 0.5 * (order[2] + order[3]))
        assert_close(attacks.targeted_dlr(logits, y, target)[i].item(), wanted, rtol=1e-9, atol=1e-9)


# APGD and Square.


def test_apgd_looks_at_its_step_when_the_paper_does():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(5) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("norm, eps", [("linf", 0.06), ("l2", 0.5)])
def test_apgd_is_as_strong_as_pgd_and_aa_lite_as_apgd(fitted, norm, eps):
    x, y, network = fitted
    threat, model = Threat(eps, norm), Folded(network)
    start = threat.start(x, noise(0, 0, ROWS, (C, H, W)))
    pgd = share(network, attacks.pgd(model, x, y, threat=threat, steps=20, step=eps / 5, start=start, stop=True), y)
    found = attacks.apgd(model, x, y, threat=threat, steps=40, start=noise(0, 1, ROWS, (C, H, W)))
    lite = attacks.aa_lite(model, x, y, threat=threat, steps=40)
    assert share(network, found, y) <= pgd + 0.02
    assert share(network, lite, y) <= share(network, found, y)
    for moved in (found, lite):
        assert threat.size(moved - x).max() <= eps + 1e-6 and moved.min() >= 0 and moved.max() <= 1


def test_aa_lite_does_not_depend_on_how_many_are_attacked_together(fitted):
    x, y, network = fitted
    whole = attacks.aa_lite(network, x, y, threat=Threat(0.06), steps=10)
    part = attacks.aa_lite(network, x[20:33], y[20:33], threat=Threat(0.06), steps=10, rows=np.arange(20, 33))
    assert (right(network(whole[20:33]), y[20:33]) == right(network(part), y[20:33])).float().mean() >= 12 / 13


@pytest.mark.parametrize("norm, eps", [("linf", 0.1), ("l2", 1.0)])
def test_square_keeps_its_budget_and_is_no_stronger_than_what_sees_gradients(fitted, norm, eps):
    x, y, network = fitted
    threat = Threat(eps, norm)
    moved = attacks.square(network, x, y, threat=threat, queries=60)
    assert threat.size(moved - x).max() <= eps + 1e-6 and moved.min() >= 0 and moved.max() <= 1
    strongest = attacks.aa_lite(network, x, y, threat=threat, steps=20)
    assert share(network, x, y) - 0.1 > share(network, moved, y) >= share(network, strongest, y) - 0.01
    part = attacks.square(network, x[20:33], y[20:33], threat=threat, queries=60, rows=ROWS[20:33])
    alike = right(network(moved[20:33]), y[20:33]) == right(network(part), y[20:33])
    assert alike.float().mean() >= 12 / 13  # where rounding decides


def test_square_in_l2_fools_as_many_as_autoattack_s_own(fitted):
    pyautoattack = pytest.importorskip("pyautoattack", reason="pyautoattack is not installed")
    x, y, network = fitted
    official = pyautoattack.AutoAttack(network, attacks=["square"], device="cpu", eps=1.0, norm="L2", version="custom",
                                       seed=0)  # fmt: skip
    official.square.n_queries, official.square.rescale_schedule = 60, True
    moved, _ = official.run_standard_evaluation(x, y, batch_size=N)
    ours = attacks.square(network, x, y, threat=Threat(1.0, "l2"), queries=60)
    assert abs(share(network, ours, y) - share(network, moved, y)) <= 0.1  # of random squares both


def test_hills_of_square_are_of_length_one_and_half_negative():
    for side in (1, 2, 3, 7):
        hill = _hill(side)
        assert_close(hill.norm(), torch.tensor(1.0))
        assert (hill[: side // 2] > 0).all() and (hill[side // 2 :] < 0).all()
    assert _hill(7)[: 7 // 2].argmax() == 1 * 7 + 3  # the middle of the upper half


# Other libraries.


def test_pgd_equals_torchattacks_and_foolbox_from_the_same_start(fitted):
    """Without a random start all three are deterministic: the same, but where a gradient's sign is rounding."""
    torchattacks = pytest.importorskip("torchattacks", reason="torchattacks is not installed")
    foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
    x, y, network = fitted
    eps, steps, step = 0.06, 10, 0.02
    ours = attacks.pgd(Folded(network), x, y, threat=Threat(eps), steps=steps, step=step)
    theirs = torchattacks.PGD(network, eps=eps, alpha=step, steps=steps, random_start=False)(x, y)
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfPGD(abs_stepsize=step, steps=steps, random_start=False)
    _, third, _ = attack(model, x, y, epsilons=eps)
    for other in (theirs, third):
        same = right(network(ours), y) == right(network(other), y)
        assert same.float().mean() >= 0.98


def test_aa_lite_is_no_weaker_than_the_apgd_pair_of_autoattack(fitted):
    pyautoattack = pytest.importorskip("pyautoattack", reason="pyautoattack is not installed")
    x, y, network = fitted
    official = pyautoattack.AutoAttack(
        network, attacks=["apgd-ce", "apgd-t"], device="cpu", eps=0.06, norm="Linf", version="custom", seed=0
    )
    official.apgd.n_iter = official.apgd_targeted.n_iter = steps = 30
    moved = official.run_standard_evaluation(x, y, batch_size=N)
    moved = moved[0] if isinstance(moved, tuple) else moved
    ours = attacks.aa_lite(network, x, y, threat=Threat(0.06), steps=steps, targets=K - 1)
    assert share(network, ours, y) <= share(network, moved, y) + 1 / N


# Folding.


@pytest.mark.parametrize(
    "make",
    [
        lambda: SmallNetwork(K, C, 8),
        lambda: ResNet18(K, C, 8),
        lambda: MobileNetV2(K, C),
        lambda: WideResNet(K, C, 10, 2),
        lambda: MLP(K, C * 8 * 8, 16),
    ],
    ids=["small", "resnet18", "mobilenetv2", "wide", "mlp"],
)
def test_a_folded_copy_answers_and_slopes_as_the_network_does_and_follows_it(make):
    torch.manual_seed(0)
    network, x, y = make(), torch.rand(3, C, 8, 8), torch.arange(3)
    network.train()
    for _ in range(3):
        network(torch.rand(8, C, 8, 8))  # statistics of its own
    folded = Folded(network)
    assert network.training and next(network.parameters()).requires_grad
    for again in range(2):
        if again:
            with torch.no_grad():
                for weight in network.parameters():
                    weight.mul_(1.1).add_(0.01)
            folded.refresh()
        network.eval()
        scale = network(x).abs().max()
        assert_close(folded(x) / scale, network(x) / scale, rtol=1e-4, atol=1e-5)
        mine, theirs = (attacks.input_gradient(m, x, y, attacks.cross_entropy)[0] for m in (folded, network))
        assert_close(mine / theirs.abs().max(), theirs / theirs.abs().max(), rtol=1e-3, atol=1e-4)
        network.train()


def test_many_channels_of_few_places_lie_plane_by_plane():
    torch.manual_seed(0)
    layers = [nn.Conv2d(C, 256, 3, 2, 1), nn.BatchNorm2d(256), nn.ReLU(), nn.Conv2d(256, 256, 1), nn.ReLU(),
              nn.Flatten(), nn.LazyLinear(K)]  # fmt: skip
    network, x, y = nn.Sequential(*layers).eval(), torch.rand(2, C, 8, 8), torch.arange(2)
    network(x)
    folded = Folded(network)
    for _ in range(2):
        assert_close(folded(x), network(x), rtol=1e-4, atol=1e-5)
        mine, theirs = (attacks.input_gradient(m, x, y, attacks.cross_entropy)[0] for m in (folded, network))
        assert_close(mine, theirs, rtol=1e-3, atol=1e-6)
        folded.refresh()
    first, second = (folded.copy.get_submodule(name) for name in ("0", "3"))
    assert first.weight.is_contiguous() and second(x.new_ones(2, 256, 4, 4)).is_contiguous()
    wide = x.repeat(1, 1, 4, 4)
    maps = folded.copy.get_submodule("0")(wide.contiguous(memory_format=torch.channels_last))
    assert maps.is_contiguous(memory_format=torch.channels_last)  # many places


def test_convolutions_take_their_norms_up():
    assert len(Folded(SmallNetwork(K)).pairs) == 4 and len(Folded(ResNet18(K, width=8)).pairs) == 20


def test_a_network_that_cannot_be_traced_is_copied(fitted):
    class Stubborn(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = SmallNetwork(K, C, 4)

        def forward(self, x):
            return self.inner(x) if float(x.sum()) > -1 else x

    network = Stubborn().eval()
    folded = Folded(network)
    assert not folded.pairs
    assert_close(folded(fitted[0]), network(fitted[0]))


# What makes figures worthless.


def test_masking_is_told(fitted):
    x, y, network = fitted
    assert attacks.masking(network, x, y) == []

    def names(model):
        return {finding.name for finding in attacks.masking(model, x, y)}

    assert names(lambda z: F.softmax(network(z), 1)) == {"probabilities"}
    assert names(lambda z: network(z) + torch.rand(len(z), K)) == {"random"}
    assert names(lambda z: network(z) * 1e4) == {"zero gradients"}
    assert "nan" in names(lambda z: network(z) * float("nan"))


def test_budgets_that_cannot_be_meant_are_refused_and_doubtful_ones_told():
    with pytest.raises(OptionError, match=r"did you mean 8/255"):
        attacks.check_threat(8, "linf", 2, 10)
    for eps in (0.0, -0.1, math.inf):
        with pytest.raises(OptionError, match="needs a budget above 0"):
            attacks.check_threat(eps, "linf", 0.1, 10)
    assert attacks.check_threat(8 / 255, "linf", 2 / 255, 10) == []
    assert "reach" in attacks.check_threat(0.1, "linf", 0.01, 5)[0]
    assert "grey" in attacks.check_threat(0.6, "linf", 0.2, 10)[0]
    assert "leaps" in attacks.check_threat(0.1, "linf", 0.3, 10)[0]
    with pytest.raises(DataError, match="pixels from -1 to 0"):
        attacks.check_pixels(torch.tensor([-1.0, 0.0]))
    with pytest.raises(DataError, match="nan or infinite"):
        attacks.check_pixels(torch.tensor([0.5, float("nan")]))
