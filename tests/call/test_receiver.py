"""What is heard, by itself: who is told, what is counted, and what becomes of both when connections change."""

import asyncio
import contextlib
import struct
from typing import Any

import pytest

from mediaserver.audio.pcm import SILENCE
from mediaserver.call.receiver import MAX_EVENTS, Packets, Receiver
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings
from mediaserver.wire.events import Audio, Digit, Event, Hangup
from mediaserver.wire.wire import Wire
from tests.virtual import VirtualLoop, in_virtual_time

PLAIN = WireSettings(framing=Framing.PCM)
FRAME = b"\1\2" * 160


class Ear:
    """Hears over a wire, at the times of a clock, and keeps all it is told."""

    def __init__(self, settings: WireSettings = PLAIN) -> None:
        self.settings, self.now = settings, 50.0
        self.failures: list[Exception] = []
        self.signals: list[Event] = []
        self.heard: list[Event] = []
        self.receiver = Receiver(Wire(settings), lambda: self.now, self.failures.append, self.signals.append)

    def packet(self, number: int) -> None:
        """An RTP packet, which comes when it is due."""
        self.now += 0.02
        self.receiver.receive(struct.pack(">BBHII", 0x80, 0, number, number * 160, 0) + bytes([number]) * 160)

    def reconnect(self, after: float) -> None:
        self.receiver.pause()
        self.now += after
        self.receiver.use(Wire(self.settings))


# -- who is told -----------------------------------------------------------------------------------


def test_each_listener_is_told_of_each_event_at_once_while_it_listens() -> None:
    ear, other = Ear(), []
    receiver = ear.receiver
    receiver.receive(FRAME)
    with receiver.listen(ear.heard.append):
        receiver.receive(FRAME)
        with receiver.listen(other.append):
            receiver.push(Digit("1"))
            assert (ear.heard, other) == ([Audio(FRAME), Digit("1")], [Digit("1")])
        receiver.push(Digit("2"))
    receiver.push(Digit("3"))
    assert (len(ear.heard), len(other)) == (3, 1)
    assert (receiver.received, receiver.malformed, receiver.dropped) == (2, 0, 0)


def test_a_listener_who_leaves_by_a_failure_has_left() -> None:
    ear = Ear()
    with contextlib.suppress(LookupError), ear.receiver.listen(ear.heard.append):
        raise LookupError
    ear.receiver.push(Digit("1"))
    assert ear.heard == []


def test_what_is_no_sound_is_told_whether_or_not_anybody_listens() -> None:
    ear = Ear()
    for event in (Digit("1"), Hangup(), Audio(FRAME)):
        ear.receiver.push(event)
    assert ear.signals == [Digit("1"), Hangup()]


def test_a_failing_listener_is_told_of_and_the_reader_goes_on() -> None:
    ear, error = Ear(), ZeroDivisionError()

    def fail(event: Event) -> None:
        raise error

    with ear.receiver.listen(fail):
        ear.receiver.receive(FRAME)
    assert ear.failures == [error]


def test_after_its_close_nobody_is_told_of_anything() -> None:
    ear, began = Ear(), []

    def fail(event: Event) -> None:
        raise ZeroDivisionError

    ear.receiver.keep(ear.heard.append)
    ear.receiver.keep(fail)
    ear.receiver.when_heard(lambda: began.append(1))
    ear.receiver.close()
    ear.receiver.receive(FRAME)
    ear.receiver.push(Hangup())
    assert (ear.heard, ear.signals, ear.failures, began) == ([], [], [], [])
    assert ear.receiver.received == 1


@in_virtual_time
async def test_of_events_that_wait_the_oldest_give_way_and_are_counted(loop: VirtualLoop) -> None:
    ear = Ear()
    events = ear.receiver.events()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    for n in range(MAX_EVENTS):
        ear.receiver.push(Digit(str(n % 10)))
    assert ear.receiver.dropped == 0
    ear.receiver.push(Digit("*"))
    assert ear.receiver.dropped == 1
    found = [await first] + [await anext(events) for _ in range(MAX_EVENTS - 1)]
    assert [found[0], found[-1]] == [Digit("1"), Digit("*")]
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(1)
    assert not waiting.done()
    ear.receiver.push(Digit("#"))
    assert await waiting == Digit("#")
    await events.aclose()  # type: ignore[attr-defined]
    assert ear.receiver._listeners == ()


# -- the first sound -------------------------------------------------------------------------------


@pytest.mark.parametrize("listens", [False, True])
def test_the_first_sound_is_told_once(listens: bool) -> None:
    ear, began = Ear(), []
    if listens:
        ear.receiver.keep(ear.heard.append)
    ear.receiver.receive(FRAME)
    ear.receiver.when_heard(lambda: began.append(1))
    ear.receiver.push(Digit("1"))
    ear.receiver.push(Audio(b""))
    assert began == []
    ear.receiver.receive(SILENCE)  # silence is sound: the media are there
    ear.receiver.receive(FRAME)
    assert began == [1]


