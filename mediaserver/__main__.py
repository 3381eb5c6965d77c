"""The console script, also run by `python -m mediaserver`. Ctrl-C ends it without a traceback, even in imports."""

import contextlib
import os
import signal
import sys
from types import FrameType

_BY_SIGNAL = 128  # the exit code after a signal is this plus the signal's number, as in shells


def main() -> None:
    """Import the commands, which takes a moment, and run the command that the command line names."""
    # As process 1 of a container, a program gets only the signals that it has handlers for.
    signal.signal(signal.SIGTERM, _exit_at_once)
    # A module that is being imported could swallow or report a KeyboardInterrupt, so SIGINT exits at once during
    # imports. A shell's background job ignores SIGINT, and goes on ignoring it.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, _exit_at_once)
    from mediaserver.cli import main

    try:
        if interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # KeyboardInterrupt lets a command clean up
        main.main()
    except KeyboardInterrupt:
        sys.exit(_BY_SIGNAL + signal.SIGINT)
    finally:
        if interruptible:
            signal.signal(signal.SIGINT, _exit_at_once)
        _discard_unwritten_stderr()


def _discard_unwritten_stderr() -> None:
    """Discard text that standard error holds for a reader that is gone: Python 3.14 would exit with code 120."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    """Handle a signal while no command is running: exit at once, as nothing is open that must be closed."""
    os._exit(_BY_SIGNAL + number)


if __name__ == "__main__":
    main()
