"""Recognises the tones with which a telephone network, a fax machine or a modem answers, by their cadences.

The cadences are those of ITU-T E.180 and its Supplement 2 (busy, congestion, ringback and special information
tone, as `tone_plans` has them), and of ITU-T T.30 and V.25 (fax: CNG of the caller, CED of the called side).
"""

from collections import deque
from enum import StrEnum
from typing import NamedTuple

from mediaserver.audio.detection.tone_frames import FrameClassifier, FrameKind, ToneFrame
from mediaserver.audio.pcm import FRAME_BYTES, Chunker, from_bytes

_FRAME_MS = 20
_ENOUGH = 3  # frames in a row that begin another sound or a pause; fewer are an interruption, which does not count
_SAME_HZ = 30.0  # the most in Hz by which the measured frequencies of one tone may differ
_RUNS = 6  # number of bursts and pauses in the longest cadence, which is recognised at the burst after them
_OVER = 300  # frames of silence (6 s) that end a tone: no cadence has a longer pause
_SPOKEN = 10  # frames of other sound (200 ms), such as speech, that end a tone

# The least and the greatest number of 20 ms frames of each burst of a tone, and of the pause after it.
_BUSY = (17, 31)  # busy tone: 340 to 620 ms for each burst and pause; nominally 375 (uk) to 500 ms
_FAST = (8, 16)  # congestion tone: 160 to 320 ms for each burst and pause; nominally 200 to 300 ms
_UK_CONGESTION = ((18, 22), (15, 20), (9, 14), (23, 29))  # UK congestion tone: nominally 400, 350, 225, 525 ms
_RING = ((35, 125), (85, 260))  # ringback tone: nominally a burst of 1 to 2 s, and a pause of 2 to 4 s
_UK_RING = ((17, 23), (7, 13), (17, 23), (85, 125))  # UK ringback tone: nominally 400, 200, 400, 2000 ms
_SIT = ((950.0, 60.0), (1400.0, 60.0), (1800.0, 60.0))  # frequency and tolerance of each tone of the SIT, in Hz
# The SIT is the special information tone. The least and the greatest number of frames of its first and its second
# tone, which last 330 ms each, and the number of frames of its third tone after which the SIT is recognised.
_SIT_FRAMES, _SIT_LAST = (10, 22), 8
# T.30's calling tone (CNG): 1100 Hz for half a second of every 3.5 s.
_CNG_HZ, _CNG_FRAMES, _CNG_PAUSE = (1100.0, 45.0), (20, 30), 15
_CED_HZ, _CED_FRAMES = (2100.0, 25.0), 50  # T.30's answer tone (CED): 2100 Hz for 2.6 to 4 s, recognised after 1 s


class CallTone(StrEnum):
    """The call-progress and fax tones that are recognised."""

    BUSY = "busy"
    CONGESTION = "congestion"
    RINGBACK = "ringback"
    SIT = "sit"
    FAX_CNG = "fax-cng"
    FAX_CED = "fax-ced"


class FoundTone(NamedTuple):
    """A tone, and when it began, in milliseconds of the audio that was fed."""

    tone: CallTone
    at_ms: int


class _Run:
    """Frames in a row that hold the same kind of sound: a burst of one tone, a pause, or other sound."""

    __slots__ = ("frames", "hz", "kind", "start")

    def __init__(self, frame: ToneFrame, start: int, frames: int) -> None:
        self.kind, self.hz, self.start, self.frames = frame.kind, frame.hz, start, frames

    def goes_on(self, frame: ToneFrame) -> bool:
        """Whether a frame continues the run. A single tone must keep its frequency; two beating tones may vary."""
        same_hz = self.kind is not FrameKind.TONE or abs(frame.hz - self.hz) <= _SAME_HZ
        return frame.kind is self.kind and same_hz

    def is_near(self, hz: tuple[float, float]) -> bool:
        """Whether the run is a single tone near a frequency."""
        return self.kind is FrameKind.TONE and abs(self.hz - hz[0]) <= hz[1]


