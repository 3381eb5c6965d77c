"""Kind `wire`: conversations of hostile messages, through a stream's wire format and what listens behind it."""

import struct
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mediaserver.audio.level.analysis import Analyser
from mediaserver.call.inbound.keypad import Keypad
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.wire import rtp
from mediaserver.wire.encapsulation import Encapsulation, Framing, RtpPayload, WireSettings
from mediaserver.wire.events import Audio, Digit, Event, Fault, Hangup, Identity
from mediaserver.wire.jitter import MAX_CONCEALED
from mediaserver.wire.wire import Wire
from tests.fuzz import mutate

SIZES = {"pcm": 4 + 320, "message": 4 + 323, "pcmu": 4 + 172, "pcma": 4 + 172, "l16": 4 + 332}  # of our messages
_FRAME = bytes(range(256)) + bytes(64)
_SHIFTS = [0, 0, 0, 0, 0, 0, 0, -1, 1, 2, 3, 4, 49, 50, 51, 99, 100, 101, 32767, 32768]  # of a sequence number


@dataclass(frozen=True)
class Conversation:
    """A stream's settings, whose side it is on, and messages with their times of arrival in seconds."""

    settings: WireSettings
    dialled: bool
    messages: list[tuple[bytes, float]]


def make(rng: Random) -> Conversation:
    """A conversation of a few to some dozen messages; most begin as good ones."""
    settings = WireSettings(
        rng.choice(list(Encapsulation)), rng.choice(list(Framing)), rng.choice(list(RtpPayload))
    )
    speaks = settings.encapsulation if rng.random() < 0.9 else rng.choice(list(Encapsulation))
    messages, at, sequence = [], rng.choice((0.0, 1e9)), rng.choice((0, 1, 65_530, rng.getrandbits(16)))
    for _ in range(int(2 + 40 * rng.random() ** 3)):
        sequence += 1 + rng.choice(_SHIFTS)
        messages.append((message(rng, speaks, sequence), at))
        at += rng.choice((0.02, 0.02, 0.02, 0.0, 0.01, 0.1, 1.0, 3600.0))
    return Conversation(settings, rng.random() < 0.3, messages)


def message(rng: Random, encapsulation: str, sequence: int = 0, hostile: float = 0.3) -> bytes:
    """A message in an encapsulation; so often it is a hostile one."""
    match encapsulation:
        case Encapsulation.AUDIOSOCKET:
            data = b"".join(_audiosocket(rng) for _ in range(rng.choice((1, 1, 1, 1, 2, 5))))
        case Encapsulation.RTP:
            data = _rtp(rng, sequence)
        case _:
            data = _pcm(rng, rng.choice((320, 320, 160, 160, 161, 2, 0, 3200)))
    if rng.random() >= hostile:
        return data
    return mutate.noise(rng) if rng.random() < 0.2 else mutate.mutated(rng, data)


def _pcm(rng: Random, size: int) -> bytes:
    return rng.choice((bytes(size), b"\xff\x7f" * (size // 2), b"\x00\x80" * (size // 2), rng.randbytes(size)))


def _audiosocket(rng: Random) -> bytes:
    kind = rng.choice((0x10, 0x10, 0x10, 0x03, 0x01, 0x00, 0xFF, 0x18, rng.randrange(256)))
    payload = rng.choice(
        (_pcm(rng, 320), rng.choice(b"0123456789ABCD*#x").to_bytes(1, "big"), rng.randbytes(16), b"")
    )
    length = len(payload) if rng.random() < 0.9 else rng.choice(mutate.EXTREMES) & 0xFFFF
    return struct.pack(">BH", kind, length) + payload


def _rtp(rng: Random, sequence: int) -> bytes:
    kind = rng.choice((0, 0, 8, 96, 101, rng.randrange(128)))
    payload = rng.randbytes(rng.choice((160, 160, 320, 0, 1, 1400)))
    first = 0x80 | rng.choice((0, 0, 0, 0x10, 0x20, 0x30, rng.randrange(64)))
    header = struct.pack(
        ">BBHII", first, kind, sequence & 0xFFFF, rng.getrandbits(32), rng.choice((0, 1, 0xFFFFFFFF))
    )
    if first & 0x10 and rng.random() < 0.7:
        words = rng.choice((0, 1, 10, 0xFFFF))
        payload = struct.pack(">HH", 0xBEDE, words) + bytes(4 * min(words, 10)) + payload
    return header + payload


def check(conversation: Conversation, _: Path) -> None:
    """Hear it all, speak after each message, and hold what comes out against what it must look like."""
    settings = conversation.settings
    wire = Wire(settings, dialled=conversation.dialled)
    now, heard = 0.0, []
    keypad, analyser = Keypad(lambda: now), Analyser()

    def failed(error: BaseException) -> None:
        raise error

    def take(event: Event) -> None:
        keypad.on_event(event)
        if isinstance(event, Audio):
            analyser.feed(event.pcm, keypad.dtmf_active)
        heard.append(event)

    hearing = Receiver(wire, lambda: now, failed)
    with hearing.listen(take):
        for data, now in conversation.messages:  # noqa: B007 - the clock reads it
            before = wire.encoding
            assert wire.negotiate(data) or wire.encoding is before
            hearing.decode_message(data)
            _speak(wire)
    _judge(heard, hearing, sum(len(data) for data, _ in conversation.messages))
    assert keypad.drain_digits().strip("0123456789ABCD*#") == ""
    analyser.report()


def _speak(wire: Wire) -> None:
    (data,) = wire.messages([wire.encoding.encode(_FRAME)])
    name = wire.encoding.name
    assert len(data) == SIZES[name], f"{len(data)} bytes of {name}"
    if wire.marks_talkspurts:
        assert wire.encoding.decode(rtp.parse(data[4:]).payload)[:0] == b""


def _judge(heard: list[Event], hearing: Receiver, size: int) -> None:
    packets = hearing.packets
    for event in heard:
        match event:
            case Audio(pcm):
                assert len(pcm) % 2 == 0
            case Digit(digit):
                assert digit in "0123456789ABCD*#"
            case _:
                assert isinstance(event, Identity | Hangup | Fault)
    assert hearing.malformed <= hearing.received
    audio = [event for event in heard if isinstance(event, Audio)]
    made_up = sum(len(event.pcm) for event in audio if event.concealed)
    assert sum(len(event.pcm) for event in audio) - made_up <= 2 * size  # companded sound becomes twice as long
    assert made_up <= MAX_CONCEALED * (packets.received + 1)
    if packets.received:
        assert len(audio) <= packets.received - packets.late - packets.duplicate + packets.lost
        assert min(packets) >= 0
    assert 0 <= hearing.jitter_ms <= 1000
