"""The admin port's request to continue a live stream on another path."""

from collections.abc import Sequence

from aiohttp import web

from mediaserver.config.listener_settings import Scope
from mediaserver.runtime.engine import Engine
from mediaserver.runtime.switching import switch_stream
from mediaserver.server.admin.authorization import GRANT
from mediaserver.server.admin.control.bodies import SwitchRequest
from mediaserver.server.admin.control.lookup import StreamLookup
from mediaserver.server.admin.schemas.answers import Switched
from mediaserver.server.admin.schemas.openapi import Operation
from mediaserver.server.admin.schemas.requests import parse_body


class SwitchRequests:
    """Handles requests to continue a stream on another path. `find` returns the stream that a request names."""

    def __init__(self, engine: Engine, find: StreamLookup) -> None:
        self._engine, self._find = engine, find

    @property
    def operations(self) -> Sequence[Operation]:
        """The operations of the admin port that this object handles."""
        return [
            Operation(
                "POST",
                "/v1/streams/{id}/switch",
                Scope.CONTROL,
                self.switch,
                SwitchRequest,
                answers={202: Switched},
            )
        ]

    async def switch(self, request: web.Request) -> web.Response:
        """Switch a stream to another path: that path's handler takes over, on the same connection."""
        asked = await parse_body(request, SwitchRequest)
        path = switch_stream(self._engine, self._find(request), asked.path, request[GRANT].caller)
        return web.json_response({"path": path}, status=202)
