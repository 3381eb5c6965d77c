"""The console script, and `python -m mediaserver`. Ctrl-C ends it without a traceback, however early it comes."""

import os
import signal
import sys
from types import FrameType

_BY_SIGNAL = 128  # plus its number: the exit code, as shells have it


def main() -> None:
    """Import the commands, which takes its time, and run one."""
    # Process 1 of a container gets no signal that it has no handler for.
    signal.signal(signal.SIGTERM, _end)
    # An exception amid an import would be told by whatever is being imported, or be lost there.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not in a shell's background
    if interruptible:
        signal.signal(signal.SIGINT, _end)
    from mediaserver.cli import main

    try:
        if interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # commands let go of what they have
        main.main()
    except KeyboardInterrupt:
        sys.exit(_BY_SIGNAL + signal.SIGINT)
    finally:
        if interruptible:
            signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    """Nothing is begun yet, or all is over: there is nothing to let go of."""
    os._exit(_BY_SIGNAL + number)


if __name__ == "__main__":
    main()