def test_digital_silence_is_known_until_there_is_anything_else() -> None:
    ear = Ear()
    ear.receiver.keep(ear.heard.append)
    assert ear.receiver.silent
    ear.receiver.receive(SILENCE)
    assert ear.receiver.silent
    ear.receiver.receive(bytes(319) + b"\1")
    assert not ear.receiver.silent
    ear.receiver.receive(SILENCE)
    assert not ear.receiver.silent


# -- what is counted -------------------------------------------------------------------------------


def test_what_is_not_in_the_wire_s_format_is_counted_and_the_rest_is_heard() -> None:
    ear = Ear(WireSettings(framing=Framing.MESSAGE))
    ear.receiver.keep(ear.heard.append)
    for data in (b"\x10", b"\x10\x01\x40" + FRAME, b"\x10\x00\x09abc"):
        ear.receiver.receive(data)
    assert ear.heard == [Audio(FRAME)]
    assert (ear.receiver.received, ear.receiver.malformed) == (3, 2)


def test_samples_are_counted_over_all_connections() -> None:
    ear = Ear()
    ear.receiver.keep(ear.heard.append)
    for _ in range(3):
        ear.receiver.receive(FRAME)
    assert ear.receiver.samples == 480
    for connections in (1, 2):
        ear.reconnect(0.0)
        assert ear.receiver.samples == 480 + (connections - 1) * 160
        ear.receiver.receive(FRAME)
    assert ear.receiver.samples == 800


def test_packets_are_counted_over_all_connections_and_each_begins_anew() -> None:
    ear = Ear(WireSettings(encapsulation=Encapsulation.RTP))
    ear.receiver.keep(ear.heard.append)
    for number in (1, 2, 2, 4, 5, 6, 7, 8, 3):
        ear.packet(number)
    assert ear.receiver.packets == Packets(received=9, lost=1, late=1, duplicate=1)
    ear.reconnect(0.0)
    assert ear.receiver.packets == Packets(9, 1, 1, 1)
    for number in (200, 201, 203, 204, 205, 206, 207):
        ear.packet(number)
    assert ear.receiver.packets == Packets(16, 2, 1, 1)
    assert Packets(1, 2, 3, 4).plus(Packets(10, 20, 30, 40)) == Packets(11, 22, 33, 44)


def test_what_came_while_nobody_listened_is_not_missing() -> None:
    """The first who listens begins a sequence; another beside it, or its leaving, does not."""
    ear = Ear(WireSettings(encapsulation=Encapsulation.RTP))
    numbers = iter(range(1, 100))

    def packets(count: int) -> None:
        for _ in range(count):
            ear.packet(next(numbers))

    packets(5)
    with ear.receiver.listen(ear.heard.append):
        packets(5)
        with ear.receiver.listen(lambda event: None):
            packets(1)
        packets(5)
    packets(20)
    with ear.receiver.listen(ear.heard.append):
        packets(5)
    assert ear.receiver.packets.lost == 0
    assert ear.receiver.packets.late == 0
    assert len(ear.heard) == 16
    assert not any(event.concealed for event in ear.heard if isinstance(event, Audio))


def test_what_waits_for_its_order_is_heard_before_the_connection_or_the_listener_goes() -> None:
    def leave(ear: Ear) -> None:
        pass

    def pause(ear: Ear) -> None:
        ear.receiver.pause()

    for end in (leave, pause):
        ear = Ear(WireSettings(encapsulation=Encapsulation.RTP))
        with ear.receiver.listen(ear.heard.append):
            for number in (1, 2, 4, 5):
                ear.packet(number)
            with ear.receiver.listen(lambda event: None):
                pass
            assert len(ear.heard) == 2  # it still waits: somebody listens
            end(ear)
            assert len(ear.heard) == (5 if end is pause else 2)
        assert [bool(event.concealed) for event in ear.heard if isinstance(event, Audio)] == [0, 0, 1, 0, 0]
        assert ear.receiver.packets == Packets(received=4, lost=1)


# -- without a connection --------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "frames"), [(0.0, 0), (0.009, 0), (0.02, 1), (1.0, 50), (61.0, 3050)])
def test_the_time_without_a_connection_is_silence(seconds: float, frames: int) -> None:
    ear = Ear()
    ear.receiver.keep(ear.heard.append)
    ear.reconnect(seconds)
    assert ear.heard == ([Audio(bytes(frames * 320), concealed=True)] if frames else [])
    ear.heard.clear()
    ear.now += 5
    ear.receiver.use(Wire(PLAIN))  # it was not paused again
    assert ear.heard == []


def test_that_silence_is_no_sound_of_the_peer_s() -> None:
    ear = Ear()
    ear.reconnect(1.0)
    assert (ear.receiver.silent, ear.receiver.samples, ear.receiver.received) == (True, 0, 0)


def test_jitter_is_the_present_connection_s() -> None:
    ear: Any = Ear(WireSettings(encapsulation=Encapsulation.RTP))
    ear.receiver.keep(ear.heard.append)
    for number in range(1, 20):
        ear.now += 0.01 * (number % 2)
        ear.packet(number)
    assert ear.receiver.jitter_ms > 1
    ear.reconnect(0.0)
    assert ear.receiver.jitter_ms == 0
