"""TCL: equal to the public code on its own weights; nothing sees the future; whatever else is asked changes nothing."""

import numpy as np
import polars as pl
import pytest
import torch
from small_streams import meetings
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


# All candidates at once ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [{}, {"preset": "paper", "self_blocks": 2, "readout": "query"}, {"self_blocks": 0}])
def test_ranking_all_candidates_equals_scoring_each_pair(chosen):
    system = TCL(**{"dim": 16, "past.depth": 2, "past.most": 3, **chosen})
    graph = meetings(300, people=40)
    system.fit(graph, max_epochs=1, accelerator="cpu", progress="none")
    if system.network.same is not None:
        torch.nn.init.normal_(system.network.same)
    links = system.prepare(graph, "time")
    queries = links.queries(links.rows.test[::3])
    fast = system.scores(links, queries, links.destinations)
    each = np.tile(links.destinations.astype(np.int64), (len(queries.sources), 1))
    assert_close(fast, system.scores(links, queries, each), rtol=0, atol=1e-5)
    blocks = links.queries(links.rows.test[::3], block=4)
    assert_close(
        system.scores(links, blocks, links.destinations), system.scores(links, blocks, each), rtol=0, atol=1e-5
    )
