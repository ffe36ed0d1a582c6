"""DyGLib as a rival: its code put on the path, and its sampler of recent neighbours over a graph of ours."""

import sys
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.peers import DYGLIB
from tenfold.data.graphs import TemporalGraph


def recent_neighbours(graph: TemporalGraph) -> Any | None:
    """Its sampler; None where DyGLib is not here. Afterwards its modules (`models`, `utils`) can be imported."""
    folder = harness.peers()
    if folder is None or not DYGLIB.present:
        return None
    sys.path.insert(0, str(folder / "yule-BUAA+DyGLib"))
    from utils.DataLoader import Data
    from utils.utils import get_neighbor_sampler

    columns = (graph.sources.astype(np.int64), graph.destinations.astype(np.int64), graph.times)
    data = Data(*columns, edge_ids=np.arange(1, len(graph) + 1), labels=np.zeros(len(graph)))
    return get_neighbor_sampler(data, sample_neighbor_strategy="recent")
