"""The shop's texts: how many sentence skeletons, what printing the table scores, how much is said, lengths and speed.

BLEU is of a table's cells printed in order against its text, the best of several ways to print them.
"""

import time

import numpy as np
import sacrebleu

from benchmarks import harness
from tenfold.shop.options import Options
from tenfold.shop.simulation import ground
from tenfold.shop.texts import draw, tokens

PRINTED = ("{attribute} {value}", "{attribute}: {value},", "{value}", "{value},")


def main() -> None:
    quick = harness.arguments(__doc__).quick
    options = Options(texts=1_000 if quick else 5_000)
    ground(options)
    draw(options, 0, 1)  # compiled from here on
    seconds = []
    for _ in range(1 if quick else 3):
        started = time.perf_counter()
        texts = draw(options, 0, options.texts)
        seconds.append(time.perf_counter() - started)
    references = [texts["text"].to_list()]
    scores = {
        printed: sacrebleu.corpus_bleu(
            [" ".join(printed.format(**cell) for cell in row) for row in texts["table"]], references
        ).score
        for printed in PRINTED
    }
    best = max(PRINTED, key=lambda printed: scores[printed])
    lengths = np.array([tokens(text) for text in references[0]])
    figures = {
        "texts": options.texts,
        "skeletons": texts["skeleton"].n_unique(),
        "bleu_of_cells": scores[best],
        "cells_said": texts["table"].explode().struct.field("said").mean(),
        "texts_with_invention": float((texts["invented"].list.len() > 0).mean()),
        "tokens_least": int(lengths.min()),
        "tokens_median": float(np.median(lengths)),
        "tokens_most": int(lengths.max()),
        "seconds": harness.median(seconds),
        "texts_per_s": options.texts / harness.median(seconds),
    }
    harness.report("shop_texts", figures, notes=[f'Printed as "{best}", which scores best. Drawn by one process.'])


if __name__ == "__main__":
    main()
