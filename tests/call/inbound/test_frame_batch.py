"""Frames decoded for many calls at once: each call gets just what it would get alone."""

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from mediaserver.audio import tones
from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.level.stream_meter import NEVER, StreamMeter
from mediaserver.audio.pcm import FRAME_BYTES, SILENCE
from mediaserver.call.inbound.frame_batch import deliver_batch
from mediaserver.call.inbound.keypad import Keypad
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.transport.masking import mask
from mediaserver.wire import audiosocket, websocket
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import PCMA, PCMU, Encapsulation, Framing, WireSettings
from mediaserver.wire.events import Audio, Event
from mediaserver.wire.wire import Wire
from tests.sound import speechlike, voice

SPEECH = speechlike(160 * 40).astype("<i2").tobytes()
NOISE = np.random.default_rng(2).normal(0, 500, 160 * 40).astype("<i2").tobytes()


def press(digit: str, ms: int = 60) -> bytes:
    """A key's two tones, and a pause as long."""
    low, high = tones.DTMF[digit]
    t = np.arange(ms * 8) / 8000
    sound = 4000 * (np.sin(2 * np.pi * low * t) + np.sin(2 * np.pi * high * t))
    return np.concatenate((sound, np.zeros(ms * 8))).astype("<i2").tobytes()


def cut(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - len(pcm) % FRAME_BYTES, FRAME_BYTES)]


# How frames look in a message, and the settings of streams that get them.
FORMATS: dict[str, tuple[WireSettings, Callable[[bytes], bytes]]] = {
    "sln": (WireSettings(encapsulation=Encapsulation.SLN), bytes),
    "µ-law": (WireSettings(encapsulation=Encapsulation.SLN, inbound=InboundCodec.MULAW), PCMU.compand),
    "A-law": (WireSettings(encapsulation=Encapsulation.SLN, inbound=InboundCodec.ALAW), PCMA.compand),
    "pcm": (WireSettings(framing=Framing.PCM), bytes),
    "messages": (
        WireSettings(framing=Framing.MESSAGE),
        lambda pcm: audiosocket.serialize(audiosocket.Message(audiosocket.Kind.SLIN, pcm)),
    ),
    "messages of µ-law": (
        WireSettings(framing=Framing.MESSAGE, inbound=InboundCodec.MULAW),
        lambda pcm: audiosocket.serialize(audiosocket.Message(audiosocket.Kind.SLIN, PCMU.compand(pcm))),
    ),
}


class Listening:
    """A receiver with a keypad and a listener, which keeps all events."""

    def __init__(self, settings: WireSettings, *, keypad: bool = True, masked: bool = True) -> None:
        self.masked = masked  # whether the peer is a client, which masks its messages
        self.receiver = Receiver(Wire(settings), lambda: 50.0)
        self.keypad = Keypad(lambda: 50.0)
        if keypad:
            self.receiver.add_keypad(self.keypad)
        self.events: list[Event] = []
        self.pcm: list[bytes] = []

    def listen(self, to: str = "events") -> None:
        if "events" in to:
            self.receiver.add_listener(self.events.append)
        if "pcm" in to:
            self.listening = self.receiver.listen_pcm(self.pcm.append)  # it ends where nothing refers to it
            self.listening.__enter__()


def alone(stream: Listening, message: bytes) -> None:
    stream.receiver.decode_message(message)


def together(frames: list[tuple[Listening, bytes]]) -> None:
    for stream, _ in frames:
        stream.receiver.received += 1
    messages = [
        mask(websocket.binary(message), os.urandom(4)) if stream.masked else websocket.binary(message)
        for stream, message in frames
    ]
    if frames:
        deliver_batch([stream.receiver for stream, _ in frames], messages, lambda: 50.0)


SOUNDS = {
    "speech": SPEECH,
    "silence": SILENCE * 10,
    "keys": b"".join(map(press, "159D*0#")),
    "a key in speech": SPEECH[:3200] + press("4") + SPEECH[3200:],
    "a long key": press("7", 400),
}


