"""What messages a frame writer makes, and what its observers see."""

from collections.abc import Iterator
from itertools import islice

import pytest

from mediaserver.audio.pcm import SILENCE
from mediaserver.playout.pacing.frame_writer import FrameWriter, ignore_flushed
from mediaserver.playout.sources.source import Source
from mediaserver.wire.chan_websocket import ControlEvent
from mediaserver.wire.encapsulation import PCM, PCMU, Encapsulation, Encoding, Framing, WireSettings
from mediaserver.wire.wire import Wire
from tests.virtual import FakeTransport, VirtualLoop, in_virtual_time

AS_PCM = WireSettings(framing=Framing.PCM)
RTP = WireSettings(Encapsulation.RTP)
MARKER = 0x80


def frames(*numbers: int) -> list[bytes]:
    return [bytes([number]) * 320 for number in numbers]


def encoded(*numbers: int) -> list[bytes]:
    return [PCM.encode(frame) for frame in frames(*numbers)]


class Seekable(Source):
    """A source that can begin anywhere."""

    def __init__(self, sound: list[bytes]) -> None:
        super().__init__(sound)
        self._sound = sound

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        return map(encoding.encode, self._sound[start:])


class Outgoing:
    """A frame writer, and the transport that records what it writes by itself."""

    def __init__(self, loop: VirtualLoop, settings: WireSettings = AS_PCM) -> None:
        self.transport = FakeTransport(loop)
        self.writer = FrameWriter(Wire(settings), self.transport)

    def send(self, source: Source | None, count: int, start: int = 0) -> list[bytes]:
        """The next messages of a source, or of silence."""
        return list(islice(self.writer.iter_messages(source, start), count))

    def markers(self, source: Source | None, count: int) -> list[int]:
        """The marker bits of the RTP packets of the next messages."""
        return [message[5] & MARKER for message in self.send(source, count)]


@in_virtual_time
async def test_a_source_is_written_from_the_frame_asked_for(loop: VirtualLoop) -> None:
    out = Outgoing(loop)
    assert out.send(Seekable(frames(1, 2, 3)), 9) == encoded(1, 2, 3)
    assert out.send(Seekable(frames(1, 2, 3)), 9, start=1) == encoded(2, 3)
    assert out.send(None, 3) == [PCM.encode(SILENCE)] * 3


@in_virtual_time
async def test_observers_see_each_frame_with_its_encoding_in_the_order_in_which_they_were_added(
    loop: VirtualLoop,
) -> None:
    out = Outgoing(loop, WireSettings(Encapsulation.RTP))
    seen: list[tuple[str, Encoding, bytes]] = []
    out.writer.add_observer(lambda encoding, frame: seen.append(("one", encoding, frame)), ignore_flushed)
    out.writer.add_observer(lambda encoding, frame: seen.append(("other", encoding, frame)), ignore_flushed)
    out.send(Source(frames(1)), 1)
    frame = PCMU.encode(frames(1)[0])
    assert seen == [("one", PCMU, frame), ("other", PCMU, frame)]


@in_virtual_time
async def test_an_observer_that_is_removed_sees_no_more_frames_and_another_stays(loop: VirtualLoop) -> None:
    out = Outgoing(loop)
    seen: dict[str, list[bytes]] = {"one": [], "other": []}
    flushed: dict[str, list[int]] = {"one": [], "other": []}
    observers = {name: (lambda _, frame, name=name: seen[name].append(frame)) for name in seen}
    for name, observer in observers.items():
        out.writer.add_observer(observer, flushed[name].append)
    out.send(Source(frames(1)), 1)
    out.writer.report_flushed(1)
    out.writer.remove_observer(observers["one"])
    out.send(Source(frames(2)), 1)
    out.writer.report_flushed(2)
    assert seen == {"one": encoded(1), "other": encoded(1, 2)}
    assert flushed == {"one": [1], "other": [1, 2]}


@in_virtual_time
async def test_observers_stay_when_another_connection_is_used(loop: VirtualLoop) -> None:
    out, transport, seen = Outgoing(loop), FakeTransport(loop), []
    out.writer.add_observer(lambda _, frame: seen.append(frame), ignore_flushed)
    out.send(Source(frames(1)), 1)
    out.writer.use_connection(Wire(RTP), transport)
    assert [message[16:] for message in out.send(Seekable(frames(2)), 1)] == [PCMU.encode(frames(2)[0])]
    assert out.writer.transport is transport
    assert seen == [*encoded(1), PCMU.encode(frames(2)[0])]


@in_virtual_time
async def test_a_talkspurt_is_marked_after_silence_and_not_after_sound(loop: VirtualLoop) -> None:
    out = Outgoing(loop, RTP)
    assert out.markers(Source(frames(1, 2)), 2) == [MARKER, 0]  # nothing was sent before
    assert out.markers(Source(frames(3)), 1) == [0]
    assert out.markers(None, 2) == [0, 0]
    assert out.markers(Source(frames(4, 5)), 2) == [MARKER, 0]


@in_virtual_time
async def test_a_source_without_a_frame_leaves_no_mark_on_the_silence_after_it(loop: VirtualLoop) -> None:
    out = Outgoing(loop, RTP)
    assert out.markers(Source([]), 1) == []
    assert out.markers(None, 1) == [0]
    assert out.markers(Source(frames(1)), 1) == [MARKER]


@in_virtual_time
async def test_sound_on_another_connection_is_marked_again(loop: VirtualLoop) -> None:
    out = Outgoing(loop, RTP)
    assert out.markers(Source(frames(1)), 1) == [MARKER]
    out.writer.use_connection(Wire(RTP), out.transport)
    assert out.markers(Source(frames(2)), 1) == [MARKER]


@pytest.mark.parametrize("closing", [False, True])
@in_virtual_time
async def test_a_partial_frame_is_sent_once_unless_the_connection_is_closed(
    closing: bool, loop: VirtualLoop
) -> None:
    out = Outgoing(loop)
    fields = {"format": "slin", "optimal_frame_size": "960"}
    out.writer.wire.set_media_format(ControlEvent("MEDIA_START", fields).media_format())
    out.writer.write_partial_frame()
    assert out.send(Source(frames(1)), 1) == [b""]
    out.transport.closing = closing
    out.writer.write_partial_frame()
    out.writer.write_partial_frame()
    filled = b"\x82\x7e\x03\xc0" + frames(1)[0] + bytes(640)
    assert out.transport.messages == ([] if closing else [filled])
