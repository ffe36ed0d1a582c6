"""What the paper says of SANA, C1 to C12, and how it is measured here.

The paper's own tables are of WikiPerson and WikiBio at full scale. Size `cpu` is made for an hour of two cores: small
networks, the cells of WikiTableText that its sentences mention (WTT-m, for WikiPerson), 500 tables of its test part,
and an equal number of texts to learn from for each arm, all its stages together. A fitted system serves all claims.
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import numpy as np

from tenfold.budget import Budget
from tenfold.claims import AtLeastBy, AtMost, Bound, Claim, Reported, Size
from tenfold.data.fact_tables import FactTables
from tenfold.data.public import load
from tenfold.systems.sana.demo import facts_told, shop_texts
from tenfold.systems.sana.rivals import ForcedBeam, Levenshtein, SketchAndWrite
from tenfold.systems.sana.synthetic import mentioned, people
from tenfold.systems.sana.system import SANA
from tenfold.tasks.table_text.baselines.generators import PointerGenerator, Seq2Seq
from tenfold.tasks.table_text.baselines.rules import AllCells, NearestTemplate
from tenfold.tasks.table_text.task import TableText

PUBLISHED = {"text.tokens": "spaces", "text.case": "keep"}
SEEDS: Mapping[Size, int] = {"cpu": 3, "gpu": 3, "quick": 2}
TEXTS: Mapping[Size, int] = {"cpu": 60_000, "gpu": 2_000_000, "quick": 48}  # that an arm learns from, repeats counted
TESTED: Mapping[Size, int | None] = {"cpu": 500, "gpu": None, "quick": 20}
NETWORKS: Mapping[Size, Mapping[str, Any]] = {
    "cpu": {
        "network.dim": 64, "network.layers": 2, "network.hidden": 256, "network.word_dim": 48, "network.key_dim": 16,
        "text.vocabulary": 5_000, "training.lr": 3e-3, "training.warmup": 100, "training.validated": 100,
        "network.dropout": 0.0,
    },
    "gpu": {},
    "quick": {
        "network.dim": 16, "network.heads": 2, "network.hidden": 16, "training.validated": 8, "sketch.longest": 8,
    },
}  # fmt: skip


class Arm(NamedTuple):
    cls: type[TableText]
    options: tuple[tuple[str, Any], ...] = ()
    protocol: tuple[tuple[str, Any], ...] = ()


SANA_ARM, POINTER = Arm(SANA), Arm(PointerGenerator)
RULES = {"template": Arm(NearestTemplate), "all cells": Arm(AllCells)}
WRITTEN = {"SANA": SANA_ARM, "pointer-generator": POINTER, **RULES}
WITHOUT_PARTS = {
    **WRITTEN,
    "Levenshtein": Arm(Levenshtein),
    "sketch and write": Arm(SketchAndWrite),
}
RIVALS = {**WITHOUT_PARTS, "forced beam": Arm(ForcedBeam), "seq2seq": Arm(Seq2Seq)}
DISTILLED = (("edit.distilled", True),)
TAUGHT = {
    "SANA, distilled": Arm(SANA, DISTILLED),
    "SANA": SANA_ARM,
    "Levenshtein, distilled": Arm(Levenshtein, DISTILLED),
    "Levenshtein": Arm(Levenshtein),
}
BETAS = {
    "beta 0.7": SANA_ARM,
    "beta 0": Arm(SANA, (("edit.protect", 0.0),)),
    "beta 1": Arm(SANA, (("edit.protect", 1.0),)),
    "uniform": Arm(SANA, (("edit.roll_in", "uniform"),)),
}


@lru_cache(maxsize=4)
def tables_of(data: str, size: Size, seed: int) -> FactTables:
    """WikiTableText is the same for all seeds; what is drawn is drawn anew."""
    few = size == "quick"
    if data == "people":
        return people(120 if few else 6_000, seed=seed + 1, invented=0.1)
    if data == "shop":
        return shop_texts(120 if few else 4_000, seed=seed + 1)
    if data == "webnlg":
        whole = cast(FactTables, load("webnlg"))
        return whole.take(np.r_[0:160, 12_876:12_906, 14_495:14_525]) if few else whole
    whole = cast(FactTables, load("wikitabletext"))
    if few:
        whole = whole.take(np.r_[0:160, 10_000:10_030, 11_318:11_348])
    return whole if data == "all" else mentioned(whole)


def drawn_of(data: str, seed: int) -> int:
    return seed if data in ("people", "shop") else 0


@lru_cache(maxsize=64)
def fitted(arm: Arm, size: Size, data: str, seed: int) -> TableText:
    known = set(arm.cls(arm.cls.tiny).get_params())
    asked = (
        ({} if data in ("shop", "webnlg") else {**PUBLISHED, "text.longest": 60})
        | dict(NETWORKS[size])
        | dict(arm.options)
    )
    system = arm.cls(**{name: value for name, value in asked.items() if name in known})
    budget = Budget(max_epochs=1_000, max_units=TEXTS[size], seed=seed, progress="none", threads=1)
    return system.fit(tables_of(data, size, drawn_of(data, seed)), budget=budget)


@lru_cache(maxsize=256)
def measured(arm: Arm, size: Size, data: str, seed: int) -> Mapping[str, Any]:
    """Each figure of the test part, with its units."""
    system = fitted(arm._replace(protocol=()), size, data, seed)
    tables = tables_of(data, size, drawn_of(data, seed))
    return system.evaluate(tables, at_most=TESTED[size], **dict(arm.protocol)).measured


def compared(size: Size, *, data: str, figure: str, arms: Mapping[str, Arm]) -> list[Any]:
    """For each seed, the figure of each arm."""
    return [{name: measured(arm, size, data, seed)[figure] for name, arm in arms.items()} for seed in seeds(size)]


def seeds(size: Size) -> range:
    return range(SEEDS[size])


def with_protocol(**protocol: Any) -> Arm:
    return SANA_ARM._replace(protocol=tuple(protocol.items()))


# What one fitted system shows.


def guarantee(size: Size) -> dict[str, Any]:
    """Which texts of all seeds hold their skeleton in order, in percent: with the constraint and without."""
    found: dict[str, list[float]] = {"with the constraint": [], "without it": []}
    for seed in seeds(size):
        system, tables = own(size, seed)
        for name, constraint in zip(found, ("hard", "soft"), strict=True):
            texts = system.write(tables, constraint=constraint)
            found[name] += [100.0 * _holds(text.tokens, text.skeleton) for text in texts]
    return {name: np.array(each) for name, each in found.items()}


def own(size: Size, seed: int) -> tuple[SANA, list[Any]]:
    """SANA, and the tables of the test part."""
    system = cast(SANA, fitted(SANA_ARM, size, "mentioned", seed))
    test = list(tables_of("mentioned", size, 0).split("test"))[: TESTED[size]]
    return system, [system.splitter.table(one, "a table") for one in test]


def _holds(text: list[str], skeleton: list[str]) -> bool:
    rest = iter(text)
    return all(token in rest for token in skeleton)


def wanted(size: Size) -> dict[str, Any]:
    """Which values are in the texts of all seeds word for word, in percent, when all cells are asked for."""
    right = []
    for seed in seeds(size):
        system, tables = own(size, seed)
        for table in tables[:200]:
            (text,) = system.write([table], must_include=tuple(dict.fromkeys(cell.key for cell in table.cells)))
            for cell in table.cells:
                value, n = list(cell.tokens), len(cell.tokens)
                right.append(any(text.tokens[i : i + n] == value for i in range(len(text.tokens) - n + 1)))
    return {"values word for word": 100.0 * np.array(right)}


@lru_cache(maxsize=2)  # two claims ask for it
def told(size: Size, data: str) -> list[Any]:
    """Facts that a text tells and its table does not have, by the shop's own matcher; and facts told."""
    found = []
    for seed in seeds(size):
        each: dict[str, np.ndarray] = {}
        for name, arm in WRITTEN.items():
            both = facts_told(fitted(arm, size, data, seed), tables_of(data, size, seed), TESTED[size] or 500)
            each |= {name: both["facts invented a text"], f"{name}, facts told": both["facts told"]}
        found.append(each)
    return found


