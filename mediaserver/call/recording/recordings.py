"""The recordings of one call that are in progress, which are paused together, and how their ends are reported."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from mediaserver.call.inbound.receiver import Receiver
from mediaserver.call.recording.recorder import Recorder
from mediaserver.call.recording.states import Progress, Recording, StopReason
from mediaserver.events.kinds import EventKind
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.support.cancellation import uninterrupted

# Seconds for which a caller's words may be on the way: 150 ms of network (ITU-T G.114, for a good connection), and
# what the server itself adds: a frame, a poll of the connection, packets that wait for a late one.
IN_TRANSIT = 0.25

log = structlog.get_logger()


class Recordings:
    """The recorders of one call that are recording, paused or not, or whose files are being finished."""

    __slots__ = ("_recorders", "_silent_until", "paused")

    def __init__(self) -> None:
        self._recorders: dict[Recorder, None] = {}  # in the order of their beginnings
        self.paused = False  # whether all recordings are paused, also those that begin later
        self._silent_until = -math.inf  # the time until which received audio is not recorded; inf while paused

    @property
    def in_progress(self) -> Sequence[tuple[Path, Progress]]:
        """The state of each recording, with the path that was asked for."""
        return [(recorder.path, recorder.progress) for recorder in self._recorders if not recorder.over]

    def take_levels(self) -> Sequence[float]:
        """The levels in dBFS of what was written since this was last asked for: the caller, and in stereo us too.

        They are empty where nothing was written, nothing is recorded, or recordings are paused.
        """
        found: Sequence[float] = ()
        if not self._recorders:
            return found
        for recorder in self._recorders:
            levels, recorder.levels = recorder.levels, []
            found = max(found, levels, key=len)
        return () if self.paused else found

    @contextlib.contextmanager
    def recording(self, recorder: Recorder, receiver: Receiver, pacer: Pacer) -> Iterator[None]:
        """Within a `with` block, feed a recorder, and pause and resume it together with the call's others.

        It gets the audio of `receiver`, even while the caller is muted, and in stereo what `pacer` sends.
        `finish` must be called afterwards.
        """
        recorder.pause(self.paused, self._silent_until)
        self._recorders[recorder] = None
        listening = (
            receiver.listen(recorder.on_event, recorder.detector, despite_mute=True)
            if recorder.detector is not None
            else receiver.listen_pcm(recorder.push_pcm, despite_mute=True)
        )
        observing = (
            pacer.observe(recorder.on_frame_sent, recorder.on_frames_recalled)
            if recorder.stereo
            else contextlib.nullcontext()
        )
        with listening, observing:
            yield

    async def finish(self, recorder: Recorder, reason: StopReason) -> Recording:
        """Finish the file of a recorder, which ends for `reason` unless it has ended, and return the recording."""
        try:
            return await uninterrupted(recorder.close(reason))
        finally:
            self._recorders.pop(recorder, None)

    def pause(self, paused: bool, now: float) -> bool:
        """Pause or resume all recorders of the call; return False if they were in that state already.

        All audio received so far must have been delivered. Audio that is received until shortly after a pause may
        have been said within it, and is not recorded either.
        """
        if paused == self.paused:
            return False
        self.paused, self._silent_until = paused, math.inf if paused else now + IN_TRANSIT
        for recorder in self._recorders:
            recorder.pause(paused, self._silent_until)
        return True

    def stop(self, path: Path) -> bool:
        """End the recordings that were to be made at a path; returns whether there are any."""
        found = [recorder for recorder in self._recorders if recorder.path == path]
        for recorder in found:
            recorder.stop(StopReason.REQUESTED)
        return bool(found)


def report(
    recording: Recording,
    notify: Callable[[str, Mapping[str, Any]], None],
    stream_id: str,
    on_result: Callable[[Recording], None],
) -> None:
    """Emit an event, by `notify`, about a recording that is over or has failed, log it, and call `on_result`."""
    facts = recording.as_dict()
    notify(EventKind.RECORDING_FAILED if recording.error else EventKind.RECORDING_DONE, facts)
    log_line = log.error if recording.error else log.info
    log_line("recording failed" if recording.error else "recording done", stream=stream_id, **facts)
    on_result(recording)
