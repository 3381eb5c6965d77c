"""Alarms, which wake the ticker at absolute times of the monotonic clock.

On Linux, an alarm is a timerfd watched by the event loop's `add_reader`, which is exact to some 30 µs. On other
systems, an alarm is a timer of the event loop (`call_at`). Such a timer is armed for at least a millisecond ahead,
because uvloop's timers have a resolution of 1 ms and may fire early. A ticker that is woken early arms the alarm
again for the same time; without this millisecond, it would do so in an endless loop.
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
_ITIMERSPEC = struct.Struct("qqqq")  # C's `itimerspec`: interval in s and ns, then time of expiry in s and ns
_NS = 1_000_000_000  # nanoseconds in a second


class Alarm(Protocol):
    """Calls a function `wake` at the time for which the alarm is armed, or soon after.

    Arming the alarm again replaces the time. Each time it is called, `wake` must arm or disarm the alarm.
    """

    def arm(self, at: int) -> None:
        """Call `wake` at the time `at`, in ns of the monotonic clock; for a time in the past, call it at once."""

    def disarm(self) -> None:
        """Do not call `wake` until the alarm is armed again."""

    def close(self) -> None:
        """Release the alarm's resources."""


class TimerFdAlarm:
    """An alarm on a Linux timerfd, with times of CLOCK_MONOTONIC (`time.monotonic_ns`).

    When its time has come, the timerfd becomes readable. It is never read, which saves a system call: arming or
    disarming it makes it unreadable again, and `wake` always does one of the two.
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
        """Call `wake` at the time `at`, in ns of the monotonic clock."""
        _ITIMERSPEC.pack_into(self._spec, 0, 0, 0, at // _NS, at % _NS or 1)  # a time of 0 would disarm the timer
        self._settime(self._fd, _TFD_TIMER_ABSTIME, self._spec, None)

    def disarm(self) -> None:
        """Do not call `wake` until the alarm is armed again."""
        _ITIMERSPEC.pack_into(self._spec, 0, 0, 0, 0, 0)
        self._settime(self._fd, 0, self._spec, None)

    def close(self) -> None:
        """Close the timerfd."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class CallAtAlarm:
    """An alarm on the event loop's timers; `loop.time()` must be the monotonic clock of `arm`, in seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop, self._wake = loop, wake
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, at: int) -> None:
        """Call `wake` at the time `at`, in ns of the monotonic clock, but no sooner than in a millisecond."""
        self.disarm()
        self._handle = self._loop.call_at(max(at / _NS, self._loop.time() + 0.001), self._wake)

    def disarm(self) -> None:
        """Do not call `wake` until the alarm is armed again."""
        if self._handle is not None:
            self._handle.cancel()

    def close(self) -> None:
        """Cancel the event loop's timer."""
        self.disarm()


def system_alarm(loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> Alarm:
    """Make the most exact alarm that the operating system offers."""
    return TimerFdAlarm(loop, wake) if sys.platform == "linux" else CallAtAlarm(loop, wake)
