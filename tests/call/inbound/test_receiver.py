"""The receiver: whom it calls, what it counts, and what becomes of both when connections change."""

import asyncio
import contextlib
import struct
from typing import Any

import pytest

from mediaserver.audio.pcm import SILENCE
from mediaserver.call.inbound.event_queue import MAX_EVENTS, iterate_events
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings
from mediaserver.wire.events import Audio, Digit, Event, Hangup
from mediaserver.wire.jitter import PacketCounts
from mediaserver.wire.wire import Wire
from tests.virtual import VirtualLoop, in_virtual_time

PLAIN = WireSettings(framing=Framing.PCM)
FRAME = b"\1\2" * 160


class ReceiverProbe:
    """A receiver with a clock that tests set, which keeps all events, signals and failures."""

    def __init__(self, settings: WireSettings = PLAIN) -> None:
        self.settings, self.now = settings, 50.0
        self.failures: list[BaseException] = []
        self.signals: list[Event] = []
        self.heard: list[Event] = []
        self.receiver = Receiver(Wire(settings), lambda: self.now, self.failures.append, self.signals.append)

    def packet(self, number: int) -> None:
        """Receive an RTP packet when it is due."""
        self.now += 0.02
        self.receiver.decode_message(
            struct.pack(">BBHII", 0x80, 0, number, number * 160, 0) + bytes([number]) * 160
        )

    def reconnect(self, after: float) -> None:
        self.receiver.pause()
        self.now += after
        self.receiver.switch_wire(Wire(self.settings))


# -- who is told -----------------------------------------------------------------------------------


def test_each_listener_gets_each_event_at_once_while_it_listens() -> None:
    probe, other = ReceiverProbe(), []
    receiver = probe.receiver
    receiver.decode_message(FRAME)
    with receiver.listen(probe.heard.append):
        receiver.decode_message(FRAME)
        with receiver.listen(other.append):
            receiver.push_event(Digit("1"))
            assert (probe.heard, other) == ([Audio(FRAME), Digit("1")], [Digit("1")])
        receiver.push_event(Digit("2"))
    receiver.push_event(Digit("3"))
    assert (len(probe.heard), len(other)) == (3, 1)
    assert (receiver.received, receiver.malformed, receiver.dropped) == (2, 0, 0)


def test_a_listener_for_pcm_gets_samples_and_nothing_else_while_it_listens() -> None:
    probe, samples = ReceiverProbe(), []
    receiver = probe.receiver
    with receiver.listen_pcm(samples.append):
        receiver.decode_message(FRAME)
        receiver.push_event(Digit("1"))
        with receiver.listen(probe.heard.append):
            receiver.decode_message(FRAME)
        receiver.decode_message(FRAME)
    receiver.decode_message(FRAME)
    assert samples == [FRAME] * 3
    assert probe.heard == [Audio(FRAME)]
    assert not receiver.listening


def test_the_first_listener_begins_a_sequence_and_the_last_gets_what_waits_whichever_they_are() -> None:
    probe, samples = ReceiverProbe(WireSettings(encapsulation=Encapsulation.RTP)), []
    with probe.receiver.listen_pcm(samples.append):
        for number in (1, 2, 4):
            probe.packet(number)
        with probe.receiver.listen(probe.heard.append):
            pass
        assert len(samples) == 2
    assert (len(samples), probe.receiver.packets) == (4, PacketCounts(received=3, lost=1))
    with probe.receiver.listen(probe.heard.append):
        probe.packet(90)
        with probe.receiver.listen_pcm(samples.append):
            probe.packet(91)
        probe.packet(92)
    assert (len(probe.heard), len(samples)) == (3, 5)
    assert probe.receiver.packets == PacketCounts(received=6, lost=1)


def test_a_listener_whose_block_raises_is_removed() -> None:
    probe = ReceiverProbe()
    with contextlib.suppress(LookupError), probe.receiver.listen(probe.heard.append):
        raise LookupError
    probe.receiver.push_event(Digit("1"))
    assert probe.heard == []


def test_signals_are_delivered_with_or_without_a_listener() -> None:
    probe = ReceiverProbe()
    for event in (Digit("1"), Hangup(), Audio(FRAME)):
        probe.receiver.push_event(event)
    assert probe.signals == [Digit("1"), Hangup()]


