"""WebSockets that we dial, as media goes over them: whole masked messages, written to their transport."""

import asyncio
import os
from typing import Any, Literal

from aiohttp import ClientWebSocketResponse


class OpenWebSocket(ClientWebSocketResponse[Literal[True]]):
    """A client's WebSocket that shows its transport: it is written to, and what it holds is looked at."""

    def __init__(
        self, reader: Any, writer: Any, protocol: str | None, response: Any, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(reader, writer, protocol, response, *args, **kwargs)
        self.transport: asyncio.Transport = response.connection.transport


def random_key() -> bytes:
    """A masking key: four bytes that nobody can foresee (RFC 6455, section 10.3)."""
    return os.urandom(4)
