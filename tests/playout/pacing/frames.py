"""Frames for tests of a stream, and what was sent of them."""

from mediaserver.audio.pcm import SILENCE
from mediaserver.playout.sources.source import Source
from mediaserver.wire import rtp, websocket
from mediaserver.wire.encapsulation import Framing, WireSettings
from tests.virtual import VirtualStream

PCM = WireSettings(framing=Framing.PCM)


def ahead(lead: int) -> WireSettings:
    return WireSettings(framing=Framing.PCM, lead=lead)


QUIET = websocket.binary(SILENCE)


def frame(number: int) -> bytes:
    """A frame whose bytes are all its number."""
    return bytes([number]) * 320


def frames(*numbers: int) -> list[bytes]:
    return [frame(number) for number in numbers]


def source(*numbers: int) -> Source:
    return Source(frames(*numbers))


def sent_frames(stream: VirtualStream) -> list[bytes | None]:
    """The frames that were sent; None is silence."""
    return [None if message == QUIET else message[4:] for message in stream.transport.messages]


def packets(stream: VirtualStream) -> list[rtp.Packet]:
    return [rtp.parse(message[4:] if message[1] == 126 else message[2:]) for message in stream.transport.messages]
