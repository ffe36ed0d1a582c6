"""Small streams of interactions that several tests share."""

import random

import numpy as np
import polars as pl

from tenfold.ops.temporal_index import TemporalIndex


def stream(rows, nodes=7):
    """(source, destination, time) in any order -> their index."""
    sources, destinations, times = (np.array(column) for column in zip(*rows, strict=True)) if len(rows) else [[]] * 3
    order = np.argsort(times, kind="stable")
    columns = (np.asarray(sources, np.int32)[order], np.asarray(destinations, np.int32)[order])
    return TemporalIndex(*columns, np.asarray(times, np.float64)[order], nodes)


def meetings(count=91, people=12):
    """People p1 .. go round: each meets the next one, or the one whom the last partner met. 64 of 91 are trained on."""
    from tenfold.data.graphs import read_interactions

    rng = random.Random(0)
    rows, last = [], {}
    for n in range(count):
        u = n % people
        v = (u + 1 + rng.randrange(2)) % people if rng.random() < 0.7 else last.get((u + 1) % people, (u + 3) % people)
        v = (v + 1) % people if v == u else v
        rows.append((f"p{u + 1}", f"p{v + 1}", 10.0 * n))
        last[u], last[v] = v, u
    frame = pl.DataFrame(rows, schema=["source", "destination", "time"], orient="row")
    return read_interactions(frame)
