"""The twin's calls, conferences and HTTP side: who may have which media stream."""

import asyncio
import random
import uuid
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple, Self

from aiohttp import web

from tests.timing import UNIT
from tests.twin import formats
from tests.twin.far_end import Utterance, utterance
from tests.twin.faults import Faults
from tests.twin.stream import TwinStream
from tests.twin.tap import ClientFrames, Tap


class Asked(NamedTuple):
    """A request for a media stream, and what became of it (101: the upgrade)."""

    path: str
    encapsulation: str | None
    status: int
    at: float  # monotonic


@dataclass(eq=False)
class Resource:
    """A call or a conference, with its options, and the streams that are on it now."""

    id: str
    state: str = "progressing"
    quiet: bool = False  # sends nothing while nobody speaks
    uuid_first: bool = False  # passes Asterisk's first message on
    mulaw: bool = False  # sends µ-law and calls it sln
    tutorial_rtp: bool = False  # PT 0, µ-law, as the tutorial has it
    faults: Faults = field(default_factory=Faults)
    streams: list[TwinStream] = field(default_factory=list)
    connected: asyncio.Event = field(default_factory=asyncio.Event)  # set while a stream is on

    def __post_init__(self) -> None:
        self._arrivals: asyncio.Queue[TwinStream] = asyncio.Queue()
        self._dice: random.Random | None = None

    def answer(self) -> None:
        """From now on there is media."""
        self.state = "progressing"

    def hang_up(self) -> None:
        """It ends, and its streams with it."""
        self.state = "hangup"
        for stream in self.streams:
            stream.finish("the call ended", self.faults.close_code)

    async def stream(self) -> TwinStream:
        """The next media stream, as soon as there is one."""
        return await asyncio.wait_for(self._arrivals.get(), 10 * UNIT)

    def format(self, encapsulation: str) -> formats.Format:
        match encapsulation:
            case "rtp":
                return formats.Rtp(self.tutorial_rtp)
            case "sln":
                return formats.Sln(self.mulaw)
        return formats.AudioSocket()

    async def attach(self, stream: TwinStream, encapsulation: str) -> None:
        """One stream, to its end."""
        if self._dice is None:
            self._dice = random.Random(self.faults.seed)
        if self.faults.drop_upgrades:
            self.faults.drop_upgrades -= 1
            stream.cut("dropped at once")
        elif encapsulation == "audiosocket" and self.uuid_first:
            await stream.inject(formats.uuid_message(uuid.UUID(self.id)))
        self.streams.append(stream)
        self.connected.set()
        self._arrivals.put_nowait(stream)
        try:
            await stream.run(self._dice)
        finally:
            self.streams.remove(stream)
            if not self.streams:
                self.connected.clear()


@dataclass(eq=False)
class Call(Resource):
    """A call with one far end."""


@dataclass(eq=False)
class Participant:
    """One of a conference. What it says is heard on the streams that are on by then."""

    conference: "Conference"

    def say(self, pcm: bytes) -> list[Utterance]:
        """Speak, behind what it is saying; one utterance per stream."""
        said = []
        for stream in self.conference.streams:
            said.append(utterance(pcm))
            stream.far_end.add(self, said[-1])
        return said


@dataclass(eq=False)
class Conference(Resource):
    """Participants, all of whom every stream hears."""

    participants: list[Participant] = field(default_factory=list)


class Twin:
    """The server, on a free port of 127.0.0.1: `async with Twin(token="secret") as twin`."""

    def __init__(self, token: str = "secret") -> None:
        self.api = ""
        self.token = token
        self.requests: list[Asked] = []
        self._forbidden: set[str] = set()
        self._resources: dict[tuple[str, str], Resource] = {}
        self._streams: set[TwinStream] = set()
        app = web.Application()
        app.router.add_get("/v1.0/{kind:calls|conferences}/{id}/media_stream", self._media_stream)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2 * UNIT)
        self._taps: set[Tap] = set()

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(self._connection, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.api = f"http://127.0.0.1:{port}/v1.0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for stream in self._streams:
            stream.cut("the twin shut down")
        await self._runner.cleanup()
        await self._server.wait_closed()

    def call(self, id: str | None = None, answered: bool = True, **options: bool) -> Call:  # noqa: A002
        """A call, answered or still ringing; the options are `Resource`'s."""
        call = Call(id or str(uuid.uuid4()), "progressing" if answered else "ringing", **options)
        self._resources["calls", call.id] = call
        return call

    def conference(self, id: str | None = None, participants: int = 2, **options: bool) -> Conference:  # noqa: A002
        """A conference of so many."""
        conference = Conference(id or str(uuid.uuid4()), **options)
        conference.participants = [Participant(conference) for _ in range(participants)]
        self._resources["conferences", conference.id] = conference
        return conference

    def forbid(self, token: str) -> None:
        """From now on this token is a valid one without permission for anything."""
        self._forbidden.add(token)

    def _connection(self) -> Tap:
        assert self._runner.server is not None
        tap = Tap(self._runner.server(), self._taps.discard)
        self._taps.add(tap)
        return tap

    async def _media_stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False, timeout=2 * UNIT)
        resource = self._resources.get((request.match_info["kind"], request.match_info["id"]))
        encapsulation = request.query.get("encapsulation")
        status = self._refusal(request, resource) or (101 if socket.can_prepare(request) else 400)
        self.requests.append(Asked(request.path, encapsulation, status, monotonic()))
        if status != 101:
            return web.Response(status=status, text=f"no media stream: {status}\n")
        await socket.prepare(request)
        assert resource is not None
        assert encapsulation is not None
        stream = TwinStream(resource, socket, request.transport, resource.format(encapsulation))
        for tap in self._taps:
            if tap.transport is request.transport:
                tap.frames = ClientFrames(stream.errors.append)
        self._streams.add(stream)
        try:
            await resource.attach(stream, encapsulation)
        finally:
            self._streams.remove(stream)
        return socket

    def _refusal(self, request: web.Request, resource: Resource | None) -> int | None:
        token = request.query.get("token")
        if token != self.token and token not in self._forbidden:
            return 401
        if resource is None:
            return 404
        if token in self._forbidden:
            return 403
        if resource.faults.refuse:
            return resource.faults.refuse.pop(0)
        if resource.state != "progressing":
            return 404
        if request.query.get("encapsulation") not in formats.ENCAPSULATIONS:
            return 400
        return None
