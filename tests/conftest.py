"""What all tests share: stricter numerics than a user's, and small data whose answers are known."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _strict_torch():
    torch.use_deterministic_algorithms(True)  # also fills torch.empty with NaN, so that unwritten memory shows
    torch.set_num_threads(1)  # the networks are tiny
