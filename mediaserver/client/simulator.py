"""Plays the far end of a media stream: dials a URL as it stands, listens, perhaps speaks, and measures.

To `ws://` and `wss://` it is VoIPBIN, which sends nothing where it has nothing to say. To `tcp://` it is Asterisk,
which names its call by a UUID, and never stops sending.
"""

import asyncio
import contextlib
import time
import wave
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import WSMsgType
from yarl import URL

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.call import CloseCode
from mediaserver.client import asterisk, dial, measure
from mediaserver.client.dial import NotHttpError
from mediaserver.client.measure import Report
from mediaserver.client.speaker import Script, Speaker, Turn
from mediaserver.errors import PeerError, PromptError, ProtocolError, plainly
from mediaserver.playout.decoding.decode import decode_file
from mediaserver.transport.connection import CLOSE_TIMEOUT
from mediaserver.transport.dialled import OpenWebSocket, random_key
from mediaserver.wire import audiosocket, rtp
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import Carrier, Encapsulation, Framing, RtpPayload, WireSettings
from mediaserver.wire.events import Audio, Hangup
from mediaserver.wire.wire import Wire

OnFrame = Callable[[bytes, float], None]  # given a frame of PCM, and when it came
T = TypeVar("T", OpenWebSocket, asterisk.AsteriskConnection)


@dataclass(frozen=True, slots=True)
class Call:
    """What to dial, and what to do on the line."""

    url: str
    seconds: float | None = None  # hang up after so long; None: wait for the server to close
    encapsulation: Encapsulation | None = None  # None: the URL's own, or what the first message looks like
    framing: Framing = Framing.AUTO
    send: Path | None = None  # a sound file to speak
    digits: str = ""  # keys to press before that, `0-9 A-D * #`; a comma is a pause
    after: float | None = None  # when to begin, seconds after the answer; None: when the far end has finished
    record: Path | None = None  # a WAV file for what is heard


class Listener:
    """Takes in the server's messages: counts, times, decodes. `wire` is how it must speak, where that is known."""

    def __init__(self, call: Call, heard: OnFrame, wire: Wire | None = None) -> None:
        self._call, self._heard = call, heard
        self._wire, self._told = wire, wire is not None
        self.arrivals: list[float] = []
        self.bad = 0
        self.bad_reason = ""
        self.framing: str | None = wire.encoding.name if wire is not None else None

    @property
    def encapsulation(self) -> Encapsulation | None:
        """What is spoken; None while nothing has told."""
        named = self._call.encapsulation or _named(self._call.url)
        return named or (self._wire.settings.encapsulation if self._wire else None)

    def receive(self, data: bytes, at: float) -> None:
        """One binary message, which must be one frame, or say that the call is over."""
        if self._wire is None:
            encapsulation = self.encapsulation or _guess(data)
            self._wire = Wire(WireSettings(encapsulation, self._call.framing))
            self.framing = _framing_of(data, encapsulation)
        reason = f"{len(data)} bytes"
        try:
            events = self._wire.inbound.depacketize(data, at)
        except ProtocolError as error:
            events, reason = [], f"{len(data)} bytes, {error}"
        if Hangup() in events:  # what a handler's hang-up says where there are messages; the close follows
            return
        self.arrivals.append(at)
        pcm = b"".join(event.pcm for event in events if isinstance(event, Audio))
        if self._told and data[0] != audiosocket.Kind.SLIN:  # Asterisk hears no sound at another rate than its own
            pcm, reason = b"", f"of kind 0x{data[0]:02x}"
        if len(pcm) == FRAME_BYTES:
            self._heard(pcm, at)
            return
        if not self.bad:
            expected = "audiosocket over TCP" if self._told else _in_words(self._wire.settings)
            self.bad_reason = f"{expected} was expected, and the first of them was {reason}"
        self.bad += 1