@pytest.mark.parametrize("formats", [[name] for name in FORMATS] + [list(FORMATS)], ids=[*FORMATS, "all at once"])
@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("also", ["", "events", "pcm", "events and pcm"])
def test_each_stream_gets_what_it_would_get_alone(formats: list[str], also: str, at_once: int) -> None:
    pairs = list(product(formats, SOUNDS))
    reference = [Listening(FORMATS[name][0]) for name, _ in pairs]
    masked = [at_once == 1 or k % 2 == 0 for k in range(len(pairs))]  # all of them, or every other one
    streams = [Listening(FORMATS[name][0], masked=masks) for (name, _), masks in zip(pairs, masked, strict=True)]
    sounds = [cut(SOUNDS[sound]) for _, sound in pairs]
    for stream in (*reference, *streams):
        stream.listen(also)
    waiting: list[tuple[Listening, bytes]] = []
    for n in range(max(map(len, sounds))):
        present = [k for k, frames in enumerate(sounds) if n < len(frames)]
        messages = [FORMATS[pairs[k][0]][1](sounds[k][n]) for k in present]
        for k, message in zip(present, messages, strict=True):
            alone(reference[k], message)
            if n < 4:  # the codec and the layout are decided by single messages
                alone(streams[k], message)
            else:
                waiting.append((streams[k], message))
        if n % at_once == 0:
            together(waiting)
            waiting.clear()
    together(waiting)
    for single, one in zip(reference, streams, strict=True):
        assert one.events == single.events
        assert one.pcm == single.pcm
        if also == "events and pcm":
            assert one.pcm == [event.pcm for event in one.events if isinstance(event, Audio)]
        assert one.keypad.drain_digits() == single.keypad.drain_digits()
        assert one.keypad.dtmf_active == single.keypad.dtmf_active
        for count in ("received", "samples", "malformed", "silent"):
            assert getattr(one.receiver, count) == getattr(single.receiver, count), count


def test_the_digits_of_keys_are_those_pressed() -> None:
    streams = [Listening(FORMATS["sln"][0]) for _ in range(3)]
    frames = [cut(SPEECH[:1280] + b"".join(map(press, keys))) for keys in ("123A", "#0*D", "5555")]
    for n in range(len(frames[0])):
        messages = [each[n] for each in frames]
        if n < 4:
            for stream, message in zip(streams, messages, strict=True):
                alone(stream, message)
        else:
            together(list(zip(streams, messages, strict=True)))
    assert [stream.keypad.drain_digits() for stream in streams] == ["123A", "#0*D", "5555"]


def test_a_message_of_another_kind_and_the_same_size_is_parsed_alone() -> None:
    streams = [Listening(FORMATS["messages"][0]) for _ in range(3)]
    for stream in streams:
        stream.listen()
        for frame in cut(SPEECH)[:4]:
            alone(stream, FORMATS["messages"][1](frame))
        stream.events.clear()
    audio = FORMATS["messages"][1](SILENCE)
    other = b"\x42" + audio[1:]  # no kind that there is
    together(list(zip(streams, [audio, other, audio], strict=True)))
    assert [stream.events for stream in streams] == [[Audio(SILENCE)], [], [Audio(SILENCE)]]
    assert [stream.receiver.malformed for stream in streams] == [0, 1, 0]


def test_rtp_is_decoded_packet_by_packet() -> None:
    settings = WireSettings(encapsulation=Encapsulation.RTP)
    streams = [Listening(settings) for _ in range(2)]
    for stream in streams:
        stream.listen()
    for number in range(6):
        packets = [bytes((0x80, 0, 0, number)) + bytes(8) + bytes([16 * k + number]) * 160 for k in range(2)]
        if number < 3:
            for stream, packet in zip(streams, packets, strict=True):
                alone(stream, packet)
        else:
            together(list(zip(streams, packets, strict=True)))
    for k, stream in enumerate(streams):
        assert stream.events == [Audio(PCMU.expand(bytes([16 * k + number]) * 160)) for number in range(6)]