def test_a_failing_listener_is_reported_and_the_receiver_goes_on() -> None:
    probe, error = ReceiverProbe(), ZeroDivisionError()

    def fail(_: object) -> None:
        raise error

    with probe.receiver.listen(fail):
        probe.receiver.decode_message(FRAME)
    with probe.receiver.listen_pcm(fail):
        probe.receiver.decode_message(FRAME)
    assert probe.failures == [error] * 2


def test_after_its_close_a_receiver_calls_nobody() -> None:
    probe, began = ReceiverProbe(), []

    def fail(event: Event) -> None:
        raise ZeroDivisionError

    probe.receiver.add_listener(probe.heard.append)
    probe.receiver.add_listener(fail)
    probe.receiver.on_next_audio(lambda: began.append(1))
    probe.receiver.close()
    probe.receiver.decode_message(FRAME)
    probe.receiver.push_event(Hangup())
    assert (probe.heard, probe.signals, probe.failures, began) == ([], [], [], [])
    assert probe.receiver.received == 1


@in_virtual_time
async def test_the_oldest_queued_events_give_way_and_are_counted(loop: VirtualLoop) -> None:
    probe = ReceiverProbe()
    events = iterate_events(probe.receiver)
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    for n in range(MAX_EVENTS):
        probe.receiver.push_event(Digit(str(n % 10)))
    assert probe.receiver.dropped == 0
    probe.receiver.push_event(Digit("*"))
    assert probe.receiver.dropped == 1
    found = [await first] + [await anext(events) for _ in range(MAX_EVENTS - 1)]
    assert [found[0], found[-1]] == [Digit("1"), Digit("*")]
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(1)
    assert not waiting.done()
    probe.receiver.push_event(Digit("#"))
    assert await waiting == Digit("#")
    await events.aclose()  # type: ignore[attr-defined]
    assert probe.receiver.listeners == ()


# -- the first sound -------------------------------------------------------------------------------


@pytest.mark.parametrize("listens", [False, True])
def test_the_callback_for_the_next_audio_is_called_once(listens: bool) -> None:
    probe, began = ReceiverProbe(), []
    if listens:
        probe.receiver.add_listener(probe.heard.append)
    probe.receiver.decode_message(FRAME)
    probe.receiver.on_next_audio(lambda: began.append(1))
    probe.receiver.push_event(Digit("1"))
    probe.receiver.push_event(Audio(b""))
    assert began == []
    probe.receiver.decode_message(SILENCE)  # silence is sound: the media are there
    probe.receiver.decode_message(FRAME)
    assert began == [1]


def test_digital_silence_is_known_until_there_is_anything_else() -> None:
    probe = ReceiverProbe()
    probe.receiver.add_listener(probe.heard.append)
    assert probe.receiver.silent
    probe.receiver.decode_message(SILENCE)
    assert probe.receiver.silent
    probe.receiver.decode_message(bytes(319) + b"\1")
    assert not probe.receiver.silent
    probe.receiver.decode_message(SILENCE)
    assert not probe.receiver.silent


# -- what is counted -------------------------------------------------------------------------------


def test_malformed_messages_are_counted_and_the_rest_is_delivered() -> None:
    probe = ReceiverProbe(WireSettings(framing=Framing.MESSAGE))
    probe.receiver.add_listener(probe.heard.append)
    for data in (b"\x10", b"\x10\x01\x40" + FRAME, b"\x10\x00\x09abc"):
        probe.receiver.decode_message(data)
    assert probe.heard == [Audio(FRAME)]
    assert (probe.receiver.received, probe.receiver.malformed) == (3, 2)


def test_samples_are_counted_over_all_connections() -> None:
    probe = ReceiverProbe()
    probe.receiver.add_listener(probe.heard.append)
    for _ in range(3):
        probe.receiver.decode_message(FRAME)
    assert probe.receiver.samples == 480
    for connections in (1, 2):
        probe.reconnect(0.0)
        assert probe.receiver.samples == 480 + (connections - 1) * 160
        probe.receiver.decode_message(FRAME)
    assert probe.receiver.samples == 800


