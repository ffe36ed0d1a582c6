"""LISA with few codewords, for the tests of its parts."""

import torch

from tenfold import LISA
from tenfold.options import parse
from tenfold.systems.lisa.options import Options

PRESETS = ["base", "soft", "mini"]
SMALL = {"dim": 16, "codebooks.books": 3, "codebooks.words": 5, "codebooks.target_words": 7, "training.length": 20}


def small(preset, **more):
    tried = {"training.batch_size": 8, "training.lr": 0.01, "dropout": 0.1}
    return LISA(parse(Options, {"preset": preset} | SMALL | tried | more))


def history_of(system, length, seed=0):
    ids = system.vocabularies["items"].ids(list(range(1, 25)))
    return [ids[i] for i in torch.randint(24, (length,), generator=torch.Generator().manual_seed(seed)).tolist()]
