"""`make results`: what was measured and what there is, written where people read it; nothing here is typed by hand.

From benchmarks/results/ it makes docs/results.md and the figures in README.md; from the tables of systems it makes the
README's list. Both stand in README.md between markers, `<!-- NAME -->` and `<!-- end of NAME -->`.
"""

import json
import re
from pathlib import Path
from typing import Any

from benchmarks import harness
from tenfold.systems import BASELINES, SYSTEMS

README, PAGE = harness.ROOT / "README.md", harness.ROOT / "docs" / "results.md"

# What the README shows of the figures: benchmark, figure, what it is, and how it is written.
SHOWN = [
    ("event_reader", "seconds_per_10m", "10 million events read, checked and packed (CSV, text ids)", "{} s"),
    ("event_reader", "peak_gib", "the most memory that takes", "{} GiB"),
    ("sasrec_training", "speedup_vs_public", "SASRec trains on MovieLens-1M, beside pmixer/SASRec.pytorch", "{} x"),
    ("sasrec_training", "speedup_vs_rectools", "the same beside RecTools 0.19", "{} x"),
    ("sasrec_training", "softmax_speedup_vs_rectools", "with the full softmax, d = 64, beside RecTools", "{} x"),
    ("evaluation", "seconds", "full ranks of 6,040 users among 3,416 items, d = 64", "{} s"),
    ("evaluation", "ratio_vs_rectools", "its time over that of RecTools' recommend(k=10)", "{}"),
    ("predict", "users_per_s", "recommendations file to file, MovieLens-1M's histories", "{} users/s"),
    ("predict", "speedup_vs_rectools", "the same beside RecTools", "{} x"),
    ("import_time", "import_s", "import tenfold", "{} s"),
    ("import_time", "help_s", "tenfold --help", "{} s"),
    ("shop", "events_10m_s", "10 million events of a made shop", "{} s"),
]


def results() -> dict[str, dict[str, Any]]:
    """What benchmarks left; claims keep theirs in the same folder, and say themselves what they found."""
    found = [json.loads(path.read_text()) for path in sorted(harness.RESULTS.glob("*.json"))]
    return {result["benchmark"]: result for result in found if "benchmark" in result}


def told_machine(machine: dict[str, Any]) -> str:
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    memory = f"{machine['memory_gib']:.0f} GiB" if machine.get("memory_gib") else "unknown memory"
    return f"{machine['cpu']}, {machine['cores']} cores, {memory}{gpu}, {machine['os']}, {machine['threads']} threads"


def section(result: dict[str, Any]) -> str:
    figures = "\n".join(f"| `{name}` | {harness.shown(value)} |" for name, value in result["figures"].items())
    versions = ", ".join(f"{package} {version}" for package, version in result["versions"].items())
    notes = "".join(f"\n{note}\n" for note in result.get("notes", []))
    return f"""## {result["benchmark"]}

| figure | value |
|---|---:|
{figures}
{notes}
`{result["command"]}`, commit {result["commit"]}, {result["date"]}, {harness.shown(result["seconds"])} s.
On {told_machine(result["machine"])}. With {versions}.
"""


def page(found: dict[str, dict[str, Any]]) -> str:
    opening = (
        "# Results\n\nMade by `make results` from `benchmarks/results/`, which `make bench` writes. Rivals ran in the "
        "same run on the same machine; `python -m benchmarks.peers` says how each is had. What a figure is, and how it "
        "was taken, stands at the top of `benchmarks/NAME.py`.\n\n"
    )
    return opening + ("\n".join(section(result) for result in found.values()) or "Nothing has been measured yet.\n")


def figures_table(found: dict[str, dict[str, Any]]) -> str:
    lines = ["| measured | |", "|---|---:|"]
    for benchmark, figure, meaning, form in SHOWN:
        value = found.get(benchmark, {}).get("figures", {}).get(figure)
        if value is not None:
            lines.append(f"| {meaning} | {form.format(harness.shown(value))} |")
    if len(lines) == 2:
        return "Nothing has been measured yet."
    machines = sorted({told_machine(result["machine"]) for result in found.values()})
    return (
        "\n".join(lines)
        + f"\n\nOn {'; '.join(machines)}. All figures, commands and commits: [results](docs/results.md)."
    )


def systems_table() -> str:
    lines = ["| system | what you get | paper | |", "|---|---|---|---|"]
    for name, row in SYSTEMS.items():
        link = f"[{row.paper}](https://arxiv.org/abs/{row.paper})"
        lines.append(f"| `{name}` | {row.gives} | {link} | {'' if row.path else 'planned'} |")
    return "\n".join(lines)


def baselines_table() -> str:
    lines = ["| baseline | what you get | from |", "|---|---|---|"]
    for baselines in BASELINES.values():
        for name, row in baselines.items():
            arxiv = re.fullmatch(r"\d{4}\.\d{5}", row.paper)
            source = f"[{row.paper}](https://arxiv.org/abs/{row.paper})" if arxiv else row.paper.replace("-", "")
            lines.append(f"| `{name}` | {row.gives} | {source} |")
    return "\n".join(lines)


def between_markers(text: str, name: str, content: str) -> str:
    """The text with what stands between the markers of that name replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise SystemExit(f"README.md needs the markers '{begin}' and '{end}' once each; put them where it belongs")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"


def readme(text: str, found: dict[str, dict[str, Any]]) -> str:
    made = {"systems": systems_table(), "baselines": baselines_table(), "figures": figures_table(found)}
    for name, content in made.items():
        text = between_markers(text, name, content)
    return text


def write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print(f"{path.relative_to(harness.ROOT)} was written")


def main() -> None:
    found = results()
    write(PAGE, page(found))
    write(README, readme(README.read_text(), found))


if __name__ == "__main__":
    main()
