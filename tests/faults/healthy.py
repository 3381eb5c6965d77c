"""Fifty healthy calls that go on beside a fault, and the verdict on what they heard: every byte, and every moment.

Cheap ones, for what they cost is lateness of their own: a protocol that takes frames off, no WebSocket library.
Some talk, and hear themselves, and answer pings; those that only listen do not, and are to be let be.
"""

import asyncio
import contextlib
import functools
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.server.process import ServerProcess, upgrade_request
from tests.sound import speechlike
from tests.timing import UNIT, WITNESS, eventually, waited

LISTENING, TALKING = 40, 10
PTIME = 0.02
MAX_LATE = 3 * PTIME * UNIT
DELAY = 0.5  # seconds, of the echo: a machine that is later has silence in it
PROMPT = speechlike(160 * 50)
_PCM = PROMPT.astype("<i2").tobytes()
FRAMES = [_PCM[at : at + 320] for at in range(0, len(_PCM), 320)]

PATHS = """
[paths."/prompt"]
handler = "playback"
prompt = "prompt"
repeat = "forever"
framing = "pcm"
[paths."/echo"]
handler = "echo:Echo"
encapsulation = "sln"
"""

# Unlike ours, it drops nothing that a late machine sends at once, so that every frame must come back.
ECHO = f"""
from mediaserver.handlers import Handler
from mediaserver.playout.sources.live import LiveSource

class Echo(Handler):
    async def run(self, call):
        live = LiveSource(delay_ms={DELAY * 1000:.0f}, slack_ms=600_000)
        with call.listen_pcm(live.push_audio):
            await call.play(live)
"""

_HEAD = b"\x82\x7e\x01\x40"  # of a message of 320 bytes; from a client it is masked, here with zeros
_SAID = [b"\x82\xfe\x01\x40" + bytes(4) + frame for frame in FRAMES]
_PING, _PONG = b"\x89\x00", b"\x8a\x80" + bytes(4)


@dataclass(frozen=True)
class Verdict:
    """What all calls together heard."""

    frames: int
    worst: float  # seconds by which the latest frame was late
    own_lag: float  # and this process itself, which is no fault of the server's


class Call(asyncio.Protocol):
    """One call; `talks` says whether it hears itself or the prompt."""

    def __init__(self, *, talks: bool) -> None:
        self.talks = talks
        self.frames: list[bytes] = []
        self.times: list[float] = []
        self.said = 0
        self.upgraded = asyncio.get_running_loop().create_future()
        self.over = False
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(upgrade_request("/echo" if self.talks else "/prompt"))

    def data_received(self, data: bytes) -> None:
        now, buffer = time.monotonic(), self._buffer + data
        if not self.upgraded.done():
            reply, end, buffer = buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = reply
                return
            self.upgraded.set_result(reply.split()[1])
        at = 0
        while at + 2 <= len(buffer):
            if buffer.startswith(_PING, at):
                at += len(_PING)
                if self.talks:
                    self.transport.write(_PONG)
            elif at + 324 <= len(buffer):
                assert buffer.startswith(_HEAD, at), f"no frame: {buffer[at : at + 20]!r}"
                self.frames.append(buffer[at + 4 : at + 324])
                self.times.append(now)
                at += 324
            else:
                break
        self._buffer = buffer[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        if not self.upgraded.done():
            self.upgraded.set_exception(exc or ConnectionError("closed before the upgrade"))

    @property
    def heard_anything(self) -> bool:
        """Whether its sound has come: what it says comes back later."""
        return any(map(any, self.frames))

    def say(self) -> None:
        """The next 20 ms."""
        if not self.over:
            self.transport.write(_SAID[self.said % len(_SAID)])
            self.said += 1

    def judge(self, lag: float) -> float:
        """Fail where a frame is missing or wrong; the worst lateness in seconds. The machine was late by `lag`."""
        heard = self.frames
        if self.talks:
            heard = heard[next(n for n, frame in enumerate(heard) if any(frame)) :]
            assert len(heard) > self.said - 50 * (UNIT + lag), f"{len(heard)} of {self.said} came back"
            if lag > DELAY - PTIME:
                heard = list(filter(any, heard))
        for n, frame in enumerate(heard):
            assert frame == FRAMES[n % len(FRAMES)], (
                f"the frame {n} of {len(heard)} is another, talks={self.talks}"
            )
        return self.lateness()

    def lateness(self) -> float:
        """Seconds by which the latest frame came after its time, beside the earliest."""
        due = [at - n * PTIME for n, at in enumerate(self.times)]
        return max(due) - min(due)


class Calls:
    """The calls while they last, and before: the first of them hear frames while the last are still dialled."""

    def __init__(self, server: int) -> None:
        self.made: list[Call] = []
        self._server, self._waited = server, waited(server)
        self._own_lag = 0.0  # seconds by which this process was late itself, at the worst

    async def talk(self) -> None:
        """Say a frame every 20 ms, all those that talk, from their upgrade on."""
        begun, said = time.monotonic(), 0
        while True:
            for call in self.made:
                if call.talks and call.upgraded.done():
                    call.say()
            said += 1
            await asyncio.sleep(begun + said * PTIME - time.monotonic())
            self._own_lag = max(self._own_lag, time.monotonic() - begun - said * PTIME)

    def judge(self) -> Verdict:
        """Hold what was heard against what should have been."""
        now = time.monotonic()
        # The server as well is late while others have the cores, and the longer the more it has to do.
        lag = self._own_lag + WITNESS.worst + max(0.0, waited(self._server) - self._waited)
        worst = max(call.judge(lag) for call in self.made)
        allowed = MAX_LATE + lag
        assert worst <= allowed, f"a frame was {1000 * worst:.0f} ms late, we all {1000 * lag:.0f} ms"
        for call in self.made:
            assert not call.over, "a healthy call was ended"
            assert now - call.times[-1] < allowed + PTIME, "a healthy call went quiet"
        return Verdict(sum(len(call.frames) for call in self.made), worst, self._own_lag)


@contextlib.asynccontextmanager
async def calls(server: ServerProcess, tls: ssl.SSLContext | None = None) -> AsyncIterator[Calls]:
    """Fifty of them, in full swing."""
    loop = asyncio.get_running_loop()
    both = Calls(server.process.pid)
    talking = asyncio.create_task(both.talk())
    try:
        for n in range(LISTENING + TALKING):
            talks = n >= LISTENING
            _, call = await loop.create_connection(
                functools.partial(Call, talks=talks), "127.0.0.1", server.port, ssl=tls
            )
            both.made.append(call)
        assert Counter([await call.upgraded for call in both.made]) == {b"101": LISTENING + TALKING}
        await eventually(lambda: all(call.heard_anything for call in both.made))
        yield both
    finally:
        talking.cancel()
        for call in both.made:
            call.transport.abort()
