"""Marks of operators: when they are told, and what they say of sound that was stopped; under virtual time."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mediaserver.call.control.marks import MAX_MARKS, Marks
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.kinds import EventKind
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.playout.sources.source import Clip, Source
from tests.playout.pacing.frames import PCM, ahead, frame, frames, packets, sent_frames, source
from tests.playout.pacing.test_output_gain import WIRES
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time


class Marked:
    """A stream with marks, and the events that came of them, each with how many frames were sent by then."""

    def __init__(self, loop: VirtualLoop, wire: Any = PCM) -> None:
        self.stream = VirtualStream(loop, wire)
        self.pacer, self.until = self.stream.pacer, self.stream.until
        self.events: list[tuple[int, str, bool]] = []

        def notify(kind: str, data: Mapping[str, Any]) -> None:
            assert kind == EventKind.MARK
            self.events.append((self.pacer.frames, data["name"], data["complete"]))

        self.marks = Marks(self.pacer, notify)
        self.pacer.start()


@in_virtual_time
async def test_a_mark_is_told_when_what_plays_and_waits_was_sent_and_takes_no_time(loop: VirtualLoop) -> None:
    marked = Marked(loop)
    marked.pacer.play(source(1, 2))
    marked.pacer.play(source(3, 4))
    await marked.until(10)
    marked.marks.add("a")
    marked.pacer.play(source(5))
    marked.marks.add("b")
    await marked.until(150)
    assert sent_frames(marked.stream) == [*frames(1, 2, 3, 4, 5), None, None, None]
    assert marked.events == [(5, "a", True), (6, "b", True)]  # as the next frame is sent


@in_virtual_time
async def test_where_nothing_plays_a_mark_is_told_at_the_next_frame(loop: VirtualLoop) -> None:
    marked = Marked(loop)
    await marked.until(50)
    marked.marks.add("a")
    await marked.until(90)
    assert sent_frames(marked.stream) == [None] * 5
    assert marked.events == [(3, "a", True)]


@in_virtual_time
async def test_a_mark_begins_no_talkspurt(loop: VirtualLoop) -> None:
    marked = Marked(loop, WIRES["pcmu"])
    await marked.until(50)
    marked.marks.add("a")
    await marked.until(90)
    assert [packet.marker for packet in packets(marked.stream)][1:] == [False] * 4
    assert marked.events == [(3, "a", True)]


@in_virtual_time
async def test_marks_say_what_was_stopped(loop: VirtualLoop) -> None:
    marked = Marked(loop)
    first, _ = marked.pacer.play(source(1)), marked.pacer.play(source(2))
    third = marked.pacer.play(source(3, 4))
    marked.marks.add("one stopped")
    await marked.until(30)
    marked.pacer.cancel(third)
    marked.marks.add("none stopped")
    await marked.until(110)
    marked.pacer.play(source(5, 6, 7))
    await marked.until(130)
    marked.marks.add("all stopped")
    marked.pacer.cancel_all()
    await marked.until(170)
    assert marked.events == [(3, "one stopped", False), (3, "none stopped", True), (7, "all stopped", False)]
    assert first.result().complete


@in_virtual_time
async def test_what_interrupts_is_not_waited_for_twice(loop: VirtualLoop) -> None:
    marked = Marked(loop)
    marked.pacer.play(source(1, 2, 3, 4))
    await marked.until(10)
    marked.marks.add("a")
    marked.pacer.interject(source(9))
    await marked.until(170)
    assert [event[1:] for event in marked.events] == [("a", True)]


@in_virtual_time
async def test_what_an_application_says_is_a_buffer_without_end(loop: VirtualLoop) -> None:
    marked, buffer = Marked(loop), PlayoutBuffer()
    marked.pacer.play(buffer)
    buffer.push_audio(b"".join(frames(1, 2)))
    marked.marks.add("a")
    await marked.until(50)
    buffer.push_audio(b"".join(frames(3, 4, 5)))
    marked.marks.add("cleared")
    await marked.until(70)
    buffer.clear()
    await marked.until(130)
    buffer.push_audio(frames(6)[0])
    marked.marks.add("stopped")
    marked.pacer.cancel_all()
    await marked.until(170)
    assert marked.events == [(3, "a", True), (5, "cleared", False), (7, "stopped", False)]
    assert sent_frames(marked.stream)[:3] == [*frames(1, 2), None]


@in_virtual_time
async def test_a_buffer_that_was_reset_forgets_no_mark(loop: VirtualLoop) -> None:
    """Such as when the application's connection breaks."""
    marked, buffer = Marked(loop, ahead(0)), PlayoutBuffer()
    done = marked.pacer.play(buffer)
    buffer.push_audio(b"".join(frames(1, 2, 3)))
    await marked.until(10)
    marked.marks.add("a")
    buffer.reset()
    marked.pacer.cancel(done)
    await marked.until(70)
    assert [event[1:] for event in marked.events] == [("a", False)]


@in_virtual_time
async def test_so_many_marks_wait_and_no_more(loop: VirtualLoop) -> None:
    """And as many again, once these were reached."""
    marked = Marked(loop)
    for begins in (0, 200):
        await marked.until(begins + 5)
        marked.pacer.play(source(*range(1, 5)))
        for n in range(MAX_MARKS):
            marked.marks.add(f"{n}")
        with pytest.raises(RefusedError, match="100 marks wait on this stream already") as refused:
            marked.marks.add("x")
        assert refused.value.reason is RefusalReason.STREAM_BUSY
        await marked.until(begins + 150)
    assert [event[1] for event in marked.events] == [f"{n}" for n in range(MAX_MARKS)] * 2
    assert [number for number in sent_frames(marked.stream) if number] == frames(1, 2, 3, 4) * 2


@in_virtual_time
async def test_a_mark_behind_a_sound_that_fails_or_is_given_up_is_told_as_incomplete(loop: VirtualLoop) -> None:
    def broken() -> Iterator[bytes]:
        yield frame(1)
        raise OSError(5, "it broke")

    marked = Marked(loop)
    failing = marked.pacer.play(Source(broken()))
    marked.marks.add("failed")
    await marked.until(90)
    given_up = marked.pacer.play(source(2, 3, 4))
    marked.marks.add("given up")
    await marked.until(110)
    given_up.cancel()  # as when the task that waits for it is cancelled
    await marked.until(190)
    assert isinstance(failing.exception(), OSError)
    assert [event[1:] for event in marked.events] == [("failed", False), ("given up", False)]


@in_virtual_time
async def test_a_mark_behind_a_loop_says_that_the_loop_was_stopped(loop: VirtualLoop) -> None:
    marked = Marked(loop)
    marked.pacer.play(Playlist(Repeated([Clip(frames(1)[0])], None)))
    marked.pacer.play(source(2))
    marked.marks.add("a")
    await marked.until(30)
    marked.pacer.silence_all()
    await marked.until(90)
    assert sent_frames(marked.stream)[3:] == [*frames(2), None]
    assert marked.events == [(5, "a", False)]


@in_virtual_time
async def test_a_mark_in_what_an_application_says_tells_that_it_was_stopped(loop: VirtualLoop) -> None:
    marked, buffer = Marked(loop), PlayoutBuffer()
    marked.pacer.play(buffer)
    buffer.push_audio(b"".join(frames(1, 2, 3)))
    marked.marks.add("stopped")
    await marked.until(30)
    marked.pacer.silence_all()
    buffer.push_audio(frames(4)[0])
    marked.marks.add("heard")
    await marked.until(90)
    assert marked.events == [(2, "stopped", False), (5, "heard", True)]
