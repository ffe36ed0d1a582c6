"""How long a person waits for nothing: `import tenfold` and `tenfold --help`, each in a fresh process, warm disk."""

import sys
from pathlib import Path

from benchmarks import harness


def seconds(command: list[str], repetitions: int) -> float:
    """The median over fresh processes, the first of which only warms the disk's cache."""
    return harness.median([harness.child(command).seconds for _ in range(repetitions + 1)][1:])


def main() -> None:
    repetitions = 3 if harness.arguments(__doc__).quick else 15
    python = sys.executable
    figures = {
        "import_s": seconds([python, "-c", "import tenfold"], repetitions),
        "help_s": seconds([str(Path(python).with_name("tenfold")), "--help"], repetitions),
        "python_s": seconds([python, "-c", ""], repetitions),
    }
    notes = ["`python_s` is an empty Python process, which the other two contain."]
    harness.report("import_time", figures, notes=notes)


if __name__ == "__main__":
    main()
