"""The encapsulations and framings that a call's URL may ask for, and one call's messages in both directions."""

import os
import random
from dataclasses import dataclass

from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES
from mediaserver.errors import ProtocolError
from mediaserver.transport.masking import mask
from mediaserver.wire import audiosocket, rtp, websocket
from mediaserver.wire.encapsulation import L16, PCM, PCMA, PCMU, Encoding


@dataclass(frozen=True)
class Format:
    """A query of a URL, and the wire format that it selects. `payload_type` is that of RTP, None without RTP."""

    query: str
    encoding: Encoding = PCM  # the codec; the header of the encoding is not used
    payload_type: int | None = None
    framed: bool = False


MESSAGE = Format("encapsulation=audiosocket&framing=message", framed=True)
FORMATS = (
    Format("encapsulation=audiosocket"),
    Format("encapsulation=audiosocket&framing=pcm"),
    MESSAGE,
    Format("encapsulation=sln"),
    Format("encapsulation=rtp", PCMU, rtp.PayloadType.PCMU),
    Format("encapsulation=rtp&rtp_payload=pcma", PCMA, rtp.PayloadType.PCMA),
    Format("encapsulation=rtp&rtp_payload=l16", L16, rtp.PayloadType.L16),
)


class Wire:
    """Parses and makes the messages of one call in its wire format."""

    def __init__(self, form: Format, rng: random.Random) -> None:
        self._format = form
        self._width = form.encoding.sample_bytes * FRAME_SAMPLES
        self._heard: rtp.Packet | None = None
        self._sequence, self._ssrc = rng.getrandbits(16), rng.getrandbits(32)
        self.gaps = 0  # RTP packets whose sequence number, timestamp or SSRC does not follow the previous packet

    def sound(self, message: bytes) -> bytes:
        """The audio payload of a message. ProtocolError if the message is not one frame."""
        payload = message
        if self._format.framed:
            payload = audiosocket.single_audio_payload(message) or b""
        elif self._format.payload_type is not None:
            payload = self._follow(rtp.parse(message))
        if len(payload) != self._width:
            raise ProtocolError(f"a message of {len(message)} bytes: {message[:16].hex()}…")
        return payload

    def message(self, payload: bytes) -> bytes:
        """A masked WebSocket message to the server with an audio payload."""
        kind = self._format.payload_type
        if self._format.framed:
            payload = audiosocket.serialize(audiosocket.Message(audiosocket.Kind.SLIN, payload))
        elif kind is not None:
            self._sequence = self._sequence + 1 & 0xFFFF
            timestamp = self._sequence * FRAME_SAMPLES
            payload = rtp.serialize(rtp.Packet(kind, self._sequence, timestamp, self._ssrc, payload))
        return mask(websocket.binary(payload), os.urandom(4))

    def _follow(self, packet: rtp.Packet) -> bytes:
        before, self._heard = self._heard, packet
        if before is not None:
            step = packet.sequence - before.sequence & 0xFFFF, packet.timestamp - before.timestamp & 0xFFFFFFFF
            self.gaps += step != (1, FRAME_SAMPLES) or packet.ssrc != before.ssrc
        if packet.payload_type != self._format.payload_type:
            raise ProtocolError(f"a packet of payload type {packet.payload_type}")
        return packet.payload


def digit(key: str) -> bytes:
    """A key press as a masked AudioSocket message."""
    message = audiosocket.Message(audiosocket.Kind.DTMF, key.encode())
    return mask(websocket.binary(audiosocket.serialize(message)), os.urandom(4))


def noise(rng: random.Random, frames: int, samples: int = 0) -> bytes:
    """Random PCM of `frames` frames and `samples` samples. No two frames are alike, and no frame is silent."""
    return rng.randbytes(frames * FRAME_BYTES + 2 * samples)
