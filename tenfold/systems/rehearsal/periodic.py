"""HPMN as a memory of streams (Ren et al., SIGIR 2019, arXiv 1905.00758): recurrent networks of growing periods.

Their states together are the K d numbers of the memory; the reader sees them as K vectors. Not here: the paper's own
reader (attention by a small network, asked several times), as all rivals share one.

Shapes: B streams, N items of a segment, K vectors of the memory, d width, M levels of w = K d / M numbers each.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tenfold.errors import OptionError
from tenfold.nn.periodic import hierarchy, together
from tenfold.systems.rehearsal.options import PeriodicOptions, Training
from tenfold.systems.rehearsal.rivals import Machine, PlainReader
from tenfold.systems.rehearsal.samples import Batch
from tenfold.systems.rehearsal.task import answer_loss
from tenfold.training import Losses


class Periodic(Machine):
    """M GRUs one above the other: the lowest reads every item, each other the one below it, every `period` times that
    this one has changed."""

    def __init__(self, options: PeriodicOptions, *, beside: bool = True) -> None:
        super().__init__(options)
        o = options
        if o.slots % o.levels:
            raise OptionError(
                f"slots are shared out to the levels, so many to each; found {o.slots} slots and {o.levels} levels: "
                "choose a multiple"
            )
        self.levels, self.period, width = o.levels, o.period, o.slots // o.levels * o.dim
        self.cells = nn.ModuleList(nn.GRUCell(width if level else o.dim, width) for level in range(o.levels))

    def of_levels(self, memory: Tensor) -> Tensor:
        """(B, K, d) -> (B, M, w)."""
        return memory.unflatten(1, (self.levels, -1)).flatten(2)

    def written(self, memory: Tensor, x: Tensor, keep: Tensor, number: Any = 0) -> Tensor:
        state, whole = list(self.of_levels(memory).unbind(1)), bool(keep.all())
        first = number * self.segment if isinstance(number, int) else number.view(-1, 1) * self.segment
        for place, item in enumerate(x.unbind(1)):
            after = hierarchy(self.cells, item, state, first + place + 1, self.period)
            if not whole:
                there = keep[:, place].unsqueeze(1)
                after = [torch.where(there, new, old) for new, old in zip(after, state, strict=True)]
            state = after
        return torch.stack(state, 1).view_as(memory)


class PeriodicMemory(PlainReader):
    options: PeriodicOptions
    machine = Periodic
    tiny = PeriodicOptions(dim=16, hops=1, dropout=0.1, slots=4, segment=4, layers=1, heads=2, levels=2,
                           training=Training(batch_size=8, lr=0.01))  # fmt: skip

    def loss(self, batch: Batch) -> Losses:
        """That of the answers, and the penalty on levels that vary together."""
        network = self.streams
        x = network.items(batch.words)
        memory = network.memory_at(network.read(x, batch.length), x, batch.stream, batch.time)
        answer = answer_loss(network.answer(batch.asked, memory).scores, batch.answer)
        if not self.options.covariance or not len(memory):
            return {"answer": answer}
        penalty = self.options.covariance * together(network.machine.of_levels(memory))
        return {"answer": answer, "covariance": (penalty * len(memory), torch.tensor(len(memory), device=x.device))}


__all__ = ["PeriodicMemory"]
