"""Simulates the peer of a media server: dials a URL, receives audio, sends keys and sound, and measures.

On `ws://` and `wss://` the simulator behaves as VoIPBIN, which sends no frames while it has no sound to send. On
`tcp://` it behaves as Asterisk, which names its call by a UUID, and sends frames of silence all the time.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import WSMsgType
from yarl import URL

from mediaserver.audio.pcm import FRAME_BYTES
from mediaserver.call import CloseCode
from mediaserver.client import asterisk, dial, measure
from mediaserver.client.dial import NotHttpError
from mediaserver.client.measure import Report
from mediaserver.client.script_player import Script, ScriptPlayer, TurnDetector
from mediaserver.client.sound_files import decode_speech, open_recorder
from mediaserver.errors import PeerError, ProtocolError
from mediaserver.playout.sources.source import Source
from mediaserver.transport.connection import CLOSE_TIMEOUT
from mediaserver.transport.dialled import OpenWebSocket
from mediaserver.transport.masking import MaskedTransport
from mediaserver.wire import audiosocket, rtp
from mediaserver.wire.codec import Codec, InboundCodec
from mediaserver.wire.encapsulation import Carrier, Encapsulation, Framing, RtpPayload, WireSettings
from mediaserver.wire.events import Audio, Hangup
from mediaserver.wire.wire import Wire

# A function that is called with each frame of 16-bit PCM, and the frame's arrival in monotonic seconds.
OnFrame = Callable[[bytes, float], None]
T = TypeVar("T", OpenWebSocket, asterisk.AsteriskConnection)


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """The options of a simulated call: the URL to dial, and what to send, to expect and to record."""

    url: str
    seconds: float | None = None  # seconds after which the simulator hangs up; None: the server ends the call
    encapsulation: Encapsulation | None = None  # None: as the URL's query says, or else as the first message shows
    framing: Framing = Framing.AUTO
    send: Path | None = None  # the sound file that the simulated caller sends, if any
    digits: str = ""  # the DTMF keys to press before the sound file, `0-9 A-D * #`; a comma is a pause
    after: float | None = None  # seconds from the answer to the keys and sound; None: until the peer pauses
    record: Path | None = None  # the WAV file into which the received audio is written, if any
    voice: Source | None = None  # the audio to send from the answer on, in place of `digits` and `send`
    codec: Codec = Codec.SLIN  # with tcp://, the codec in which the simulated Asterisk sends


class FrameMeter:
    """Decodes, counts and times the server's frames. `wire` is the frames' format, None to detect it."""

    def __init__(self, call: SimulatedCall, on_frame: OnFrame, wire: Wire | None = None) -> None:
        self._call, self._on_frame = call, on_frame
        self._wire, self._is_given = wire, wire is not None
        self.arrivals: list[float] = []
        self.bad = 0
        self.bad_reason = ""
        self.framing: str | None = wire.encoding.name if wire is not None else None

    @property
    def encapsulation(self) -> Encapsulation | None:
        """The encapsulation of the stream; None while the encapsulation is not known yet."""
        asked = self._call.encapsulation or _encapsulation_of(self._call.url)
        return asked or (self._wire.settings.encapsulation if self._wire else None)

    def receive(self, data: bytes, at: float) -> None:
        """Decode, count and time a binary message, which must be one frame of 20 ms, or the end of the call."""
        if self._wire is None:
            encapsulation = self.encapsulation or _detect_encapsulation(data)
            self._wire = Wire(WireSettings(encapsulation, self._call.framing))
            self.framing = _framing_of(data, encapsulation)
        reason = f"{len(data)} bytes"
        try:
            events = self._wire.inbound.depacketize(data, at)
        except ProtocolError as error:
            events, reason = [], f"{len(data)} bytes, {error}"
        if Hangup() in events:  # the message is the server's hang-up, after which the server closes
            return
        self.arrivals.append(at)
        pcm = b"".join(event.pcm for event in events if isinstance(event, Audio))
        if self._is_given and data[0] != audiosocket.Kind.SLIN:  # the simulated Asterisk plays audio at 8 kHz only
            pcm, reason = b"", f"of kind 0x{data[0]:02x}"
        if len(pcm) == FRAME_BYTES:
            self._on_frame(pcm, at)
            return
        if not self.bad:
            expected = "audiosocket over TCP" if self._is_given else _describe(self._wire.settings)
            self.bad_reason = f"{expected} was expected, and the first of them was {reason}"
        self.bad += 1


async def simulate(
    call: SimulatedCall, on_frame: OnFrame = lambda pcm, at: None, hang_up: asyncio.Event | None = None
) -> Report:
    """Make a call, and report on it. `on_frame` is called with each frame; setting `hang_up` ends the call early.

    PeerError if the call cannot be made. PromptError if the file to send cannot be decoded, or the file to record
    cannot be written.
    """
    pcm = await asyncio.to_thread(decode_speech, call.send) if call.send else b""
    script, turn_detector = Script(call.digits, pcm, call.after, call.voice), TurnDetector()
    with open_recorder(call.record) as record:

        def receive_frame(pcm: bytes, at: float) -> None:
            record(pcm)
            turn_detector.push_audio(pcm, at)
            on_frame(pcm, at)

        simulate_peer = _simulate_asterisk if asterisk.is_asterisk_url(call.url) else _simulate_voipbin
        return await simulate_peer(call, receive_frame, script, turn_detector, hang_up or asyncio.Event())


async def _simulate_voipbin(
    call: SimulatedCall, on_frame: OnFrame, script: Script, turn_detector: TurnDetector, hang_up: asyncio.Event
) -> Report:
    """Make a call as VoIPBIN does. Frames are sent only if the simulated caller has keys or sound to send."""
    meter = FrameMeter(call, on_frame)
    async with dial.client_session() as client:
        try:
            websocket = await _dial_unless(hang_up, dial.dial(client, call.url))
        except NotHttpError as error:
            raise PeerError(
                f"{error}. A port of AudioSocket is dialled by tcp://, as in tcp://127.0.0.1:9000"
            ) from None
        answered = time.monotonic()
        transport = MaskedTransport(websocket.transport)
        player = ScriptPlayer(_outbound_wire(call), transport, script, turn_detector)
        if script:
            player.start()
        hanging_up = asyncio.create_task(_hang_up(websocket, player, call.seconds, hang_up))
        try:
            close_code = await _receive(websocket, meter)
        finally:
            over = time.monotonic()
            await player.stop()
            hang_up.set()  # has no effect on a WebSocket that is closed
            await asyncio.wait([hanging_up])
    return _report(meter, answered, over, close_code or websocket.close_code, player.unsent)


async def _simulate_asterisk(
    call: SimulatedCall, on_frame: OnFrame, script: Script, turn_detector: TurnDetector, hang_up: asyncio.Event
) -> Report:
    """Make a call as Asterisk does: send frames from the start, and silence while the caller sends nothing."""
    if call.encapsulation not in (None, Encapsulation.AUDIOSOCKET) or call.framing == Framing.PCM:
        raise PeerError(
            "a tcp:// URL always speaks AudioSocket in messages: leave out --encapsulation and --framing"
        )
    settings = WireSettings(inbound=InboundCodec.SLIN)  # Asterisk accepts only slin, whatever codec it sends
    meter = FrameMeter(call, on_frame, Wire(settings, carrier=Carrier.TCP))
    connection = await _dial_unless(hang_up, asterisk.dial(call.url, meter.receive))
    wire = Wire(settings, carrier=Carrier.TCP)
    wire.encoding = asterisk.ENCODINGS[call.codec]
    player = ScriptPlayer(wire, connection.transport, script, turn_detector)
    player.start()
    waiting = [asyncio.create_task(event.wait()) for event in (connection.over, hang_up)]
    try:
        await asyncio.wait(waiting, timeout=call.seconds, return_when=asyncio.FIRST_COMPLETED)
        over, mistaken = time.monotonic(), connection.not_audiosocket
    finally:
        for task in waiting:
            task.cancel()
        await player.stop()
        await connection.hang_up()
    if mistaken:
        raise PeerError(mistaken)
    return _report(meter, connection.made_at, over, connection.close_code, player.unsent)


def _report(meter: FrameMeter, answered: float, over: float, close_code: int | None, unsent: str) -> Report:
    """The report of a call that was answered at `answered` and was over at `over`, in monotonic seconds."""
    arrivals = meter.arrivals
    return Report(
        frames=len(arrivals),
        duration_s=round((arrivals[-1] if arrivals else over) - answered, 3),
        first_frame_ms=round((arrivals[0] - answered) * 1000, 3) if arrivals else None,
        interarrival_ms=measure.interarrivals(arrivals),
        lateness_ms=measure.lateness(arrivals),
        drift_ppm=measure.drift_ppm(arrivals),
        bad_frames=meter.bad,
        encapsulation=meter.encapsulation,
        framing=meter.framing,
        close_code=close_code,
        bad_reason=meter.bad_reason,
        unsent=unsent,
    )


def _describe(settings: WireSettings) -> str:
    if settings.encapsulation == Encapsulation.AUDIOSOCKET:
        return f"{settings.encapsulation} in {settings.framing} framing"
    return str(settings.encapsulation)


async def _dial_unless(hang_up: asyncio.Event, dialling: Coroutine[Any, Any, T]) -> T:
    """Return the connection that `dialling` makes; PeerError if `hang_up` is set before the connection is made."""
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


async def _receive(websocket: OpenWebSocket, meter: FrameMeter) -> int | None:
    """Receive messages until the end; return the server's close code, None if the server did not close first."""
    while True:
        message = await websocket.receive()
        match message.type:
            case WSMsgType.BINARY:
                meter.receive(message.data, time.monotonic())
            case WSMsgType.CLOSE:
                return int(message.data or CloseCode.NO_STATUS)
            case WSMsgType.CLOSING | WSMsgType.CLOSED | WSMsgType.ERROR:
                return None


