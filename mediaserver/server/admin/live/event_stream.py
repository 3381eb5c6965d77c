"""The admin port's WebSockets that send the events of streams, in the form that webhooks have."""

import json

from aiohttp import web

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.hub import EventFilter, EventHub, HubEvent, Subscription
from mediaserver.server.admin.live.websockets import (
    SHUTTING_DOWN,
    Close,
    read_until_closed,
    serve_websocket,
    until_first,
)

_MAX_SEQUENCE_DIGITS = 15


class EventStreams:
    """Sends the events of the event hub to peers of the admin port."""

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub

    async def serve(self, request: web.Request, stream: str = "") -> web.WebSocketResponse:
        """Send the events of all streams by WebSocket, in the form that webhooks have.

        With a `stream`, only the events of that stream. The query filters: `type=digits,menu.*`, `path=/menu`.
        `after=<sequence>` continues after the last event that the peer has seen. The first message has the
        sequence number after which events follow, and says how many events are missing.
        """
        after, wanted = _parse_after(request), _filter(request)

        async def serve(socket: web.WebSocketResponse) -> Close:
            subscription, missed = self._hub.subscribe(after, wanted, stream)
            try:
                start = {
                    "type": "connected",
                    "sequence": self._hub.sequence if after is None else after,
                    "missed": missed,
                }
                await socket.send_str(json.dumps(start))
                await until_first(_send(socket, subscription), read_until_closed(socket))
            finally:
                self._hub.unsubscribe(subscription)
            return SHUTTING_DOWN

        return await serve_websocket(request, serve)


async def _send(socket: web.WebSocketResponse, subscription: Subscription) -> None:
    """Send events as they come. If events were dropped, send their number before the next event."""
    told = 0
    async for event in subscription:
        if subscription.dropped > told:
            await socket.send_str(json.dumps({"type": "dropped", "events": subscription.dropped - told}))
            told = subscription.dropped
        await socket.send_str(event.json)


def _parse_after(request: web.Request) -> int | None:
    text = request.query.get("after", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_SEQUENCE_DIGITS:
        raise RefusedError(RefusalReason.BAD_QUERY, "after should be the sequence of an event")
    return int(text)


def _filter(request: web.Request) -> EventFilter:
    """A filter that passes the events for which a query asks by `path` and by `type`, such as `menu.*`."""
    kinds = [kind.strip() for kind in request.query.get("type", "").split(",") if kind.strip()]
    exact = {kind for kind in kinds if not kind.endswith("*")}
    beginnings = tuple(kind[:-1] for kind in kinds if kind.endswith("*"))
    path = request.query.get("path")

    def wanted(event: HubEvent) -> bool:
        return (not kinds or event.kind in exact or event.kind.startswith(beginnings)) and path in (
            None,
            event.data.get("path"),
        )

    return wanted
