"""What all tests share: stricter numerics than a user's, and small data whose answers are known."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
PUBLIC = Path(os.environ.get("TENFOLD_DATA") or ROOT.parent / "shared" / "data")
if PUBLIC.is_dir():
    os.environ["TENFOLD_DATA"] = str(PUBLIC)  # the package looks there and nowhere else


@pytest.fixture(autouse=True, scope="session")
def _strict_torch():
    torch.use_deterministic_algorithms(True)  # also fills torch.empty with NaN, so that unwritten memory shows
    torch.set_num_threads(1)  # the networks are tiny


CONTRACT = ("test_contract", "test_contract_artifacts")
LONGEST = ("test_docs", "test_real_logs", "test_shop_pictures", "test_shop_labels")


def pytest_collection_modifyitems(items):
    """A class says which test of the contract it cannot keep, and why; if it keeps it after all, that fails.

    The longest files come first, and what takes no time last: no worker waits long for the other at the end.
    """
    from small import CLASSES

    def turn(item):
        cls = classes[item.nodeid]
        if item.module.__name__ not in CONTRACT:
            return 0 if item.module.__name__ in LONGEST else 1
        return 2 if cls is None or cls.trains else 3

    classes = {}
    for item in items:
        given = (getattr(item, "callspec", None) and item.callspec.params) or {}
        cls = classes[item.nodeid] = given.get("cls") or CLASSES.get(given.get("name"))
        if cls and (reason := cls.expected_failures.get(item.originalname)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One worker takes a whole file, or the contract's tests of one row: what they share is fitted or drawn once.

    xdist's own groups stand in the names of tests, to which pytest 9.2 no longer lets it add them.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByRow(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _, test = nodeid.partition("::")
            row = re.search(r"\[([\w-]+)\]$", test)
            return row[1] if row and Path(file).stem in CONTRACT else file

    return ByRow(config, log)


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


@contextmanager
def warm_python(folder, *modules):
    """The words of a command like `python -c`, but everything slow, and these modules, have been imported (warm.py)."""
    place, environment = str(folder / "socket"), os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    serve = [sys.executable, "tests/warm.py", "serve", place, *modules]
    with subprocess.Popen(serve, env=environment | {"OMP_NUM_THREADS": "1"}, cwd=ROOT, stdin=-1, stdout=-1) as server:
        assert server.stdout.readline() == b"ready\n"
        yield [sys.executable, "-IS", str(ROOT / "tests" / "warm.py"), place]
        server.stdin.close()  # which ends it


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """The words before a program and its arguments; of Tenfold nothing has been imported."""
    with warm_python(tmp_path_factory.mktemp("warm")) as words:
        yield words


@pytest.fixture(scope="session")
def fit_apart(tmp_path_factory):
    """Fits a system in processes of its own, forked from one that has imported everything (fit_one.py).

    fit_apart(name, run, folder, batch=None, processes=1) -> the exit codes of the processes, and what they printed.
    """
    usual = "import sys; from fit_one import fit; fit(*sys.argv[1:])"
    with warm_python(tmp_path_factory.mktemp("fits"), "fit_one") as words:

        def fit(*arguments, processes=1, seconds=90, program=usual):
            command = [*words, program, *map(str, arguments)]
            with tempfile.TemporaryFile() as output:
                started = [
                    subprocess.Popen(command, cwd=ROOT, env=os.environ | rank, stdout=output, stderr=output)
                    for rank in (ranks(processes) if processes > 1 else [{}])
                ]
                until = time.monotonic() + seconds
                while any(one.poll() is None for one in started):
                    if time.monotonic() > until or any(one.poll() for one in started):
                        for one in started:  # what waits for one that died would wait long
                            one.kill()
                    time.sleep(0.01)
                output.seek(0)
                return [one.returncode for one in started], output.read().decode(errors="replace")

        yield fit


def ranks(count):
    """What torchrun would tell so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{port}", "TORCHELASTIC_RUN_ID": "one", "GROUP_RANK": "0"}
    shared |= {"WORLD_SIZE": f"{count}", "LOCAL_WORLD_SIZE": f"{count}"}
    return [{"RANK": f"{rank}", "LOCAL_RANK": f"{rank}"} | shared for rank in range(count)]
