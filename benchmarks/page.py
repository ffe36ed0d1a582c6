"""`make results`: what was measured and what there is, written where people read it; nothing here is typed by hand.

From benchmarks/results/ it makes docs/results.md, the figures in README.md, and the figures and claims in the README of
each room; from the tables of systems it makes the README's lists. They stand between markers, `<!-- NAME -->` and
`<!-- end of NAME -->`.
"""

import json
import re
from pathlib import Path
from typing import Any

from benchmarks import harness
from tenfold.comparison import machine_told
from tenfold.systems import BASELINES, SYSTEMS

README, PAGE = harness.ROOT / "README.md", harness.ROOT / "docs" / "results.md"

# What the README shows of the figures: benchmark, figure, what it is, and how it is written.
SHOWN = [
    ("event_reader", "seconds_per_10m", "10 million events read, checked and packed (CSV, text ids)", "{} s"),
    ("event_reader", "peak_gib", "the most memory that takes", "{} GiB"),
    ("sasrec_training", "speedup_vs_public", "SASRec trains on MovieLens-1M, beside pmixer/SASRec.pytorch", "{} x"),
    ("sasrec_training", "speedup_vs_rectools", "the same beside RecTools 0.19", "{} x"),
    ("sasrec_training", "softmax_speedup_vs_rectools", "with the full softmax, d = 64, beside RecTools", "{} x"),
    ("sasrec_ml1m", "softmax_ndcg@10_seen_excluded", "its NDCG@10 there, full softmax, seen items left out", "{}"),
    ("sasrec_ml1m", "bce_hr@10(sampled-100)", "its hit rate at 10 among 100 sampled, BCE (published: 0.82)", "{}"),
    ("sasrec_ml1m", "bce_ndcg@10(sampled-100)", "its NDCG@10 there (published: 0.59)", "{}"),
    ("evaluation", "seconds", "full ranks of 6,040 users among 3,416 items, d = 64", "{} s"),
    ("evaluation", "ratio_vs_rectools", "its time over that of RecTools' recommend(k=10)", "{}"),
    ("predict", "users_per_s", "recommendations file to file, MovieLens-1M's histories", "{} users/s"),
    ("predict", "speedup_vs_rectools", "the same beside RecTools", "{} x"),
    ("import_time", "import_s", "import tenfold", "{} s"),
    ("import_time", "help_s", "tenfold --help", "{} s"),
    ("shop", "default_s", "a whole shop: pictures, texts, scenes, 200,000 events", "{} s"),
    ("shop", "pictures_10k_64px_s", "10,000 pictures of 64 pixels", "{} s"),
    ("shop", "events_10m_s", "10 million events of a made shop", "{} s"),
]

# The same for the README of a room.
ROOMS = {
    "lisa": [
        ("lisa_attention", "sdpa_speedup_1k", "attention forward over torch's fused softmax, 1,024 events", "{} x"),
        ("lisa_attention", "sdpa_speedup_16k", "the same, 16,384 events", "{} x"),
        ("lisa_attention", "materialised_speedup_16k", "over softmax written out, 16,384 events", "{} x"),
        ("lisa_attention", "times_the_matmul_16k", "in times of torch's own product of weights and values", "{}"),
        ("lisa_attention", "times_its_own_product_16k", "the same, of that product through oneDNN", "{}"),
        ("lisa_attention", "time_slope", "growth of time with length, 4,096 to 65,536 events (log-log slope)", "{}"),
        (
            "lisa_attention",
            "backward_speedup_8k",
            "forward and backward over torch's fused softmax, 8,192 events",
            "{} x",
        ),
        ("lisa_attention", "memory_slope", "growth of what is kept for the backward pass (log-log slope)", "{}"),
        (
            "lisa_vs_official",
            "core_speedup",
            "attention, forward and backward, over the authors' code; worst of four",
            "{} x",
        ),
        ("lisa_vs_official", "model_speedup", "a training step over the authors' code; worst of four", "{} x"),
        ("lisa_vs_official", "memory_ratio", "times less memory than the authors' code; worst of four", "{} x"),
        ("lisa_table", "base_ratio", "item table smaller on disk, Base, a million items, D = 128", "{} x"),
        ("lisa_table", "mini_ratio", "the same, Mini", "{} x"),
        ("lisa_table", "break_even_items", "items from which codes pay, Base", "{}"),
        ("lisa_streaming", "p50_ratio_100k_to_100", "update and answer after 100,000 events over after 100", "{} x"),
    ]
}


# Tables of a room's README by marker: the benchmark, its rows (label, name) and its columns (label, figure of a name).
GRIDS = {
    "lisa": {
        "long histories": (
            "long_histories",
            [
                ("SASRec, last 50 events", "sasrec_50"),
                ("SASRec, last 200", "sasrec_200"),
                ("LISA-Base, all", "base"),
                ("LISA-Mini, all", "mini"),
            ],
            [
                ("shop", "shop_{}_ndcg@10"),
                ("MovieLens-1M", "movies_{}_ndcg@10"),
                ("up to 50 events", "movies_{}_ndcg@10_0_to_50"),
                ("to 200", "movies_{}_ndcg@10_50_to_200"),
                ("to 500", "movies_{}_ndcg@10_200_to_500"),
                ("to 1,000", "movies_{}_ndcg@10_500_to_1000"),
                ("more", "movies_{}_ndcg@10_1000_to_100000"),
            ],
        )
    }
}


