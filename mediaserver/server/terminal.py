"""The terminal that a server may have been started on, and that may be closed while the server runs."""

import contextlib
import os
import signal

_CONTROLLING = "/dev/tty"  # the controlling terminal; opening it fails if there is none, or if it is closed
_STANDARD_STREAMS = (0, 1, 2)


class Terminal:
    """The terminal on which a server was started, if any. Service managers and containers start it without one."""

    def __init__(self) -> None:
        # `nohup` makes the process ignore SIGHUP. The server then goes on when its terminal is closed.
        self._watched = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_controlling_terminal()
        self._streams = [number for number in _STANDARD_STREAMS if os.isatty(number)]

    @property
    def is_gone(self) -> bool:
        """Whether the server was started on a terminal that is closed by now. SIGHUP tells us when to ask."""
        return self._watched and not _has_controlling_terminal()

    def detach(self) -> None:
        """Redirect the standard streams from the closed terminal to /dev/null, where writing causes no error."""
        null = os.open(os.devnull, os.O_RDWR)
        for number in self._streams:
            if not os.isatty(number):
                os.dup2(null, number)
        os.close(null)


def _has_controlling_terminal() -> bool:
    with contextlib.suppress(OSError):
        os.close(os.open(_CONTROLLING, os.O_RDWR | os.O_NOCTTY))
        return True
    return False
