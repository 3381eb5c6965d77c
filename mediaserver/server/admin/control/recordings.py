"""The admin port's requests about recordings of a live stream: to begin, end and pause them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from aiohttp import web

from mediaserver.config.listener_settings import AdminSettings, Scope
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.handlers.common import files
from mediaserver.server.admin.authorization import GRANT
from mediaserver.server.admin.control.bodies import RecordRequest
from mediaserver.server.admin.control.lookup import StreamLookup
from mediaserver.server.admin.schemas.answers import RecordingBegun
from mediaserver.server.admin.schemas.openapi import Operation
from mediaserver.server.admin.schemas.requests import RecordingRequest, parse_body

_NAME = "{resource}-{id}-{time}"  # template for the beginning of a file's name, as in the handler `record`


class RecordingRequests:
    """Handles requests about recordings. `find` returns the stream that a request names."""

    def __init__(self, find: StreamLookup, settings: Callable[[], AdminSettings]) -> None:
        self._find, self._settings = find, settings

    @property
    def operations(self) -> Sequence[Operation]:
        """The operations of the admin port that this object handles."""
        path, control = "/v1/streams/{id}/recording", Scope.CONTROL
        return [
            Operation("POST", path, control, self.start, RecordRequest, answers={202: RecordingBegun}),
            Operation("PUT", path, control, self.pause, RecordingRequest),
            Operation("DELETE", f"{path}/{{recording}}", control, self.stop),
        ]

    async def start(self, request: web.Request) -> web.Response:
        """Record a stream into a file in `admin.recordings`, and return its name and the recording's id."""
        asked = await parse_body(request, RecordRequest)
        session, folder = self._find(request), self._settings().recordings
        if not folder:
            raise RefusedError(
                RefusalReason.RECORDINGS_OFF, "recordings by request are off: set admin.recordings to a folder"
            )
        name = files.expand_template(Path(), _NAME, session.stream).name
        recording, file = session.operator.recordings.start(
            Path(folder), name, seconds=asked.seconds, stereo=asked.stereo
        )
        return web.json_response({"id": recording, "file": str(file)}, status=202)

    async def pause(self, request: web.Request) -> web.Response:
        """Pause or resume all recordings of a stream."""
        asked = await parse_body(request, RecordingRequest)
        self._find(request).call.pause_recording(asked.paused, by=request[GRANT].caller)
        return web.Response(status=204)

    async def stop(self, request: web.Request) -> web.Response:
        """End a recording that a request began."""
        self._find(request).operator.recordings.stop(request.match_info["recording"])
        return web.Response(status=204)
