"""What Prometheus may ask. Counters of frames are read off the ticker when asked for, never kept per frame."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from mediaserver import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sessions = Gauge("mediaserver_sessions", "Streams now playing", ["path"], registry=self.registry)
        self.started = Counter("mediaserver_sessions_started", "Streams begun", ["path"], registry=self.registry)
        self.ended = Counter(
            "mediaserver_sessions_ended", "Streams ended, by why", ["path", "reason"], registry=self.registry
        )
        self.refused = Counter(
            "mediaserver_refusals", "Requests turned down before the upgrade", ["status"], registry=self.registry
        )
        self.underruns = Counter(
            "mediaserver_underruns",
            "Frames of silence sent for want of sound, by ended streams",
            registry=self.registry,
        )
        self.malformed = Counter(
            "mediaserver_malformed_messages",
            "Messages from peers that no wire format allows",
            registry=self.registry,
        )
        self.reconnects = Counter(
            "mediaserver_reconnects", "Connections made again, by ended streams", registry=self.registry
        )
        self.lost = Counter(
            "mediaserver_lost_frames",
            "Frames sent that are not known to have arrived when a connection broke, by ended streams",
            registry=self.registry,
        )
        self.events = Counter("mediaserver_events", "What happened on streams", ["type"], registry=self.registry)
        self.analysed = {
            name: Counter(f"mediaserver_{metric}", text, registry=self.registry)
            for name, metric, text in (
                ("heard_s", "heard_seconds", "Audio that was analysed"),
                ("speech_s", "speech_seconds", "Speech in it"),
                ("clipped_samples", "clipped_samples", "Samples in it at the end of the scale"),
                ("packets_lost", "packets_lost", "RTP packets missing in it"),
            )
        }
        Info("mediaserver_build", "What runs", registry=self.registry).info({"version": __version__})

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Export a value that is read when Prometheus asks."""
        Gauge(f"mediaserver_{name}", text, registry=self.registry).set_function(read)

    def counter(self, name: str, text: str, read: Callable[[], float | Mapping[str, float]]) -> None:
        """Export a count that is kept elsewhere, read when Prometheus asks; or several, by `result`."""
        self.registry.register(_Reader(f"mediaserver_{name}", text, read))

    def render(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Reader(Collector):
    def __init__(self, name: str, text: str, read: Callable[[], float | Mapping[str, float]]) -> None:
        self._name, self._text, self._read = name, text, read

    def collect(self) -> Iterator[Metric]:
        counts = self._read()
        if isinstance(counts, Mapping):
            family = CounterMetricFamily(self._name, self._text, labels=["result"])
            for result, count in counts.items():
                family.add_metric([result], count)
        else:
            family = CounterMetricFamily(self._name, self._text, value=counts)
        yield family
