"""`make results`: what was measured and what there is, written where people read it; nothing here is typed by hand.

From benchmarks/results/ it makes docs/results.md, the figures in README.md, and the figures and claims in the README of
each room; from the tables of systems it makes the README's lists. They stand between markers, `<!-- NAME -->` and
`<!-- end of NAME -->`.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.shown import GRIDS, QUALITY, ROOMS, SPEED
from tenfold.comparison import machine_told
from tenfold.systems import BASELINES, SYSTEMS

EARLIER = " (then)"
EARLIER_TOLD = (
    "(then): measured with intervals that were too narrow for few seeds, before results kept their commit; as "
    "intervals are drawn now it is no verdict."
)

README, PAGE = harness.ROOT / "README.md", harness.ROOT / "docs" / "results.md"


def results() -> dict[str, dict[str, Any]]:
    """What benchmarks left."""
    found = [json.loads(path.read_text()) for path in sorted(harness.RESULTS.glob("*.json"))]
    return {result["benchmark"]: result for result in found if "benchmark" in result}


def claims() -> list[dict[str, Any]]:
    """What `tenfold claims` left in the same folder, by system and size."""
    return [json.loads(path.read_text()) for path in sorted(harness.RESULTS.glob("claims_*.json"))]


def claims_table(measured: dict[str, Any]) -> str:
    lines = [
        "| claim | what is said | found [95 %] | means | seeds | verdict | commit |",
        "|---|---|---|---|---:|---|---|",
    ]
    for claim in measured["claims"]:
        found = claim.get("problem") or ""
        if "value" in claim:
            found = f"{claim['about']} {_ends(claim['value'], claim['low'], claim['high'])}"
        ends = claim.get("intervals", {})
        means = ", ".join(
            f"{name} {_ends(value, *ends.get(name, (value, value)))}" for name, value in claim.get("others", {}).items()
        )
        said = f"{claim['says']} ({claim['source']}){'; ' + claim['note'] if claim['note'] else ''}"
        verdict = claim["verdict"] + (EARLIER if _earlier(claim) else "")
        cells = [claim["name"], said, found, means, claim["seeds"], verdict, claim.get("commit", "")]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    if any(map(_earlier, measured["claims"])):
        lines += ["", EARLIER_TOLD]
    took = sum(claim["seconds"] for claim in measured["claims"])
    days = sorted({claim["date"] for claim in measured["claims"]})
    command = f"`tenfold claims {measured['system']} --size {measured['size']}`"
    when = f"measured {days[0]}" if len(days) == 1 else f"measured between {days[0]} and {days[-1]}"
    return "\n".join(lines) + (
        f"\n\n{command}, {took / 60:.0f} minutes, {when}. On {machine_told(measured['machine'])}."
    )


def _earlier(claim: dict[str, Any]) -> bool:
    return claim["seeds"] > 1 and not claim.get("commit") and claim["verdict"] != "reported"


def _ends(value: float | None, low: float | None, high: float | None) -> str:
    shown = ["infinite" if x is None else f"{x:.4g}" for x in (value, low, high)]
    return shown[0] + ("" if low == high else f" [{shown[1]}, {shown[2]}]")


def told_machine(machine: dict[str, Any]) -> str:
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    memory = f"{machine['memory_gib']:.0f} GiB" if machine.get("memory_gib") else "unknown memory"
    threads = f"{machine['threads']} thread{'s' if machine['threads'] != 1 else ''}"
    return f"{machine['cpu']}, {machine['cores']} cores, {memory}{gpu}, {machine['os']}, {threads}"


def section(result: dict[str, Any]) -> str:
    ends = result.get("intervals", {})
    figures = "\n".join(
        f"| `{name}` | {harness.with_ends(value, ends.get(name))} |" for name, value in result["figures"].items()
    )
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
    told = [section(result) for result in found.values()]
    told += [
        f"## claims of {measured['system']}, size {measured['size']}\n\n{claims_table(measured)}\n"
        for measured in claims()
    ]
    return opening + ("\n".join(told) or "Nothing has been measured yet.\n")


def rows_of(found: dict[str, dict[str, Any]], shown: Sequence[Sequence[str]]) -> list[str]:
    """A line for each figure that was measured; with a column of configurations where any row has one."""
    several = any(len(row) > 4 for row in shown)
    lines = ["| measured | | of |", "|---|---:|---|"] if several else ["| measured | |", "|---|---:|"]
    for benchmark, figure, meaning, form, *configuration in shown:
        value = found.get(benchmark, {}).get("figures", {}).get(figure)
        if value is not None:
            told = f" {''.join(configuration)} |" if several else ""
            ends = found[benchmark].get("intervals", {}).get(figure)
            lines.append(f"| {meaning} | {form.format(harness.with_ends(value, ends))} |{told}")
    return lines if len(lines) > 2 else []


def figures_table(
    found: dict[str, dict[str, Any]], tables: dict[str, Sequence[Sequence[str]]], results_page: str
) -> str:
    """tables: by heading; a heading may be empty."""
    parts = []
    for heading, shown in tables.items():
        lines = rows_of(found, shown)
        if lines:
            parts.append("\n".join([f"**{heading}**\n"] * bool(heading) + lines))
    if not parts:
        return "Nothing has been measured yet."
    used = {row[0] for shown in tables.values() for row in shown}
    machines = sorted({told_machine(found[benchmark]["machine"]) for benchmark in used if benchmark in found})
    all_of_it = f"On {'; '.join(machines)}. All figures, commands and commits: [results]({results_page})."
    return "\n\n".join([*parts, all_of_it])


def grid_table(
    found: dict[str, dict[str, Any]], benchmark: str, rows: list[tuple[str, str]], columns: list[tuple[str, str]]
) -> str:
    """Of a benchmark that was measured whole, else of those of its parts that were: a row has one part's figures."""
    parts = [name for name in found if name == benchmark] or [n for n in found if n.startswith(f"{benchmark}.")]
    if not parts:
        return "Nothing has been measured yet."
    figures = {name: value for part in parts for name, value in found[part]["figures"].items()}
    intervals = {name: ends for part in parts for name, ends in found[part].get("intervals", {}).items()}
    figure = {"link_rules": "MRR", "rehearsal_shop": "% right", "lisa_ladder": "share"}.get(benchmark, "NDCG@10")
    told = {"rehearsal_shop": harness.shown, "lisa_ladder": "{:.2f}".format}.get(benchmark, "{:.4f}".format)
    lines = [f"| {figure} | " + " | ".join(label for label, _ in columns) + " |", "|---|" + "---:|" * len(columns)]
    for label, name in rows:
        own = [figure.format(name) for _, figure in columns]
        if not any(figure in figures for figure in own):
            continue
        cells = [_cell(figure, figures.get(figure), intervals.get(figure), told) for figure in own]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(figure: str, value: Any, ends: list[float] | None, told: Callable[[Any], str]) -> str:
    if value is None:
        return ""
    if "_over_" not in figure:
        return told(value)
    return f"{value:.2f}" + ("" if ends is None else f" [{ends[0]:.2f}, {ends[1]:.2f}]")


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
        raise SystemExit(f"a README needs the markers '{begin}' and '{end}' once each; put them where it belongs")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"


