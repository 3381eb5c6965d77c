"""Recordings of one call that operators have begun, beside those of the call's handler, and a list of all."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from mediaserver.call.call import Call
from mediaserver.call.recording.recordings import Recordings
from mediaserver.call.recording.states import Progress, Recording
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.support.cancellation import uninterrupted

MAX_RECORDINGS = 5  # the most recordings that operators may make of one call at the same time


class _Started(NamedTuple):
    path: Path
    task: "asyncio.Task[Recording]"


class OperatorRecordings:
    """The recordings of one call that operators' requests have begun. They emit the same events as others."""

    def __init__(self, call: Call, recordings: Recordings) -> None:
        self._call, self._recordings = call, recordings
        self._started: dict[str, _Started] = {}

    @property
    def in_progress(self) -> Sequence[Mapping[str, Any]]:
        """All recordings of the call, for JSON: first its handler's, whose `id` is None, then the operators'."""
        ids = {started.path: recording for recording, started in self._started.items()}
        own, begun = list[Progress](), {path: self._not_begun(path) for path in ids}
        for path, progress in self._recordings.in_progress:
            if path in begun:
                begun[path] = progress
            else:
                own.append(progress)
        listed = [(None, progress) for progress in own], [(ids[path], begun[path]) for path in ids]
        return [{"id": recording, **asdict(progress)} for recording, progress in chain(*listed)]

    def _not_begun(self, path: Path) -> Progress:
        """The state of a recording whose task has not run yet."""
        return Progress(str(path), 0.0, self._recordings.paused)

    def start(
        self, folder: Path, name: str, *, seconds: float | None = None, stereo: bool = False
    ) -> tuple[str, Path]:
        """Record the call into a file in a folder, until `stop` is called, `seconds` are over or the stream ends.

        The file's name is `name`, a `-`, the recording's id, and `.wav`. Returns the id and the file's path.
        RefusedError 429 where there are too many recordings already.
        """
        if len(self._started) >= MAX_RECORDINGS:
            raise RefusedError(
                RefusalReason.STREAM_BUSY, f"there are {MAX_RECORDINGS} recordings of this stream already"
            )
        recording = secrets.token_hex(4)
        path = folder / f"{name}-{recording}.wav"

        def forget(_: object) -> None:
            self._started.pop(recording, None)
            self._call.stop_recording(path)  # a failed recording would go on to its limit, without a file

        work = self._call.record(path, within=folder, stereo=stereo, max_duration=seconds, on_result=forget)
        task = asyncio.get_running_loop().create_task(work)
        self._started[recording] = _Started(path, task)
        task.add_done_callback(forget)  # a recording that is cancelled before it begins has no result
        return recording, path

    def stop(self, recording: str) -> None:
        """End a recording. RefusedError 404 where the recording is over, or never existed."""
        started = self._started.get(recording)
        if started is None:
            raise RefusedError(RefusalReason.UNKNOWN_RECORDING, f"no recording {recording} on this stream")
        if not self._call.stop_recording(started.path):  # the recording has not begun yet
            started.task.cancel()

    async def close(self) -> None:
        """End all recordings, because the stream ends, and finish their files."""
        tasks = [started.task for started in self._started.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await uninterrupted(asyncio.wait(tasks))
