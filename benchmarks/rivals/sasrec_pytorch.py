"""Runs pmixer/SASRec.pytorch from its own checkout: training batches timed as its main.py makes and learns them.

Called by a benchmark as a process of its own: `python sasrec_pytorch.py CHECKOUT LOG [options]`. LOG is `user item`
a line in time order, users and items numbered from 1, in a folder named data, which is where that code looks. The last
line printed is one JSON object. Its loop is a script that cannot be imported, so the few lines of it are written here.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--dim", type=int, default=50)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3, help="processes that draw batches; its main.py has 3")
    parser.add_argument("--warm-up", type=int, default=8, help="batches before the clock starts")
    parser.add_argument("--batches", type=int, default=48, help="batches timed")
    asked = parser.parse_args()

    sys.path.insert(0, str(asked.checkout / "python"))
    from model import SASRec
    from utils import WarpSampler, data_partition

    os.chdir(asked.log.parent.parent)
    train, _, _, users, items = data_partition(asked.log.stem)
    size = {"hidden_units": asked.dim, "maxlen": asked.length, "num_blocks": 2, "num_heads": 1}
    options = argparse.Namespace(device="cpu", norm_first=False, dropout_rate=0.2, **size)
    model = SASRec(users, items, options)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.xavier_normal_(parameter.data)
    model.pos_emb.weight.data[0] = model.item_emb.weight.data[0] = 0
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, betas=(0.9, 0.98))
    criterion = torch.nn.BCEWithLogitsLoss()

    sampler = WarpSampler(train, users, items, batch_size=128, maxlen=asked.length, n_workers=asked.workers)
    events, started, cpu_started = 0, 0.0, 0.0
    for step in range(asked.warm_up + asked.batches):
        if step == asked.warm_up:
            events, started, cpu_started = 0, time.perf_counter(), time.process_time()
        user, seq, pos, neg = (np.array(part) for part in sampler.next_batch())
        positive, negative = model(user, seq, pos, neg)
        optimizer.zero_grad()
        real = np.where(pos != 0)
        loss = criterion(positive[real], torch.ones_like(positive[real]))
        loss += criterion(negative[real], torch.zeros_like(negative[real]))
        loss.backward()
        optimizer.step()
        loss.item()
        events += len(real[0])
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    sampler.close()
    print(
        json.dumps(
            {"events": events, "seconds": seconds, "cpu_seconds": cpu, "batches": asked.batches, "loss": loss.item()}
        )
    )


if __name__ == "__main__":
    main()
