"""What README and docs say runs: code blocks, in order, in a folder with a small log; the site builds strictly.

A block of Python or shell at the margin says before it whether it is run: `<!-- run -->`, or `<!-- not run: why -->`.
"""

import os
import random
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

from benchmarks import page
from tenfold.version import VERSION

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("tenfold/systems/*/README.md"))]
BLOCK = re.compile(r"^(?:<!-- (run|not run: [^>]+) -->\n)?```(python|sh)\n(.*?)^```$", re.M | re.S)


def blocks(path: Path, language: str) -> list[str]:
    return [code for run, kind, code in BLOCK.findall(path.read_text()) if run == "run" and kind == language]


def with_blocks(language: str) -> list[pytest.param]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in PAGES if blocks(path, language)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with the events.csv that the pages speak of: 40 users, 12 items."""
    rng = random.Random(0)
    rows = [
        f"u{user},i{rng.randrange(12)},{1000 * user + place}" for user in range(40) for place in range(6 + user % 5)
    ]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in PAGES])
def test_every_block_says_whether_it_is_run(path):
    silent = [code for run, _, code in BLOCK.findall(path.read_text()) if not run]
    assert not silent, f"put <!-- run --> or <!-- not run: why --> before {silent[0]!r}"


def test_the_readme_has_code_of_both_kinds():
    assert blocks(ROOT / "README.md", "python") and blocks(ROOT / "README.md", "sh")


@pytest.mark.slow
@pytest.mark.parametrize("path", with_blocks("python"))
def test_python_runs(path, folder):
    names: dict[str, object] = {}
    for code in blocks(path, "python"):
        exec(compile(code, str(path), "exec"), names)


@pytest.fixture(scope="module")
def programs(warm, tmp_path_factory):
    """A PATH on which `tenfold` is what the package installs, in a Python that has imported torch and its like."""
    program = tmp_path_factory.mktemp("bin") / "tenfold"
    code = "import sys; from tenfold.__main__ import main; sys.argv[0] = 'tenfold'; sys.exit(main())"
    program.write_text(f'#!/bin/sh\nexec {shlex.join([*warm, code])} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def test_the_program_is_installed():
    program = Path(sys.executable).parent / "tenfold"
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0 and told.stdout == f"tenfold {VERSION}\n", told.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", with_blocks("sh"))
def test_commands_run(path, folder, programs):
    script = "set -e\n" + "\n".join(blocks(path, "sh"))
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=280, env={**os.environ, "PATH": programs}
    )
    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"


def test_the_readme_is_as_make_results_writes_it():
    text = (ROOT / "README.md").read_text()
    assert page.readme(text, page.results()) == text, "run `make results`"


@pytest.mark.parametrize("room", page.room_readmes())
def test_the_readme_of_a_room_is_as_make_results_writes_it(room):
    text = page.room_readmes()[room].read_text()
    assert page.room_readme(room, text, page.results()) == text, "run `make results`"


def test_the_results_page_is_as_make_results_writes_it():
    assert page.page(page.results()) == (ROOT / "docs" / "results.md").read_text(), "run `make results`"


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in PAGES])
def test_links_and_pictures_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", path.read_text())
    missing = [t for t in targets if "://" not in t and not (path.parent / t).exists()]
    assert not missing


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs is not here: pip install tenfold[docs]")
def test_the_site_builds_strictly(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    first = (tmp_path / "site" / "index.html").read_text()
    assert "make demo" in first and "lowrankgan" in first
    assert "fonts.googleapis" not in first
