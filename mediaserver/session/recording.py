"""Recording a stream: what is heard, and perhaps what we send, into a WAV file as it comes."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE, from_bytes
from mediaserver.audio.vad import SpeechDetector
from mediaserver.errors import plainly
from mediaserver.session.wavfile import WavFile, stay_within
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.events import Audio, Event

_FLUSH = 1.0  # seconds between writes to the disk: what a killed process loses at most
_PATIENCE = 10.0  # seconds for the disk to do one thing
_MAX_PENDING = 10 * SAMPLE_RATE  # samples that wait for a slow disk before the recording is given up
_LAG = SAMPLE_RATE // 5 * SAMPLE_BYTES  # bytes, 200 ms: a side that is further behind when it goes on had a gap
_LEAD = SAMPLE_RATE * SAMPLE_BYTES  # bytes, 1 s: further ahead than this no side waits for the other
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
    """A recording that is over. `error` is why it ended early, or never began; nothing where all went well."""

    file: str
    seconds: float
    reason: str
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Recorder:
    """Collects sound in memory and hands it to a thread once a second: a slow disk delays no frame of any call."""

    def __init__(
        self,
        path: Path,
        *,
        within: Path | None,
        stereo: bool,
        trim_silence: bool,
        max_duration: float | None,
        max_silence: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._path, self._within, self._trim, self._clock = path, within, trim_silence, clock
        self._limit = round(max_duration * SAMPLE_RATE) if max_duration is not None else None
        self._heard = bytearray()  # and not yet written
        self._said: bytearray | None = bytearray() if stereo else None
        self._file: WavFile | None = None
        self._samples = 0  # of each channel, written or taken to be written
        self._last_loud = 0  # the sample after the last one that is not silence
        self._over = asyncio.Event()
        self._reason, self._error = Stop.STREAM_ENDED, ""
        self._detector = SpeechDetector() if max_silence is not None else None
        self._max_silence = max_silence or 0.0
        self._voice_at = self._began = clock()
        self._busy: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._busy.set_result(None)

    # -- for the stream ------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Take in what is heard."""
        if not isinstance(event, Audio) or self._over.is_set():
            return
        if self._said is not None and len(self._said) - len(self._heard) > _LAG:
            self._heard += bytes(len(self._said) - len(self._heard))  # the peer said nothing meanwhile
        self._heard += event.pcm
        if self._detector is not None and self._detector.feed(event.pcm):
            self._voice_at = self._clock()
        self._look()

    def sent(self, encoding: Encoding, item: bytes) -> None:
        """Take in a frame that we send."""
        if self._said is not None and not self._over.is_set():
            if len(self._heard) - len(self._said) > _LEAD:
                self._said += bytes(len(self._heard) - len(self._said))  # our own stream was held up
            self._said += encoding.decode(item)
            self._look()

    def stop(self, reason: Stop, error: str = "") -> None:
        """End it; the first reason stands."""
        if not self._over.is_set():
            self._reason, self._error = reason, error
            self._over.set()

    # -- for the one who records ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Record until it is over."""
        try:
            await self._in_thread(self._open)
            while not self._over.is_set():
                await self._until_due()
                await self._in_thread(self._append, self._rows(last=self._over.is_set()))
        except OSError as error:
            self.stop(Stop.ERROR, plainly(error))

    async def close(self) -> Recording:
        """Write what is left, finish the file, and tell what there is."""
        self.stop(Stop.STREAM_ENDED)
        try:
            if self._reason is not Stop.ERROR:
                await self._in_thread(self._append, self._rows(last=True))
            await self._in_thread(self._finish)
        except OSError as error:
            self._reason, self._error = Stop.ERROR, plainly(error)
        file = self._file
        return Recording(
            file=str(file.path if file else self._path),
            seconds=round(file.samples / SAMPLE_RATE, 3) if file else 0.0,
            reason=str(self._reason),
            error=self._error,
        )

    # -- in a thread, one after the other ------------------------------------------------------------------------

    def _open(self) -> None:
        if self._within is not None:
            stay_within(self._within, self._path)
        self._file = WavFile(self._path, 1 if self._said is None else 2)

    def _append(self, pcm: bytes) -> None:
        if self._file is not None and pcm:
            self._file.append(pcm)

    def _finish(self) -> None:
        if self._file is not None:
            self._file.close(self._last_loud + _KEPT_QUIET if self._trim else None)

    async def _in_thread(self, work: Callable[..., None], *args: bytes) -> None:
        """Have the disk do something, after what it does already, which a cancelled stream leaves to itself."""
        if await self._idle():
            self._busy = asyncio.ensure_future(asyncio.to_thread(work, *args))
        if not await self._idle():
            raise OSError("the disk does not answer")
        self._busy.result()

    async def _idle(self) -> bool:
        """Wait for the disk to be done; whether it is, in time."""
        if not self._busy.done():
            await asyncio.wait([self._busy], timeout=_PATIENCE)
        return self._busy.done()

    # -- in between ----------------------------------------------------------------------------------------------

    async def _until_due(self) -> None:
        try:
            async with asyncio.timeout(_FLUSH):
                await self._over.wait()
        except TimeoutError:
            self._look()

    def _look(self) -> None:
        """Whether a limit is reached, by what came, or by time where nothing comes."""
        now = self._clock()
        longest = max(len(self._heard), len(self._said or b"")) // SAMPLE_BYTES
        if self._limit is not None and (
            self._samples + longest >= self._limit or now - self._began > self._limit / SAMPLE_RATE + _FLUSH
        ):
            self.stop(Stop.MAX_DURATION)
        elif self._detector is not None and now - self._voice_at >= self._max_silence:
            self.stop(Stop.SILENCE)
        elif longest > _MAX_PENDING:
            self.stop(Stop.ERROR, "the disk is too slow")

    def _rows(self, last: bool) -> bytes:
        """Sound to be written now, interleaved where it is stereo: what both sides have, or at the end all."""
        sides = [self._heard] if self._said is None else [self._heard, self._said]
        shortest, longest = min(map(len, sides)), max(map(len, sides))
        size = longest if last else max(shortest, longest - _LEAD)
        if self._limit is not None:
            size = min(size, (self._limit - self._samples) * SAMPLE_BYTES)
        columns = [from_bytes(bytes(side[:size]).ljust(size, b"\0")) for side in sides]
        for side in sides:
            del side[:size]
        rows = np.column_stack(columns)
        loud = np.flatnonzero((np.abs(rows.astype(np.int32)) > _QUIET).any(axis=1))
        if len(loud):
            self._last_loud = self._samples + int(loud[-1]) + 1
        self._samples += len(rows)
        return rows.astype("<i2").tobytes()
