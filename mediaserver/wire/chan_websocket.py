"""Asterisk's WebSocket channel, `chan_websocket`: its text messages, and the media formats that these name.

Asterisk dials this server. Binary messages hold audio in the channel's codec without a header. Text messages hold
events and commands. On one connection, all text messages are plain words, or all are JSON. The first text is
MEDIA_START, which names the audio format of both directions. If the server sends words on a connection that uses
JSON, or JSON on a connection that uses words, Asterisk answers ERROR.

Source: Asterisk's `channels/chan_websocket.c`, branch 23, and text messages of a running Asterisk.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mediaserver.audio.pcm import FRAMES_PER_SECOND, SAMPLE_RATE
from mediaserver.errors import ProtocolError
from mediaserver.wire.codec import Codec, CodecDetector

SUBPROTOCOL = "media"
_MAX_TEXT = 16 * 1024  # the most characters that a text message may have; a longer text is not parsed
_MAX_FIELD = 256  # the most characters that are kept of a field's value, because the peer chooses its length
_MEDIA_START = "MEDIA_START"


class Command(StrEnum):
    """The commands that the server sends to Asterisk in text messages."""

    ANSWER = "ANSWER"
    HANGUP = "HANGUP"
    FLUSH_MEDIA = "FLUSH_MEDIA"
    REPORT_QUEUE_DRAINED = "REPORT_QUEUE_DRAINED"


class EventName(StrEnum):
    """The events that Asterisk sends in text messages."""

    MEDIA_START = _MEDIA_START
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
    """The audio format that Asterisk's WebSocket channel uses in both directions.

    `name` is Asterisk's name of the format, `rate` the sample rate in Hz, and `frame_bytes` the size in bytes of
    the frames that Asterisk wants to receive.
    """

    name: str
    codec: Codec
    rate: int
    frame_bytes: int

    @property
    def ptime_bytes(self) -> int:
        """The number of bytes of 20 ms of audio in this format."""
        return self.rate // FRAMES_PER_SECOND * self.codec.sample_bytes


# The codec and the sample rate in Hz of each format, by Asterisk's name of it (`main/codec_builtin.c`).
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
_MAX_PTIMES = 50  # the longest frame that MEDIA_START may name, in units of 20 ms; Asterisk names up to three


@dataclass(frozen=True, slots=True)
class ControlEvent:
    """One text message from Asterisk.

    `fields` are the message's words of the form `name:value`, or the members of its JSON object. Their values hold
    at most 256 characters, all of them printable, so that they can be logged.
    """

    name: str
    fields: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)  # channel variables, which only JSON messages have
    is_json: bool = False

    def media_format(self) -> MediaFormat:
        """The audio format that a MEDIA_START names; ProtocolError if the server does not support the format."""
        name = self.fields.get("format", "")
        if name not in _FORMATS:
            raise ProtocolError(f'the format "{name[:20]}" is none of {", ".join(_FORMATS)}')
        codec, rate = _FORMATS[name]
        ptime_bytes = rate // FRAMES_PER_SECOND * codec.sample_bytes
        size = self.fields.get("optimal_frame_size", str(ptime_bytes))
        is_number = size.isascii() and size.isdecimal() and len(size) < 8
        if not (is_number and 0 < int(size) <= _MAX_PTIMES * ptime_bytes):
            raise ProtocolError(f"MEDIA_START with an optimal_frame_size of {size[:20]}")
        return MediaFormat(name, codec, rate, int(size))


def guess_format(message: bytes) -> MediaFormat | None:
    """The audio format that a binary message appears to have, taken as one 20 ms frame; None if no format fits.

    The guess is used until MEDIA_START comes. A busy Asterisk may send MEDIA_START a second after its first audio
    (asterisk#1712).
    """
    detector = CodecDetector()
    detector.detect(message)
    for name, (codec, rate) in _FORMATS.items():
        media_format = MediaFormat(name, codec, rate, rate // FRAMES_PER_SECOND * codec.sample_bytes)
        if len(message) == media_format.frame_bytes and (codec is detector.codec or rate != SAMPLE_RATE):
            return media_format
    return None


def is_media_start(text: str) -> bool:
    """Whether a text is MEDIA_START, the first text of Asterisk's WebSocket channel."""
    if text.startswith("{"):
        if f'"{_MEDIA_START}"' not in text or len(text) > _MAX_TEXT:
            return False
        with contextlib.suppress(ProtocolError):
            return _parse_object(text).get("event") == _MEDIA_START
        return False
    return text.startswith(_MEDIA_START) and (text == _MEDIA_START or text[len(_MEDIA_START)].isspace())


def parse(text: str) -> ControlEvent:
    """The event in a text message; ProtocolError if the text is too long, or is not an event of Asterisk."""
    if len(text) > _MAX_TEXT:
        raise ProtocolError(f"a text of {len(text)} letters")
    if text.startswith("{"):
        return _parse_json(text)
    name = next(iter(text.split(maxsplit=1)), "")
    if not name.isascii() or not name.replace("_", "").isalpha():
        raise ProtocolError("a text that is no event of Asterisk's")
    fields = {}
    # `error_text` is the text message's last field, the only one whose value may have spaces.
    text, _, error_text = text.partition(" error_text:")
    if error_text:
        fields["error_text"] = _printable(error_text)
    for word in text.split()[1:64]:
        key, colon, value = word.partition(":")
        fields[key if colon else "correlation_id"] = _printable(value if colon else word)
    return ControlEvent(name, fields)


def _parse_json(text: str) -> ControlEvent:
    members = _parse_object(text)
    name = members.get("event")
    if not isinstance(name, str):
        raise ProtocolError("JSON without an event")
    variables = members.get("channel_variables")
    return ControlEvent(
        name,
        {key: value for key, value in _printable_members(members).items() if key != "event"},
        _printable_members(variables) if isinstance(variables, dict) else {},
        is_json=True,
    )


def _parse_object(text: str) -> dict[str, Any]:
    try:
        members: dict[str, Any] = json.loads(text)  # JSON that begins with a brace is an object
    except (ValueError, RecursionError):
        raise ProtocolError("a text message that is not JSON") from None
    return members


def _printable_members(members: Mapping[str, Any]) -> dict[str, str]:
    """The members of a JSON object whose values are strings or numbers, as printable strings."""
    return {
        _printable(key): _printable(str(value))
        for key, value in members.items()
        if isinstance(value, str | int | float)
    }


def _printable(text: str) -> str:
    """The printable characters among the first 256 of a text. Lone surrogates, which JSON can hold, are cut."""
    return "".join(filter(str.isprintable, text[:_MAX_FIELD]))


def serialize(command: Command, *, as_json: bool) -> str:
    """A command as a text message: JSON if `as_json`, otherwise a plain word."""
    return json.dumps({"command": str(command)}, separators=(",", ":")) if as_json else str(command)
