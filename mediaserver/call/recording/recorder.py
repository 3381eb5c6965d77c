"""Recording a stream: what is heard, and perhaps what we send, into a WAV file as it comes."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE, from_bytes
from mediaserver.audio.vad import VoiceActivityDetector
from mediaserver.call.recording.disk import Disk
from mediaserver.call.recording.file_modes import USUAL_MODES, Modes
from mediaserver.call.recording.tracks import Tracks
from mediaserver.call.recording.wav_writer import WavFile, stay_within
from mediaserver.errors import plainly
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.events import Audio, Event

_FLUSH = 1.0  # seconds between writes to the disk: what a killed process loses at most
_PATIENCE = 1.0  # seconds that a limit waits for what the network may be holding up
_NOW = 1e-6  # seconds: a timer may be early by what the sum of two times is rounded by
_MAX_PENDING = 10 * SAMPLE_RATE * SAMPLE_BYTES  # bytes that wait for a slow disk before the recording is given up
_QUIET = 180  # of 32 768, -45 dBFS: what is below it at the end is trimmed as silence
_KEPT_QUIET = SAMPLE_RATE // 5  # samples of silence that trimming leaves


class Stop(StrEnum):
    """Why a recording ended."""

    STREAM_ENDED = "stream-ended"
    MAX_DURATION = "max-duration"
    SILENCE = "silence"
    DIGIT = "digit"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that is over. `error` is why its file ended early, or never began; "" where all went well."""

    file: str
    seconds: float
    reason: str
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _tell_nobody(recording: Recording) -> None:
    """Is told of a failure where nobody else is."""