def test_powers_are_those_of_the_samples() -> None:
    streams = [Listening(FORMATS["sln"][0], keypad=False) for _ in range(3)]
    frames = cut(SPEECH)
    for stream in streams:
        stream.listen()
        for frame in frames[:4]:
            alone(stream, frame)
        stream.events.clear()
    together(list(zip(streams, frames[4:7], strict=True)))
    for stream, frame in zip(streams, frames[4:7], strict=True):
        (event,) = stream.events
        assert isinstance(event, Audio)
        samples = np.frombuffer(frame, "<i2").astype(np.float64)
        assert event.power == pytest.approx(float(np.mean(samples**2)), rel=1e-9)


def test_only_what_exceeds_a_ptime_is_jitter_of_polled_frames() -> None:
    now = 0.0
    receiver = Receiver(Wire(FORMATS["sln"][0]), lambda: now)
    receiver.add_listener(lambda event: None)
    message = mask(websocket.binary(cut(SPEECH)[5]), b"abcd")

    def frame_at(at: float, *, irregular: bool) -> None:
        receiver.irregular = irregular
        deliver_batch([receiver], [message], lambda: at)

    for frame in cut(SPEECH)[:4]:
        receiver.decode_message(frame)
        now += 0.02
    for n in range(4, 50):
        frame_at(0.02 * n, irregular=n in (10, 11))  # these may have come in time
    assert receiver.jitter_ms == 0
    frame_at(0.02 * 55, irregular=True)  # due by 0.02 * 50, it came after 0.02 * 54
    assert receiver.jitter_ms == pytest.approx(80 / 16, rel=0.01)
    for n in range(56, 72):
        frame_at(0.02 * n, irregular=n == 71)
    assert receiver.jitter_ms == pytest.approx(80 / 16 * (15 / 16) ** 16, rel=0.01)
    assert receiver.samples == 160 * (4 + 46 + 1 + 16)


@pytest.mark.parametrize("fault", [ZeroDivisionError, asyncio.CancelledError, GeneratorExit])
def test_a_listener_that_fails_harms_no_other_stream(fault: type[BaseException]) -> None:
    def fail(event: Event) -> None:
        raise fault

    failures: list[BaseException] = []
    broken = Receiver(Wire(FORMATS["sln"][0]), lambda: 50.0, failures.append)
    streams = [Listening(FORMATS["sln"][0], keypad=False) for _ in range(2)]
    streams[1].listen()
    for frame in cut(SPEECH)[:4]:
        broken.decode_message(frame)
        alone(streams[1], frame)
    streams[0].receiver = broken
    broken.add_listener(fail)
    streams[1].events.clear()
    together(list(zip(streams, cut(SPEECH)[4:6], strict=True)))
    assert [type(failure) for failure in failures] == [fault]
    assert streams[1].events == [Audio(cut(SPEECH)[5])]


class Watching(Listening):
    """A receiver whose listeners have a speech detector each, and keep what it tells with each frame."""

    def __init__(self, settings: WireSettings, detectors: int = 1) -> None:
        super().__init__(settings)
        self.detectors = [SpeechDetector(mode) for mode in range(2, 2 + detectors)]
        self.spoken: list[list[bool]] = [[] for _ in self.detectors]
        self.fed: list[int] = []  # how many detectors had got a frame before its listeners did
        self.watching = [self._watch(*each) for each in zip(self.detectors, self.spoken, strict=True)]
        for each in self.watching:
            each.__enter__()

    def _watch(self, detector: SpeechDetector, spoken: list[bool]) -> contextlib.AbstractContextManager[None]:
        def on_event(event: Event) -> None:
            if isinstance(event, Audio):
                spoken.append(event.feed_to(detector, self.keypad.dtmf_active))
                self.fed.append(len(event.fed))

        return self.receiver.listen(on_event, detector)


SPOKEN = np.concatenate((np.zeros(4800), voice(6400), np.zeros(4800))).astype("<i2").tobytes()