async def simulate(
    call: Call, heard: OnFrame = lambda pcm, at: None, hang_up: asyncio.Event | None = None
) -> Report:
    """Make one call and report on it. `heard` is given every frame as it comes; `hang_up` ends the call early.

    PeerError where there is no stream, PromptError where the file to send cannot be played.
    """
    pcm = await asyncio.to_thread(_read_speech, call.send) if call.send else b""
    script, turn = Script(call.digits, pcm, call.after), Turn()
    with _recorder(call.record) as record:

        def take(pcm: bytes, at: float) -> None:
            record(pcm)
            turn.heard(pcm, at)
            heard(pcm, at)

        play = _play_asterisk if asterisk.is_asterisk_url(call.url) else _play_voipbin
        return await play(call, take, script, turn, hang_up or asyncio.Event())


async def _play_voipbin(call: Call, take: OnFrame, script: Script, turn: Turn, hang_up: asyncio.Event) -> Report:
    """Send nothing where there is nothing to say."""
    listener = Listener(call, take)
    async with dial.client_session() as client:
        try:
            websocket = await _unless(hang_up, dial.dial(client, call.url))
        except NotHttpError as error:
            raise PeerError(f"{error}. A port of AudioSocket is dialled by tcp://host:port") from None
        answered = time.monotonic()
        speaker = Speaker(_outbound(call), websocket.transport, script, turn)
        if script:
            speaker.start()
        hanging_up = asyncio.create_task(_hang_up(websocket, speaker, call.seconds, hang_up))
        try:
            close_code = await _listen(websocket, listener)
        finally:
            over = time.monotonic()
            await speaker.stop()
            if not websocket.closed:
                hang_up.set()
            else:
                hanging_up.cancel()
            await asyncio.wait([hanging_up])
    return _report(listener, answered, over, close_code or websocket.close_code, speaker.unsent)


async def _play_asterisk(call: Call, take: OnFrame, script: Script, turn: Turn, hang_up: asyncio.Event) -> Report:
    """Send from the first moment on, silence where there is nothing to say."""
    if call.encapsulation not in (None, Encapsulation.AUDIOSOCKET) or call.framing == Framing.PCM:
        raise PeerError("what is dialled by tcp:// is AudioSocket, in whole messages")
    settings = WireSettings(inbound=InboundCodec.SLIN)  # Asterisk takes nothing else, whatever it sends
    listener = Listener(call, take, Wire(settings, carrier=Carrier.TCP))
    connection = await _unless(hang_up, asterisk.dial(call.url, listener.receive))
    speaker = Speaker(Wire(settings, carrier=Carrier.TCP), connection.transport, script, turn)
    speaker.start()
    waiting = [asyncio.create_task(event.wait()) for event in (connection.over, hang_up)]
    try:
        await asyncio.wait(waiting, timeout=call.seconds, return_when=asyncio.FIRST_COMPLETED)
        over, mistaken = time.monotonic(), connection.not_audiosocket
    finally:
        for task in waiting:
            task.cancel()
        await speaker.stop()
        await connection.hang_up()
    if mistaken:
        raise PeerError(mistaken)
    return _report(listener, connection.made_at, over, connection.close_code, speaker.unsent)


def _report(listener: Listener, answered: float, over: float, close_code: int | None, unsent: str) -> Report:
    """What there is to say of a call that was answered, and was over, at these times."""
    arrivals = listener.arrivals
    return Report(
        frames=len(arrivals),
        duration_s=round((arrivals[-1] if arrivals else over) - answered, 3),
        first_frame_ms=round((arrivals[0] - answered) * 1000, 3) if arrivals else None,
        interarrival_ms=measure.interarrivals(arrivals),
        lateness_ms=measure.lateness(arrivals),
        drift_ppm=measure.drift_ppm(arrivals),
        bad_frames=listener.bad,
        encapsulation=listener.encapsulation,
        framing=listener.framing,
        close_code=close_code,
        bad_reason=listener.bad_reason,
        unsent=unsent,
    )