def on_mentioned(figure: str, arms: Mapping[str, Arm]) -> Any:
    return partial(compared, data="mentioned", figure=figure, arms=arms)


OWN_OR_GOLD = {"gold skeletons": with_protocol(skeletons="gold"), "own skeletons": SANA_ARM}
PAPER = "the abstract"
EQUAL = "equal numbers of texts to learn from, not equal time: 60,000 each, all stages together; small networks"
ON_MENTIONED = "on the mentioned cells, so that no further network is trained; " + EQUAL

CLAIMS = [  # first those that one fitted network answers
    Claim(name="C1", says="all of the skeleton is in the text, in order", source="the method", note=EQUAL,
          measure=guarantee, expect=Bound(figure="with the constraint", at_least=100.0)),
    Claim(name="C1 without", says="without the constraint it is not", source="the method", note=EQUAL,
          measure=guarantee, expect=Bound(figure="without it", at_most=90.0)),
    Claim(name="C3", says="without the constraint less of the table is said", source="the ablation", note=EQUAL,
          measure=on_mentioned("parent_t_recall", {"hard": SANA_ARM, "soft": with_protocol(constraint="soft")}),
          expect=AtLeastBy(first="hard", points=0.0, second="soft")),
    Claim(name="C5", says="gold skeletons add 8 BLEU: stage 2 works, and what is picked bounds the whole", source="-",
          measure=on_mentioned("bleu", OWN_OR_GOLD), note=ON_MENTIONED,
          expect=AtLeastBy(first="gold skeletons", points=8.0, second="own skeletons")),
    Claim(name="C6", says="skeletons are near those of the references (F1)", source="-", note=EQUAL,
          measure=on_mentioned("skeleton_f1", {"skeleton F1": SANA_ARM}),
          expect=Bound(figure="skeleton F1", at_least=70.0)),
    Claim(name="C8", says="few rounds of edits are enough", source="the method", note=ON_MENTIONED,
          measure=on_mentioned("rounds", {"rounds": SANA_ARM}), expect=Bound(figure="rounds", at_most=4.0)),
    Claim(name="C11", says="what the user asks for is in the text word for word", source="-", note=EQUAL,
          measure=wanted, expect=Bound(figure="values word for word", at_least=100.0)),
    Claim(name="C2 cells", says="beside it: all cells as the skeleton (BLEU)", source="-", note=EQUAL,
          measure=on_mentioned("bleu", {"own skeletons": SANA_ARM, "all cells": with_protocol(skeletons="cells")}),
          expect=Reported(figure="own skeletons")),
    Claim(name="C2", says="more of the table is said than by a pointer-generator, by 5 points", source=PAPER,
          expect=AtLeastBy(first="SANA", points=5.0, second="pointer-generator"), note=EQUAL,
          measure=on_mentioned("parent_t_recall", WRITTEN)),
    Claim(name="C2 BLEU", says="at a BLEU that is no more than a point lower", source=PAPER, note=EQUAL,
          expect=AtLeastBy(first="SANA", points=-1.0, second="pointer-generator"),
          measure=on_mentioned("bleu", WRITTEN)),
    Claim(name="C2 PARENT", says="and a PARENT F that is no lower", source=PAPER, note=EQUAL,
          expect=AtLeastBy(first="SANA", points=0.0, second="pointer-generator"),
          measure=on_mentioned("parent_f", WRITTEN)),
    Claim(name="C4", says="without a skeleton texts are worse", source="the ablation", note=EQUAL,
          measure=on_mentioned("bleu", WITHOUT_PARTS),
          expect=AtLeastBy(first="SANA", points=3.0, second="Levenshtein")),
    Claim(name="C4 recall", says="and say less of the table", source="the ablation", note=EQUAL,
          measure=on_mentioned("parent_t_recall", WITHOUT_PARTS),
          expect=AtLeastBy(first="SANA", points=5.0, second="Levenshtein")),
    Claim(name="C4 rivals", says="beside it: all rivals (BLEU)", source="-", note=EQUAL,
          measure=on_mentioned("bleu", RIVALS), expect=Reported(figure="SANA")),
    Claim(name="C4 distilled", says="texts that a teacher wrote are easier to learn (BLEU)", note=EQUAL,
          source="Gu et al. 2018", measure=on_mentioned("bleu", TAUGHT),
          expect=AtLeastBy(first="SANA, distilled", points=0.0, second="SANA")),
    Claim(name="C7", says="what is taken out in training matters", source="the method", note=ON_MENTIONED,
          measure=on_mentioned("bleu", BETAS), expect=Reported(figure="beta 0.7")),
    Claim(name="C2 WebNLG", says="more of the triples is said than by a pointer-generator, by 2 points", source=PAPER,
          expect=AtLeastBy(first="SANA", points=2.0, second="pointer-generator"), note=EQUAL,
          measure=partial(compared, data="webnlg", figure="parent_t_recall", arms=WRITTEN)),
    Claim(name="C2 WebNLG BLEU", says="at a BLEU that is no more than a point lower", source=PAPER, note=EQUAL,
          expect=AtLeastBy(first="SANA", points=-1.0, second="pointer-generator"),
          measure=partial(compared, data="webnlg", figure="bleu", arms=WRITTEN)),
    Claim(name="C10", says="fewer invented facts in texts about people, by a matcher", source=PAPER,
          note=f"{EQUAL}; a tenth of the training texts has a clause that its table does not hold; unsupported words, "
               "measured first, were none in all arms, since all words of these texts are frequent ones",
          measure=partial(told, data="people"), same_units=False,
          expect=AtMost(first="SANA", times=1.0, second="pointer-generator")),
    Claim(name="C10 shop", says="fewer invented facts in texts of the shop, by a matcher", source=PAPER,
          note=f"{EQUAL}; words that say a fact of the table count as no other, after a first look at test figures "
               "in which copying all cells invented 0.08 a text",
          measure=partial(told, data="shop"), same_units=False,
          expect=AtMost(first="SANA", times=0.7, second="pointer-generator")),
    Claim(name="C10 told", says="at no lower coverage of the shop's facts", source=PAPER, note=EQUAL,
          measure=partial(told, data="shop"), same_units=False,
          expect=AtLeastBy(first="SANA, facts told", points=0.0, second="pointer-generator, facts told")),
]  # fmt: skip
