"""Texts as tokens, and back: nothing is lost on the way but control characters and the width of spaces.

Words, numbers (1,234.56) and compounds (two-piece, o'neill) are one token, signs and CJK characters one each. Which
neighbours stand without a space between is told by a rule; a token that stands otherwise says so by a mark in front of
it. So most tokens of texts and tables are equal if they look equal, and every text comes back as it was.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

GLUED, SPACED, ESCAPE = (
    "\uffed",
    "\u2423",
    "\u29f8",
)  # ￭ and two more: no space where one was expected, the other way round, and: no mark follows
MARKS = GLUED + SPACED + ESCAPE
CJK = "぀-ヿ㐀-鿿豈-﫿가-힯"
TOKEN = re.compile(rf"[{CJK}]|[^\W{CJK}]+(?:[-.,'\u2019/:][^\W{CJK}]+)*|[^\w\s]")
IDEOGRAPH = re.compile(f"[{CJK}]")
CLOSING, OPENING = frozenset(",.;:!?)]}%\u2019…°、。\uff0c"), frozenset("([{€$£#¿¡")
SENTENCE_ENDS = frozenset(".!?。")


def clean(text: str) -> str:
    """Composed characters, one space between words, no control or zero-width characters."""
    if text.isascii() and text.isprintable():  # most of all texts, many times as fast
        return " ".join(text.split())
    text = unicodedata.normalize("NFC", text)
    if not text.isascii():
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    else:
        text = "".join(c for c in text if c.isspace() or c.isprintable())
    return " ".join(text.split())


def split_words(text: str) -> list[str]:
    """A text's tokens, marks included."""
    tokens, before, end = list[str](), "", 0
    text = clean(text)
    for match in TOKEN.finditer(text):
        token, spaced = match.group(), match.start() > end
        if before and spaced == _glued(before, token):
            mark = SPACED if spaced else GLUED
        else:
            mark = ESCAPE if token[0] in MARKS else ""
        tokens.append(mark + token)
        before, end = token, match.end()
    return tokens


def join_words(tokens: Iterable[str]) -> str:
    """The text of these tokens."""
    text, before = "", ""
    for token in tokens:
        mark, bare = token[0] if token[0] in MARKS and len(token) > 1 else "", without_mark(token)
        spaced = mark == SPACED if mark in (GLUED, SPACED) and mark else not _glued(before, bare)
        text += (" " if before and spaced else "") + bare
        before = bare
    return text


def without_mark(token: str) -> str:
    return token[1:] if token[0] in MARKS and len(token) > 1 else token


def _glued(before: str, token: str) -> bool:
    """Whether no space is expected between two tokens."""
    if token in CLOSING or before in OPENING:
        return True
    return bool(IDEOGRAPH.match(token) and IDEOGRAPH.match(before))


def split_spaces(text: str) -> list[str]:
    return clean(text).split(" ") if text.strip() else []


class Casing:
    """Which capitals words have within sentences, and whether sentences begin with one; learned from texts."""

    def __init__(self, forms: dict[str, str], begins: bool) -> None:
        self.forms, self.begins = forms, begins  # forms: of words that are not usually written small

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> "Casing":
        """texts: tokens as they are written."""
        seen, first = Counter[str](), Counter[bool]()
        for text in texts:
            for place, token in enumerate(text):
                if place == 0 or text[place - 1] in SENTENCE_ENDS:
                    first[token != token.lower()] += 1
                else:
                    seen[token] += 1
        best: dict[str, tuple[int, str]] = {}
        for token, count in seen.items():
            best[token.lower()] = max(best.get(token.lower(), (0, "")), (count, token))
        forms = {small: token for small, (_, token) in best.items() if token != small}
        return cls(forms, first[True] > first[False])

    def to_bytes(self) -> bytes:
        return json.dumps({"forms": self.forms, "begins": self.begins}, ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Casing":
        whole = json.loads(content)
        return cls(whole["forms"], whole["begins"])

    def restored(self, tokens: Sequence[str], copied: Sequence[str | None], fixed: Sequence[bool]) -> list[str]:
        """tokens in small letters; copied: as their cell has them, where they come from one; fixed: not touched."""
        written = [form or self.forms.get(token, token) for token, form in zip(tokens, copied, strict=True)]
        for place, token in enumerate(written):
            if self.begins and not fixed[place] and (place == 0 or written[place - 1] in SENTENCE_ENDS):
                at = 1 if token[0] in MARKS and len(token) > 1 else 0
                written[place] = token[:at] + token[at : at + 1].upper() + token[at + 1 :]
        return written
