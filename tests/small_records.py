"""Names and records that tests of per-user state share."""

import numpy as np
from hypothesis import strategies as st

from tenfold.streaming import (
    Record,
    pack,
)

MODEL, OTHER = "0123456789abcdef", "fedcba9876543210"
PAGE = 4096

whole = st.integers(-(2**63), 2**64 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)


RECORD = pack(Record(np.ones(4, np.float32), 3, 2, None, MODEL))
LONGER = RECORD[:-4] + bytes(4)
