"""The interface between a stream and the WebSocket application that its call is bridged to, in any dialect.

A dialect belongs to one connection: it serializes the stream's events, and parses the application's commands. A
message is a `str` for a WebSocket text message, or `bytes` for a binary message.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mediaserver.errors import ProtocolError

Message = str | bytes
_MAX_MARK_NAME = 1024  # the most characters of a mark's name: many marks may be in memory at once

to_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The facts that an application gets of the stream whose call is bridged to it.

    `connection` is the number of the connection among the stream's connections to the application, from 0.
    """

    stream: str
    call: str = ""  # the peer's id of the call, or the id of the call or conference that the server dialled
    path: str = ""
    resource: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    connection: int = 0

    @property
    def facts(self) -> dict[str, str]:
        """The ids of stream and call, the dialled URL path, and the resource, by their keys in JSON messages.

        The resource names the call or conference that the server dialled, such as `calls/<id>`.
        """
        return {"stream": self.stream, "call": self.call, "path": self.path, "resource": self.resource}


@dataclass(frozen=True, slots=True)
class Play:
    """Command to play `pcm` to the caller: 16-bit little-endian PCM at 8 kHz, any number of samples."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """Command to report `name` to the application once the audio that it sent before the mark has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Command to drop the application's audio that has not been played yet."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Command to end the call."""


ApplicationCommand = Play | Mark | Clear | HangUp


class Dialect(ABC):
    """The protocol of one connection to an application."""

    @abstractmethod
    def serialize_start(self) -> list[Message]:
        """The first messages to the application on a connection."""

    @abstractmethod
    def serialize_audio(self, pcm: bytes, ms: int) -> Message:
        """The message that carries a frame of the caller's audio.

        `pcm` is 320 bytes of 16-bit little-endian PCM, received `ms` milliseconds after the connection began.
        """

    @abstractmethod
    def serialize_digit(self, digit: str) -> Message:
        """The message that reports a DTMF key which the caller pressed."""

    @abstractmethod
    def serialize_mark(self, name: str) -> Message:
        """The message that reports a mark, because the audio before the mark has been played or cleared."""

    @abstractmethod
    def serialize_stop(self) -> Message:
        """The last message to the application on a connection, when the call is over."""

    @abstractmethod
    def parse(self, message: Message) -> ApplicationCommand:
        """The command in a message from the application; ProtocolError if the dialect has no such message."""


def parse_json(text: str) -> dict[str, Any]:
    """The JSON object in a text message; ProtocolError if the text is not a JSON object."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a text message that is not JSON") from None
    if not isinstance(parsed, dict):
        raise ProtocolError("JSON that is no object")
    return parsed


def parse_mark(name: object) -> Mark:
    """The mark with this name; ProtocolError if `name` is not a string of at most 1024 characters."""
    if not isinstance(name, str) or len(name) > _MAX_MARK_NAME:
        raise ProtocolError(f"a mark without a name of at most {_MAX_MARK_NAME} letters")
    return Mark(name)
