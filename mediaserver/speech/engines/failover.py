"""Failover: the engines of one kind (TTS, STT or LLM) that serve a request, one after another until one succeeds.

An engine that fails, or does not answer within its share of the request's time-out, gives way to the next engine.
Its failure is remembered for a minute. Meanwhile requests pass the engine over, so that no other caller waits for
it. After the minute one request tries the engine again, and the other requests still pass it over until that
request has succeeded. If all engines have failed, they are tried in order all the same.

    attempts = failover.attempts(("openai", "hibari"), timeout=3.0)
    for attempt in attempts:
        with attempt:  # swallows an EngineError, after which the loop goes on with the next engine
            async with asyncio.timeout(attempt.seconds_left):
                return await answer_of(attempt.engine)
    raise attempts.failure()
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import structlog

from mediaserver.errors import EngineError, RejectedError

PASSED_OVER = 60.0  # the time in seconds for which requests do not use an engine that has failed
# The fraction of a request's remaining time that an engine gets, if another engine can be tried after it.
_SHARE = 0.5
# The tolerance of timers in seconds: a request that is cancelled this little before the end of an engine's time
# counts as the engine's time-out.
_GRACE = 0.05

log = structlog.get_logger()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class _Health:
    """The health of one engine, and the number of requests that the engine has failed."""

    is_healthy: bool = True
    retry_at: float = -math.inf  # the time from which a request may try the engine again after a failure
    failures: int = 0


class Failover:
    """The health of a server's engines of one `kind` (TTS, STT or LLM), and the choice among them."""

    def __init__(self, kind: str, clock: Callable[[], float] = _loop_time) -> None:
        self.kind, self.clock = kind, clock
        self._states: dict[str, _Health] = {}

    def expect(self, engines: Sequence[str]) -> None:
        """Count these engines as healthy until they fail, so that metrics have them before the first request."""
        for engine in engines:
            self._state(engine)

    @property
    def health(self) -> Mapping[str, bool]:
        """Whether each engine is healthy: False from a failure until a success at least a minute later."""
        return {engine: state.is_healthy for engine, state in self._states.items()}

    @property
    def failures(self) -> Mapping[str, int]:
        """How many requests each engine has failed."""
        return {engine: state.failures for engine, state in self._states.items()}

    def may_try(self, engine: str) -> bool:
        """Whether requests may use an engine: it is healthy, or its last failure was at least a minute ago."""
        state = self._state(engine)
        return state.is_healthy or self.clock() >= state.retry_at

    def attempts(
        self, engines: Sequence[str], timeout: float, is_ready: Callable[[str], bool] = lambda engine: True
    ) -> "Attempts":
        """The attempts to serve one request by one of `engines`, in this order, within `timeout` seconds.

        An engine for which `is_ready` is False, because it is still starting, is passed over as if it had failed.
        """
        usable = [*engines]
        if len(engines) > 1:
            usable = [engine for engine in engines if self.may_try(engine) and is_ready(engine)] or usable
        return Attempts(self, usable, [engine for engine in engines if engine not in usable], timeout)

    def begin(self, engine: str) -> bool:
        """Note that an attempt begins. Returns whether it is a trial of an engine that has failed before.

        Until such a trial has ended, other requests still pass the engine over.
        """
        state, now = self._state(engine), self.clock()
        if state.is_healthy or now < state.retry_at:
            return False
        state.retry_at = now + PASSED_OVER
        return True

    def on_failure(self, engine: str, why: str) -> None:
        """Note that an engine has failed. The log has one line when a healthy engine fails."""
        state = self._state(engine)
        state.failures += 1
        state.retry_at = self.clock() + PASSED_OVER
        if state.is_healthy:
            state.is_healthy = False
            log.warning("engine failed", kind=self.kind, engine=engine, why=why)

    def on_trial_end(self, engine: str, *, succeeded: bool) -> None:
        """Note that the trial of a failed engine has ended. The engine works again if `succeeded` is True."""
        state = self._state(engine)
        if succeeded:
            state.is_healthy = True
            log.info("engine recovered", kind=self.kind, engine=engine)
        else:
            state.retry_at = -math.inf  # the next request tries the engine at once

    def _state(self, engine: str) -> _Health:
        return self._states.setdefault(engine, _Health())


