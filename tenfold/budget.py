"""What a run may cost. Apart from `training.py`, so that the command line can explain it without torch."""

from typing import Annotated, Literal

from tenfold.options import option, options


@options
class Budget:
    """What a run may cost, and how it is watched; a method and its baselines get the same one."""

    max_epochs: Annotated[int, option("passes over the data", gt=0)] = 20
    max_seconds: Annotated[float | None, option("training ends with the epoch in which a stage passes this", gt=0)] = (
        None
    )
    seed: Annotated[int, option("where all randomness comes from", ge=0, lt=2**32)] = 0
    patience: Annotated[int | None, option("epochs without a better figure before a stage stops", gt=0)] = None
    accelerator: Annotated[Literal["auto", "cpu", "cuda", "mps"], option("what computes")] = "auto"
    precision: Annotated[Literal["32-true", "bf16-mixed", "16-mixed"], option("of the arithmetic")] = "32-true"
    workers: Annotated[int, option("processes that prepare batches; 0 prepares them in place", ge=0)] = 0
    save_seconds: Annotated[float, option("at most so much work is lost when a run is killed", ge=0)] = 300.0
    progress: Annotated[Literal["auto", "bar", "lines", "none"], option("auto: a bar where a person looks")] = "auto"
    loggers: Annotated[
        tuple[str, ...], option("as NAME or NAME:KEY=VALUE,...: csv, tensorboard, wandb, mlflow ...")
    ] = ()
    callbacks: Annotated[tuple[str, ...], option("Lightning's by name, or module:Class; arguments as loggers'")] = ()
