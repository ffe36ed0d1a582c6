"""Small streams of interactions that several tests share."""

import numpy as np

from tenfold.ops.temporal_index import TemporalIndex


def stream(rows, nodes=7):
    """(source, destination, time) in any order -> their index."""
    sources, destinations, times = (np.array(column) for column in zip(*rows, strict=True)) if len(rows) else [[]] * 3
    order = np.argsort(times, kind="stable")
    columns = (np.asarray(sources, np.int32)[order], np.asarray(destinations, np.int32)[order])
    return TemporalIndex(*columns, np.asarray(times, np.float64)[order], nodes)
