"""An option is written once: name, type, bounds, meaning, default, and the range to tune it in.

Checks, help, docs, tuning and the artifact's config.json all read it from there. Options are frozen; a group of them
may stand in another (`loss.negatives`), and a variant that a paper names is one word, `preset=`.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import reduce
from types import UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, cast, dataclass_transform, get_args, get_origin

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from tenfold.errors import OptionError, nearest

T = TypeVar("T")
LIST_OF = "list of "  # how the type of a tuple's option begins


class Tune(NamedTuple):
    """Where a random search draws an option from: between two numbers on a linear or log scale, or among choices."""

    low: float = 0.0
    high: float = 1.0
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[Any, ...] = ()
    whole: bool = False  # only whole numbers

    def draw(self, rng: random.Random) -> Any:
        if self.choices:
            return rng.choice(self.choices)
        if self.scale == "log":
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = rng.uniform(self.low, self.high)
        return round(value) if self.whole else float(f"{value:.3g}")  # three digits: what a person would write down


def option(meaning: str, *, tune: Tune | None = None, flag: str = "", **bounds: Any) -> Any:
    """What stands in Annotated beside an option's type; bounds are pydantic's (gt, ge, lt, le).

    flag: on the command line, where it is not --NAME.
    """
    extra = {name: cast(Any, value) for name, value in (("tune", tune), ("flag", flag)) if value}
    return Field(description=meaning, json_schema_extra=extra or None, **bounds)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def options(cls: type[T]) -> type[T]:
    """Make `cls` a frozen group of options that checks its values however it is built. A field may be a group again.

    A class attribute `presets` (name -> values) gives the variants that `preset=` chooses from.
    """
    decorate = dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
    return cast(Callable[[type[T]], type[T]], decorate)(cls)


class Row(NamedTuple):
    """One option as help and docs print it."""

    name: str  # dotted
    type: str
    bounds: str
    default: Any
    meaning: str
    tune: Tune | None
    flag: str


SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def rows(cls: type) -> Iterator[Row]:
    """The options of a group and of the groups in it, in the order in which they are written."""
    for name, field in cls.__pydantic_fields__.items():  # type: ignore[attr-defined]
        if is_dataclass(field.annotation):
            given = _default(cls, name)  # a group in a group may have other defaults than its class
            for row in rows(cast(type, field.annotation)):
                whole = f"{name}.{row.name}"
                default = row.default if given is None else reduce(getattr, row.name.split("."), given)
                yield row._replace(name=whole, default=default, flag="--" + whole.replace("_", "-").replace(".", "-"))
        else:
            limits = [f"{s} {getattr(m, b)}" for m in field.metadata for b, s in SIGNS.items() if hasattr(m, b)]
            extra = cast(Mapping[str, Any], field.json_schema_extra or {})
            kind = _spelled(field.annotation)
            flag = extra.get("flag") or "--" + name.replace("_", "-")
            meaning = field.description or ""
            yield Row(name, kind, ", ".join(limits), _default(cls, name), meaning, extra.get("tune"), flag)


def _default(cls: type, name: str) -> Any:
    field = next(f for f in fields(cls) if f.name == name)
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    found = getattr(default, "default", default)  # pydantic wraps a default that stands beside a Field
    return None if found is MISSING else found


def _spelled(annotation: Any) -> str:
    """As help says it: 'int', 'auto | csv', 'list of str'. That an option may be none is told by its meaning."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(map(str, parts))
    if origin in (Union, UnionType):
        return " | ".join(_spelled(part) for part in parts if part is not type(None))
    if origin is tuple:
        return f"{LIST_OF}{_spelled(parts[0])}"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _numbers(cls: type, group: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Of the options that are one of some numbers, each number by how it is written: pydantic reads no text as one."""
    for name, field in cls.__pydantic_fields__.items():  # type: ignore[attr-defined]
        if is_dataclass(field.annotation):
            yield from _numbers(cast(type, field.annotation), f"{group}{name}.")
        elif get_origin(field.annotation) is Literal:
            written = {str(each): each for each in get_args(field.annotation) if not isinstance(each, str)}
            if written:
                yield f"{group}{name}", written


def names(cls: type) -> list[str]:
    """The options of a group and of the groups in it: dim, training.lr, ..."""
    return [row.name for row in rows(cls)]


def presets(cls: type) -> Mapping[str, Mapping[str, Any]]:
    return getattr(cls, "presets", {})


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """{'training': {'lr': 1}} and {'training': Training(lr=1)} -> {'training.lr': 1}."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if is_dataclass(value) and not isinstance(value, type):
            value = asdict(value)
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": v for inner, v in flat(value).items()}
        else:
            found[name] = value
    return found


def expand(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Flat values, `preset` replaced by what it stands for; what is given beside it wins. Raises OptionError."""
    given = flat(values)
    if "preset" not in given:
        return given
    name = given.pop("preset")
    if name not in presets(cls):
        known = nearest(str(name), presets(cls)) if presets(cls) else "it has none"
        raise OptionError(f"there is no preset '{name}'; {known}")
    return flat(presets(cls)[name]) | given


def parse(cls: type[T], values: Mapping[str, Any]) -> T:
    """Options from keywords, from config.json or from the strings of `--set training.lr=0.01`. Raises OptionError."""
    choices = {row.name: row.type.split(" | ") for row in rows(cls)}  # "none" may be one of them: `progress=none`
    known, tree, numbers = list(choices), dict[str, Any](), dict(_numbers(cls))
    for name, value in expand(cls, values).items():
        if name not in known:
            raise OptionError(f"there is no option '{name}'; {nearest(name, known)}")
        *groups, leaf = name.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        empty = isinstance(value, str) and value.lower() in ("none", "null") and value not in choices[name]
        if isinstance(value, str) and choices[name][0].startswith(LIST_OF) and not empty:
            value = [part.strip() for part in value.split(",")]
        branch[leaf] = None if empty else numbers.get(name, {}).get(value, value) if isinstance(value, str) else value
    try:
        return TypeAdapter(cls).validate_python(tree)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        message = first["msg"].replace("Input should be", "it should be")
        raise OptionError(f"option {name} = {first['input']!r}: {message}") from None


def assignments(texts: list[str] | tuple[str, ...]) -> dict[str, str]:
    """['dim=64', 'loss.name=bce'] -> {'dim': '64', 'loss.name': 'bce'}. Raises OptionError."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise OptionError(f"'{text}' sets nothing; write NAME=VALUE, such as dim=64")
        found[name.strip()] = value.strip()
    return found
