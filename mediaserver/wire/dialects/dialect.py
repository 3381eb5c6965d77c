"""The interface between a stream and the WebSocket application that its call is bridged to, in any dialect.

A dialect belongs to one connection: it serializes the stream's events, and parses the application's commands. A
message is a `str` (text) or `bytes` (binary).
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mediaserver.errors import ProtocolError

Message = str | bytes
_MAX_MARK_NAME = 1024  # characters; limited, since an application may leave many marks pending

to_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What an application is told of the stream. `connection` counts connections to the application, from 0."""

    stream: str
    call: str = ""  # the peer's own id of the call, or the id that we dialled
    path: str = ""
    resource: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    connection: int = 0

    @property
    def facts(self) -> dict[str, str]:
        """The facts other than the variables, under the names that are sent to applications."""
        return {"stream": self.stream, "call": self.call, "path": self.path, "resource": self.resource}


@dataclass(frozen=True, slots=True)
class Play:
    """Play this audio to the caller: 16-bit little-endian PCM at 8 kHz, any number of samples."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """Report this name to the application when the audio sent before the mark has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop the audio that has not been played yet."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


ApplicationCommand = Play | Mark | Clear | HangUp


class Dialect(ABC):
    """The protocol of one connection to an application."""

    @abstractmethod
    def serialize_start(self) -> list[Message]:
        """The first messages of the connection."""

    @abstractmethod
    def serialize_audio(self, pcm: bytes, ms: int) -> Message:
        """The message of a 320-byte frame from the caller, `ms` milliseconds after the connection began."""

    @abstractmethod
    def serialize_digit(self, digit: str) -> Message:
        """The message of a DTMF key that the caller pressed."""

    @abstractmethod
    def serialize_mark(self, name: str) -> Message:
        """The message of a mark whose audio has been played, or cleared."""

    @abstractmethod
    def serialize_stop(self) -> Message:
        """The last message of the connection, when the call is over."""

    @abstractmethod
    def parse(self, message: Message) -> ApplicationCommand:
        """The command in a message from the application; ProtocolError if the protocol has no such message."""


def parse_json(text: str) -> dict[str, Any]:
    """The JSON object of a text message; ProtocolError if the text is no such object."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a text message that is not JSON") from None
    if not isinstance(parsed, dict):
        raise ProtocolError("JSON that is no object")
    return parsed


def parse_mark(name: object) -> Mark:
    """The mark of a name; ProtocolError if the name is no text of at most 1024 characters."""
    if not isinstance(name, str) or len(name) > _MAX_MARK_NAME:
        raise ProtocolError(f"a mark without a name of at most {_MAX_MARK_NAME} letters")
    return Mark(name)