def _in_words(settings: WireSettings) -> str:
    if settings.encapsulation == Encapsulation.AUDIOSOCKET:
        return f"{settings.encapsulation} in {settings.framing} framing"
    return str(settings.encapsulation)


def _read_speech(path: Path) -> bytes:
    try:
        return decode_file(path).pcm
    except PromptError as error:
        raise PromptError(f"--send: {path} {error}") from error


async def _unless(hang_up: asyncio.Event, dialling: Coroutine[Any, Any, T]) -> T:
    """A stream, unless it is given up before it is there."""
    dialled, given_up = asyncio.ensure_future(dialling), asyncio.ensure_future(hang_up.wait())
    try:
        await asyncio.wait((dialled, given_up), return_when=asyncio.FIRST_COMPLETED)
        if not dialled.done():
            raise PeerError("given up before the server answered")
        return dialled.result()
    except asyncio.CancelledError:
        if dialled.done() and not dialled.cancelled() and dialled.exception() is None:
            dialled.result().transport.abort()
        raise
    finally:
        given_up.cancel()
        dialled.cancel()
        await asyncio.wait((dialled, given_up))


async def _listen(websocket: OpenWebSocket, listener: Listener) -> int | None:
    """Listen to the end; the server's close code, where it closed first."""
    while True:
        message = await websocket.receive()
        match message.type:
            case WSMsgType.BINARY:
                listener.receive(message.data, time.monotonic())
            case WSMsgType.CLOSE:
                return int(message.data or CloseCode.NO_STATUS)
            case WSMsgType.CLOSING | WSMsgType.CLOSED | WSMsgType.ERROR:
                return None


async def _hang_up(
    websocket: OpenWebSocket, speaker: Speaker, seconds: float | None, asked: asyncio.Event
) -> None:
    """Close when the time is up, or when asked to; a server that does not answer that is left."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asked.wait(), seconds)
    await speaker.stop()  # nothing may follow the close (RFC 6455, section 5.5.1)
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await websocket.close()
    except TimeoutError:
        websocket.transport.abort()


def _outbound(call: Call) -> Wire:
    """How to speak: as the call says, or the URL, or else in AudioSocket messages: `auto` answers in kind."""
    encapsulation = call.encapsulation or _named(call.url) or Encapsulation.AUDIOSOCKET
    asked = URL(call.url).query.get("framing", "") if call.framing == Framing.AUTO else call.framing
    framing = Framing.PCM if asked == Framing.PCM else Framing.MESSAGE
    return Wire(WireSettings(encapsulation, framing, RtpPayload.PCMU), random_key)


@contextlib.contextmanager
def _recorder(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    """Something to give frames to, that end up in a WAV file where one is wanted."""
    if path is None:
        yield lambda pcm: None
        return
    try:
        target = path.open("wb")
    except OSError as error:
        raise PromptError(f"--record: {path} cannot be written: {plainly(error)}") from error
    with target, wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(SAMPLE_RATE)
        yield file.writeframes


def _named(url: str) -> Encapsulation | None:
    """The encapsulation that a URL asks for."""
    name = URL(url).query.get("encapsulation", "")
    return Encapsulation(name) if name in list(Encapsulation) else None


def _guess(data: bytes) -> Encapsulation:
    """The encapsulation that a first message looks like."""
    with contextlib.suppress(ProtocolError):
        if len(data) in (172, 332) and rtp.payload_type(rtp.parse(data)) is not None:
            return Encapsulation.RTP
    return Encapsulation.AUDIOSOCKET


def _framing_of(data: bytes, encapsulation: Encapsulation) -> str | None:
    """What a message holds, in the words of the settings."""
    if encapsulation == Encapsulation.RTP:
        with contextlib.suppress(ProtocolError, ValueError):
            return rtp.PayloadType(rtp.parse(data).payload_type).name.lower()
        return None
    if encapsulation == Encapsulation.AUDIOSOCKET and audiosocket.is_message(data):
        return str(Framing.MESSAGE)
    return str(Framing.PCM)
