"""Runs RecTools' SASRec in RecTools' own environment: training batches timed, then `recommend` for all users.

Called by a benchmark as a process of its own: `ENVIRONMENT/bin/python rectools_sasrec.py LOG [options]`. LOG is text,
`user item` a line in time order. The last line printed is one JSON object.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

warnings.filterwarnings("ignore")


class Clock(Callback):
    """Real targets and seconds between the end of the warm-up and the end of the last batch."""

    def __init__(self, warm_up):
        self.warm_up, self.batches, self.events = warm_up, -warm_up, 0
        self.seconds = self.cpu_seconds = 0.0

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        self.batches += 1
        if self.batches == 0:
            self.started, self.cpu_started = time.perf_counter(), time.process_time()
        elif self.batches > 0:
            self.events += int((batch["y"] != 0).sum())
            self.seconds = time.perf_counter() - self.started
            self.cpu_seconds = time.process_time() - self.cpu_started


def read(log):
    """The log as RecTools wants it; its times are the lines' numbers, which keep the order."""
    frame = pd.read_csv(log, sep=" ", names=[Columns.User, Columns.Item])
    frame[Columns.Weight] = 1.0
    frame[Columns.Datetime] = pd.to_datetime(np.arange(len(frame)), unit="s")
    return frame


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=Path)
    parser.add_argument("--loss", default="BCE", choices=["BCE", "softmax"])
    parser.add_argument("--dim", type=int, default=50)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=8, help="batches before the clock starts")
    parser.add_argument("--batches", type=int, default=48, help="batches timed")
    parser.add_argument("--recommend", type=int, default=0, metavar="N", help="N times recommend(k=10) for all users")
    parser.add_argument("--output", type=Path, help="N times LOG to this CSV file, reading and writing included")
    return parser.parse_args()


def main():
    asked = arguments()
    frame, clock = read(asked.log), Clock(asked.warm_up)
    dataset = Dataset.construct(frame)

    def trainer():
        steps = {"max_epochs": -1, "max_steps": asked.warm_up + asked.batches, "callbacks": [clock]}
        quiet = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
        return Trainer(accelerator="cpu", **steps, **dict.fromkeys(quiet, False))

    size = {"n_blocks": 2, "n_heads": 1, "n_factors": asked.dim, "session_max_len": asked.length}
    model = SASRecModel(
        **size, dropout_rate=0.2, loss=asked.loss, n_negatives=1, batch_size=128, lr=0.001, get_trainer_func=trainer
    )
    model.fit(dataset)
    clock = next(c for c in model.fit_trainer.callbacks if isinstance(c, Clock))  # RecTools trains with a copy
    found = {
        "events": clock.events,
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
        "batches": clock.batches,
        "users": len(dataset.user_id_map.external_ids),
    }
    found |= {"recommend_s": [], "file_to_file_s": []}
    users = frame[Columns.User].unique()
    for _ in range(asked.recommend):
        started = time.perf_counter()
        model.recommend(users, dataset, k=10, filter_viewed=False)
        found["recommend_s"].append(time.perf_counter() - started)
    for _ in range(asked.recommend if asked.output else 0):
        started = time.perf_counter()
        fresh = read(asked.log)
        answers = model.recommend(fresh[Columns.User].unique(), Dataset.construct(fresh), k=10, filter_viewed=False)
        answers.to_csv(asked.output, index=False)
        found["file_to_file_s"].append(time.perf_counter() - started)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
