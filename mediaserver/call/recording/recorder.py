"""Records a call into a WAV file that grows: the received audio, and in stereo the sent audio as well."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.level.levels import pcm_dbfs
from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE, SILENCE, from_bytes, to_bytes
from mediaserver.call.recording.disk import GATHER_TIME, DiskExecutor
from mediaserver.call.recording.file_modes import DEFAULT_MODES, FileModes
from mediaserver.call.recording.states import Progress, Recording, StopReason
from mediaserver.call.recording.tracks import Tracks
from mediaserver.call.recording.trimming import KEPT_SILENCE, end_of_sound
from mediaserver.call.recording.wav_writer import WavFile, ensure_within
from mediaserver.errors import error_text
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.events import Audio, Event

_FLUSH_INTERVAL = 1.0 - GATHER_TIME  # the most seconds between two writes: a killed process loses a second
_FLUSH_GRID = 0.05  # seconds: all recordings write at multiples of it, so that one thread writes for many
_JITTER_ALLOWANCE = 1.0  # seconds by which a limit is extended, for audio that the network may have delayed
_TIMER_ROUNDING = 1e-6  # seconds by which a timer may be early, because sums of times are rounded
_LOOK_BYTES = SAMPLE_RATE // 10 * SAMPLE_BYTES  # bytes (100 ms) of each write of which the level is measured


def _ignore(recording: Recording) -> None:
    """Do nothing. Stands in for the callback if none is given."""


class Recorder:
    """Collects audio in memory and has a thread write it once a second, so that a slow disk delays no call.

    The disk has `DISK_TIMEOUT` for each write. Memory holds what comes meanwhile, which `max_message_rate` limits.
    `on_result` is called once: if the disk fails, at once with the recording so far, and otherwise when the
    recording is closed. After a failure, audio is counted but not kept. The limits apply to the counted audio, so
    that the recording ends when it would have ended without the failure.
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
        dtmf_active: Callable[[], bool],
        clock: Callable[[], float],
        modes: FileModes = DEFAULT_MODES,
        on_result: Callable[[Recording], None] = _ignore,
    ) -> None:
        self.path = path  # the path that was asked for; if it is taken, the file's own path gets a number
        self._within, self._folder = within, within or path.parent
        self._trim_silence, self._clock = trim_silence, clock
        self._on_result, self._reported, self._modes = on_result, False, modes
        self._max_samples = round(max_duration * SAMPLE_RATE) if max_duration is not None else None
        self.stereo = stereo  # whether what is sent is recorded as well
        self._frames: list[bytes] = []  # received audio of a mono recording that is not yet written
        self._tracks = Tracks() if stereo else None
        self._channels, self._disk = 2 if stereo else 1, DiskExecutor()
        self._file: WavFile | None = None
        self._file_closed = False  # whether closing the file has been tried, with or without success
        self._samples = 0  # samples per channel that were given to the disk or, after a failure, dropped
        self._loud_until = 0  # the index after the last sample that is not silence
        self._stopped = self._paused = False
        self._silent_until = -math.inf  # the time until which silence is recorded in place of received audio
        self._wake_up = asyncio.Event()  # set when `run` has something to do, and once the recording has stopped
        self._reason, self._error = StopReason.STREAM_ENDED, ""
        self.levels: list[float] = []  # of the latest 100 ms that were written, in dBFS, of each channel
        self.detector = SpeechDetector() if max_silence is not None else None
        self._max_duration, self._max_silence, self._dtmf_active = max_duration, max_silence, dtmf_active
        self._last_voice_at = self._began = clock()
        self._check_at, self._check_bytes = 0.0, 0.0  # the time, or bytes of audio to come, to check limits at
        self._last_audio_at = self._began - _JITTER_ALLOWANCE  # so no limit is extended before audio comes
        self._as_it_comes = False  # whether nothing is to be done with received audio but to keep it

    @property
    def progress(self) -> Progress:
        """The state of the recording, while it is in progress."""
        file = self._file.path if self._file is not None else self.path
        seconds = (self._samples + self._unwritten_bytes // SAMPLE_BYTES) / SAMPLE_RATE
        return Progress(str(file), round(seconds, 1), self._paused, self._error)

    @property
    def over(self) -> bool:
        """Whether the recording has ended, and its result was told."""
        return self._stopped and self._reported

    # -- called by the stream ------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Process an event: audio is recorded, and is searched for speech if the recording ends at silence."""
        if not isinstance(event, Audio) or self._stopped:
            return
        if self.detector is not None and event.feed_to(self.detector, self._dtmf_active()):
            self._last_voice_at = self._clock()
        self.push_pcm(event.pcm)
        if self._max_silence is not None and self._last_audio_at - self._last_voice_at >= self._max_silence:
            self.stop(StopReason.SILENCE)

    def push_pcm(self, pcm: bytes) -> None:
        """Record received audio."""
        if self._as_it_comes:
            self._frames.append(pcm)
        elif not self._stopped:
            self._push_checked(pcm)

    def _push_checked(self, pcm: bytes) -> None:
        self._last_audio_at = now = self._clock()
        if now < self._silent_until:
            pcm = bytes(len(pcm))
        if self._error:
            self._samples += len(pcm) // SAMPLE_BYTES
        elif self._tracks is not None:
            self._tracks.inbound.push(pcm, now - self._began)
        else:
            self._frames.append(pcm)
        self._check_bytes -= len(pcm)
        if now >= self._check_at or self._check_bytes <= 0:
            self._check_limits()

    def on_frame_sent(self, encoding: Encoding, item: bytes) -> None:
        """Process a frame that is sent to the peer."""
        if self._tracks is not None and not self._error and not self._stopped:
            pcm = SILENCE if self._paused else encoding.decode(item)
            self._tracks.outbound.push(pcm, self._elapsed)

    def on_frames_recalled(self, frames: int) -> None:
        """Remove the last frames that were sent, because the peer has dropped them unplayed."""
        if self._tracks is not None:
            self._tracks.outbound.retract(frames * FRAME_BYTES)

    def pause(self, paused: bool, silent_until: float) -> None:
        """Record silence from now on, or audio again: what was sent at once, what was received from a time on."""
        self._paused, self._silent_until = paused, silent_until
        self._plan_check()

    def stop(self, reason: StopReason) -> None:
        """End the recording. Only the first call has an effect."""
        if not self._stopped:
            self._reason, self._stopped, self._as_it_comes = reason, True, False
            self._disk.hurry()
            self._wake_up.set()

    # -- called by the handler's task ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Record until `stop` is called or a limit is reached, even where the disk fails meanwhile."""
        try:
            await self._disk.run_blocking(self._open)
            while not self._stopped and not self._error:
                await self._wait_until_due()
                if not self._stopped:  # `close` writes the rest
                    await self._disk.run_gathered(self._folder, self._append, self._take_unwritten(last=False))
        except OSError as error:
            self._fail(error_text(error))
        if self._error:
            await self._finish()
        while not self._stopped:
            await self._wait_until_due()

    async def close(self, reason: StopReason = StopReason.STREAM_ENDED) -> Recording:
        """Stop for `reason` unless stopped already, write the rest, close the file, and return the recording."""
        self.stop(reason)
        if not self._error:
            try:
                await self._disk.run_blocking(self._append, self._take_unwritten(last=True))
            except OSError as error:
                self._fail(error_text(error))
        await self._finish()
        self._report()
        return self._recording

    async def _finish(self) -> None:
        """Close the file, and report a failure of the recording or of closing the file."""
        try:
            await self._disk.run_blocking(self._close_file)
        except OSError as error:
            self._fail(error_text(error))
        if self._error:
            self._report()

    def _report(self) -> None:
        if not self._reported:
            self._reported = True
            self._on_result(self._recording)

    def _fail(self, why: str) -> None:
        """Stop writing because of a failure. Only the first failure is kept."""
        if not self._error:
            self._samples += self._unwritten_bytes // SAMPLE_BYTES
            self._error, self._tracks = why, None
            self._frames.clear()
            self._plan_check()

    @property
    def _recording(self) -> Recording:
        file = self._file
        return Recording(
            file=str(file.path if file else self.path),
            seconds=round(file.samples / SAMPLE_RATE, 3) if file else 0.0,
            reason=str(StopReason.ERROR if self._error else self._reason),
            error=self._error,
        )

    # -- run in a thread -----------------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._within is not None:
            ensure_within(self._within, self.path)
        self._file = WavFile(self.path, self._channels, self._modes)

    def _append(self, channels: list[bytes]) -> None:
        if self._file is None or not channels[0]:
            return
        self.levels = [pcm_dbfs(channel[-_LOOK_BYTES:]) for channel in channels]
        tracks = [from_bytes(channel) for channel in channels]
        if self._trim_silence and (end := max(map(end_of_sound, tracks))):
            self._loud_until = self._file.samples + end
        self._file.append(to_bytes(np.column_stack(tracks)) if len(tracks) > 1 else channels[0])

    def _close_file(self) -> None:
        if self._file is not None and not self._file_closed:
            self._file_closed = True
            self._file.close(self._loud_until + KEPT_SILENCE if self._trim_silence else None)

    # -- limits --------------------------------------------------------------------------------------------------

    @property
    def _elapsed(self) -> float:
        return self._clock() - self._began

    @property
    def _unwritten_bytes(self) -> int:
        """Bytes of received audio that are not written yet."""
        return sum(map(len, self._frames)) if self._tracks is None else len(self._tracks.inbound)

    async def _wait_until_due(self) -> None:
        due = min(
            self._deadline(self._began, self._max_duration), self._deadline(self._last_voice_at, self._max_silence)
        )
        now = self._clock()
        flush_at = (now + _FLUSH_INTERVAL + _TIMER_ROUNDING) // _FLUSH_GRID * _FLUSH_GRID
        timer = asyncio.get_running_loop().call_later(min(flush_at, due) - now, self._wake_up.set)
        try:
            await self._wake_up.wait()
        finally:
            timer.cancel()
        if not self._stopped:
            self._wake_up.clear()
            self._check_limits()

    def _deadline(self, since: float, limit: float | None) -> float:
        """The time, in seconds, at which a limit of `limit` seconds after `since` takes effect.

        Audio that came less than 1 s before postpones the deadline by up to 1 s: more audio may be on its way.
        """
        if limit is None:
            return math.inf
        over = since + limit
        return min(max(over, self._last_audio_at + _JITTER_ALLOWANCE), over + _JITTER_ALLOWANCE)

    def _check_limits(self) -> None:
        """Stop where the received audio, or the clock, has reached a limit."""
        samples, now = self._samples + self._unwritten_bytes // SAMPLE_BYTES, self._clock() + _TIMER_ROUNDING
        enough = self._max_samples is not None and samples >= self._max_samples
        if enough or now >= self._deadline(self._began, self._max_duration):
            self.stop(StopReason.MAX_DURATION)
        elif now >= self._deadline(self._last_voice_at, self._max_silence):
            self.stop(StopReason.SILENCE)
        self._plan_check()

    def _plan_check(self) -> None:
        """Note what received audio needs, and the time, or the bytes to come, until it may reach a limit."""
        limits = [self._began + self._max_duration] if self._max_duration is not None else []
        limits += [self._last_voice_at + self._max_silence] if self._max_silence is not None else []
        self._check_at = min(limits, default=math.inf) - _TIMER_ROUNDING
        self._check_bytes = math.inf
        if self._max_samples is not None:
            self._check_bytes = (self._max_samples - self._samples) * SAMPLE_BYTES - self._unwritten_bytes
        more = self._stopped or self._error or self._tracks is not None or limits
        self._as_it_comes = not more and self._clock() >= self._silent_until

    def _take_unwritten(self, last: bool) -> list[bytes]:
        """Remove and return the PCM that is to be written now: one channel, or two of the same length."""
        limit = (self._max_samples - self._samples) * SAMPLE_BYTES if self._max_samples is not None else None
        if self._tracks is None:
            channels = [b"".join(self._frames)[:limit]]
            self._frames.clear()
        else:
            channels = list(self._tracks.read(self._elapsed, last, limit))
        self._samples += len(channels[0]) // SAMPLE_BYTES
        self._plan_check()
        return channels
