"""The shop's meetings: how long they take to draw, and how well simple rules rank whom somebody meets next.

Mean reciprocal ranks over the last 15 % of the meetings, all other users being candidates. The oracle knows what the
simulator knew: whom one remembers, which kind of meeting one likes, one's circle, and how sociable everybody is.
"""

import time

import numpy as np

from benchmarks import harness
from tenfold.shop.meetings import draw, measure, oracle
from tenfold.shop.options import Options
from tenfold.shop.simulation import ground

RULE = "partner's partners"


def seconds(options: Options) -> float:
    ground(options)
    started = time.perf_counter()
    draw(options, 0, options.meetings)
    return time.perf_counter() - started


def main() -> None:
    quick = harness.arguments(__doc__).quick
    draw(Options(meetings=10), 0, 10)  # compiled from here on
    figures = {"default_s": seconds(Options(seed=99)), "meetings_1m_s": seconds(Options(seed=99, meetings=1_000_000))}
    found = []
    for seed in range(1 if quick else 5):
        options = Options(seed=seed)
        rules = measure(options)
        rivals = max(rules["popularity"], rules["recency"])
        found.append((*rules.values(), float(oracle(options).mean()), rules[RULE] / rivals))
    names = *rules, "oracle"
    figures |= dict(
        zip(
            (f"mrr_{name}".replace(" ", "_").replace("'", "") for name in names),
            np.mean(found, 0)[:4].tolist(),
            strict=True,
        )
    )
    figures["rule_over_best_rival_least"] = float(np.min(found, 0)[-1])
    harness.report("shop_meetings", figures, notes=[f"Means over {len(found)} shops of the default size."])


if __name__ == "__main__":
    main()
