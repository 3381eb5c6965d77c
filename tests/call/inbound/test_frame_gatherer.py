"""Frames that come one by one from the event loop, and are searched together once in each ptime."""

from collections.abc import Callable

import numpy as np

from mediaserver.audio import tones
from mediaserver.audio.pcm import FRAME_BYTES, SILENCE
from mediaserver.call.inbound.frame_gatherer import FrameGatherer
from mediaserver.call.inbound.keypad import Keypad
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.transport.masking import mask
from mediaserver.wire import audiosocket, websocket
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings
from mediaserver.wire.events import Audio, Digit, Event
from mediaserver.wire.wire import Wire
from tests.sound import speechlike

SPEECH = speechlike(160 * 20).astype("<i2").tobytes()
_times = np.arange(480) / 8000
_low, _high = tones.DTMF["7"]
KEY = (4000 * (np.sin(2 * np.pi * _low * _times) + np.sin(2 * np.pi * _high * _times))).astype("<i2").tobytes()
FRAMES = [SPEECH[at : at + FRAME_BYTES] for at in range(0, len(SPEECH), FRAME_BYTES)]


class ManualPolls:
    """Calls what is to be polled when the test says so."""

    def __init__(self) -> None:
        self.polls: list[Callable[[], None]] = []

    def add_poll(self, poll: Callable[[], None]) -> Callable[[], None]:
        self.polls.append(poll)
        return lambda: self.polls.remove(poll)

    def poll(self) -> None:
        for poll in self.polls[:]:
            poll()


class Gathered:
    """A stream of AudioSocket messages, whose frames are gathered, with a keypad and what its listener got."""

    def __init__(self, gatherer: FrameGatherer, *, keypad: bool = True) -> None:
        self.receiver = Receiver(Wire(WireSettings(framing=Framing.MESSAGE)), lambda: 50.0)
        self.receiver.gatherer = gatherer
        self.keypad = Keypad(lambda: 50.0)
        if keypad:
            self.receiver.add_keypad(self.keypad)
        self.events: list[Event] = []
        self.receiver.add_listener(self.events.append)

    def hear(self, *frames: bytes) -> None:
        for frame in frames:
            message = audiosocket.Message(audiosocket.Kind.SLIN, frame)
            self.receiver.decode_message(audiosocket.serialize(message))

    def press(self, digit: str) -> None:
        self.receiver.decode_message(
            audiosocket.serialize(audiosocket.Message(audiosocket.Kind.DTMF, digit.encode()))
        )


def test_frames_of_all_streams_come_with_the_next_poll() -> None:
    clock = ManualPolls()
    gatherer = FrameGatherer(clock)
    streams = [Gathered(gatherer) for _ in range(3)]
    for n, stream in enumerate(streams):
        stream.hear(FRAMES[n], FRAMES[n + 1])  # the first frame that is no silence does not wait
        assert stream.events == [Audio(FRAMES[n])]
    streams[0].hear(FRAMES[2])
    clock.poll()
    assert streams[0].events == [Audio(frame) for frame in FRAMES[:3]]
    assert streams[2].events == [Audio(frame) for frame in FRAMES[2:4]]
    assert all(isinstance(event, Audio) and event.digits == "" for event in streams[2].events[1:])
    assert streams[0].receiver.samples == 480


def test_a_key_is_found_as_in_each_stream_alone() -> None:
    clock = ManualPolls()
    gatherer = FrameGatherer(clock)
    streams = [Gathered(gatherer) for _ in range(2)]
    for frame in [FRAMES[0], *(KEY[at : at + FRAME_BYTES] for at in range(0, len(KEY), FRAME_BYTES)), SILENCE]:
        streams[0].hear(frame)
        streams[1].hear(FRAMES[0])
        clock.poll()
    assert [stream.keypad.drain_digits() for stream in streams] == ["7", ""]


def test_a_key_that_came_before_another_handler_is_not_for_that_handler() -> None:
    stream = Gathered(FrameGatherer(ManualPolls()))
    for at in range(0, len(KEY), FRAME_BYTES):
        stream.hear(KEY[at : at + FRAME_BYTES])
    assert not stream.keypad.has_digit
    stream.receiver.reset_keypad()
    stream.hear(FRAMES[0])
    stream.receiver.mute(True)  # delivers all frames
    assert (stream.keypad.presses, stream.keypad.drain_digits()) == (1, "")


