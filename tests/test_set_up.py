"""`make`'s set-up says in one sentence what is missing and what to do, and leaves a right environment alone."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.fixture
def set_up():
    spec = importlib.util.spec_from_file_location("set_up", ROOT / "scripts" / "set_up.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refusal(set_up):
    with pytest.raises(SystemExit) as ended:
        set_up.check_machine()
    return ended.value.code


def test_an_old_python_is_named(set_up, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    said = refusal(set_up)
    assert "found Python 3.9" in said and "3.11 or newer" in said and "make PYTHON=python3.11" in said


def test_a_missing_venv_module_is_named(set_up, monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)  # as on Debian without python3-venv
    assert "apt install python3-venv" in refusal(set_up)


def test_a_full_disk_is_named(set_up, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10e9, 9e9, 1e9))
    assert f"found 1.0 GB free in {ROOT}, and about {set_up.NEEDED_GB} are needed" in refusal(set_up)


def project(folder: Path, name: str, pin: str) -> None:
    extras = 'dev = ["pytest>=8"]\ndocs = []'
    asked = f'[project]\ndependencies = ["{name}>=1"]\n[project.optional-dependencies]\n{extras}\n'
    (folder / "pyproject.toml").write_text(asked)
    (folder / "constraints.txt").write_text(pin)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "pin", "enough"),
    [
        ("polars", "", True),
        ("huggingface-hub", "Huggingface_Hub=={found}", True),
        ("polars", "polars==0.0.1", False),
        ("no-such-package-at-all", "", False),
    ],
)
def test_an_environment_is_enough_when_it_holds_what_is_asked_for(set_up, tmp_path, monkeypatch, name, pin, enough):
    from importlib.metadata import version

    project(tmp_path, name, pin.format(found=version(name) if "{" in pin else ""))
    monkeypatch.setattr(set_up, "ROOT", tmp_path)
    monkeypatch.setattr(set_up, "VENV", tmp_path / ".venv")
    assert set_up.complete() is enough


def test_make_without_python_says_what_to_install(tmp_path):
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    command = ["make", "PYTHON=python3-that-is-not-here", "test"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode != 0 and "there is no python3-that-is-not-here; install Python 3.11" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_no_extra_is_offered_that_nothing_imports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    code = "\n".join(path.read_text() for folder in ("tenfold", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
    for extra, packages in project["optional-dependencies"].items():
        if extra in ("dev", "docs"):  # tools that are run, not imported
            continue
        for package in packages:
            module = re.match(r"[\w.-]+", package).group().replace("-", "_").replace("faiss_cpu", "faiss")
            assert re.search(rf"^\s*(import|from) {module}\b", code, re.M), f"nothing imports {package} of [{extra}]"
    named = set(re.findall(r"tenfold\[(\w+)\]", code))
    assert named <= set(project["optional-dependencies"]), "a sentence names an extra that is not offered"
