"""The program: `tenfold`, and `python -m tenfold`."""

import gc
import os
import signal
import sys

TYPE_CHECKING = False  # as typing's, which takes time to import
if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130  # what a shell gives a program that Ctrl-C ended
IMPORTING = "<frozen importlib._bootstrap>"


def main() -> int:
    """The command line. Ctrl-C ends imports at once: one that is cut short raises whatever it likes."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    from tenfold.cli import main as run

    try:
        return run()
    finally:
        gc.freeze()  # Python's last collection would look through all that torch and Lightning are: over half a second


def _interrupted(number: int, frame: "FrameType | None") -> None:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            os.write(2, b"interrupted\n")
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
