"""The envelope of an event: the JSON object in which webhooks and the admin port's WebSockets carry the event."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def envelope(stream: str, kind: str, sequence: int, data: Mapping[str, Any]) -> str:
    """The JSON of an event; its `time` is now (UTC, ISO 8601), and its `id` is new. ValueError if it is no JSON.

    `sequence` counts the events of one stream for a webhook, and those of all streams for a WebSocket.
    """
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = {"type": kind, "stream": stream, "sequence": sequence, "time": moment, "id": str(uuid.uuid4())}
    return to_json(head | {"data": dict(data)})
