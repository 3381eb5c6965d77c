"""Virtual time: an event loop whose clock stands still while callbacks run, and jumps to the next timer when idle.

Every timer then fires without waiting and at exactly its time, so tests assert exact bytes at exact times.
"""

import asyncio
import inspect
import itertools
import selectors
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, TypeVar

from mediaserver.playout.pacing.alarm import CallAtAlarm
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.wire.encapsulation import WireSettings
from mediaserver.wire.wire import Wire

T = TypeVar("T")
NS = 1_000_000_000
# A timer that is set again by a callback that fails would fire for ever, at one and the same time.
_MAX_FAULTS = 100


class _JumpingSelector(selectors.DefaultSelector):
    """Advances the clock to the next timer where a real loop would sleep until then."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if len(self.loop.faults) > _MAX_FAULTS:
            raise RuntimeError(f"callbacks fail again and again: {self.loop.faults[0]}")
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen any more: the test waits for an event that cannot come")
        if not ready and timeout:
            self.loop.now_ns += round(timeout * NS)
        self.loop.now_ns += self.loop.turn_ns
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, counted in nanoseconds from 0."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.turn_ns = 0  # how long each turn of the loop lasts, as on a busy machine
        self.faults: list[str] = []  # exceptions of callbacks, which fail the test
        self.jobs_last: Iterator[float] = itertools.repeat(0.0)  # seconds that each job of another thread takes
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self.set_exception_handler(lambda _, context: self.faults.append(f"{context}"))

    def time(self) -> float:
        return self.now_ns / NS

    @property
    def waiting(self) -> list[asyncio.TimerHandle]:
        """The timers that are set; asyncio has no public way to list them."""
        timers: list[asyncio.TimerHandle] = vars(self)["_scheduled"]
        return [timer for timer in timers if not timer.cancelled()]

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run the function in this thread, after the virtual time that it takes; another would take real time."""
        done = self.create_future()

        def run() -> None:
            try:
                done.set_result(func(*args))
            except Exception as error:
                done.set_exception(error)

        if lasts := next(self.jobs_last):
            self.call_later(lasts, run)
        else:
            run()
        return done

    def clock(self) -> int:
        """The clock of a ticker, in nanoseconds."""
        return self.now_ns

    def stall(self, ms: float) -> None:
        """Let time pass in which the process does nothing, as when a callback blocks the loop."""
        self.now_ns += round(ms * 1_000_000)


class FakeTransport:
    """A transport that records every message with its time in milliseconds."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.sent: list[tuple[float, bytes]] = []
        self.buffered = 0  # bytes that the peer has not taken
        self.closing = False

    def write(self, data: bytes) -> None:
        if self.closing:
            raise RuntimeError("the handler is closed")
        self.sent.append((self._loop.now_ns / 1_000_000, data))

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closing

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.sent]

    @property
    def messages(self) -> list[bytes]:
        return [message for _, message in self.sent]


class VirtualStream:
    """One stream in virtual time: its wire, its pacer and a fake transport. Several streams may share a ticker."""

    def __init__(
        self, loop: VirtualLoop, settings: WireSettings, ticker: Ticker | None = None, **kwargs: Any
    ) -> None:
        self.loop = loop
        self.transport = FakeTransport(loop)
        self.ticker = ticker or Ticker(partial(CallAtAlarm, loop), loop.clock)
        self.wire = Wire(settings)
        self.pacer = Pacer(self.ticker, self.wire, self.transport, **kwargs)

    def receive(self, data: bytes) -> None:
        """A binary message comes from the peer, and is handled as a session does."""
        if self.wire.negotiate(data):
            self.pacer.on_wire_changed()

    async def until(self, ms: float) -> None:
        """Let time pass until `ms`."""
        await asyncio.sleep(ms / 1000 - self.loop.time())


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., T]:
    """Run an async test in virtual time; it is given its loop as `loop`."""

    def run(*args: Any, **kwargs: Any) -> T:
        loop = VirtualLoop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            result = runner.run(test(*args, loop=loop, **kwargs))
        assert not loop.faults, loop.faults
        return result

    signature = inspect.signature(test)  # pytest reads it for fixtures and parameters
    arguments = [parameter for name, parameter in signature.parameters.items() if name != "loop"]
    run.__signature__ = signature.replace(parameters=arguments)  # type: ignore[attr-defined]
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
