"""Monitors inbound media: checks the rate and content of audio once a second, and reports each problem once.

Audio that comes at half or twice real time is being decoded by a wrong codec. A stream of digital silence alone
may be attached to the wrong place in the call. If audio stops, the call may have ended without a hang-up. If audio
never begins although a handler listens, the stream may be one-way.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.support.timers import Timers

_CHECK_INTERVAL = 1.0  # seconds from one check to the next
# A wrong rate is reported when the checks that show it outnumber those that do not by this number. A network
# stall, and the burst after it, last for fewer checks. A wrong rate is found even if some messages are delayed.
_CHECKS_AHEAD = 5
_IDLE_CHECKS = 5  # checks in a row without a new message, after which the audio counts as stopped
_HALF, _DOUBLE = (0.44, 0.56), (1.8, 2.2)  # multiples of real time that count as half and as double rate
_SILENCE_LIMIT = 10.0  # seconds of digital silence since the first audio, after which the silence is reported
NO_AUDIO_AFTER = 5.0  # seconds without audio, where audio is expected, after which NO_AUDIO is reported
_MIN_DECODED_SAMPLES = 128  # with fewer samples per message on average, some messages were not decoded


class InboundProblem(StrEnum):
    """Kinds of problems with inbound media."""

    HALF_RATE = "half-rate"
    DOUBLE_RATE = "double-rate"
    DIGITAL_SILENCE = "digital-silence"
    STOPPED = "stopped"
    NO_AUDIO = "no-audio"

    def hint(self, *, dialled: bool) -> str:
        """A text that tells the operator how to remedy this problem.

        `dialled` tells whether the server dialled the peer; otherwise the peer dialled the server.
        """
        if self is InboundProblem.NO_AUDIO:
            return NO_AUDIO_DIALLED if dialled else _NO_AUDIO_DIALLED_US
        return _HINTS[self]


_HINTS = {
    InboundProblem.HALF_RATE: "sound comes at half of real time: it is no linear PCM; set inbound = mulaw or alaw",
    InboundProblem.DOUBLE_RATE: "sound comes at twice real time: it is not G.711; set inbound = slin",
    InboundProblem.DIGITAL_SILENCE: "nothing but digital silence was heard: does the stream listen to the caller?",
    InboundProblem.STOPPED: "nothing is heard any more: the call may be over, or nobody speaks in its bridge",
}
NO_AUDIO_DIALLED = (
    "no audio received in 5 s: is the call answered, and the encapsulation right? "
    "A bridge of a single party sends none while nobody speaks"
)
_NO_AUDIO_DIALLED_US = (
    "no audio received in 5 s, though the handler listens: what dials us sends none. external_media_start over "
    "WebSocket is one-way: dial the call's media_stream (mediaserver attach), or use AudioSocket over TCP"
)


class InboundCounts(Protocol):
    """Counts of a peer's messages."""

    received: int  # number of binary messages received so far
    silent: bool  # whether every decoded sample has been 0 so far

    @property
    def samples(self) -> int:
        """Number of samples decoded so far, at 8 kHz."""


class InboundMonitor:
    """Monitors one stream, from its first message or from when audio is expected, whichever is earlier.

    `report` is called once for each problem, and `look` at each check. `timers` are those of all streams' checks.
    """

    __slots__ = (
        "_audio_expected_at",
        "_audio_since",
        "_checked_at",
        "_double_rate_checks",
        "_half_rate_checks",
        "_idle_checks",
        "_inbound",
        "_look",
        "_loop",
        "_received",
        "_report",
        "_reported",
        "_samples",
        "_timer",
    )

    def __init__(
        self,
        inbound: InboundCounts,
        timers: Timers,
        report: Callable[[InboundProblem], None],
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbound, self._report, self._look = inbound, report, look
        self._reported: tuple[InboundProblem, ...] = ()
        self._checked_at = self._audio_since = self._loop.time()
        self._audio_expected_at: float | None = None
        self._received, self._samples = inbound.received, inbound.samples
        self._half_rate_checks = self._double_rate_checks = self._idle_checks = 0
        self._timer = timers.call_every(_CHECK_INTERVAL, self._check)

    def expect_audio(self) -> None:
        """Expect audio from now on, because a handler listens, or because the server dialled the peer."""
        if self._audio_expected_at is None:
            self._audio_expected_at = self._loop.time()

    def stop(self) -> None:
        """Stop checking the inbound media."""
        self._timer.cancel()

    def _check(self) -> None:
        inbound, now = self._inbound, self._loop.time()
        samples, received = inbound.samples, inbound.received
        speed = (samples - self._samples) / SAMPLE_RATE / max(now - self._checked_at, 1e-3)
        self._half_rate_checks = _count_check(self._half_rate_checks, _HALF[0] < speed < _HALF[1])
        self._double_rate_checks = _count_check(self._double_rate_checks, _DOUBLE[0] < speed < _DOUBLE[1])
        self._idle_checks = self._idle_checks + 1 if samples and received == self._received else 0
        self._checked_at, self._samples, self._received = now, samples, received
        if self._half_rate_checks == _CHECKS_AHEAD:
            self._report_once(InboundProblem.HALF_RATE)
        if self._double_rate_checks == _CHECKS_AHEAD:
            self._report_once(InboundProblem.DOUBLE_RATE)
        if self._idle_checks == _IDLE_CHECKS:
            self._report_once(InboundProblem.STOPPED)
        if not samples:
            self._audio_since = now  # the time of the last check without audio: a silence is measured from it
            if self._audio_expected_at is not None and now - self._audio_expected_at >= NO_AUDIO_AFTER:
                self._report_once(InboundProblem.NO_AUDIO)
        decoded = samples >= _MIN_DECODED_SAMPLES * received  # False if some messages were not decoded
        if inbound.silent and decoded and now - self._audio_since >= _SILENCE_LIMIT:
            self._report_once(InboundProblem.DIGITAL_SILENCE)
        self._look()

    def _report_once(self, problem: InboundProblem) -> None:
        if problem not in self._reported:
            self._reported += (problem,)
            self._report(problem)


def _count_check(ahead: int, agrees: bool) -> int:
    """By how many the checks that show a problem outnumber those that do not, after one more check; at least 0."""
    return ahead + 1 if agrees else max(0, ahead - 1)