def test_what_is_not_gathered_comes_after_the_frames_before_it() -> None:
    gatherer = FrameGatherer(ManualPolls())
    stream, other = Gathered(gatherer), Gathered(gatherer, keypad=False)
    stream.hear(*FRAMES[:2])
    other.hear(*FRAMES[:2])  # where nothing is searched, nothing waits, and nobody else is hurried
    assert other.events == [Audio(frame) for frame in FRAMES[:2]]
    assert stream.events == [Audio(FRAMES[0])]
    stream.press("5")
    assert stream.events == [Audio(FRAMES[0]), Audio(FRAMES[1]), Digit("5")]
    stream.hear(FRAMES[2])  # a peer that sends digits as messages has no tones to be searched for
    assert stream.events[-1] == Audio(FRAMES[2])


def test_a_listener_gets_all_that_came_before_it_left() -> None:
    stream, pcm = Gathered(FrameGatherer(ManualPolls())), list[bytes]()
    with stream.receiver.listen_pcm(pcm.append):
        stream.hear(*FRAMES[:3])
    assert pcm == FRAMES[:3]
    stream.hear(FRAMES[3])
    stream.receiver.mute(True)
    assert stream.events[-1] == Audio(FRAMES[3])


def test_polled_frames_come_after_gathered_ones() -> None:
    gatherer = FrameGatherer(ManualPolls())
    stream = Gathered(gatherer)
    stream.hear(*FRAMES[:3])
    message = audiosocket.serialize(audiosocket.Message(audiosocket.Kind.SLIN, FRAMES[3]))
    gatherer.deliver_polled([stream.receiver], [mask(websocket.binary(message), b"abcd")])
    assert stream.events == [Audio(frame) for frame in FRAMES[:4]]


def test_polled_packets_of_rtp_are_delivered_at_once() -> None:
    gatherer = FrameGatherer(ManualPolls())
    stream = Gathered(gatherer)
    stream.receiver.switch_wire(Wire(WireSettings(encapsulation=Encapsulation.RTP)))
    packets = [bytes((0x80, 0, 0, n)) + bytes(8) + bytes([16 * n + 5]) * 160 for n in range(4)]
    for packet in packets[:2]:
        stream.receiver.decode_message(packet)
    gatherer.deliver_polled([stream.receiver], [mask(websocket.binary(packets[2]), b"abcd")])
    assert len(stream.events) == 3


def test_polls_end_where_nothing_comes_for_a_second() -> None:
    clock = ManualPolls()
    gatherer = FrameGatherer(clock)
    stream = Gathered(gatherer)
    assert not clock.polls
    stream.hear(*FRAMES[:2])
    for _ in range(60):
        clock.poll()
    assert not clock.polls
    stream.hear(FRAMES[2])
    clock.poll()
    assert stream.events == [Audio(frame) for frame in FRAMES[:3]]


def test_a_burst_of_frames_does_not_wait_to_be_searched_at_one_poll() -> None:
    clock = ManualPolls()
    gatherer = FrameGatherer(clock)
    bursting, other = Gathered(gatherer), Gathered(gatherer)
    other.hear(FRAMES[0], FRAMES[1])
    bursting.hear(*FRAMES[:12])  # the first one does not wait, as it is the stream's first sound
    assert bursting.events == [Audio(frame) for frame in FRAMES[:10]]
    assert other.events == [Audio(FRAMES[0]), Audio(FRAMES[1])]
    clock.poll()
    assert bursting.events == [Audio(frame) for frame in FRAMES[:12]]


def test_frames_of_very_many_streams_are_not_searched_at_one_poll() -> None:
    gatherer = FrameGatherer(ManualPolls())
    streams = [Gathered(gatherer) for _ in range(101)]
    for stream in streams:
        stream.hear(FRAMES[0], FRAMES[1])
    assert [len(stream.events) for stream in streams] == [2] * 100 + [1]