def test_packets_are_counted_over_all_connections_and_each_begins_anew() -> None:
    probe = ReceiverProbe(WireSettings(encapsulation=Encapsulation.RTP))
    probe.receiver.add_listener(probe.heard.append)
    for number in (1, 2, 2, 4, 5, 6, 7, 8, 3):
        probe.packet(number)
    assert probe.receiver.packets == PacketCounts(received=9, lost=1, late=1, duplicate=1)
    probe.reconnect(0.0)
    assert probe.receiver.packets == PacketCounts(9, 1, 1, 1)
    for number in (200, 201, 203, 204, 205, 206, 207):
        probe.packet(number)
    assert probe.receiver.packets == PacketCounts(16, 2, 1, 1)
    assert PacketCounts(1, 2, 3, 4).plus(PacketCounts(10, 20, 30, 40)) == PacketCounts(11, 22, 33, 44)


def test_packets_without_a_listener_do_not_count_as_lost() -> None:
    """The first who listens begins a sequence; another beside it, or its leaving, does not."""
    probe = ReceiverProbe(WireSettings(encapsulation=Encapsulation.RTP))
    numbers = iter(range(1, 100))

    def packets(count: int) -> None:
        for _ in range(count):
            probe.packet(next(numbers))

    packets(5)
    with probe.receiver.listen(probe.heard.append):
        packets(5)
        with probe.receiver.listen(lambda event: None):
            packets(1)
        packets(5)
    packets(20)
    with probe.receiver.listen(probe.heard.append):
        packets(5)
    assert probe.receiver.packets.lost == 0
    assert probe.receiver.packets.late == 0
    assert len(probe.heard) == 16
    assert not any(event.concealed for event in probe.heard if isinstance(event, Audio))


def test_the_jitter_buffer_is_flushed_before_the_connection_or_the_listener_goes() -> None:
    def leave(probe: ReceiverProbe) -> None:
        pass

    def pause(probe: ReceiverProbe) -> None:
        probe.receiver.pause()

    for end in (leave, pause):
        probe = ReceiverProbe(WireSettings(encapsulation=Encapsulation.RTP))
        with probe.receiver.listen(probe.heard.append):
            for number in (1, 2, 4, 5):
                probe.packet(number)
            with probe.receiver.listen(lambda event: None):
                pass
            assert len(probe.heard) == 2  # it still waits: somebody listens
            end(probe)
            assert len(probe.heard) == (5 if end is pause else 2)
        assert [bool(event.concealed) for event in probe.heard if isinstance(event, Audio)] == [0, 0, 1, 0, 0]
        assert probe.receiver.packets == PacketCounts(received=4, lost=1)


# -- without a connection --------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "frames"), [(0.0, 0), (0.009, 0), (0.02, 1), (1.0, 50), (61.0, 3050)])
def test_the_time_without_a_connection_is_silence(seconds: float, frames: int) -> None:
    probe = ReceiverProbe()
    probe.receiver.add_listener(probe.heard.append)
    probe.reconnect(seconds)
    assert probe.heard == ([Audio(bytes(frames * 320), concealed=True)] if frames else [])
    probe.heard.clear()
    probe.now += 5
    probe.receiver.switch_wire(Wire(PLAIN))  # it was not paused again
    assert probe.heard == []


def test_silence_for_a_lost_connection_is_not_the_peer_s_audio() -> None:
    probe = ReceiverProbe()
    probe.reconnect(1.0)
    assert (probe.receiver.silent, probe.receiver.samples, probe.receiver.received) == (True, 0, 0)


def test_jitter_is_known_when_nobody_listens_any_more_and_when_the_connection_is_lost() -> None:
    probe: Any = ReceiverProbe(WireSettings(encapsulation=Encapsulation.RTP))
    with probe.receiver.listen(probe.heard.append):
        for number in range(1, 20):
            probe.now += 0.01 * (number % 2)
            probe.packet(number)
        jitter = probe.receiver.jitter_ms
        assert jitter > 1
    assert probe.receiver.jitter_ms == jitter
    probe.receiver.pause()
    assert probe.receiver.jitter_ms == jitter
    with probe.receiver.listen(probe.heard.append):
        assert probe.receiver.jitter_ms == 0  # whoever listens now begins anew


def test_jitter_is_that_of_the_present_connection() -> None:
    probe: Any = ReceiverProbe(WireSettings(encapsulation=Encapsulation.RTP))
    probe.receiver.add_listener(probe.heard.append)
    for number in range(1, 20):
        probe.now += 0.01 * (number % 2)
        probe.packet(number)
    assert probe.receiver.jitter_ms > 1
    probe.reconnect(0.0)
    assert probe.receiver.jitter_ms == 0
