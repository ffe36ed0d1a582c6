"""Ten methods of 2021 as ten systems under one contract."""

from tenfold.version import VERSION

__version__ = VERSION
