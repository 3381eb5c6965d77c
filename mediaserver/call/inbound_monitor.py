"""Looks once a second whether what is heard of a peer can be right, and tells of each kind of trouble once.

Sound at twice or half of real time is sound in another codec than we take it for. A stream of nothing but digital
silence listens in the wrong place. One that stops may be a call that has ended without a word. One that
never begins, though a handler listens, may be dialled one-way.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from mediaserver.audio.pcm import SAMPLE_RATE

_EVERY = 1.0  # seconds
_IN_A_ROW = 5  # looks that must agree: a stall of the network and the burst behind it do not
_HALF, _DOUBLE = (0.44, 0.56), (1.8, 2.2)  # of real time
_SILENT_AFTER = 10.0  # seconds of digital silence from the beginning
NO_AUDIO_AFTER = 5.0  # seconds in which a handler listens and no sound comes
_MOST_OF_A_FRAME = 128  # samples


class InboundProblem(StrEnum):
    """What can be wrong with what is heard."""

    HALF_RATE = "half-rate"
    DOUBLE_RATE = "double-rate"
    DIGITAL_SILENCE = "digital-silence"
    STOPPED = "stopped"
    NO_AUDIO = "no-audio"

    def hint(self, *, dialled: bool) -> str:
        """What to do about it, on a stream that we dialled or that dialled us."""
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


class Inbound(Protocol):
    """What is counted of a peer's messages."""

    received: int  # binary messages
    silent: bool  # no sample but 0 so far

    @property
    def samples(self) -> int:
        """Of decoded sound, at 8 kHz."""


class InboundMonitor:
    """Watches one stream from its first message on, or from when sound is expected.

    `tell` is called once for each problem.
    """

    __slots__ = (
        "_at",
        "_began",
        "_doubled",
        "_expected_at",
        "_halved",
        "_idle",
        "_inbound",
        "_loop",
        "_received",
        "_samples",
        "_tell",
        "_timer",
        "_told",
    )

    def __init__(self, inbound: Inbound, tell: Callable[[InboundProblem], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbound, self._tell = inbound, tell
        self._told: set[InboundProblem] = set()
        self._at = self._began = self._loop.time()
        self._expected_at: float | None = None
        self._received, self._samples = inbound.received, inbound.samples
        self._halved = self._doubled = self._idle = 0
        self._timer = self._loop.call_later(_EVERY, self._look)

    def expect(self) -> None:
        """Somebody listens, or will: sound should come from now on."""
        if self._expected_at is None:
            self._expected_at = self._loop.time()

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        inbound, now = self._inbound, self._loop.time()
        samples, received = inbound.samples, inbound.received
        speed = (samples - self._samples) / SAMPLE_RATE / max(now - self._at, 1e-3)
        self._halved = self._halved + 1 if _HALF[0] < speed < _HALF[1] else 0
        self._doubled = self._doubled + 1 if _DOUBLE[0] < speed < _DOUBLE[1] else 0
        self._idle = self._idle + 1 if samples and received == self._received else 0
        self._at, self._samples, self._received = now, samples, received
        if self._halved == _IN_A_ROW:
            self._once(InboundProblem.HALF_RATE)
        if self._doubled == _IN_A_ROW:
            self._once(InboundProblem.DOUBLE_RATE)
        if self._idle == _IN_A_ROW:
            self._once(InboundProblem.STOPPED)
        if not samples:
            self._began = now  # of the sound, which is still to come
            if self._expected_at is not None and now - self._expected_at >= NO_AUDIO_AFTER:
                self._once(InboundProblem.NO_AUDIO)
        decoded = samples >= _MOST_OF_A_FRAME * received  # what nobody listened to may have been sound
        if inbound.silent and decoded and now - self._began >= _SILENT_AFTER:
            self._once(InboundProblem.DIGITAL_SILENCE)
        self._timer = self._loop.call_later(_EVERY, self._look)

    def _once(self, problem: InboundProblem) -> None:
        if problem not in self._told:
            self._told.add(problem)
            self._tell(problem)
