"""Whether what a server says is sensible: HTTP responses in order, and a stream's frames behind an upgrade."""

import json
import re
from collections.abc import Container
from typing import NamedTuple

_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n((?:[\w!#$%&'*+.^`|~-]+: ?[^\r\n\0]*\r\n)*)\r\n")
_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)\r$")
_CLOSES = re.compile(rb"(?im)^connection: *close\r$")
_CONTINUE = 100
SENSIBLE = {_CONTINUE, 101, 202, *range(400, 500), 501, 503, 505}
_CLOSE_CODES = {1000, 1001, 1002, 1003, 1007, 1009, 1011, 1013}
_CONTROL_MOST = 125
_COMMAND = re.compile(rb'([A-Z_]+)|\{"command":"[A-Z_]+"\}')  # to Asterisk's WebSocket channel
AUDIO_SIZES = {"audiosocket": {320, 323}, "rtp": {172, 332}, "sln": {320}}
_ANY_SIZE = set.union(*AUDIO_SIZES.values())


class Answer(NamedTuple):
    """One response."""

    status: int
    body: bytes


def read(
    heard: bytes,
    sizes: Container[int] = _ANY_SIZE,
    *,
    commands: bool = False,
    sensible: Container[int] = SENSIBLE,
) -> list[Answer]:
    """The responses of one connection; AssertionError where any is not sensible, as by its status.

    `sizes` are what a stream's messages may have; with `commands`, Asterisk may be told something in texts. The
    last response or frame may be cut short, but not wrong.
    """
    answers, at = [], 0
    while at < len(heard):
        head = _HEAD.match(heard, at)
        assert head or b"\r\n\r\n" not in heard[at:], f"no HTTP response: {heard[at : at + 300]!r}"
        if head is None:
            break
        status, at = int(head[1]), head.end()
        assert status in sensible, f"status {status}: {heard[head.start() : at + 300]!r}"
        if status == _CONTINUE:
            continue
        if status == 101:
            answers.append(Answer(status, b""))
            _read_stream(heard, at, sizes, commands)
            break
        length = _LENGTH.search(head[2])
        assert length or _CLOSES.search(head[2]), f"a response without an end: {head[0]!r}"
        size = int(length[1]) if length else len(heard)
        if heard.startswith(b"HTTP/1.", at):
            size = 0  # of HEAD, there is no body
        answers.append(Answer(status, heard[at : at + size]))
        at += size
    for answer in answers:
        assert b"Traceback" not in answer.body, f"a traceback is shown: {answer.body!r}"
    return answers


def _read_stream(heard: bytes, at: int, sizes: Container[int], commands: bool) -> None:
    closed = False
    while at + 2 <= len(heard):
        assert not closed, f"bytes after a close frame: {heard[at : at + 50]!r}"
        first, second = heard[at], heard[at + 1]
        assert second < 0x80, "the server masks"
        wide = {126: 2, 127: 8}.get(second, 0)
        start = at + 2 + wide
        size = int.from_bytes(heard[at + 2 : start], "big") if wide else second
        payload = heard[start : start + size]
        whole = start + size <= len(heard)
        match first:
            case 0x82:
                assert not whole or size in sizes, f"a message of {size} bytes"
            case 0x81 if commands:
                assert not whole or _COMMAND.fullmatch(payload), f"a text: {payload!r}"
            case 0x8A:
                assert size <= _CONTROL_MOST
            case 0x88:
                closed = True
                if whole:
                    _judge_close(payload)
            case _:
                raise AssertionError(f"a frame that begins with 0x{first:02x}{second:02x}")
        at = start + size


def _judge_close(payload: bytes) -> None:
    assert len(payload) <= _CONTROL_MOST
    assert len(payload) != 1
    if payload:
        payload[2:].decode()
        code = int.from_bytes(payload[:2], "big")
        assert code in _CLOSE_CODES or 3000 <= code < 5000, f"closed with {code}"


def error_line(answer: Answer) -> str:
    """What the admin port says of a refused request, which is a line of JSON."""
    error = json.loads(answer.body)["error"]
    assert isinstance(error, str)
    assert len(error.splitlines()) == 1, f"more than one line: {error!r}"
    return error
