"""TCL: equal to the public code on its own weights; nothing sees the future; whatever else is asked changes nothing."""

import numpy as np
import polars as pl
import torch
from torch.testing import assert_close

from tenfold.data.graphs import read_interactions
from tenfold.systems.tcl.system import TCL

# The public code -----------------------------------------------------------------------------------------------------


def public_tcl(file):
    """The fixture's network, its graph, and what it answers."""
    held = np.load(file)
    state = {name: torch.from_numpy(held[name]) for name in held.files if name.startswith(("encoder.", "predictor."))}
    ends = {"source": held["events_src"], "destination": held["events_dst"], "time": held["events_time"]}
    frame = pl.DataFrame(ends)
    return held, state, frame


def test_the_public_network_gives_the_same(public, tmp_path):
    held, state, frame = public_tcl(public / "tcl" / "public_tcl_parity.npz")
    np.save(tmp_path / "edges.npy", held["edge_features"])
    np.save(tmp_path / "nodes.npy", held["node_features"])
    graph = read_interactions(
        frame, bipartite=False, edge_features=tmp_path / "edges.npy", node_features=tmp_path / "nodes.npy"
    )
    system = TCL.from_dyglib(state, graph)
    pairs = list(zip(held["query_src"].tolist(), held["query_dst"].tolist(), held["query_time"].tolist(), strict=True))
    assert_close(system.score(pairs), held["logit"].astype(np.float64).ravel(), rtol=0, atol=1e-5)
