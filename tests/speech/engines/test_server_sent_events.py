"""The parser of Server-Sent Events: the examples of the HTML standard, and streams cut at any byte."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.speech.engines.server_sent_events import (
    MAX_EVENT_CHARACTERS,
    ServerSentEvent,
    ServerSentEventParser,
)


def parse(*pieces: bytes) -> list[ServerSentEvent]:
    stream = ServerSentEventParser()
    return [event for piece in pieces for event in stream.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [ServerSentEvent("YHOO\n+2\n10")]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
         [ServerSentEvent("first event"), ServerSentEvent("second event")]),
        (b"data\n\ndata\ndata\n\ndata:", [ServerSentEvent(""), ServerSentEvent("\n")]),
        (b"data:test\n\ndata: test\n\n", [ServerSentEvent("test"), ServerSentEvent("test")]),
        (b"event: add\r\ndata: 1\r\n\r\nevent: add\r\rdata: 2\r\r",
         [ServerSentEvent("1", "add"), ServerSentEvent("2")]),
        (b"\xef\xbb\xbfdata: \xef\xbb\xbfx\n\n", [ServerSentEvent("\ufeffx")]),
        (b"data: \xff\n\n", [ServerSentEvent("\ufffd")]),
        (b"Data: 1\nretry: 5\n{}\n\n", []),
        ("data: a\u2028b\n\n".encode(), [ServerSentEvent("a\u2028b")]),  # U+2028 is a line end in Python only
    ],
)  # fmt: skip
def test_examples_of_the_standard_are_parsed(stream: bytes, events: list[ServerSentEvent]) -> None:
    assert parse(stream) == events


LINES = st.sampled_from(["data: ä€😀", "data:", ": no", "event: x", "", "", "data: b", "id: 1", "\ufeffdata: c"])
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.tuples(LINES, ENDS)), st.lists(st.integers(0, 200)))
def test_where_a_stream_is_cut_makes_no_difference(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    stream = "".join(line + end for line, end in lines).encode()
    at = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[start:end] for start, end in itertools.pairwise(at)]
    assert parse(*pieces) == parse(stream) == parse(*(bytes([byte]) for byte in stream))


@given(st.binary(max_size=300))
def test_garbage_raises_nothing(garbage: bytes) -> None:
    parse(garbage)


@pytest.mark.parametrize("line", [b"x", b"data: 12345678\n"])
def test_an_event_that_is_too_long_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="an event has more than"):
        parse(*[line * 1000] * (MAX_EVENT_CHARACTERS // 1000 + 1))