async def _hang_up(
    websocket: OpenWebSocket, player: ScriptPlayer, seconds: float | None, requested: asyncio.Event
) -> None:
    """Close the WebSocket after `seconds`, or when `requested` is set. Drop it if the server does not answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await requested.wait()
    await player.stop()  # nothing may follow the close (RFC 6455, section 5.5.1)
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await websocket.close()
    except TimeoutError:
        websocket.transport.abort()


def _outbound_wire(call: SimulatedCall) -> Wire:
    """The wire format in which the simulator sends: that of the call's options, or else of the URL's query.

    If neither names an encapsulation, the format is AudioSocket, which a server with `framing = auto` adopts.
    """
    encapsulation = call.encapsulation or _encapsulation_of(call.url) or Encapsulation.AUDIOSOCKET
    asked = URL(call.url).query.get("framing", "") if call.framing == Framing.AUTO else call.framing
    framing = Framing.PCM if asked == Framing.PCM else Framing.MESSAGE
    return Wire(WireSettings(encapsulation, framing, RtpPayload.PCMU), dialled=True)


def _encapsulation_of(url: str) -> Encapsulation | None:
    """The encapsulation that the query of a URL asks for; None if the query names no known encapsulation."""
    name = URL(url).query.get("encapsulation", "")
    return Encapsulation(name) if name in list(Encapsulation) else None


def _detect_encapsulation(data: bytes) -> Encapsulation:
    """The encapsulation that the first message of a stream, `data`, seems to have."""
    with contextlib.suppress(ProtocolError):
        if len(data) in (172, 332) and rtp.payload_type(rtp.parse(data)) is not None:
            return Encapsulation.RTP
    return Encapsulation.AUDIOSOCKET


def _framing_of(data: bytes, encapsulation: Encapsulation) -> str | None:
    """The framing of a message or, with RTP, its payload type, as the settings name it; None if unknown."""
    if encapsulation == Encapsulation.RTP:
        with contextlib.suppress(ProtocolError, ValueError):
            return rtp.PayloadType(rtp.parse(data).payload_type).name.lower()
        return None
    if encapsulation == Encapsulation.AUDIOSOCKET and audiosocket.is_message(data):
        return str(Framing.MESSAGE)
    return str(Framing.PCM)