class Attempts:
    """The attempts to serve one request, one engine after another, until the request's time-out.

    The engines in `usable` share the time-out. The engines in `passed_over` are tried last, if any time is left.
    """

    def __init__(
        self, failover: Failover, usable: Sequence[str], passed_over: Sequence[str], timeout: float
    ) -> None:
        self.failover, self.timeout = failover, timeout
        self._usable, self._passed_over = usable, passed_over
        self.deadline = failover.clock() + timeout
        self.reasons: dict[str, str] = {}  # why each engine that was tried has failed

    def __iter__(self) -> Iterator["Attempt"]:
        for place, engine in enumerate([*self._usable, *self._passed_over]):
            if place and self.failover.clock() >= self.deadline:
                return
            yield Attempt(self, engine, is_last=place + 1 >= len(self._usable))

    def suspend_deadline(self) -> None:
        """Let the request have no time-out until `Attempt.begin_timeout` is called."""
        self.deadline = math.inf

    def failure(self) -> EngineError:
        """The error of a request that no engine could serve. The error names each engine if several were tried."""
        if len(self.reasons) == 1:
            return EngineError(*self.reasons.values())
        return EngineError("; ".join(f"{engine}: {why}" for engine, why in self.reasons.items()))


class Startable(Protocol):
    """An engine that may have to be started before it can serve requests."""

    def preload(self) -> None:
        """Start the engine, unless it is starting or has started already."""

    @property
    def not_ready_reason(self) -> str:
        """Why the engine is not ready yet; "" if it is ready, or has nothing to start."""


def is_ready(engine: Startable) -> bool:
    """Whether an engine is ready. If it is not, the engine is started, unless it is already starting."""
    if not engine.not_ready_reason:
        return True
    engine.preload()
    return False


class Attempt:
    """A context manager in which one engine is to serve a request.

    The engine has succeeded if the context ends without an error. An EngineError counts as the engine's failure,
    but a RejectedError does not. Both are swallowed, so that the next engine is tried. A request that is cancelled
    when the engine's time is over counts as a failure as well, because that time-out is the request's own.
    """

    def __init__(self, attempts: Attempts, engine: str, is_last: bool) -> None:
        self.engine = engine
        self._attempts, self._share = attempts, 1.0 if is_last else _SHARE
        self._until = self._seconds = math.inf
        self._is_trial = self._progressed = False

    @property
    def seconds_left(self) -> float:
        """The number of seconds left for the engine's answer; infinity while the request has no time-out."""
        return max(0.0, self._until - self._attempts.failover.clock())

    @property
    def allotted(self) -> str:
        """The time that the engine had for its answer, or for the next part of the answer: "3 s", for messages."""
        return f"{round(self._seconds, 2):g} s"

    def note_progress(self) -> None:
        """Begin the time-out anew, because the engine has given a part of its answer."""
        self._progressed = True
        self.begin_timeout()

    def begin_timeout(self) -> None:
        """Begin the request's time-out now. The engine of this attempt gets its share of the time-out."""
        self._attempts.deadline = self._attempts.failover.clock() + self._attempts.timeout
        self._allot()

    def _allot(self) -> None:
        now = self._attempts.failover.clock()
        # A late event loop may begin the first attempt when the request's time is over already.
        self._seconds = max(0.0, self._attempts.deadline - now) * self._share
        self._until = now + self._seconds

    def __enter__(self) -> Self:
        self._is_trial = self._attempts.failover.begin(self.engine)
        self._allot()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        failover = self._attempts.failover
        if isinstance(error, EngineError):
            self._attempts.reasons[self.engine] = str(error)
        if isinstance(error, EngineError) and not isinstance(error, RejectedError):
            failover.on_failure(self.engine, str(error))
        elif isinstance(error, asyncio.CancelledError) and self.seconds_left < _GRACE:
            failover.on_failure(self.engine, f"no answer within {self.allotted}")
        elif self._is_trial:
            failover.on_trial_end(self.engine, succeeded=error is None or self._progressed)
        return isinstance(error, EngineError)
