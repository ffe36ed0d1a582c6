"""What the site takes from outside docs/: the README as its first page, the changes, the rooms' READMEs, all options.

mkdocs calls `on_files` before it reads the pages. Links in the README are made for the repository; here they lose their
`docs/`, and those to files that are no page become plain text.
"""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"CHANGELOG.md": "changes.md"}


def from_the_root(text: str) -> str:
    """The text of a file that stands in the repository's root, for a page of the site."""

    def link(found: re.Match[str]) -> str:
        shown, target = found.groups()
        if target.startswith(("http://", "https://", "#")):
            return found.group()
        if target.startswith("docs/"):
            return f"[{shown}]({target.removeprefix('docs/')})"
        return f"[{shown}]({PAGES[target]})" if target in PAGES else shown

    return re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", link, text)


def options_page() -> str:
    """Every system and baseline with its options, as `tenfold info` shows them."""
    from tenfold.options import rows
    from tenfold.systems import load_class
    from tenfold.systems import rows as systems

    parts = ["# Options of each system\n\nWhat `tenfold info NAME` shows, for all that can be fitted.\n"]
    for name, system in systems().items():
        cls = load_class(name)
        parts.append(
            f"## {name}\n\n`from tenfold import {cls.__name__}`: {system.gives}. Splits: {', '.join(cls.splits)}.\n"
        )
        lines = [
            f"| `{row.name}` | {row.type.replace('|', 'or')} | {row.bounds} | {row.default} | {row.meaning} |"
            for row in rows(cls.options_class())
        ]
        if lines:
            parts.append(
                "\n".join(["| option | type | bounds | default | meaning |", "|---|---|---|---|---|", *lines, ""])
            )
        else:
            parts.append("It has no options.\n")
    return "\n".join(parts)


def on_files(files: Files, config: Any) -> Files:
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    made = {"index.md": from_the_root((ROOT / "README.md").read_text()), "options.md": options_page()}
    made |= {page: from_the_root((ROOT / name).read_text()) for name, page in PAGES.items()}
    for room in sorted((ROOT / "tenfold" / "systems").glob("*/README.md")):
        made[f"systems/{room.parent.name}.md"] = room.read_text().replace("../../../docs/", "../")
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files
