"""The embedded marketplace: a simulator that draws a catalogue and its customers' events, and knows what is true."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.shop.folder import Info, info
    from tenfold.shop.options import Options
    from tenfold.shop.shop import Shop

__all__ = ["Info", "Options", "Shop", "info"]

_HOMES = {"Shop": "shop", "Options": "options", "Info": "folder", "info": "folder"}


def __getattr__(name: str) -> Any:
    """Loaded when touched: the options are wanted without numba and polars."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"tenfold.shop has no {name}")
    return getattr(import_module(f"tenfold.shop.{_HOMES[name]}"), name)
