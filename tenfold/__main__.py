"""`python -m tenfold` is the command line."""

import sys

from tenfold.cli import main

sys.exit(main())