def readme(text: str, found: dict[str, dict[str, Any]]) -> str:
    made = {"systems": systems_table(), "baselines": baselines_table()}
    tables = {"Speed and memory": SPEED, "Quality": QUALITY}
    made["figures"] = figures_table(found, tables, "docs/results.md")
    for name, content in made.items():
        text = between_markers(text, name, content)
    return text


def room_readmes() -> dict[str, Path]:
    return {path.parent.name: path for path in sorted(harness.ROOT.glob("tenfold/systems/*/README.md"))}


def room_readme(name: str, text: str, found: dict[str, dict[str, Any]]) -> str:
    measured = [claims_table(one) for one in claims() if one["system"] == name]
    text = between_markers(text, "figures", figures_table(found, {"": ROOMS.get(name, [])}, "../../../docs/results.md"))
    for marker, grid in GRIDS.get(name, {}).items():
        text = between_markers(text, marker, grid_table(found, *grid))
    return between_markers(text, "claims", "\n\n".join(measured) or "Nothing has been measured yet.")


def write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print(f"{path.relative_to(harness.ROOT)} was written")


def main() -> None:
    found = results()
    write(PAGE, page(found))
    write(README, readme(README.read_text(), found))
    for name, path in room_readmes().items():
        write(path, room_readme(name, path.read_text(), found))


if __name__ == "__main__":
    main()
