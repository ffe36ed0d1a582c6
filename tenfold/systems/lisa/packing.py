"""Codes of items as bits, ceil(log2 W) each, without gaps; and how much smaller than a table they are.

Shapes: V items, B codebooks, W codewords, D width.
"""

import numpy as np
import torch
from torch import Tensor

from tenfold.errors import ArtifactError

ITEMS_AT_ONCE = 1 << 13  # unpacked or decoded; a multiple of 8, so that each part begins with a whole byte


def code_bits(words: int) -> int:
    """ceil(log2 W); none where there is but one codeword."""
    return (words - 1).bit_length()


def pack_codes(codes: Tensor, words: int) -> bytes:
    """codes (V, B), each below W -> their bits, the highest first, the last byte filled up with zeros."""
    unused = 8 - code_bits(words)
    parts = (np.unpackbits(part.cpu().numpy()[..., None], axis=-1) for part in codes.split(ITEMS_AT_ONCE))
    return b"".join(np.packbits(bits[..., unused:]).tobytes() for bits in parts)


def unpack_codes(packed: bytes, items: int, books: int, words: int) -> Tensor:
    """The codes (V, B) uint8 that `pack_codes` packed. Raises ArtifactError for other than their bytes."""
    expected = _code_bytes(items, books, words)
    if len(packed) != expected:
        raise ArtifactError(
            f"the codes of {items:,} items in {books} codebooks of {words} codewords are {expected:,} bytes; "
            f"found {len(packed):,}; export the system again"
        )
    flat, width = np.frombuffer(packed, np.uint8), code_bits(words)
    codes = np.zeros((items, books), np.uint8)
    for some in np.split(codes, range(ITEMS_AT_ONCE, items, ITEMS_AT_ONCE)):
        size = _code_bytes(len(some), books, words)
        bits, flat = np.unpackbits(flat[:size], count=some.size * width), flat[size:]
        for bit in bits.reshape(*some.shape, width).transpose(2, 0, 1):
            some[:] = some << 1 | bit
    if items and codes.max() >= words:
        raise ArtifactError(
            f"the codes of items name codeword {codes.max()} of codebooks of {words}, numbered from 0; export the "
            "system again"
        )
    return torch.from_numpy(codes)


def table_bytes(items: int, dim: int, books: int, words: int, target_words: int | None = None) -> tuple[int, int]:
    """Bytes of an item table in float32, and of packed codes and codebooks in its place: V B log2(W) / 8 + 4 B W D.

    target_words: codewords of the codebooks by which items are found, where these are others (LISA-Mini).
    """
    kinds = [words] if target_words is None else [words, target_words]
    return 4 * items * dim, sum(_code_bytes(items, books, w) + 4 * books * w * dim for w in kinds)


def break_even_items(dim: int, books: int, words: int, target_words: int | None = None) -> int | None:
    """The fewest items of which codes and codebooks are smaller than the table; None where they never are."""
    saved = 32 * dim - books * (code_bits(words) + (0 if target_words is None else code_bits(target_words)))
    if saved <= 0:  # bits an item
        return None
    _, codebooks = table_bytes(0, dim, books, words, target_words)
    items = 8 * codebooks // saved
    while (sizes := table_bytes(items, dim, books, words, target_words))[0] <= sizes[1]:
        items += 1
    return items


def _code_bytes(items: int, books: int, words: int) -> int:
    return -(-items * books * code_bits(words) // 8)
