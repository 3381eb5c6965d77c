"""Alarms, which wake the ticker at absolute times of the monotonic clock.

On Linux, an alarm is a timerfd watched by `add_reader`, which is exact to some 30 µs. Elsewhere, it is a timer of
the loop (`call_at`), armed for at least a millisecond ahead, because uvloop's timers have a resolution of 1 ms and
may fire early: a ticker that armed such a timer again for the same time would spin.
"""

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import Callable
from typing import Protocol

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK, _TFD_CLOEXEC = os.O_NONBLOCK, getattr(os, "O_CLOEXEC", 0)
_TFD_TIMER_ABSTIME = 1
_ITIMERSPEC = struct.Struct("qqqq")  # the interval in s and ns, then the value in s and ns
_NS = 1_000_000_000


class Alarm(Protocol):
    """Calls `wake` at the time for which the alarm is armed, or soon after; arming it again replaces that time.

    `wake` must arm or disarm the alarm.
    """

    def arm(self, at: int) -> None:
        """Wake at `at`, in ns of the clock; a time in the past wakes at once."""

    def disarm(self) -> None:
        """Do not wake."""

    def close(self) -> None:
        """Release the alarm's resources."""


class TimerFdAlarm:
    """An alarm on a Linux timerfd, on CLOCK_MONOTONIC (`time.monotonic_ns`).

    The timerfd is never read, which saves a system call: arming or disarming it makes it unreadable again, and
    `wake` does one or the other.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = ctypes.create_string_buffer(_ITIMERSPEC.size)
        self._settime = self._libc.timerfd_settime
        self._loop = loop
        loop.add_reader(self._fd, wake)

    def arm(self, at: int) -> None:
        """Wake at `at` ns."""
        _ITIMERSPEC.pack_into(self._spec, 0, 0, 0, at // _NS, at % _NS or 1)  # all zero would disarm
        self._settime(self._fd, _TFD_TIMER_ABSTIME, self._spec, None)

    def disarm(self) -> None:
        """Do not wake."""
        _ITIMERSPEC.pack_into(self._spec, 0, 0, 0, 0, 0)
        self._settime(self._fd, 0, self._spec, None)

    def close(self) -> None:
        """Close the timerfd."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class CallAtAlarm:
    """An alarm on the loop's own timers; `loop.time()` must tell the time of the same clock, in seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop, self._wake = loop, wake
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, at: int) -> None:
        """Wake at `at` ns, or a millisecond from now where that is later."""
        self.disarm()
        self._handle = self._loop.call_at(max(at / _NS, self._loop.time() + 0.001), self._wake)

    def disarm(self) -> None:
        """Do not wake."""
        if self._handle is not None:
            self._handle.cancel()

    def close(self) -> None:
        """Cancel the timer."""
        self.disarm()


def system_alarm(loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> Alarm:
    """The most exact alarm that this system has."""
    return TimerFdAlarm(loop, wake) if sys.platform == "linux" else CallAtAlarm(loop, wake)