def results() -> dict[str, dict[str, Any]]:
    """What benchmarks left."""
    found = [json.loads(path.read_text()) for path in sorted(harness.RESULTS.glob("*.json"))]
    return {result["benchmark"]: result for result in found if "benchmark" in result}


def claims() -> list[dict[str, Any]]:
    """What `tenfold claims` left in the same folder, by system and size."""
    return [json.loads(path.read_text()) for path in sorted(harness.RESULTS.glob("claims_*.json"))]


def claims_table(measured: dict[str, Any]) -> str:
    lines = ["| claim | what is said | found [95 %] | means | verdict |", "|---|---|---|---|---|"]
    for claim in measured["claims"]:
        found = claim.get("problem") or ""
        if "value" in claim:
            ends = [claim[name] for name in ("value", "low", "high")]
            value, low, high = ("infinite" if x is None else f"{x:.4g}" for x in ends)
            found = f"{claim['about']} {value}" + ("" if low == high else f" [{low}, {high}]")
        means = ", ".join(f"{name} {value:.4g}" for name, value in claim.get("others", {}).items())
        said = f"{claim['says']} ({claim['source']}){'; ' + claim['note'] if claim['note'] else ''}"
        lines.append(f"| {claim['name']} | {said} | {found} | {means} | {claim['verdict']} |")
    seeds = sorted({claim["seeds"] for claim in measured["claims"]})
    told = f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else f"{seeds[0]} seeds"
    took = sum(claim["seconds"] for claim in measured["claims"])
    days = sorted({claim["date"] for claim in measured["claims"]})
    command = f"`tenfold claims {measured['system']} --size {measured['size']}`"
    when = f"measured {days[0]}" if len(days) == 1 else f"measured between {days[0]} and {days[-1]}"
    return "\n".join(lines) + (
        f"\n\n{command}, {told}, {took / 60:.0f} minutes, {when}. On {machine_told(measured['machine'])}."
    )


def told_machine(machine: dict[str, Any]) -> str:
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    memory = f"{machine['memory_gib']:.0f} GiB" if machine.get("memory_gib") else "unknown memory"
    threads = f"{machine['threads']} thread{'s' if machine['threads'] != 1 else ''}"
    return f"{machine['cpu']}, {machine['cores']} cores, {memory}{gpu}, {machine['os']}, {threads}"


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
    told = [section(result) for result in found.values()]
    told += [
        f"## claims of {measured['system']}, size {measured['size']}\n\n{claims_table(measured)}\n"
        for measured in claims()
    ]
    return opening + ("\n".join(told) or "Nothing has been measured yet.\n")


def figures_table(found: dict[str, dict[str, Any]], shown: list[tuple[str, str, str, str]], results_page: str) -> str:
    lines = ["| measured | |", "|---|---:|"]
    for benchmark, figure, meaning, form in shown:
        value = found.get(benchmark, {}).get("figures", {}).get(figure)
        if value is not None:
            lines.append(f"| {meaning} | {form.format(harness.shown(value))} |")
    if len(lines) == 2:
        return "Nothing has been measured yet."
    used = [found[benchmark] for benchmark in {row[0] for row in shown} if benchmark in found]
    machines = sorted({told_machine(result["machine"]) for result in used})
    return (
        "\n".join(lines)
        + f"\n\nOn {'; '.join(machines)}. All figures, commands and commits: [results]({results_page})."
    )


def grid_table(
    found: dict[str, dict[str, Any]], benchmark: str, rows: list[tuple[str, str]], columns: list[tuple[str, str]]
) -> str:
    figures = found.get(benchmark, {}).get("figures")
    if figures is None:
        return "Nothing has been measured yet."
    lines = ["| NDCG@10 | " + " | ".join(label for label, _ in columns) + " |", "|---|" + "---:|" * len(columns)]
    for label, name in rows:
        values = [figures.get(figure.format(name)) for _, figure in columns]
        cells = ["" if value is None else f"{value:.4f}" for value in values]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


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
    made["figures"] = figures_table(found, SHOWN, "docs/results.md")
    for name, content in made.items():
        text = between_markers(text, name, content)
    return text


def room_readmes() -> dict[str, Path]:
    return {path.parent.name: path for path in sorted(harness.ROOT.glob("tenfold/systems/*/README.md"))}


def room_readme(name: str, text: str, found: dict[str, dict[str, Any]]) -> str:
    measured = [claims_table(one) for one in claims() if one["system"] == name]
    text = between_markers(text, "figures", figures_table(found, ROOMS.get(name, []), "../../../docs/results.md"))
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
