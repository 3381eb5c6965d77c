"""The server's side of a WebSocket's opening handshake (RFC 6455, section 4.2)."""

import base64

from aiohttp import HttpVersion11, web

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.wire import websocket
from mediaserver.wire.chan_websocket import SUBPROTOCOL


def select_subprotocol(request: web.BaseRequest) -> str | None:
    """The subprotocol of Asterisk's WebSocket channel (chan_websocket) if the client offers it, else None."""
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", ())).split(",")
    return SUBPROTOCOL if SUBPROTOCOL in (word.strip() for word in offered) else None


def validate_handshake(request: web.BaseRequest) -> str:
    """Check the headers of a handshake, and return its key; RefusedError 400 if they are wrong."""
    headers = request.headers
    if request.version < HttpVersion11:
        raise _bad_handshake("it must be an HTTP/1.1 request")
    if "upgrade" not in (word.strip().lower() for word in ",".join(headers.getall("Connection", ())).split(",")):
        raise _bad_handshake("there is no Connection: Upgrade")
    if headers.get("Sec-WebSocket-Version", "").strip() != "13":
        raise _bad_handshake("Sec-WebSocket-Version must be 13")
    key = headers.get("Sec-WebSocket-Key", "").strip()
    try:
        decoded = base64.b64decode(key, validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != websocket.KEY_BYTES:
        raise _bad_handshake(f"Sec-WebSocket-Key must be {websocket.KEY_BYTES} bytes in base64")
    return key


def upgrade_response(request: web.BaseRequest) -> bytes:
    """The bytes of the answer `101 Switching Protocols`; RefusedError 400 if the request's headers are wrong.

    No WebSocket extension is ever agreed to, because Asterisk refuses an answer that names one.
    """
    key = validate_handshake(request)
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {websocket.accept_key(key)}",
        "Server: mediaserver",
        *([f"Sec-WebSocket-Protocol: {agreed}"] if (agreed := select_subprotocol(request)) else ()),
    )
    return "\r\n".join((*lines, "", "")).encode()


def _bad_handshake(why: str) -> RefusedError:
    return RefusedError(RefusalReason.BAD_HANDSHAKE, f"the WebSocket handshake is wrong: {why}")