@pytest.mark.parametrize("at_once", [1, 3])
def test_speech_is_detected_as_in_each_stream_alone(at_once: int) -> None:
    sounds = [cut(each) for each in (SPOKEN, press("5", 200) + SPOKEN, SPEECH, SPOKEN[:7000] + press("1", 300))]
    reference = [Watching(FORMATS["sln"][0], 1 + n % 2) for n in range(len(sounds))]
    streams = [Watching(FORMATS["sln"][0], 1 + n % 2) for n in range(len(sounds))]
    waiting: list[tuple[Listening, bytes]] = []
    for number in range(max(map(len, sounds))):
        for frames, single, one in zip(sounds, reference, streams, strict=True):
            if number < len(frames):
                alone(single, frames[number])
                if number < 4:
                    alone(one, frames[number])
                else:
                    waiting.append((one, frames[number]))
        if number % at_once == 0:
            together(waiting)
            waiting.clear()
    together(waiting)
    for single, one in zip(reference, streams, strict=True):
        assert one.spoken == single.spoken
        assert [each.frames for each in one.detectors] == [each.frames for each in single.detectors]
    assert any(streams[0].spoken[0])
    assert all(streams[0].fed[4:])


def test_a_detector_is_fed_no_more_once_its_listener_is_gone() -> None:
    stream = Watching(FORMATS["sln"][0])
    for frame in cut(SPOKEN)[:4]:
        alone(stream, frame)
    together([(stream, cut(SPOKEN)[4])])
    stream.watching[0].__exit__(None, None, None)
    together([(stream, cut(SPOKEN)[5])])
    assert stream.detectors[0].frames == len(stream.spoken[0]) == 5
    assert stream.receiver.speech_detectors == ()


def calls_of(streams: list[Listening], frames: list[bytes]) -> int:
    """Calls of Python functions that it takes to deliver these frames to each of the streams."""
    calls = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    masked = [[mask(websocket.binary(frame), b"abcd")] * len(streams) for frame in frames]
    receivers = [stream.receiver for stream in streams]
    gc.collect()  # earlier streams' detectors give their rows back now, and not amid the count
    profiler = sys.getprofile()
    sys.setprofile(profile)
    try:
        for messages in masked:
            deliver_batch(receivers, messages, lambda: 50.0)
    finally:
        sys.setprofile(profiler)
    return calls


def meter(stream: Listening) -> None:
    """Have a listener with a detector and a meter, as `analyse` has."""
    stream.listening = stream.receiver.listen(stream.events.append, SpeechDetector(), StreamMeter())
    stream.listening.__enter__()


@pytest.mark.parametrize(
    ("listen", "most"),
    [
        (lambda stream: None, 0),
        (meter, 0.1),
        (lambda stream: stream.listen("pcm"), 0),
        (lambda stream: stream.listen(), 1),
    ],
    ids=["the keypad alone", "a meter", "PCM", "events"],
)
def test_one_more_stream_costs_few_calls_a_frame(listen: Callable[[Listening], None], most: float) -> None:
    """The listeners are calls of C here."""
    counts = []
    for count in (10, 90):
        streams = [Listening(FORMATS["sln"][0]) for _ in range(count)]
        for stream in streams:
            for frame in cut(NOISE)[:4]:
                alone(stream, frame)
            listen(stream)
        if listen is meter:
            calls_of(streams, cut(NOISE)[:20])  # meters are due at first, and the noise is unknown
            for stream in streams:
                stream.receiver.meters[0].set_due(NEVER)
        counts.append(calls_of(streams, cut(NOISE)))
    of_one = (counts[1] - counts[0]) / (80 * len(cut(NOISE)))
    assert round(of_one, 2) <= most  # large arrays may take a call more for a whole batch


def test_messages_of_one_size_are_told_apart_by_their_masks() -> None:
    """A client's RTP packet without a contributing source, and a server's with one, which is as long as a mask."""
    streams = [Listening(WireSettings(encapsulation=Encapsulation.RTP), masked=masked) for masked in (True, False)]
    sound = PCMU.compand(SPEECH[:320])
    for stream in streams:
        stream.listen("pcm")
    packets = [bytes([0x80, 0]) + bytes(10) + sound, bytes([0x81, 0]) + bytes(14) + sound]
    together(list(zip(streams, packets, strict=True)))
    assert [stream.pcm for stream in streams] == [[PCMU.expand(sound)]] * 2
