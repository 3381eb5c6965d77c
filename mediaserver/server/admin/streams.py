"""The admin port's requests about streams: to list, dial and end them, to play on them, to send them keys."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.client.attach import Attacher, AttachRequest
from mediaserver.errors import PromptError, RefusalReason, RefusedError
from mediaserver.handlers.common.spoken_prompt import SpokenPromptSettings
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.runtime.engine import Engine
from mediaserver.runtime.registry import describe_stream
from mediaserver.server.admin.authorization import GRANT
from mediaserver.server.admin.requests import (
    BackgroundRequest,
    PlayRequest,
    PressedKeys,
    RecordingRequest,
    VariablesRequest,
    parse_body,
    parse_limit,
)
from mediaserver.wire.encapsulation import Encapsulation

_DESCRIBED_AT_ONCE = 10  # streams that are described in one turn of the event loop, which takes some 0.2 ms


class StreamRequests:
    """Handles requests about streams. `why_closed` returns why the server takes no calls; "" while it does."""

    def __init__(self, engine: Engine, attacher: Attacher, why_closed: Callable[[], str]) -> None:
        self._engine, self._attacher, self._why_closed = engine, attacher, why_closed

    async def attach(self, request: web.Request) -> web.Response:
        """Dial a call or conference of VoIPBIN, and answer with the stream's id."""
        if reason := self._why_closed():
            raise RefusedError(RefusalReason.NO_CALLS, reason)
        attachment = await self._attacher.prepare(await parse_body(request, AttachRequest))
        self._attacher.start(attachment)
        stream = attachment.session.stream.id
        return web.json_response({"id": stream}, status=202, headers={"Location": f"/v1/streams/{stream}"})

    async def list_streams(self, request: web.Request) -> web.Response:
        """Describe the streams in progress, the oldest first, a page at a time, all or those of a path or call."""
        query = request.query
        limit, after = parse_limit(query), query.get("after", "")
        path, call = query.get("path"), query.get("call")
        streams = self._engine.streams
        found = [
            session
            for session in (streams if call is None else streams.of_call(call))
            if path in (None, session.stream.route, session.stream.path)
        ]
        if after:
            ids = [session.stream.id for session in found]
            if after not in ids:
                raise RefusedError(RefusalReason.UNKNOWN_STREAM, f"after: no stream {after}")
            page = found[ids.index(after) + 1 :][:limit]
        else:
            page = found[:limit]
        rest = {"total": len(found)} | ({"next": page[-1].stream.id} if page and page[-1] is not found[-1] else {})
        texts = list[str]()
        for at in range(0, len(page), _DESCRIBED_AT_ONCE):
            part = page[at : at + _DESCRIBED_AT_ONCE]
            texts.append(json.dumps([describe_stream(session) for session in part])[1:-1])
            await asyncio.sleep(0)  # frames are sent meanwhile: a thousand streams take 20 ms
        body = f'{{"streams": [{", ".join(texts)}], {json.dumps(rest)[1:]}'
        return web.Response(text=body, content_type="application/json")

    async def describe(self, request: web.Request) -> web.Response:
        """Describe one stream in progress: its variables, what plays, how many listen, its RTP packets."""
        session = self.session_of(request)
        operator, call = session.operator, session.call
        facts: dict[str, Any] = {"playing": operator.playing, "listeners": len(operator.listeners)}
        facts["variables"] = dict(session.stream.variables)
        if session.receiver.wire.settings.encapsulation == Encapsulation.RTP:
            facts |= {"jitter_ms": round(call.jitter_ms, 1), "lost_packets": call.packets.lost}
        return web.json_response({**describe_stream(session), **facts})

    async def hang_up(self, request: web.Request) -> web.Response:
        """End a stream."""
        self.session_of(request).finish(End(EndReason.HUNG_UP, CloseCode.NORMAL))
        return web.Response(status=204)

    async def press_keys(self, request: web.Request) -> web.Response:
        """Feed a stream's keypad with keys that did not come as audio, but, for example, by a flow's
        `digits_receive`.
        """
        session = self.session_of(request)
        pressed = await parse_body(request, PressedKeys)
        session.push_digits(pressed.digits)
        return web.Response(status=204)

    async def play(self, request: web.Request) -> web.Response:
        """Play prompts and spoken texts on a stream, and answer with the playback's id."""
        session = self.session_of(request)
        asked = await parse_body(request, PlayRequest)
        try:
            segments = SpokenPromptSettings().render(asked.play, session.call)
        except PromptError as error:
            raise RefusedError(RefusalReason.UNKNOWN_PROMPT, str(error)) from error
        except ValueError as error:
            raise RefusedError(RefusalReason.BAD_TEXT, str(error)) from error
        sound = Playlist(Repeated(segments, asked.repeat))
        playback = session.operator.play(sound, interrupt=asked.interrupt)
        return web.json_response({"id": playback}, status=202)

    async def stop(self, request: web.Request) -> web.Response:
        """Stop a sound that a request has played."""
        self.session_of(request).operator.stop(request.match_info["playback"])
        return web.Response(status=204)

    async def clear(self, request: web.Request) -> web.Response:
        """Stop all that plays and waits on a stream, also what its handler plays."""
        self.session_of(request).operator.clear()
        return web.Response(status=204)

    async def pause_recording(self, request: web.Request) -> web.Response:
        """Pause or resume all recordings of a stream."""
        session = self.session_of(request)
        asked = await parse_body(request, RecordingRequest)
        session.call.pause_recording(asked.paused, by=request[GRANT].caller)
        return web.Response(status=204)

    async def set_background(self, request: web.Request) -> web.Response:
        """Repeat a prompt under all that is played on a stream, or end that."""
        session = self.session_of(request)
        asked = await parse_body(request, BackgroundRequest)
        try:
            session.call.set_background(asked.prompt, asked.level, asked.ducking)
        except PromptError as error:
            raise RefusedError(RefusalReason.UNKNOWN_PROMPT, str(error)) from error
        return web.Response(status=204)

    async def set_variables(self, request: web.Request) -> web.Response:
        """Set or remove variables of a stream, which its events have from now on."""
        session = self.session_of(request)
        asked = await parse_body(request, VariablesRequest)
        return web.json_response({"variables": session.operator.set_variables(asked.variables)})

    def session_of(self, request: web.Request) -> Session:
        """The stream that a request names, by our id, or by the platform's id of its call.

        RefusedError: 404 where there is none, 409 where a call has several streams.
        """
        name = request.match_info["id"]
        session = self._engine.streams.get(name)
        if session is not None:
            return session
        found = self._engine.streams.of_call(name)
        if not found:
            raise RefusedError(RefusalReason.UNKNOWN_STREAM, f"no stream {name}")
        if len(found) > 1:
            ids = ", ".join(each.stream.id for each in found)
            raise RefusedError(RefusalReason.AMBIGUOUS, f"the call {name} has several streams: name one of {ids}")
        return found[0]
