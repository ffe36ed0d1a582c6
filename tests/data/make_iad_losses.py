"""Made tests/data/iad_losses.npz once: what the authors' code (ZFancy/IAD, commit a8091a8) makes of random logits.

    python tests/data/make_iad_losses.py CHECKOUT

Each script's own statements that compute its loss are taken out of its source and run, in float64, on logits of
student, teachers and labels; losses and gradients are kept. None of their code is here.
"""

import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

N, K = 7, 5
CASES = {
    "ard": ("ARD.py", {"alpha": 1.0, "temp": 1.0}),
    "ard_labels": ("ARD.py", {"alpha": 0.7, "temp": 3.0}),
    "iad1": ("IAD-I.py", {"alpha": 1.0, "temp": 1.0, "beta": 0.1}),
    "iad1_labels": ("IAD-I.py", {"alpha": 0.7, "temp": 3.0, "beta": 1.0}),
    "akd2": ("AKD2.py", {"alpha1": 0.5, "alpha2": 0.25, "temp": 1.0}),
    "akd2_warm": ("AKD2.py", {"alpha1": 0.3, "alpha2": 0.4, "temp": 2.0}),
    "iad2": ("IAD-II.py", {"alpha1": 0.5, "alpha2": 0.25, "temp": 1.0, "beta": 0.1}),
    "iad2_warm": ("IAD-II.py", {"alpha1": 0.3, "alpha2": 0.4, "temp": 2.0, "beta": 1.0}),
}


def statements(script):
    """Of the script's `train` those that make the loss: the branch that trusts, where there is one."""
    train = next(n for n in ast.parse(script).body if isinstance(n, ast.FunctionDef) and n.name == "train")
    batches = next(n for n in ast.walk(train) if isinstance(n, ast.For))
    branch = [n for n in batches.body if isinstance(n, ast.If) and "begin" in ast.unparse(n.test)]
    loss = [n for n in batches.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "loss"]
    return ast.Module(branch or loss, [])


def made(checkout, file, how, logits, y):
    s, a = (logits[name].clone().requires_grad_() for name in ("s", "a"))
    names = {
        "torch": torch, "F": F, "args": SimpleNamespace(begin=0, **how), "epoch": 0, "outputs": a, "targets": y,
        "inputs": "x", "basic_net": lambda _: s, "basic_outputs": s, "guide": logits["t_a"], "st_outputs": logits["st"],
        "teacher_outputs": logits["t" if file in ("ARD.py", "IAD-I.py") else "t_a"],
        "Alpha": torch.ones(N, dtype=torch.float64), "KL_loss": nn.KLDivLoss(reduction="none"),
        "XENT_loss": nn.CrossEntropyLoss(),
    }  # fmt: skip
    exec(compile(statements((checkout / file).read_text()), file, "exec"), names)
    slopes = torch.autograd.grad(names["loss"], (s, a), allow_unused=True)
    found = {"loss": names["loss"].detach().numpy()}
    return found | {f"by_{n}": np.zeros((N, K)) if g is None else g.numpy() for n, g in zip("sa", slopes, strict=True)}


if __name__ == "__main__":
    torch.manual_seed(38)
    logits = {name: 3 * torch.randn(N, K, dtype=torch.float64) for name in ("s", "a", "t", "t_a", "st")}
    y = torch.randint(K, (N,))
    held = {f"in_{name}": each.numpy() for name, each in logits.items()} | {"in_y": y.numpy()}
    for name, (file, how) in CASES.items():
        held |= {f"{name}_{key}": each for key, each in made(Path(sys.argv[1]), file, how, logits, y).items()}
    np.savez_compressed(Path(__file__).with_name("iad_losses.npz"), **held)
