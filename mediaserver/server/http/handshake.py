"""The opening handshake of a WebSocket, the server's side (RFC 6455, section 4.2)."""

import base64

from aiohttp import HttpVersion11, web

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.wire import websocket
from mediaserver.wire.chan_websocket import SUBPROTOCOL


def subprotocol(request: web.BaseRequest) -> str | None:
    """The subprotocol to agree to: that of Asterisk's WebSocket channel, where it is offered, and no other."""
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", ())).split(",")
    return SUBPROTOCOL if SUBPROTOCOL in (word.strip() for word in offered) else None


def answer(request: web.BaseRequest) -> bytes:
    """What upgrades a connection, as a request asks for it; RefusedError where the request is none for that.

    No extension is ever agreed to: Asterisk refuses an answer that names one.
    """
    headers = request.headers
    if request.version < HttpVersion11:
        raise _wrong("it begins with HTTP/1.1")
    if "upgrade" not in (word.strip().lower() for word in ",".join(headers.getall("Connection", ())).split(",")):
        raise _wrong("there is no Connection: Upgrade")
    if headers.get("Sec-WebSocket-Version", "").strip() != "13":
        raise _wrong("Sec-WebSocket-Version must be 13")
    key = headers.get("Sec-WebSocket-Key", "").strip()
    try:
        decoded = base64.b64decode(key, validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != websocket.KEY_BYTES:
        raise _wrong(f"Sec-WebSocket-Key must be {websocket.KEY_BYTES} bytes in base64")
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {websocket.accept_key(key)}",
        "Server: mediaserver",
        *([f"Sec-WebSocket-Protocol: {agreed}"] if (agreed := subprotocol(request)) else ()),
    )
    return "\r\n".join((*lines, "", "")).encode()


def _wrong(why: str) -> RefusedError:
    return RefusedError(RefusalReason.BAD_HANDSHAKE, f"the WebSocket handshake is wrong: {why}")
