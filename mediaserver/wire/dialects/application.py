"""What is said between a stream and a user's own WebSocket application, whatever protocol says it.

A protocol is one connection's: it makes messages of what the caller does, and reads what the application says. A
`str` is a text message, `bytes` a binary one. It knows no sockets and no time.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mediaserver.errors import ProtocolError

Message = str | bytes
_MAX_NAME = 1024  # letters of a mark's name: applications may leave many of them pending

encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What an application is told of a stream. `connection` counts those made for it, from 0."""

    stream: str
    call: str = ""  # the peer's own id of the call, or the one that we dialled
    path: str = ""
    resource: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    connection: int = 0

    @property
    def facts(self) -> dict[str, str]:
        """What there is to tell of it besides its variables."""
        return {"stream": self.stream, "call": self.call, "path": self.path, "resource": self.resource}


@dataclass(frozen=True, slots=True)
class Play:
    """Sound for the caller: 16-bit little-endian PCM at 8 kHz, any number of samples."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A name to be told back when the sound before it has been heard."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """What is not heard yet is not to be."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The call is over."""


Said = Play | Mark | Clear | HangUp


class Application(ABC):
    """One connection to an application."""

    @abstractmethod
    def opening(self) -> list[Message]:
        """What is said first."""

    @abstractmethod
    def audio(self, pcm: bytes, ms: int) -> Message:
        """A frame of 320 bytes that the caller said, `ms` milliseconds after the connection began."""

    @abstractmethod
    def digit(self, digit: str) -> Message:
        """A key that the caller pressed."""

    @abstractmethod
    def mark(self, name: str) -> Message:
        """The sound before a mark has been heard, or was cleared."""

    @abstractmethod
    def closing(self) -> Message:
        """What is said last, when the caller is gone."""

    @abstractmethod
    def parse(self, message: Message) -> Said:
        """What the application says; ProtocolError where the protocol has no such message."""


def parse_json(text: str) -> dict[str, Any]:
    """The JSON object of a text message."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a text message that is not JSON") from None
    if not isinstance(parsed, dict):
        raise ProtocolError("JSON that is no object")
    return parsed


def mark_named(name: object) -> Mark:
    """A mark, where that can be its name."""
    if not isinstance(name, str) or len(name) > _MAX_NAME:
        raise ProtocolError(f"a mark without a name of at most {_MAX_NAME} letters")
    return Mark(name)
