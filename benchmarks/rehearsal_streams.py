"""Rehearsal Memory on two public logs, one run each, one core, beside rules that a service could have for nothing.

foursquare: the last tenth of each user's check-ins, each ranked among all places, means over check-ins. `gap20` are
those of places that the user saw last more than 20 check-ins before: a window of 20 has none of them. `rehearsal-next`,
also without rehearsal and with a candidate's own count, and a GRU, with as long a training each; the epoch is the one
with the best NDCG@10 on the tenth before.
assist: ASSISTments 2009, the updated cut, whether each answer of the test students is right, told their answers before
it. All rivals see the same streams; the epoch is chosen by a tenth of the training students. An exercise of several
skills stands there as several rows, one after another, all right or all wrong: that makes the last answer a good guess
here, and all figures higher than on a cut without such rows.
"""

import argparse
from collections import defaultdict
from itertools import pairwise

import numpy as np

from benchmarks import harness
from tenfold.budget import Budget
from tenfold.data import public
from tenfold.data.events import Events
from tenfold.systems.rehearsal.data import Story, Streams, cut
from tenfold.systems.rehearsal.next_items import RehearsalNext
from tenfold.systems.rehearsal.rivals import StreamGRU
from tenfold.systems.rehearsal.system import Rehearsal
from tenfold.systems.rehearsal.task import StreamQuestions, auc
from tenfold.tasks.next_item.baselines.counted import PersonalFrequency, RepeatLast
from tenfold.tasks.next_item.baselines.gru4rec import GRU4Rec
from tenfold.tasks.next_item.evaluation import places
from tenfold.tasks.next_item.task import NextItem

SECONDS = 180.0
STEP = {"dim": 64, "hops": 1, "training.batch_size": 16, "training.lr": 0.002}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: two seconds of each training")
    parser.add_argument("--only", choices=("foursquare", "assist"), help="one of them")
    asked = parser.parse_args()
    figures: dict[str, float] = {}
    for part, measure in {"foursquare": foursquare, "assist": assist}.items():
        if asked.only in (None, part):
            figures |= measure(2.0 if asked.quick else SECONDS, asked.quick)
    notes = ["The machine was shared.", f"At most {SECONDS:.0f} seconds of training each, one seed, one thread."]
    harness.report("rehearsal_streams", figures, notes=notes)


def budget(seconds: float) -> Budget:
    return Budget(max_epochs=1_000, max_seconds=seconds, patience=1_000, progress="none", threads=1)


# Check-ins -----------------------------------------------------------------------------------------------------------


def foursquare(seconds: float, quick: bool) -> dict[str, float]:
    harness.data("rehearsal/foursquare_nyc_dev.npz")
    events = public.load("foursquare-nyc")
    bare = {"counts.of": "none"}
    arms: dict[str, NextItem] = {
        "memory": RehearsalNext(**bare), "without_rehearsal": RehearsalNext(**bare, recollection=0.0),
        "counting": RehearsalNext(), "gru": GRU4Rec(dim=64),
        "frequency": PersonalFrequency(), "latest": RepeatLast(),
    }  # fmt: skip
    found: dict[str, float] = {}
    for name, arm in arms.items():
        arm.fit(events, split="stream", budget=budget(seconds))
        found |= {f"{name}_{figure}": value for figure, value in of_check_ins(arm, events).items()}
        history = arm.history.get("next_item")
        if history:
            found[f"{name}_epochs"] = float(len(history))
        print({key: round(value, 4) for key, value in found.items() if key.startswith(name)}, flush=True)
    return found


def of_check_ins(system: NextItem, events: Events) -> dict[str, float]:
    """HR@1, HR@10 of all test events, and HR@10 of those whose place was seen last more than 20 events before."""
    place, since = places(system, system.prepare(events, "stream"))
    far = since > 20
    return {"hr1": float((place < 1).mean()), "hr10": float((place < 10).mean()),
            "hr10_gap20": float((place[far] < 10).mean()), "gap20_events": float(far.sum())}  # fmt: skip


