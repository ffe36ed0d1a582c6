"""EdgeBank exactly as DyGLib measures it, so that our negatives, split and areas can be held against published ones.

DyGLib lets EdgeBank remember the training part without the interactions of its new nodes, then the validation part, and
the test part up to the batch (Yu et al., NeurIPS 2023, Table 1: 76.20 on UCI, 90.37 on Wikipedia).
"""

import numpy as np

from tenfold.data.graphs import TemporalGraph
from tenfold.metrics.temporal import batch_means
from tenfold.tasks.link_prediction.data import Links
from tenfold.tasks.link_prediction.negatives import BATCH, false_pairs


def edgebank_as_dyglib(graph: TemporalGraph) -> float:
    """Average precision of the test part, against random pairs, the mean over batches of 200."""
    links = Links.of(graph, "inductive", graph.vocabularies, {})
    rows = links.rows.test
    false = false_pairs(links, rows, "dyglib_random", seed=0)
    width = np.int64(graph.size + 1)
    key = graph.sources.astype(np.int64) * width + graph.destinations
    known = set(key[np.concatenate([links.rows.train, links.rows.validation])].tolist())
    positive, negative = np.empty(len(rows)), np.empty(len(rows))
    for first in range(0, len(rows), BATCH):
        part = slice(first, first + BATCH)
        own = key[rows[part]].tolist()
        positive[part] = [pair in known for pair in own]
        drawn = (false.sources[part] * width + false.destinations[part]).tolist()
        negative[part] = [pair in known for pair in drawn]
        known.update(own)
    return batch_means(positive, negative, BATCH)[0]
