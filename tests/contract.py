"""What the tests of the contract share: the rows, and what they only look at, fitted once a row; each has a copy."""

import copy
import os
import signal

import pytest
import torch
from fit_one import without_dropout
from small import ALIKE, CLASSES, small

from tenfold.training import Budget

TRAINED = {name: cls for name, cls in CLASSES.items() if cls.trains}


def over(classes):
    """Each under its name; those that differ from another row by a loss are slow."""
    return [pytest.param(cls, id=name, marks=[pytest.mark.slow] * (name in ALIKE)) for name, cls in classes.items()]


every_system = pytest.mark.parametrize("cls", over(CLASSES))
every_trained = pytest.mark.parametrize("cls", over(TRAINED))
# How a run is stopped is the same for rows that differ by a loss: they fail, are killed and are shared out.
every_frame = pytest.mark.parametrize("cls", over({n: cls for n, cls in TRAINED.items() if n not in ALIKE}))


def weights(system):
    return torch.cat([w.flatten().double() for w in system.network.state_dict().values()] or [torch.zeros(1)])


def budget(**fields):
    return Budget(**{"max_epochs": 1, "accelerator": "cpu", **fields})


class FailureError(Exception):
    """What the tests break things with."""


def fail():
    raise FailureError


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


class Fits(dict):
    """Systems and what `evaluate` finds, by class and how they were fitted: made when first asked for."""

    def __call__(self, cls, *, data="data", dropout=True, **fields):
        """A copy, with which a test may do as it likes."""
        key = (cls, data, dropout, *sorted(fields.items()))
        if key not in self:
            options = cls.tiny if dropout else without_dropout(cls)
            self[key] = cls(options).fit(getattr(small(cls), data)(), budget=budget(**fields))
        return copy.deepcopy(self[key])

    def figures(self, cls):
        if ("figures", cls) not in self:
            self["figures", cls] = self(cls).evaluate(small(cls).data(), **small(cls).protocol)
        return copy.deepcopy(self["figures", cls])

    def whole(self, cls):
        """The weights after an uninterrupted run of three epochs of eight batches."""
        return weights(self(cls, max_epochs=3))


fitted = Fits()
