"""Old names of what is public: they still work for one version, and say what to write instead."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is called {new} now; the old name goes with the next version", FutureWarning, stacklevel=3)


def old_arguments(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The function also takes its arguments by their old names: old="new"."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def called(*args: P.args, **values: P.kwargs) -> T:
            for old, new in names.items():
                if old in values:
                    warn(f"argument {old}", new)
                    values[new] = values.pop(old)
            return function(*args, **values)

        return called

    return decorate


def old_attribute(old: str, new: str) -> Any:
    """A property that reads and sets the attribute `new`."""

    def get(self: Any) -> Any:
        warn(f"{type(self).__name__}.{old}", new)
        return getattr(self, new)

    def put(self: Any, value: Any) -> None:
        warn(f"{type(self).__name__}.{old}", new)
        setattr(self, new, value)

    return property(get, put)


def old_methods(cls: type, **names: str) -> None:
    """What a subclass defines under an old name, it defines under the new one."""
    for old, new in names.items():
        if old in vars(cls) and new not in vars(cls):
            warn(f"{cls.__name__}.{old}", new)
            setattr(cls, new, vars(cls)[old])
