"""A twin of Asterisk's AudioSocket: it dials a TCP port, says which stream it is, and talks in messages.

What it sends, what ends it and how it ends was seen on a running Asterisk, unless a line says otherwise.
"""

import asyncio
import itertools
import time
import uuid as uuids
from typing import Self, cast

from tests.timing import UNIT
from tests.twin import audiosocket
from tests.twin.audiosocket import FatalError, HungUpError, UnusableError
from tests.twin.codecs import coded, encode, pcm_bytes
from tests.twin.far_end import Utterance
from tests.twin.party import Party
from tests.twin.schedule import Lead, Schedule

KINDS = {"slin": audiosocket.AUDIO, "ulaw": audiosocket.AUDIO, "slin16": audiosocket.AUDIO_16K}
PATIENCE = 0.005 * UNIT  # between a header and its payload: read; 20 ms were seen to be too long


class AsteriskAudioSocket(Party, asyncio.Protocol):
    """`async with AsteriskAudioSocket(port) as asterisk`: a call at the server until one of them ends it.

    A `ulaw` channel speaks µ-law and takes slin; `slin` is 320 bytes both ways, `slin16` 640 bytes of kind 0x12.
    A `quiet` one sends nothing while nobody speaks. Set amid a call, that is an externalMedia channel whose call
    is over. With the `dialplan` application the call is hung up after `silence_limit` seconds without sound in
    either direction; any other channel bears that.
    `ended` is why it is over, `reset` whether the server's close was a reset, which hangs up the caller's call.
    """

    def __init__(
        self,
        port: int,
        host: str = "127.0.0.1",
        format: str = "slin",  # noqa: A002 - Asterisk's name
        uuid: uuids.UUID | str | None = None,
        quiet: bool = False,
        dialplan: bool = False,
        silence_limit: float = 2.0,
    ) -> None:
        super().__init__(format)
        self.uuid = uuids.UUID(str(uuid)) if uuid else uuids.uuid4()
        self.quiet = quiet
        self.reset = False
        self._address = (host, port)
        self._format, self._kind = format, KINDS[format]
        self._heard_format = "slin16" if format == "slin16" else "slin"
        self._silence_limit = silence_limit * UNIT if dialplan else float("inf")
        self._sound_at = time.monotonic()  # of the last in either direction
        self._lead = Lead()
        self._buffer = bytearray()
        self._late: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._speaking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_connection(lambda: self, *self._address)
        self._speaking = asyncio.create_task(self._speak())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.vanish("the test is over")
        assert self._speaking is not None
        await self._speaking
        await self.over()

    # what a test does

    def press(self, digits: str) -> None:
        """Press keys: a message for each, at the key's end, and no tone in the audio."""
        for digit in digits:
            self._write(audiosocket.message(audiosocket.DTMF, digit.encode()))

    def hang_up(self, message: bool = True) -> None:
        """The call ends, and the connection is closed.

        Read: the protocol has a `message` for it, but some Asterisks only close.
        """
        if self.end("hung up here"):
            if message:
                self._write(audiosocket.HANGUP_MESSAGE)
            self._close()

    def vanish(self, why: str = "vanished") -> None:
        """The connection is gone, without a word. Guess: so it is if Asterisk dies."""
        self.end(why)
        if self._transport is not None:
            self._transport.abort()

    @property
    def most_ahead(self) -> int:
        """The most frames that the server was ahead of real time since the connection was made."""
        return self._lead.most

    # what the twin does

    async def _speak(self) -> None:
        schedule = Schedule()
        self._sound_at = self.started_at = schedule.started_at
        for n in itertools.count():
            await schedule.frame(n)
            if self.ended is not None:
                return
            while (burst := self.far_end.burst()) is not None:
                self._send(burst[0], [burst[1]])
            frame, said = self.far_end.frame()
            if frame is not None or not self.quiet:
                self._send(frame or bytes(self._frame_bytes), said)
            if time.monotonic() - self._sound_at > self._silence_limit:
                self.end("no sound in either direction")
                self._close()

    def _send(self, pcm: bytes, said: list[Utterance]) -> None:
        self._sound_at = at = time.monotonic()
        self._said += coded(pcm, self._format)
        self.said_at.append(at)
        for one in said:
            one.sent(at)
        self._write(audiosocket.message(self._kind, encode(pcm, self._format)))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._late is not None:
            self._late.cancel()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._write(audiosocket.uuid_message(self.uuid))

    def data_received(self, data: bytes) -> None:
        if self.ended is not None:
            self.errors.append(f"{len(data)} bytes after the end")
            return
        if self._late is not None:
            self._late.cancel()
            self._late = None
        self._buffer += data
        at = time.monotonic()
        try:
            while self.ended is None and self._message(at):
                pass
        except FatalError as error:
            self._drop(str(error))
        except HungUpError:
            self._hung_up()
        if self._buffer and self.ended is None:
            self._late = asyncio.get_running_loop().call_later(PATIENCE, self._too_late)

    def _message(self, at: float) -> bool:
        """Take the message in front; whether it was whole. A faulty header counts before its payload comes."""
        if len(self._buffer) < audiosocket.HEADER:
            return False
        try:
            kind, length = audiosocket.header(bytes(self._buffer[: audiosocket.HEADER]))
        except HungUpError:
            del self._buffer[: audiosocket.HEADER]
            raise
        size = audiosocket.HEADER + length
        if len(self._buffer) < size:
            return False
        payload = bytes(self._buffer[audiosocket.HEADER : size])
        del self._buffer[:size]
        try:
            pcm = audiosocket.audio(kind, payload, self.errors.append, KINDS[self._heard_format])
        except UnusableError as error:
            self.errors.append(str(error))
            return True
        self._heard += pcm
        self.heard_at.append(at)
        self._sound_at = at
        for _ in range(-(-len(pcm) // pcm_bytes(self._heard_format))):
            self._lead.frame(at - (self.started_at or at))
        return True

    def _too_late(self) -> None:
        """Read: a payload may pause for 5 ms. Guess: so may a header, of which pieces are put together wrongly."""
        self._drop(f"AudioSocket message cut short: {len(self._buffer)} bytes, and no more for {PATIENCE:.3f} s")

    def _drop(self, why: str) -> None:
        self.errors.append(why)
        self.end(f"Asterisk dropped the stream: {why}")
        self._close()

    def _hung_up(self) -> None:
        """The stream is over. The twin closes its side, and waits for the server to close its own.

        Guess: Asterisk closes both at once; the twin waits, so that a test sees how the server ends.
        """
        if self._buffer:
            self.errors.append(f"{len(self._buffer)} bytes after the end")
        self.end("hung up by the server")
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def eof_received(self) -> bool:
        """Read: this is taken like a hang-up message."""
        self.end("closed by the server")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ConnectionError):
            self.reset = True
        self.end("reset" if self.reset else "closed")
        self._close()
        self._over.set()
