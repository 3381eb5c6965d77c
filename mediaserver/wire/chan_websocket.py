"""Asterisk's WebSocket channel, `chan_websocket`: its texts, and the format that a call is in.

Asterisk dials us. Binary messages hold the channel's codec without any header, text messages hold control, in
plain words or as JSON, one way or the other for a whole connection. The first text is MEDIA_START; it names the
format that holds for both directions. Commands in the other of the two forms are answered by ERROR.

Source: Asterisk's `channels/chan_websocket.c`, branch 23, and texts seen from a running one.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mediaserver.audio.pcm import FRAMES_PER_SECOND, SAMPLE_RATE
from mediaserver.errors import ProtocolError
from mediaserver.wire.codec import Codec, StreamCodec

SUBPROTOCOL = "media"
MAX_COMMAND_BYTES = 127  # Asterisk takes no longer text
_MAX_TEXT = 16 * 1024  # letters of a text that is looked at
_MAX_FIELD = 256  # letters of a field that are kept: a stranger wrote it
_START = "MEDIA_START"


class Command(StrEnum):
    """What Asterisk can be told."""

    ANSWER = "ANSWER"
    HANGUP = "HANGUP"
    FLUSH_MEDIA = "FLUSH_MEDIA"
    MARK_MEDIA = "MARK_MEDIA"
    REPORT_QUEUE_DRAINED = "REPORT_QUEUE_DRAINED"
    GET_STATUS = "GET_STATUS"


class EventName(StrEnum):
    """What Asterisk says."""

    MEDIA_START = _START
    DTMF_END = "DTMF_END"
    MEDIA_XOFF = "MEDIA_XOFF"
    MEDIA_XON = "MEDIA_XON"
    MEDIA_MARK_PROCESSED = "MEDIA_MARK_PROCESSED"
    QUEUE_DRAINED = "QUEUE_DRAINED"
    MEDIA_BUFFERING_COMPLETED = "MEDIA_BUFFERING_COMPLETED"
    STATUS = "STATUS"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """How sound is coded in both directions: codec, rate in Hz, and bytes of one of Asterisk's frames."""

    name: str
    codec: Codec
    rate: int
    frame_bytes: int

    @property
    def ptime_bytes(self) -> int:
        """Bytes of 20 ms."""
        return self.rate // FRAMES_PER_SECOND * self.codec.sample_bytes


# Formats by Asterisk's names (`main/codec_builtin.c`): codec, and rate in Hz.
_FORMATS = {
    "slin": (Codec.SLIN, SAMPLE_RATE),
    "slin12": (Codec.SLIN, 12_000),
    "slin16": (Codec.SLIN, 16_000),
    "slin24": (Codec.SLIN, 24_000),
    "slin32": (Codec.SLIN, 32_000),
    "slin44": (Codec.SLIN, 44_100),
    "slin48": (Codec.SLIN, 48_000),
    "slin96": (Codec.SLIN, 96_000),
    "slin192": (Codec.SLIN, 192_000),
    "ulaw": (Codec.MULAW, SAMPLE_RATE),
    "alaw": (Codec.ALAW, SAMPLE_RATE),
}
_MOST_PTIMES = 50  # of 20 ms in one frame of Asterisk's: its frames are 60 ms at most


@dataclass(frozen=True, slots=True)
class ControlEvent:
    """One text of Asterisk's. `fields` are its words `name:value`, or the members of its JSON, fit for a log."""

    name: str
    fields: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)  # of the channel; in JSON only
    is_json: bool = False

    def media_format(self) -> MediaFormat:
        """The format that a MEDIA_START names; ProtocolError where we do not speak it."""
        name = self.fields.get("format", "")
        if name not in _FORMATS:
            raise ProtocolError(f'the format "{name[:20]}" is none of {", ".join(_FORMATS)}')
        codec, rate = _FORMATS[name]
        of_ptime = rate // FRAMES_PER_SECOND * codec.sample_bytes
        size = self.fields.get("optimal_frame_size", str(of_ptime))
        if not (
            size.isascii() and size.isdecimal() and len(size) < 8 and 0 < int(size) <= _MOST_PTIMES * of_ptime
        ):
            raise ProtocolError(f"MEDIA_START with an optimal_frame_size of {size[:20]}")
        return MediaFormat(name, codec, rate, int(size))


def format_of(message: bytes) -> MediaFormat | None:
    """The format that a binary message of one frame looks like, None where it is like none.

    It is asked where none is named: a busy Asterisk may do so a second after its first sound (asterisk#1712).
    """
    codec = StreamCodec()
    codec.observe(message)
    for name, (kind, rate) in _FORMATS.items():
        found = MediaFormat(name, kind, rate, rate // FRAMES_PER_SECOND * kind.sample_bytes)
        if len(message) == found.frame_bytes and (kind is codec.codec or rate != SAMPLE_RATE):
            return found
    return None


def is_start(text: str) -> bool:
    """Whether a text is the first one of Asterisk's WebSocket channel."""
    if text.startswith("{"):
        with contextlib.suppress(ProtocolError):
            return f'"{_START}"' in text and len(text) <= _MAX_TEXT and _members(text).get("event") == _START
        return False
    return text.startswith(_START) and (text == _START or text[len(_START)].isspace())


def parse(text: str) -> ControlEvent:
    """The event of one text; ProtocolError where it is none."""
    if len(text) > _MAX_TEXT:
        raise ProtocolError(f"a text of {len(text)} letters")
    if text.startswith("{"):
        return _parse_json(text)
    name = next(iter(text.split(maxsplit=1)), "")
    if not name.isascii() or not name.replace("_", "").isalpha():
        raise ProtocolError("a text that is no event of Asterisk's")
    fields = {}
    text, _, why = text.partition(" error_text:")  # the only value with spaces in it, and the last
    if why:
        fields["error_text"] = _plainly(why)
    for word in text.split()[1:64]:
        key, colon, value = word.partition(":")
        fields[key if colon else "correlation_id"] = _plainly(value if colon else word)
    return ControlEvent(name, fields)


def _parse_json(text: str) -> ControlEvent:
    members = _members(text)
    name = members.get("event")
    if not isinstance(name, str):
        raise ProtocolError("JSON without an event")
    variables = members.get("channel_variables")
    return ControlEvent(
        name,
        {key: value for key, value in _texts(members).items() if key != "event"},
        _texts(variables) if isinstance(variables, dict) else {},
        is_json=True,
    )


def _members(text: str) -> dict[str, Any]:
    try:
        members: dict[str, Any] = json.loads(text)  # an object: it begins with a brace
    except (ValueError, RecursionError):
        raise ProtocolError("a text message that is not JSON") from None
    return members


def _texts(members: Mapping[str, Any]) -> dict[str, str]:
    """The members that are texts or numbers."""
    return {
        _plainly(key): _plainly(str(value))
        for key, value in members.items()
        if isinstance(value, str | int | float)
    }


def _plainly(text: str) -> str:
    """What of a text can be shown, and said in UTF-8: JSON may hold half a character."""
    return "".join(filter(str.isprintable, text[:_MAX_FIELD]))


def serialize(command: Command, argument: str = "", *, as_json: bool) -> str:
    """A command as a text; ValueError where it is longer than Asterisk takes."""
    if as_json:
        members = {"command": str(command)} | ({"correlation_id": argument} if argument else {})
        text = json.dumps(members, separators=(",", ":"))
    else:
        text = f"{command} {argument}".rstrip()
    if len(text.encode()) > MAX_COMMAND_BYTES:
        raise ValueError(f"a command of {len(text.encode())} bytes is over {MAX_COMMAND_BYTES}")
    return text
