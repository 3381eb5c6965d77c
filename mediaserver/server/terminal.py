"""The terminal that a server was started on, perhaps: it may go while the server runs."""

import contextlib
import os
import signal

_CONTROLLING = "/dev/tty"  # whichever it is; it cannot be opened by who has none, or none any more
_STANDARD = (0, 1, 2)


class Terminal:
    """The controlling terminal, as it is at the start: none where a service manager or a container started us."""

    def __init__(self) -> None:
        # `nohup` has us ignore that the terminal goes.
        self._matters = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _is_there()
        self._ours = [number for number in _STANDARD if os.isatty(number)]

    @property
    def gone(self) -> bool:
        """Whether we were started on a terminal that is gone by now, which is then what SIGHUP says."""
        return self._matters and not _is_there()

    def let_go(self) -> None:
        """It is gone: what is written to it from now on goes nowhere, and is no error."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in self._ours:
            if not os.isatty(number):
                os.dup2(nothing, number)
        os.close(nothing)


def _is_there() -> bool:
    with contextlib.suppress(OSError):
        os.close(os.open(_CONTROLLING, os.O_RDWR | os.O_NOCTTY))
        return True
    return False
