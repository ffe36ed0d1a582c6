"""A step of the memory machine as it is written down, slot by slot, and how far apart memories stay: for tests."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tenfold.nn.slot_memory import GatedCell, SlotMemory


def step_reference(machine: SlotMemory, memory: Tensor, keys: Tensor, values: Tensor, keep: Sequence[bool]) -> Tensor:
    """`step` of one stream as it is written down, slot by slot and head by head. memory (K, width), keys (N, d)."""
    rows, where = [], [n for n, real in enumerate(keep) if real]
    if not where:
        return memory
    whole, memory = memory, memory[:, : machine.dim]
    for k in range(machine.slots):
        strength: Tensor | float = 1.0
        since = [len(where) - 1 - n for n in range(len(where))]  # items that follow
        age = torch.log2(1 + (2 ** whole[k, -1] - 1) + len(where))
        if machine.competition:
            turn = sorted(range(machine.slots), key=lambda j: (-round(64 * float(whole[j, -1].detach())), j))
            shares = [_share_reference(machine, memory, keys[n], turn[place % machine.slots])[k]
                      for place, n in enumerate(where)]  # fmt: skip
            read, strength = torch.zeros_like(values[0]), torch.zeros(())
            for n, after_it, share in zip(where, since, shares, strict=True):
                read, strength = (1 - share) * read + share * values[n], (1 - share) * strength + share
                age = (1 - share) * age + share * math.log2(1 + after_it)
            read = read / (strength + 1e-3)
        else:
            read, taken = _read_reference(machine, memory[k], machine.identity[k], keys[where], values[where])
            age = taken @ torch.tensor([1.0 + after_it for after_it in since]).log2()
        after = _cell_reference(machine.cell, k, machine.out(read), memory[k])
        found = memory[k] + strength * (after - memory[k])
        rows.append(found if machine.age is None else torch.cat([found, age.view(1)]))
    return torch.stack(rows)


def _share_reference(machine: SlotMemory, memory: Tensor, key: Tensor, oldest: int) -> Tensor:
    """(K + 1,) of one item, the last is nobody's. oldest: the slot whose turn it is."""
    asked = [machine.address[k] + machine.query(machine.norm(memory[k])) for k in range(machine.slots)]
    if machine.additive is None:
        scores = [machine.sharp * (q @ key) / math.sqrt(machine.dim) for q in asked]
    else:
        scores = [machine.sharp * machine.additive[0] @ torch.tanh(q + key) for q in asked]
    if machine.oldest_first:
        scores[oldest] = scores[oldest] + machine.fresh @ key + machine.fresh_bias
    nobody = machine.nobody @ key + machine.nobody_bias
    return torch.stack([*scores, nobody]).softmax(0)


def _read_reference(
    machine: SlotMemory, slot: Tensor, identity: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor]:
    """What a slot reads, and the mean over heads of its shares."""
    query, width, read = machine.query(machine.norm(slot) + identity), machine.dim // machine.heads, []
    mean = torch.zeros(len(keys))
    for h in range(machine.heads):
        part = slice(h * width, (h + 1) * width)
        if machine.additive is None:
            scores = torch.stack([query[part] @ key[part] / math.sqrt(width) for key in keys])
        else:
            scores = torch.stack([machine.additive[h] @ torch.tanh(query[part] + key[part]) for key in keys])
        read.append(scores.softmax(0) @ values[:, part])
        mean = mean + scores.softmax(0) / machine.heads
    return torch.cat(read), mean


def _cell_reference(cell: GatedCell, k: int, read: Tensor, slot: Tensor) -> Tensor:
    own = k if len(cell.read) > 1 else 0
    new, old = read @ cell.read[own], slot @ cell.old[own]
    if cell.read_bias is not None and cell.old_bias is not None:
        new, old = new + cell.read_bias[own, 0], old + cell.old_bias[own, 0]
    (r, z, c), (r_old, z_old, c_old) = new.chunk(3), old.chunk(3)
    z = torch.sigmoid(z + z_old)
    return z * slot + (1 - z) * torch.tanh(c + torch.sigmoid(r + r_old) * c_old)


@torch.no_grad()
def apart_after(machine: SlotMemory, segments: int, *, seed: int = 0) -> float:
    """How far two memories still are from each other that began apart and read the same `segments` (norm of the
    difference, over all slots): how much of what is old can be told at all."""
    generator = torch.Generator().manual_seed(seed)
    memory = machine.start(2).clone()
    memory[..., : machine.dim] = torch.randn(2, machine.slots, machine.dim, generator=generator)
    items = torch.randn(1, segments, machine.segment, machine.dim, generator=generator).expand(2, -1, -1, -1)
    last = machine.scan(items, torch.ones(items.shape[:3], dtype=torch.bool), memory)[:, -1]
    return float((last[0] - last[1]).norm())