# Answers of students -------------------------------------------------------------------------------------------------


def assist(seconds: float, quick: bool) -> dict[str, float]:
    harness.data("rehearsal/assist2009_updated.npz")
    data = students(public.load("assist2009"), 300 if quick else None)
    test = cut(data, "given").part("test")
    right = (test.questions["answer"] == "right").to_numpy()
    found = {f"auc_{name}": area(scores, right) for name, scores in rules(data, test).items()}
    memory = STEP | {"memory.slots": 8, "memory.segment": 8, "memory.layers": 1, "memory.heads": 2,
                     "rehearsal.sampler": "uniform", "rehearsal.length": 8}  # fmt: skip
    plain = STEP | {"slots": 8, "segment": 8, "layers": 1, "heads": 2}
    arms: dict[str, StreamQuestions] = {"memory": Rehearsal(**memory), "gru": StreamGRU(**plain)}
    for name, arm in arms.items():
        arm.fit(data, split="given", budget=budget(seconds))
        own = cut(data.recoded(arm.vocabularies), "given").part("test")
        positive = own.answers.ids([1, 2]).index("right")
        found[f"auc_{name}"] = area(arm.probabilities(own)[:, positive], right)
        found[f"{name}_epochs"] = float(len(list(arm.history.values())[-1]))
        print({key: round(value, 4) for key, value in found.items()}, flush=True)
    return found


def students(events: Events, most: int | None) -> Streams:
    """A stream for each student: which skill, and whether it was right; each answer after the first is a question."""
    names = events.catalogue.ids(np.arange(1, len(events.catalogue) + 1))
    marks = events.kind_names.series.to_list()
    users = events.users.ids(np.arange(1, len(events) + 1))
    stories = []
    for row, user in enumerate(users):
        if most is not None and row % 7:
            continue
        part = slice(int(events.offsets[row]), int(events.offsets[row + 1]))
        told = [(names[n - 1], marks[k - 1])
                for n, k in zip(events.items[part].tolist(), events.kinds[part].tolist(), strict=True)]  # fmt: skip
        asked = [{"question": f"skill{skill}", "answer": mark, "time": time, "kind": "step",
                  "split": user.partition("/")[0]} for time, (skill, mark) in enumerate(told) if time]  # fmt: skip
        stories.append(Story(user, [f"skill{skill} {mark}" for skill, mark in told], asked))
    return Streams.of(stories)


def rules(data: Streams, test: Streams) -> dict[str, np.ndarray]:
    """Scores (Q,) of the test questions: the share of right answers to the skill in the training part; the same and the
    student's share so far, added; the answer before."""
    train = cut(data, "given").part("train").questions
    count: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for asked, answer in train.select("question", "answer").iter_rows():
        count[asked][0] += answer == "right"
        count[asked][1] += 1
    whole = sum(own[0] for own in count.values()) / sum(own[1] for own in count.values())
    marks = np.array([said.endswith(" right") for said in texts(test)])
    skill, running, last = [], [], []
    for asked, stream, time in test.questions.select("question", "stream", "time").iter_rows():
        first = int(test.offsets[stream])
        before = marks[first : first + time]
        own = count[asked]
        skill.append((own[0] + 5 * whole) / (own[1] + 5))
        running.append((before.sum() + whole) / (time + 1))
        last.append(float(before[-1]))
    return {"skill": np.array(skill), "skill_and_student": np.array(skill) + np.array(running), "last": np.array(last)}


def texts(data: Streams) -> list[str]:
    words = ["", *data.words.series.to_list()]
    ends = data.items.offsets
    return [" ".join(words[n] for n in data.items.words[a:b]) for a, b in pairwise(ends)]


def area(scores: np.ndarray, right: np.ndarray) -> float:
    return auc(scores, right, np.ones(len(right)))


if __name__ == "__main__":
    main()
