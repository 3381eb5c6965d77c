"""Takes the events of streams, counts them in metrics, and passes them to webhooks and to the admin port."""

from collections.abc import Mapping
from typing import Any

from mediaserver.call import Stream
from mediaserver.events import Webhooks
from mediaserver.events.envelope import Event
from mediaserver.events.hub import EventHub
from mediaserver.events.kinds import EventKind
from mediaserver.support.metrics import Metrics


class WebhookEventSink:
    """Counts each event of a stream, and passes it to the operator's webhook and to clients of the admin port."""

    def __init__(self, webhooks: Webhooks, hub: EventHub, metrics: Metrics) -> None:
        self._webhooks, self._hub, self._metrics = webhooks, hub, metrics

    def emit(self, stream: Stream, kind: str, data: Mapping[str, Any]) -> None:
        """Count an event of a stream, and queue it for its receivers. Returns without waiting."""
        self._metrics.events.labels(kind).inc()
        self._count(kind, data)
        facts = {
            "path": stream.path,
            "resource": stream.event_resource,
            "variables": dict(stream.variables),
            **data,
        }
        event = Event(stream.id, kind, facts)
        self._hub.publish(event)
        self._webhooks.emit(event)

    def _count(self, kind: str, data: Mapping[str, Any]) -> None:
        """Update the metrics of some kinds of events from the event's data."""
        metrics = self._metrics
        if kind == EventKind.ANALYSIS:
            for name, counter in metrics.analysed.items():
                counter.inc(max(0, data.get(name, 0)))
        elif kind == EventKind.TRANSCRIPT_FINAL:
            metrics.recognitions.labels("ok" if data.get("text") else "empty").inc()
            metrics.recognition_seconds.observe(data.get("seconds", 0.0))
        elif kind == EventKind.RECOGNITION_FAILED:
            metrics.recognitions.labels("dropped" if data.get("dropped") else "failed").inc()
        elif kind == EventKind.STREAM_INBOUND:
            metrics.inbound_problems.labels(data.get("problem", "")).inc()
        elif kind == EventKind.KEYWORD:
            metrics.keywords.labels(data.get("keyword", "")).inc()
        elif kind == EventKind.ASSISTANT_TURN and "first_audio_ms" in data:
            metrics.first_audio.observe(data["first_audio_ms"] / 1000)

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        """POST a question to the operator's backend, and return its JSON answer; WebhookError if none comes.

        `timeout` is in seconds.
        """
        return await self._webhooks.ask(url, body, timeout)

    def forget(self, stream: Stream) -> None:
        """Note that a stream's last event was emitted, so that the stream's data is freed after its delivery."""
        self._webhooks.end_stream(stream.id)
        self._hub.end_stream(stream.id)
