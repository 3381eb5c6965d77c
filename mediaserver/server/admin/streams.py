"""The admin port's requests about streams: to list, dial and end them, their DTMF keys, variables, labels."""

import asyncio
import bisect
import json
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from mediaserver.call import CloseCode, End, EndReason
from mediaserver.call.problems import find_problems
from mediaserver.client.attach import Attacher, AttachRequest
from mediaserver.config.listener_settings import Scope
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.runtime.engine import Engine
from mediaserver.runtime.registry import describe_stream
from mediaserver.server.admin.control.bodies import LabelRequest
from mediaserver.server.admin.control.lookup import StreamLookup
from mediaserver.server.admin.schemas.answers import Identified, LiveStream, Streams, Variables
from mediaserver.server.admin.schemas.openapi import Operation
from mediaserver.server.admin.schemas.requests import (
    PressedKeys,
    VariablesRequest,
    parse_body,
    parse_limit,
    parse_number,
)

_DESCRIBED_AT_ONCE = 10  # number of streams described in one turn of the event loop, which takes some 0.2 ms


class StreamRequests:
    """Handles requests about streams. `find` returns the stream that a request names.

    `why_closed` returns why the server takes no calls; "" while it does.
    """

    def __init__(
        self, engine: Engine, find: StreamLookup, attacher: Attacher, why_closed: Callable[[], str]
    ) -> None:
        self._engine, self._find = engine, find
        self._attacher, self._why_closed = attacher, why_closed

    @property
    def operations(self) -> Sequence[Operation]:
        """The operations of the admin port that this object handles."""
        one, read, control = "/v1/streams/{id}", Scope.READ, Scope.CONTROL
        return [
            Operation("POST", "/v1/attach", control, self.attach, AttachRequest, answers={202: Identified}),
            Operation(
                "GET",
                "/v1/streams",
                read,
                self.list_streams,
                query=("path", "call", "label", "limit", "after"),
                answers={200: Streams},
            ),
            Operation("GET", one, read, self.describe, answers={200: LiveStream}),
            Operation("DELETE", one, control, self.hang_up),
            Operation("POST", f"{one}/digits", control, self.press_keys, PressedKeys),
            Operation(
                "PATCH",
                f"{one}/variables",
                control,
                self.set_variables,
                VariablesRequest,
                answers={200: Variables},
            ),
            Operation("PUT", f"{one}/label", control, self.set_label, LabelRequest),
        ]

    async def attach(self, request: web.Request) -> web.Response:
        """Dial a call or conference of VoIPBIN, and answer with the stream's id."""
        if reason := self._why_closed():
            raise RefusedError(RefusalReason.NO_CALLS, reason)
        attachment = await self._attacher.prepare(await parse_body(request, AttachRequest))
        self._attacher.start(attachment)
        stream = attachment.session.stream.id
        return web.json_response({"id": stream}, status=202, headers={"Location": f"/v1/streams/{stream}"})

    async def list_streams(self, request: web.Request) -> web.Response:
        """List the streams in progress, the oldest first, a page at a time: all, or those of a path, a call
        or a label.
        """
        query = request.query
        limit, after = parse_limit(query), parse_number(query, "after")
        path, call, label = query.get("path"), query.get("call"), query.get("label")
        streams = self._engine.streams
        found = [
            session
            for session in (streams if call is None else streams.of_call(call))
            if path in (None, session.stream.route, session.stream.path) and label in (None, session.stream.label)
        ]
        # The stream with the number `after` may have ended.
        begin = bisect.bisect_right(found, after, key=streams.number_of)
        page, more = found[begin : begin + limit], len(found) > begin + limit
        rest = {"total": len(found)} | ({"next": str(streams.number_of(page[-1]))} if more else {})
        texts = list[str]()
        for at in range(0, len(page), _DESCRIBED_AT_ONCE):
            part = page[at : at + _DESCRIBED_AT_ONCE]
            texts.append(json.dumps([describe_stream(session) for session in part])[1:-1])
            await asyncio.sleep(0)  # lets frames be sent: describing a thousand streams takes 20 ms
        body = f'{{"streams": [{", ".join(texts)}], {json.dumps(rest)[1:]}'
        return web.Response(text=body, content_type="application/json")

    async def describe(self, request: web.Request) -> web.Response:
        """Describe one stream in progress: its variables, what plays and how, its recordings, who listens,
        and what is bad about it."""
        session = self._find(request)
        operator = session.operator
        facts: dict[str, Any] = {"playing": operator.playing, "listeners": len(operator.listeners)}
        facts["played"] = [sound._asdict() for sound in operator.played]
        facts["recordings"] = operator.recordings.in_progress
        facts["variables"] = dict(session.stream.variables)
        facts |= operator.history
        found = find_problems({**session.summary(), **facts}, session.failures)
        facts["problems"] = [problem._asdict() for problem in found]
        return web.json_response({**describe_stream(session), **facts})

    async def hang_up(self, request: web.Request) -> web.Response:
        """End a stream."""
        self._find(request).finish(End(EndReason.HUNG_UP, CloseCode.NORMAL))
        return web.Response(status=204)

    async def press_keys(self, request: web.Request) -> web.Response:
        """Act as if the caller had pressed DTMF keys, such as those that VoIPBIN's `digits_receive` gathers."""
        pressed = await parse_body(request, PressedKeys)
        self._find(request).push_digits(pressed.digits)
        return web.Response(status=204)

    async def set_variables(self, request: web.Request) -> web.Response:
        """Set or remove variables of a stream. Its later events have the new values."""
        asked = await parse_body(request, VariablesRequest)
        return web.json_response({"variables": self._find(request).operator.set_variables(asked.variables)})

    async def set_label(self, request: web.Request) -> web.Response:
        """Set or remove the label of a stream, by which requests may name it. Several streams may share one."""
        asked = await parse_body(request, LabelRequest)
        self._find(request).operator.update_stream(label=asked.label or "")
        return web.Response(status=204)
