"""What the paper says of SANA, C1 to C12, and how it is measured here.

The paper's own tables are of WikiPerson and WikiBio at full scale; size `cpu` is WikiTableText with all cells, with
those that its sentences mention (WTT-m, for WikiPerson), tables of invented people, and the shop. All arms have one
encoder, one vocabulary and one total of training time.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

import numpy as np

from tenfold.budget import Budget
from tenfold.claims import AtLeastBy, AtMost, Bound, Claim, Reported, Size
from tenfold.data.fact_tables import FactTables
from tenfold.data.public import load
from tenfold.system import System
from tenfold.systems.sana.demo import facts_told, shop_texts
from tenfold.systems.sana.rivals import ForcedBeam, Levenshtein, SketchAndWrite
from tenfold.systems.sana.synthetic import mentioned, people
from tenfold.systems.sana.system import SANA
from tenfold.tasks.table_text.baselines.generators import PointerGenerator, Seq2Seq
from tenfold.tasks.table_text.baselines.rules import AllCells, NearestTemplate
from tenfold.tasks.table_text.task import TableText

PUBLISHED = {"text.tokens": "spaces", "text.case": "keep"}
TRAINED = {**PUBLISHED, "text.longest": 60}
SEEDS: Mapping[Size, int] = {"cpu": 3, "gpu": 3, "quick": 2}
QUICK = {"network.dim": 16, "network.heads": 2, "network.hidden": 16, "training.validated": 8, "sketch.longest": 8}


def all_cells(size: Size, seed: int) -> FactTables:
    return shortened(cast(FactTables, load("wikitabletext")), size)


def mentioned_cells(size: Size, seed: int) -> FactTables:
    return mentioned(shortened(cast(FactTables, load("wikitabletext")), size))


def invented_clauses(size: Size, seed: int) -> FactTables:
    return people(120 if size == "quick" else 6_000, seed=seed + 1, invented=0.1)


def shop(size: Size, seed: int) -> FactTables:
    return shop_texts(120 if size == "quick" else 4_000, seed=seed + 1)


def shortened(data: FactTables, size: Size) -> FactTables:
    return data.take(np.r_[0:160, 10_000:10_030, 11_318:11_348]) if size == "quick" else data


def equal_time(size: Size) -> Budget:
    """A total for all stages of a fit."""
    seconds = {"quick": 4.0, "cpu": 480.0, "gpu": 600.0}[size]
    return Budget(max_epochs=1 if size == "quick" else 400, max_seconds=seconds, progress="none")


def arm(cls: type[TableText], size: Size, **more: Any) -> TableText:
    values = dict(TRAINED) | (
        {name: v for name, v in QUICK.items() if name in names_of(cls)} if size == "quick" else {}
    )
    return cls(**values | more)


def names_of(cls: type[TableText]) -> set[str]:
    return set(cls(cls.tiny).get_params())


def written(size: Size) -> Mapping[str, System]:
    return {"SANA": arm(SANA, size), "pointer-generator": arm(PointerGenerator, size)}


def without_parts(size: Size) -> Mapping[str, System]:
    rules: dict[str, System] = {"template": NearestTemplate(**PUBLISHED), "all cells": AllCells(**PUBLISHED)}
    return {
        **written(size),
        "Levenshtein": arm(Levenshtein, size),
        "sketch and write": arm(SketchAndWrite, size),
        "forced beam": arm(ForcedBeam, size),
        "seq2seq": arm(Seq2Seq, size),
        **rules,
    }


def betas(size: Size) -> Mapping[str, System]:
    arms = {f"beta {beta}": arm(SANA, size, **{"edit.protect": beta}) for beta in (0.7, 0.0, 1.0)}
    return {**arms, "uniform": arm(SANA, size, **{"edit.roll_in": "uniform"})}


# What one fitted system shows.


@lru_cache(maxsize=8)
def fitted(size: Size, data: str, seed: int) -> tuple[SANA, FactTables]:
    tables = {"all": all_cells, "mentioned": mentioned_cells}[data](size, seed)
    system = arm(SANA, size)
    system.fit(tables, budget=replace(equal_time(size), seed=seed))
    return system, tables  # type: ignore[return-value]


def seeds(size: Size) -> range:
    return range(SEEDS[size])


def guarantee(size: Size) -> dict[str, Any]:
    """Shares of texts that hold their skeleton in order, with the constraint and without."""
    found: dict[str, list[float]] = {"with the constraint": [], "without it": []}
    for seed in seeds(size):
        system, data = fitted(size, "mentioned", seed)
        tables = [system.splitter.table(one, "a table") for one in data.split("test")][:1_000]
        for name, constraint in (("with the constraint", "hard"), ("without it", "soft")):
            texts = system.write(tables, constraint=constraint)
            found[name].append(100 * float(np.mean([_holds(text.tokens, text.skeleton) for text in texts])))
    return {name: np.array(values) for name, values in found.items()}


def _holds(text: list[str], skeleton: list[str]) -> bool:
    rest = iter(text)
    return all(token in rest for token in skeleton)


def constraint(size: Size) -> dict[str, Any]:
    """PARENT-T recall of the same weights."""
    return _evaluated(size, "mentioned", "parent_t_recall", {"hard": {}, "soft": {"constraint": "soft"}})


def gold(size: Size) -> dict[str, Any]:
    """BLEU from stage 1's skeletons and from those of the reference."""
    return _evaluated(size, "all", "bleu", {"own skeletons": {}, "gold skeletons": {"skeletons": "gold"}})


