"""Calls functions on the event loop when the process receives signals."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType


@contextlib.contextmanager
def handling(handlers: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Call the handler of each signal that comes, on the running event loop, once for each time that it comes.

    uvloop (0.23) itself may call a handler twice for a signal that comes just after another one.
    The handlers from before are back at the end. Only the main thread may use this.
    """
    loop = asyncio.get_running_loop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(handlers[signal.Signals(number)])

    before = {number: signal.signal(number, on_signal) for number in handlers}
    for number in handlers:
        signal.siginterrupt(number, False)  # system calls of C libraries go on, which may not expect EINTR
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: Python did not set it
