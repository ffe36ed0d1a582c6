"""What a text says of its table: the words that are copied, in the order of the text, without those that say nothing.

The stop words are those of NLTK 3.7's English list (179, after the Snowball project), which SANA's authors used, and
all signs. They are pinned: newer lists differ.
"""

import string
from collections.abc import Collection, Sequence
from itertools import pairwise

from tenfold.tasks.table_text.tokens import without_mark

WORDS = """
i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves he him his
himself she she's her hers herself it it's its itself they them their theirs themselves what which who whom
this that that'll these those am is are was were be been being have has had having do does did doing a an the
and but if or because as until while of at by for with about against between into through during before after
above below to from up down in out on off over under again further then once here there when where why how
all any both each few more most other some such no nor not only own same so than too very s t can will just
don don't should should've now d ll m o re ve y ain aren aren't couldn couldn't didn didn't doesn doesn't
hadn hadn't hasn hasn't haven haven't isn isn't ma mightn mightn't mustn mustn't needn needn't shan shan't
shouldn shouldn't wasn wasn't weren weren't won won't wouldn wouldn't
"""
STOP_WORDS = frozenset(WORDS.split())
SIGNS = frozenset(string.punctuation) | frozenset(("-lrb-", "-rrb-", "``", "`", "\u00b4", "\u00b4\u00b4", "''", "--"))


def says_nothing(token: str) -> bool:
    """Whether a token in small letters is a stop word or a sign."""
    bare = without_mark(token)
    return bare in STOP_WORDS or bare in SIGNS


def gold_skeleton(values: Collection[str], text: Sequence[str]) -> list[str]:
    """The tokens of the text that stand in the table's values and say something, each as often as the text has it.

    values: all tokens of the table's values.  Both in the form in which they are to be compared.
    """
    return [token for token in text if token in values and not says_nothing(token)]


def phrased_skeleton(values: Sequence[Sequence[str]], text: Sequence[str]) -> list[str]:
    """The same, and stop words and signs within what is copied word for word: bank of russia, not bank, russia.

    values: the tokens of each value.
    """
    own = {token for value in values for token in value}
    kept = [token in own and not says_nothing(token) for token in text]
    for first, last in _neighbours(kept):
        run = tuple(text[first : last + 1])
        if any(run == tuple(value[i : i + len(run)]) for value in values for i in range(len(value) - len(run) + 1)):
            kept[first : last + 1] = [True] * len(run)
    return [token for token, keep in zip(text, kept, strict=True) if keep]


def _neighbours(kept: Sequence[bool]) -> list[tuple[int, int]]:
    """Of kept tokens that others lie between: the places of both."""
    places = [place for place, keep in enumerate(kept) if keep]
    return [(one, other) for one, other in pairwise(places) if other > one + 1]
