"""Options of the networks that TCL is compared with. Imports no torch."""

from typing import Annotated

from tenfold.options import Tune, option, options
from tenfold.tasks.link_prediction.options import LinkLoss, Training


@options
class HistoryOptions:
    """Of every network that reads a node's own last interactions."""

    dim: Annotated[int, option("width", gt=0, tune=Tune(choices=(32, 64)))] = 32
    recent: Annotated[int, option("interactions of a node that are read, the latest", gt=0)] = 20
    dropout: Annotated[float, option("dropout inside the network", ge=0, lt=1)] = 0.1
    loss: LinkLoss = LinkLoss()
    training: Training = Training(lr=2e-3)