class ToneDetector:
    """Recognises the tones of one stream of 16-bit little-endian, mono PCM at 8 kHz.

    A tone is reported once until it ends: by 6 s of silence, by 200 ms of other sound, or by another tone.
    """

    def __init__(self) -> None:
        self._classifier, self._chunker = FrameClassifier(), Chunker(FRAME_BYTES)
        self._runs: deque[_Run] = deque([_Run(ToneFrame(FrameKind.SILENT), 0, 0)], maxlen=_RUNS + 1)
        self._frames = 0  # number of frames received so far
        self._next = _Run(ToneFrame(FrameKind.SILENT), 0, 0)  # the run that begins if _ENOUGH such frames come
        self._told: CallTone | None = None  # the reported tone, while it goes on

    def feed(self, pcm: bytes) -> list[FoundTone]:
        """Process audio of any length; return the tones that are newly recognised in it."""
        found = []
        for frame in self._chunker.feed(pcm):
            self._push(self._classifier.classify(from_bytes(frame)))
            tone = self._recognise()
            if tone is not None and tone.tone is not self._told:
                self._told = tone.tone
                found.append(tone)
        return found

    def _push(self, frame: ToneFrame) -> None:
        run, following = self._runs[-1], self._next
        if run.goes_on(frame):
            run.frames += 1 + following.frames
            following.frames = 0
        elif following.frames and following.goes_on(frame):
            following.frames += 1
            if following.frames == _ENOUGH:
                self._runs.append(following)
                self._next = _Run(frame, 0, 0)
        else:
            run.frames += following.frames  # too short for a run: an interruption, or the edge between two sounds
            self._next = _Run(frame, self._frames, 1)
        self._frames += 1
        run = self._runs[-1]
        if run.frames >= (_OVER if run.kind is FrameKind.SILENT else _SPOKEN) and run.kind in _ENDING:
            self._told = None

    def _recognise(self) -> FoundTone | None:
        """The tone whose cadence the latest burst or pause completes; None if it completes none."""
        now = self._runs[-1]
        match now.kind:
            case FrameKind.PROGRESS:
                return self._recognise_progress() if now.frames == _ENOUGH else None
            case FrameKind.TONE:
                return self._recognise_single(now)
            case FrameKind.SILENT if now.frames == _CNG_PAUSE and len(self._runs) > 2:
                before, burst = self._runs[-3], self._runs[-2]
                if burst.is_near(_CNG_HZ) and before.kind is FrameKind.SILENT and _within(burst, _CNG_FRAMES):
                    return self._found(CallTone.FAX_CNG, burst)
        return None

    def _recognise_single(self, now: _Run) -> FoundTone | None:
        if now.frames == _CED_FRAMES and now.is_near(_CED_HZ):
            return self._found(CallTone.FAX_CED, now)
        if now.frames == _SIT_LAST and now.is_near(_SIT[2]) and len(self._runs) > 2:
            first, second = self._runs[-3], self._runs[-2]
            if first.is_near(_SIT[0]) and second.is_near(_SIT[1]):
                return (
                    self._found(CallTone.SIT, first)
                    if all(_within(each, _SIT_FRAMES) for each in (first, second))
                    else None
                )
        return None

    def _recognise_progress(self) -> FoundTone | None:
        """The call-progress tone whose next burst begins now, if the bursts and pauses before are its cadence."""
        for tone, cadence in _CADENCES:
            runs = [*self._runs][-1 - len(cadence) : -1]
            kinds = [FrameKind.PROGRESS, FrameKind.SILENT] * (len(cadence) // 2)
            if [run.kind for run in runs] != kinds:
                continue
            if not all(map(_within, runs, cadence)):
                continue
            if all(abs(run.hz - self._runs[-1].hz) <= _SAME_HZ for run in runs[::2]):
                return self._found(tone, runs[0])
        return None

    @staticmethod
    def _found(tone: CallTone, first: _Run) -> FoundTone:
        return FoundTone(tone, first.start * _FRAME_MS)


_ENDING = (FrameKind.SILENT, FrameKind.OTHER)
_CADENCES = (
    (CallTone.BUSY, (_BUSY,) * 4),
    (CallTone.CONGESTION, (_FAST,) * 6),
    (CallTone.CONGESTION, _UK_CONGESTION),
    (CallTone.RINGBACK, _RING),
    (CallTone.RINGBACK, _UK_RING),
)


def _within(run: _Run, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= run.frames <= bounds[1]
