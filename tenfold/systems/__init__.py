"""The rooms of the ten. Their table, and that of the baselines, is `tenfold.registry`."""

from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.errors import ArtifactError
from tenfold.registry import BASELINES, COMMANDS, SYSTEMS, TASKS, Command, Row, Task, class_called, load_class, rows

if TYPE_CHECKING:
    from tenfold.system import System

__all__ = ["BASELINES", "COMMANDS", "SYSTEMS", "TASKS", "Command", "Row", "Task", "load", "load_class", "rows"]


def load(folder: str | Path) -> "System":
    """The fitted system in a folder, of whatever class it is. Raises ArtifactError, OptionError."""
    from tenfold.artifact import read_config

    name = read_config(Path(folder))["system"]
    if name not in {path.rpartition(":")[2] for row in rows().values() for path in (row.path, row.exported)}:
        raise ArtifactError(f"{folder} holds a '{name}', of which this Tenfold knows nothing; update Tenfold")
    return class_called(name).load(folder)
