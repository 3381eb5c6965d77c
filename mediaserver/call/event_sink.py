"""A stream's event sink: it takes the stream's events to webhooks, and fetches answers from the user's backend."""

from collections.abc import Mapping
from typing import Any, Protocol

from mediaserver.call.stream import Stream
from mediaserver.errors import PeerError


class EventSink(Protocol):
    """The operator's own systems: they receive a stream's events, and answer a handler's questions."""

    def emit(self, stream: Stream, kind: str, data: Mapping[str, Any]) -> None:
        """Queue an event for delivery, and return at once."""

    def forget(self, stream: Stream) -> None:
        """Free the state that is kept for a stream, because the stream has emitted its last event."""

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        """POST a JSON question, and return the JSON answer; PeerError if none comes within `timeout` seconds."""


class NullEventSink:
    """Drops every event, and answers no question. Used if the settings name no systems of the operator."""

    def emit(self, stream: Stream, kind: str, data: Mapping[str, Any]) -> None:
        pass

    def forget(self, stream: Stream) -> None:
        pass

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        raise PeerError("this stream has no backend to ask")
