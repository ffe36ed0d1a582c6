"""Which split a row of the shop belongs to: training, validation or test, drawn for items and for customers.

What is drawn from an item (a picture, a text, a scene) is in the item's split, what is drawn from a customer (a
question) in the customer's; so nothing that stands in a test was seen in training.
"""

import numpy as np
from numpy.typing import NDArray

from tenfold.shop.streams import Kind, uniforms

SPLITS = ("train", "validation", "test")
BLOCK = 10  # rows, of which one is for validation and one for tests


def splits(seed: int, kind: Kind, count: int) -> NDArray[np.int64]:
    """(count,) numbers into SPLITS: in each block of ten rows one of each that is not training, at random places."""
    blocks = -(-count // BLOCK)
    order = uniforms(seed, kind, 0, blocks, BLOCK).argsort(1, kind="stable").argsort(1)  # a permutation of each block
    return np.where(order == 0, 2, np.where(order == 1, 1, 0)).ravel()[:count]


def shares(rows: int, owners: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How rows are dealt out, in the order of owners: whose each row is and the how manyth of its owner, from 0.

    An owner's n-th row is the same one however many rows and owners there are.
    """
    each = rows // owners + (np.arange(owners) < rows % owners)
    owner = np.repeat(np.arange(owners), each)
    return owner, np.arange(rows) - np.repeat(each.cumsum() - each, each)
