"""Frames that come one by one from the event loop, and are searched together once in each ptime."""

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

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
    other = Gathered(gatherer, keypad=False)
    messages = [mask(websocket.binary(message), key) for key in (b"abcd", b"efgh")]
    gatherer.deliver_polled([stream.receiver, other.receiver], messages)
    assert stream.events == [Audio(frame) for frame in FRAMES[:4]]
    assert other.events == [Audio(FRAMES[3])]


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


def test_a_burst_of_frames_is_searched_in_several_polls() -> None:
    clock = ManualPolls()
    gatherer = FrameGatherer(clock)
    bursting, other = Gathered(gatherer), Gathered(gatherer)
    other.hear(*FRAMES[:2])
    bursting.hear(*FRAMES[:13])  # the first one does not wait, as it is the stream's first sound
    assert (len(bursting.events), len(other.events)) == (1, 1)
    counts = []
    for _ in range(3):
        clock.poll()
        counts.append((len(bursting.events), len(other.events)))
    assert counts == [(6, 2), (11, 2), (13, 2)]
    assert bursting.events == [Audio(frame) for frame in FRAMES[:13]]


def test_no_more_than_a_second_of_one_stream_waits() -> None:
    gatherer = FrameGatherer(ManualPolls())
    bursting, other = Gathered(gatherer), Gathered(gatherer)
    other.hear(*FRAMES[:3])
    bursting.hear(*FRAMES, *FRAMES, *FRAMES)
    assert (len(bursting.events), len(other.events)) == (11, 3)
    assert bursting.events == [Audio(frame) for frame in FRAMES[:11]]


def note(order: list[tuple[int, Event]], stream: int, event: Event) -> None:
    order.append((stream, event))


def test_frames_of_many_streams_that_come_stream_by_stream_are_searched_in_rounds() -> None:
    """So it is after the server was held up: each connection has many frames to read."""
    clock = ManualPolls()
    gatherer = FrameGatherer(clock)
    streams = [Gathered(gatherer) for _ in range(4)]
    order = list[tuple[int, Event]]()
    for n, stream in enumerate(streams):
        stream.hear(FRAMES[0])
        stream.receiver.add_listener(partial(note, order, n))
    for stream in streams:
        stream.hear(*FRAMES[1:9])
    assert not order
    clock.poll()
    clock.poll()
    assert order == [(n, Audio(frame)) for frame in FRAMES[1:9] for n in range(4)]


def calls_after_a_hold_up(streams: int) -> int:
    """Number of calls of Python functions in which the frames are decoded, searched and delivered."""
    clock = ManualPolls()
    gatherer = FrameGatherer(clock)
    held_up = [Gathered(gatherer) for _ in range(streams)]
    for stream in held_up:
        stream.hear(FRAMES[0])
    calls = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    profiler = sys.getprofile()
    sys.setprofile(profile)
    try:
        for stream in held_up:
            stream.hear(*FRAMES[1:13])
        for _ in range(3):
            clock.poll()
    finally:
        sys.setprofile(profiler)
    assert all(len(stream.events) == 13 for stream in held_up)
    return calls


def test_a_hold_up_costs_few_calls_a_frame() -> None:
    """If it cost much more than frames that come in time, a busy server would never catch up."""
    few, more = calls_after_a_hold_up(5), calls_after_a_hold_up(45)
    assert (more - few) / (40 * 12) <= 20


def test_a_listener_that_leaves_hurries_nobody() -> None:
    clock = ManualPolls()
    gatherer = FrameGatherer(clock)
    leaving, other = Gathered(gatherer), Gathered(gatherer)
    leaving.hear(FRAMES[0])
    leaving.receiver.add_listener(lambda event: leaving.receiver.mute(True))  # delivers what waits
    other.hear(FRAMES[0])
    for stream in (leaving, other):
        stream.hear(*FRAMES[1:4])
    clock.poll()
    assert other.events == [Audio(frame) for frame in FRAMES[:4]]


def test_frames_of_very_many_streams_are_not_searched_at_one_poll() -> None:
    gatherer = FrameGatherer(ManualPolls())
    streams = [Gathered(gatherer) for _ in range(101)]
    for stream in streams:
        stream.hear(FRAMES[0], FRAMES[1])
    assert [len(stream.events) for stream in streams] == [2] * 100 + [1]
