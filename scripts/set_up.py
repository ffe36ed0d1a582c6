"""Makes .venv, with Tenfold and what its tests and docs need, or says in one sentence what is missing and what to do.

Called by `make`; plain Python of any version 3, so that an old one can say that it is old. Does nothing where .venv
already holds what pyproject.toml and constraints.txt ask for. TENFOLD_TORCH_INDEX names the package index that torch
comes from: https://download.pytorch.org/whl/cpu has the build without gigabytes for a graphics card.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "set-up"
EXTRAS = "dev,docs"
NEEDED_GB = 4  # the environment takes 2.3, pip's downloads and temporary copies the rest

# Run by the environment's own Python: is everything there that pyproject.toml asks for, in the version of the
# constraints? Prints the first that is not.
CHECK = """
import re, sys, tomllib
def plain(name):
    return name.strip().lower().replace("_", "-")
from importlib.metadata import PackageNotFoundError, version
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
pins = dict(plain(line).split("==") for line in open("constraints.txt") if "==" in line)
asked = list(project["dependencies"])
for extra in sys.argv[1].split(","):
    asked += project["optional-dependencies"][extra]
for package in ["tenfold"] + [re.match(r"[A-Za-z0-9_.-]+", text).group() for text in asked]:
    try:
        found = version(package).split("+")[0]
    except PackageNotFoundError:
        sys.exit(package)
    if pins.get(plain(package), found) != found:
        sys.exit(package)
"""


def stop(sentence):
    sys.exit("set-up: " + sentence)


def check_machine():
    if sys.version_info < (3, 11):  # noqa: UP036  this file may be run by any Python
        stop(
            "found Python {}.{}, and Tenfold needs 3.11 or newer; install one (apt install python3.11 python3.11-venv) "
            "and say so: make PYTHON=python3.11 ...".format(*sys.version_info)
        )
    try:
        import ensurepip  # noqa: F401  Debian ships venv without it
        import venv  # noqa: F401
    except ImportError:
        stop("this Python cannot make virtual environments; install its venv module: apt install python3-venv")
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < NEEDED_GB:
        stop(f"found {free:.1f} GB free in {ROOT}, and about {NEEDED_GB} are needed; make room")


def complete():
    python = VENV / "bin" / "python"
    if not python.exists():
        return False
    return subprocess.call([str(python), "-c", CHECK, EXTRAS], cwd=str(ROOT), stderr=subprocess.DEVNULL) == 0


def pip(*words):
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    done = subprocess.run(command + list(words), cwd=str(ROOT), stderr=subprocess.PIPE, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr[-500:]]
        stop(f"pip could not install {words[-1]}: {lines[-1]}; mend that and run make again")


def main():
    if not complete():
        check_machine()
        index = os.environ.get("TENFOLD_TORCH_INDEX")
        if sys.platform == "linux" and not index:
            print(
                "set-up: if torch comes with gigabytes for a graphics card that you do not want, stop (Ctrl-C) and run "
                "TENFOLD_TORCH_INDEX=https://download.pytorch.org/whl/cpu make ..."
            )
        print("set-up: making .venv; this takes some minutes, once", flush=True)
        if not (VENV / "bin" / "python").exists():
            subprocess.check_call([sys.executable, "-m", "venv", str(VENV)])
        torch = re.search(r"^torch==.*$", (ROOT / "constraints.txt").read_text(), re.M)
        pip(*(["--index-url", index] if index else []), torch.group() if torch else "torch")
        pip("-c", "constraints.txt", "-e", f".[{EXTRAS}]")
        if not complete():
            stop(
                "pip ended well, but .venv does not hold what constraints.txt asks for; remove .venv and run make again"
            )
    STAMP.write_text("up to date with pyproject.toml and constraints.txt as of this file's time\n")


if __name__ == "__main__":
    main()
