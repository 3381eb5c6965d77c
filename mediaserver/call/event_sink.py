"""Where a stream's events go, and who is asked what next."""

from collections.abc import Mapping
from typing import Any, Protocol

from mediaserver.call.stream import Stream
from mediaserver.errors import PeerError


class Outbox(Protocol):
    """Where a stream's events go, and who is asked what next: the operator's own systems."""

    def emit(self, stream: Stream, kind: str, data: Mapping[str, Any]) -> None:
        """Tell of an event; returns at once."""

    def forget(self, stream: Stream) -> None:
        """The stream's last event has been told."""

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        """The JSON answer to a question; PeerError where there is none."""


class Nobody:
    """Nobody is told, and nobody can be asked."""

    def emit(self, stream: Stream, kind: str, data: Mapping[str, Any]) -> None:
        pass

    def forget(self, stream: Stream) -> None:
        pass

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        raise PeerError("there is nobody to ask")
