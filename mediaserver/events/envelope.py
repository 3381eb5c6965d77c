"""An event, and its envelope: the JSON object in which webhooks and the admin port's WebSockets carry it."""

import json
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from mediaserver.support.timestamps import utc_timestamp

to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Event:
    """An event of a stream, which has just happened. Every receiver gets it with the same `time` and `id`."""

    def __init__(self, stream: str, kind: str, data: Mapping[str, Any]) -> None:
        self.stream, self.kind, self.data = stream, kind, data
        self._moment = utc_timestamp()
        self._id = str(uuid.uuid4())

    def envelope(self, sequence: int) -> str:
        """The event as JSON, with `time` as UTC in ISO 8601. Raises the encoder's error if the data is no JSON.

        `sequence` counts the events of one stream for a webhook, and those of all streams for a WebSocket. The
        data is serialized once, at the first call, and may change afterwards.
        """
        head, rest = self._json
        return f'{head},"sequence":{sequence},{rest}'

    @cached_property
    def _json(self) -> tuple[str, str]:
        """The two parts of the event's JSON object: before and after the value of `sequence`."""
        head = to_json({"type": self.kind, "stream": self.stream})
        rest = to_json({"time": self._moment, "id": self._id, "data": dict(self.data)})
        return head[:-1], rest[1:]
