"""What all tests share: stricter numerics than a user's, and small data whose answers are known."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
PUBLIC = Path(os.environ.get("TENFOLD_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(autouse=True, scope="session")
def _strict_torch():
    torch.use_deterministic_algorithms(True)  # also fills torch.empty with NaN, so that unwritten memory shows
    torch.set_num_threads(1)  # the networks are tiny


def pytest_collection_modifyitems(items):
    """A class says which test of the contract it cannot keep, and why; if it keeps it after all, that fails.

    The contract's tests of one class are for one worker, which then fits what they share once.
    """
    from small import CLASSES

    for item in items:
        given = (getattr(item, "callspec", None) and item.callspec.params) or {}
        cls = given.get("cls") or CLASSES.get(given.get("name"))
        if cls and item.module.__name__ == "test_contract":
            item.add_marker(pytest.mark.xdist_group(cls.__name__))
        if cls and (reason := cls.expected_failures.get(item.originalname)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


def ring_walks(users=61, rings=4):
    """Each user walks round one of the rings of six items: what comes next can be learned. 61 fills no batch of 8."""
    from tenfold.data.events import Events

    rng = random.Random(0)
    ids = [[f"r{r}i{i}" for i in range(6)] for r in range(rings)]
    walks = [(rng.choice(ids), rng.randrange(6), rng.randrange(8, 24)) for _ in range(users)]
    return Events.from_histories([[ring[(start + i) % 6] for i in range(length)] for ring, start, length in walks])


@pytest.fixture(scope="session")
def events():
    return ring_walks()


@pytest.fixture(scope="session")
def public():
    """The folder of public data sets; tests that need it are skipped without it."""
    if not PUBLIC.is_dir():
        pytest.skip(f"public data sets are not here: set TENFOLD_DATA to their folder (looked at {PUBLIC})")
    return PUBLIC


@pytest.fixture
def write(tmp_path):
    """Puts text or bytes into a file of its own folder, and says where."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(read, source, *, shorter_than=600, **asked):
    """The one sentence with which a reader refuses a source."""
    from tenfold.errors import DataError

    with pytest.raises(DataError) as caught:
        read(source, **asked)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < shorter_than
    return sentence


def subprocess_of(*command, timeout=90, **environment):
    """In a process group of its own and with a time limit: what hangs is killed whole, and fails."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"} | environment
    with subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output


@pytest.fixture(scope="session")
def fit_apart():
    """Fits a system in processes of its own, forked from one that has imported everything (fit_one.py).

    fit_apart(name, run, folder, batch=None, processes=1) -> the exit codes of the processes, and what they printed.
    """
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "tests/fit_one.py", "--serve"], env=environment, cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as server:  # fmt: skip

        def fit(*arguments, processes=1, seconds=90):
            order = {"arguments": [str(each) for each in arguments], "processes": processes, "seconds": seconds}
            server.stdin.write(json.dumps(order) + "\n")
            server.stdin.flush()
            found = json.loads(server.stdout.readline())
            return found["codes"], found["output"]

        yield fit
        server.stdin.close()