def skeletons(size: Size) -> dict[str, Any]:
    return _evaluated(size, "mentioned", "skeleton_f1", {"skeleton F1": {}})


def rounds(size: Size) -> dict[str, Any]:
    return _evaluated(size, "all", "rounds", {"rounds": {}})


def cells_as_skeleton(size: Size) -> dict[str, Any]:
    return _evaluated(size, "mentioned", "bleu", {"own skeletons": {}, "all cells": {"skeletons": "cells"}})


def _evaluated(size: Size, data: str, figure: str, ways: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    for seed in seeds(size):
        system, tables = fitted(size, data, seed)
        for name, protocol in ways.items():
            found[name].append(system.evaluate(tables, **protocol)[figure])
    return {name: np.array(values) for name, values in found.items()}


def wanted(size: Size) -> dict[str, Any]:
    """The share of values that are in the text word for word when all cells are asked for."""
    system, data = fitted(size, "mentioned", 0)
    right, asked = 0, 0
    for one in list(data.split("test"))[: 30 if size == "quick" else 500]:
        table = system.splitter.table(one, "a table")
        keys = tuple(dict.fromkeys(cell.key for cell in table.cells))
        (text,) = system.write([table], must_include=keys)
        for cell in table.cells:
            own, n = list(cell.tokens), len(cell.tokens)
            right += any(text.tokens[i : i + n] == own for i in range(len(text.tokens) - n + 1))
            asked += 1
    return {"values word for word": 100.0 * right / asked}


def invented_in_the_shop(size: Size) -> dict[str, Any]:
    """Facts that a text tells and its table does not have, by the shop's own matcher; and facts told."""
    found: dict[str, list[float]] = {}
    for seed in seeds(size):
        data = shop(size, seed)
        for name, cls in (("SANA", SANA), ("pointer-generator", PointerGenerator)):
            system = cls(**({n: v for n, v in QUICK.items() if n in names_of(cls)} if size == "quick" else {}))
            system.fit(data, budget=replace(equal_time(size), seed=seed))
            told = facts_told(system, data, 20 if size == "quick" else 300)
            found.setdefault(name, []).append(told["facts invented a text"])
            found.setdefault(f"{name}, facts told", []).append(told["facts told"])
    return {name: np.array(values) for name, values in found.items()}


FITS: dict[str, Any] = {"budget": equal_time, "seeds": SEEDS}
ON_MENTIONED = FITS | {"data": mentioned_cells, "arms": written}
PAPER = "the abstract"

CLAIMS = [
    Claim(name="C1", says="all of the skeleton is in the text, in order", source="the method",
          measure=guarantee, expect=Bound(figure="with the constraint", at_least=100.0)),
    Claim(name="C1 without", says="without the constraint it is not", source="the method",
          measure=guarantee, expect=Bound(figure="without it", at_most=90.0)),
    Claim(name="C2", says="more of the table is said than by a pointer-generator, by 5 points", source=PAPER,
          expect=AtLeastBy(first="SANA", points=5.0, second="pointer-generator"), metric="parent_t_recall",
          **ON_MENTIONED),
    Claim(name="C2 BLEU", says="at a BLEU that is no more than a point lower", source=PAPER,
          expect=AtLeastBy(first="SANA", points=-1.0, second="pointer-generator"), metric="bleu", **ON_MENTIONED),
    Claim(name="C2 PARENT", says="and a PARENT F that is no lower", source=PAPER,
          expect=AtLeastBy(first="SANA", points=0.0, second="pointer-generator"), metric="parent_f", **ON_MENTIONED),
    Claim(name="C2 cells", says="beside it: all cells as the skeleton (BLEU)", source="-",
          measure=cells_as_skeleton, expect=Reported(figure="own skeletons")),
    Claim(name="C3", says="without the constraint less of the table is said", source="the ablation",
          measure=constraint, expect=AtLeastBy(first="hard", points=0.0, second="soft")),
    Claim(name="C4", says="without a skeleton texts are worse", source="the ablation", metric="bleu",
          data=mentioned_cells, arms=without_parts, expect=AtLeastBy(first="SANA", points=3.0, second="Levenshtein"),
          **FITS),
    Claim(name="C4 recall", says="and say less of the table", source="the ablation", metric="parent_t_recall",
          data=mentioned_cells, arms=without_parts, expect=AtLeastBy(first="SANA", points=5.0, second="Levenshtein"),
          **FITS),
    Claim(name="C5", says="gold skeletons add 8 BLEU: stage 2 works, and what is picked bounds the whole", source="-",
          measure=gold, expect=AtLeastBy(first="gold skeletons", points=8.0, second="own skeletons")),
    Claim(name="C6", says="skeletons are near those of the references (F1)", source="-",
          measure=skeletons, expect=Bound(figure="skeleton F1", at_least=70.0)),
    Claim(name="C7", says="what is taken out in training matters", source="the method", metric="bleu",
          data=all_cells, arms=betas, expect=Reported(figure="beta 0.7"), **FITS),
    Claim(name="C8", says="few rounds of edits are enough", source="the method",
          measure=rounds, expect=Bound(figure="rounds", at_most=4.0)),
    Claim(name="C10", says="fewer words that nothing supports than a pointer-generator", source=PAPER,
          data=invented_clauses, arms=written, metric="unsupported_words",
          expect=AtMost(first="SANA", times=1.0, second="pointer-generator"), **FITS),
    Claim(name="C10 shop", says="fewer invented facts in texts of the shop, by a matcher", source=PAPER,
          measure=invented_in_the_shop, expect=AtMost(first="SANA", times=0.7, second="pointer-generator")),
    Claim(name="C10 told", says="at no lower coverage of the shop's facts", source=PAPER,
          measure=invented_in_the_shop,
          expect=AtLeastBy(first="SANA, facts told", points=0.0, second="pointer-generator, facts told")),
    Claim(name="C11", says="what the user asks for is in the text word for word", source="-",
          measure=wanted, expect=Bound(figure="values word for word", at_least=100.0)),
]  # fmt: skip
