"""RFC 6455 framing of media: one unfragmented binary message per frame.

Server to client frames are unmasked, so a cached frame's message is the same bytes for every listener.
Client to server frames are masked, each with a fresh random key (RFC 6455, section 5.3).
"""

_FIN_BINARY = 0x82
_MASKED = 0x80
PING = b"\x89\x00"  # a server's, without a payload


def header(length: int) -> bytes:
    """Header of an unmasked binary message with `length` bytes of payload."""
    if length < 126:
        return bytes((_FIN_BINARY, length))
    if length < 1 << 16:
        return bytes((_FIN_BINARY, 126)) + length.to_bytes(2, "big")
    return bytes((_FIN_BINARY, 127)) + length.to_bytes(8, "big")


def binary(payload: bytes) -> bytes:
    """`payload` as one whole unmasked binary message."""
    return header(len(payload)) + payload


def mask(message: bytes, key: bytes) -> bytes:
    """A whole unmasked message as the client must send it: masked with the four bytes of `key`."""
    start = {126: 4, 127: 10}.get(message[1], 2)
    payload = message[start:]
    size = len(payload)
    pad = (key * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
    return b"".join((message[:1], bytes((message[1] | _MASKED,)), message[2:start], key, masked))
