"""VoIPBIN's webhooks about calls: their signature and their content.

The body is `{"type": …, "data": {…}}`. The header `X-VoIPBIN-Signature` is `sha256=` and the HMAC-SHA256 of the
body (RFC 2104), in hex, whose key is the secret of the webhook. The body has no timestamp and no sequence number,
so a repeated webhook can be recognized only by its type and the id of its call.
"""

import hmac
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

SIGNATURE_HEADER = "X-VoIPBIN-Signature"
PROGRESSING, HANGUP = "call_progressing", "call_hangup"  # the types of webhooks that the server acts on
_SCHEME = "sha256="


@dataclass(frozen=True, slots=True)
class CallEvent:
    """A webhook about a call: the webhook's type, the call's id, and the addresses of caller and called party."""

    type: str
    call: str
    source: str = ""
    destination: str = ""
    direction: str = ""  # the direction of the call: incoming or outgoing


def sign_body(body: bytes, secret: str) -> str:
    """The value of the header `X-VoIPBIN-Signature` with which VoIPBIN signs a webhook's body."""
    return _SCHEME + hmac.digest(secret.encode(), body, "sha256").hex()


def is_signed(body: bytes, secret: str, signature: str) -> bool:
    """Whether `signature`, a header's value, is the signature of `body`. The comparison takes constant time."""
    given = signature.strip().encode(errors="backslashreplace")
    return bool(secret) and hmac.compare_digest(given, sign_body(body, secret).encode())


def parse_event(body: bytes) -> CallEvent | None:
    """The event of a call that a webhook's body reports; None if the server does not act on its type.

    ValueError if the body is malformed.
    """
    try:
        webhook = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("body: is not JSON") from None
    if not isinstance(webhook, dict) or not isinstance(kind := webhook.get("type"), str):
        raise ValueError("body: should be an object with a type")
    if kind not in (PROGRESSING, HANGUP):
        return None
    try:
        call = str(UUID(_text(webhook, "data", "id")))
    except ValueError:
        raise ValueError("body: data.id should be the id of a call") from None
    return CallEvent(
        kind,
        call,
        _text(webhook, "data", "source", "target"),
        _text(webhook, "data", "destination", "target"),
        _text(webhook, "data", "direction"),
    )


def _text(value: Any, *keys: str) -> str:
    """The text in nested JSON objects under these keys, the outermost key first; "" if there is no text."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