class Recorder:
    """Collects sound in memory and hands it to a thread once a second: a slow disk delays no frame of any call.

    Where the disk fails, `failed` is told at once, and only once, with what was kept until then. The limits hold
    as before, by what is heard and no longer kept: a caller must not be left in silence for want of a disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        within: Path | None,
        stereo: bool,
        trim_silence: bool,
        max_duration: float | None,
        max_silence: float | None,
        toning: Callable[[], bool],
        clock: Callable[[], float],
        modes: Modes = USUAL_MODES,
        failed: Callable[[Recording], None] = _tell_nobody,
    ) -> None:
        self._path, self._within, self._trim, self._clock = path, within, trim_silence, clock
        self._failed, self._told, self._modes = failed, False, modes
        self._limit = round(max_duration * SAMPLE_RATE) if max_duration is not None else None
        self._max_duration = max_duration
        self._mono = bytearray()  # heard, and not yet written
        self._tracks = Tracks() if stereo else None
        self._channels = 2 if stereo else 1
        self._disk = Disk()
        self._file: WavFile | None = None
        self._finished = False  # the file has its name, or was tried to be given it
        self._samples = 0  # of each channel, written or on the way; after a failure, heard
        self._last_loud = 0  # the sample after the last one that is not silence
        self._over = asyncio.Event()
        self._reason, self._error = Stop.STREAM_ENDED, ""
        self._detector = VoiceActivityDetector() if max_silence is not None else None
        self._max_silence, self._toning = max_silence, toning
        self._voice_at = self._began = clock()
        self._heard_at = self._began - _PATIENCE  # nothing yet that more could follow

    # -- for the stream ------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Take in what is heard."""
        if not isinstance(event, Audio) or self._over.is_set():
            return
        if self._error:
            self._samples += len(event.pcm) // SAMPLE_BYTES
        elif self._tracks is not None:
            self._tracks.heard.add(event.pcm, self._now)
        else:
            self._mono += event.pcm
        if self._detector is not None and self._detector.feed(event.pcm, self._toning()):
            self._voice_at = self._clock()
        self._heard_at = self._clock()
        self._look()
        if self._max_silence is not None and self._heard_at - self._voice_at >= self._max_silence:
            self.stop(Stop.SILENCE)

    def sent(self, encoding: Encoding, item: bytes) -> None:
        """Take in a frame that we send."""
        if self._tracks is not None and not self._error and not self._over.is_set():
            self._tracks.said.add(encoding.decode(item), self._now)

    def recalled(self, frames: int) -> None:
        """Take back frames that we sent last, and that nobody has heard."""
        if self._tracks is not None:
            self._tracks.said.take_back(frames * FRAME_BYTES)

    def stop(self, reason: Stop) -> None:
        """End it; the first reason stands."""
        if not self._over.is_set():
            self._reason = reason
            self._over.set()

    # -- for the one who records ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Record until it is over; where the disk fails, until it would have been."""
        try:
            await self._disk.do(self._open)
            while not self._over.is_set() and not self._error:
                await self._until_due()
                await self._disk.do(self._append, self._sides(last=self._over.is_set()))
        except OSError as error:
            self._fail(plainly(error))
        if self._error:
            await self._finish()
        while not self._over.is_set():
            await self._until_due()

    async def close(self) -> Recording:
        """Write what is left, finish the file, and tell what there is."""
        self.stop(Stop.STREAM_ENDED)
        if not self._error:
            try:
                await self._disk.do(self._append, self._sides(last=True))
            except OSError as error:
                self._fail(plainly(error))
        await self._finish()
        return self._recording

    async def _finish(self) -> None:
        """Give the file its name, and tell of a failure, which may be this one."""
        try:
            await self._disk.do(self._close_file)
        except OSError as error:
            self._fail(plainly(error))
        if self._error and not self._told:
            self._told = True
            self._failed(self._recording)

    def _fail(self, why: str) -> None:
        """Nothing is written any more; the first failure stands."""
        if not self._error:
            self._samples += self._waiting // SAMPLE_BYTES
            self._error, self._tracks = why, None
            self._mono.clear()

    @property
    def _recording(self) -> Recording:
        file = self._file
        return Recording(
            file=str(file.path if file else self._path),
            seconds=round(file.samples / SAMPLE_RATE, 3) if file else 0.0,
            reason=str(Stop.ERROR if self._error else self._reason),
            error=self._error,
        )

    # -- in a thread ---------------------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._within is not None:
            stay_within(self._within, self._path)
        self._file = WavFile(self._path, self._channels, self._modes)

    def _append(self, sides: list[bytes]) -> None:
        if self._file is None or not sides[0]:
            return
        rows = np.column_stack([from_bytes(side) for side in sides])
        loud = np.flatnonzero((np.abs(rows.astype(np.int32)) > _QUIET).any(axis=1))
        if len(loud):
            self._last_loud = self._file.samples + int(loud[-1]) + 1
        self._file.append(rows.astype("<i2").tobytes())

    def _close_file(self) -> None:
        if self._file is not None and not self._finished:
            self._finished = True
            self._file.close(self._last_loud + _KEPT_QUIET if self._trim else None)

    # -- in between ----------------------------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return self._clock() - self._began

    @property
    def _waiting(self) -> int:
        """Bytes of what was heard that are not written yet."""
        return len(self._mono) if self._tracks is None else len(self._tracks.heard)

    async def _until_due(self) -> None:
        due = min(self._due(self._began, self._max_duration), self._due(self._voice_at, self._max_silence))
        try:
            async with asyncio.timeout(min(_FLUSH, due - self._clock())):
                await self._over.wait()
        except TimeoutError:
            self._look()

    def _due(self, since: float, limit: float | None) -> float:
        """When so many seconds are over; later where something was heard just now, as more may only be late."""
        if limit is None:
            return math.inf
        over = since + limit
        return min(max(over, self._heard_at + _PATIENCE), over + _PATIENCE)

    def _look(self) -> None:
        """Whether a limit is reached, by what came, or by time where nothing comes."""
        samples, now = self._samples + self._waiting // SAMPLE_BYTES, self._clock() + _NOW
        enough = self._limit is not None and samples >= self._limit
        if enough or now >= self._due(self._began, self._max_duration):
            self.stop(Stop.MAX_DURATION)
        elif now >= self._due(self._voice_at, self._max_silence):
            self.stop(Stop.SILENCE)
        elif self._waiting > _MAX_PENDING and self._disk.busy:
            self._fail("the disk is too slow")

    def _sides(self, last: bool) -> list[bytes]:
        """Sound to be written now: one side, or two of the same length."""
        most = (self._limit - self._samples) * SAMPLE_BYTES if self._limit is not None else None
        if self._tracks is None:
            sides = [bytes(self._mono[:most])]
            self._mono.clear()
        else:
            sides = list(self._tracks.take(self._now, last, most))
        self._samples += len(sides[0]) // SAMPLE_BYTES
        return sides
