"""The one package that knows Lightning: progress, devices, processes, checkpoints, early stopping, exact resuming.

A run that is killed, also inside an epoch, and resumed gives the weights of an uninterrupted one because order is a
function of (seed, epoch), dropout of (seed, rank, epoch, batch), and what is kept is always kept between two batches.

stages.py trains a stage and keeps it in its run; trainer.py makes Lightning's Trainer; module.py is a stage as
Lightning takes it; keeping.py writes checkpoints, progress.py says where a training is, named.py makes callbacks and
loggers.
"""

from tenfold.lightning_adapter.stages import computing, train

__all__ = ["computing", "train"]
