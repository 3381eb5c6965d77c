"""The server's metrics for Prometheus. No metric is updated per frame: the ticker counts frames by itself."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from mediaserver import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]
CONTENT_TYPE = CONTENT_TYPE_LATEST
NS = 1_000_000_000  # nanoseconds in a second
# Upper bounds of histograms' buckets, in seconds. A frame lasts 0.02 s.
LATENESS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 1.0)
RECOGNITION = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one server, in a Prometheus registry that holds no other metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sessions = Gauge("mediaserver_sessions", "Streams in progress", ["path"], registry=self.registry)
        self.started = Counter(
            "mediaserver_sessions_started", "Streams that began", ["path"], registry=self.registry
        )
        self.ended = Counter(
            "mediaserver_sessions_ended",
            "Streams that ended, by reason",
            ["path", "reason"],
            registry=self.registry,
        )
        self.refused = Counter(
            "mediaserver_refusals",
            "Calls that were refused before they became a stream, by reason",
            ["reason", "status"],
            registry=self.registry,
        )
        self.admin_refused = Counter(
            "mediaserver_admin_refusals",
            "Requests and connections that the admin port refused, by reason",
            ["reason"],
            registry=self.registry,
        )
        self.peer_faults = Counter(
            "mediaserver_peer_faults",
            "Offences of peers against protocols and limits, by kind",
            ["kind"],
            registry=self.registry,
        )
        self.stalls = Counter(
            "mediaserver_stalls",
            "Pauses of streams because their peer read too slowly, counted when a stream ends",
            registry=self.registry,
        )
        self.reloads = Counter(
            "mediaserver_reloads",
            "Reloads of the configuration or of prompts, by whether they succeeded",
            ["result"],
            registry=self.registry,
        )
        for result in ("ok", "failed"):  # start counters at 0, or Prometheus' `rate` would miss the first count
            self.reloads.labels(result)
        self.loop_lag = Histogram(
            "mediaserver_loop_lag_seconds",
            "Seconds that the event loop was late, measured once a second",
            buckets=LATENESS,
            registry=self.registry,
        )
        self.spoken = Histogram(
            "mediaserver_speech_wait_seconds",
            "Seconds to the first sound of a sentence that TTS had to make",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0),
            registry=self.registry,
        )
        self.underruns = Counter(
            "mediaserver_underruns",
            "Frames of silence sent because a live source had no sound, counted when a stream ends",
            registry=self.registry,
        )
        self.malformed = Counter(
            "mediaserver_malformed_messages",
            "Messages from peers that the wire format does not allow",
            registry=self.registry,
        )
        self.inbound_problems = Counter(
            "mediaserver_inbound_problems",
            "Streams whose received audio cannot be right, by problem, each counted once",
            ["problem"],
            registry=self.registry,
        )
        self.reconnects = Counter(
            "mediaserver_reconnects",
            "Connections that dialled streams made again, counted when a stream ends",
            registry=self.registry,
        )
        self.lost = Counter(
            "mediaserver_lost_frames",
            "Frames that may not have arrived because a connection broke, counted when a stream ends",
            registry=self.registry,
        )
        self.events = Counter(
            "mediaserver_events",
            "Events of streams, by type, whether or not they are sent to a URL",
            ["type"],
            registry=self.registry,
        )
        self.first_audio = Histogram(
            "mediaserver_assistant_first_audio_seconds",
            "Seconds from the end of a caller's voice to the first sound of the assistant's answer",
            buckets=(0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
            registry=self.registry,
        )
        self.analysed = {
            name: Counter(f"mediaserver_{metric}", text, registry=self.registry)
            for name, metric, text in (
                ("heard_s", "heard_seconds", "Seconds of audio that the handler analyse received"),
                ("speech_s", "speech_seconds", "Seconds of speech that the handler analyse received"),
                (
                    "clipped_samples",
                    "clipped_samples",
                    "Clipped samples in the audio that the handler analyse received",
                ),
                (
                    "packets_lost",
                    "packets_lost",
                    "RTP packets missing in the audio that the handler analyse received",
                ),
            )
        }
        self.recognitions = Counter(
            "mediaserver_recognitions",
            "Utterances for speech recognition, by result",
            ["result"],
            registry=self.registry,
        )
        for result in ("ok", "empty", "failed", "dropped"):
            self.recognitions.labels(result)
        self.recognition_seconds = Histogram(
            "mediaserver_recognition_seconds",
            "Seconds from the end of an utterance to its words",
            buckets=RECOGNITION,
            registry=self.registry,
        )
        self.keywords = Counter(
            "mediaserver_keywords", "Keywords that callers said, by keyword", ["keyword"], registry=self.registry
        )
        ProcessCollector(registry=self.registry)
        Info("mediaserver_build", "Version of the server", registry=self.registry).info({"version": __version__})

    def expect_events(self, kinds: Iterable[str]) -> None:
        """Start the counters of these kinds of events at 0, so that Prometheus' `rate` counts the first event."""
        for kind in kinds:
            self.events.labels(kind)

    def expect_keywords(self, keywords: Iterable[str]) -> None:
        """Start the counters of spotted keywords at 0, so that Prometheus' `rate` counts the first occurrence."""
        for keyword in keywords:
            self.keywords.labels(keyword)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Export a gauge, whose value `read` returns when Prometheus asks for it; `text` describes the gauge."""
        Gauge(f"mediaserver_{name}", text, registry=self.registry).set_function(read)

    def counter(self, name: str, text: str, read: Callable[[], float | Mapping[str, float]]) -> None:
        """Export a counter, whose value `read` returns when Prometheus asks; `text` describes the counter.

        If `read` returns a mapping, each key is a value of the label `result`, and has a counter of its own.
        """
        self.registry.register(_Reader(f"mediaserver_{name}", text, read))

    def by_labels(
        self,
        family: type[CounterMetricFamily] | type[GaugeMetricFamily],
        name: str,
        text: str,
        labels: tuple[str, str],
        read: Callable[[], Mapping[tuple[str, str], float]],
    ) -> None:
        """Export a counter or gauge for each pair of label values that `read` returns as a key."""
        self.registry.register(_LabelledReader(family, f"mediaserver_{name}", text, labels, read))

    def histogram(self, name: str, text: str, read: Callable[[], "Lateness"]) -> None:
        """Export a histogram, which `read` returns when Prometheus asks for it; `text` describes the histogram."""
        self.registry.register(_HistogramReader(f"mediaserver_{name}", text, read))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class Lateness:
    """A histogram of how late ticks are, with the buckets of LATENESS.

    A value is added at each tick, so adding one is fast.
    """

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self) -> None:
        self._bounds = [round(bound * NS) for bound in LATENESS]
        self.counts = [0] * (len(LATENESS) + 1)
        self.total = 0  # the sum of all latenesses that were added, in nanoseconds

    def add(self, late: int) -> None:
        """Add one value, in ns, to the histogram."""
        self.counts[bisect_left(self._bounds, late)] += 1
        self.total += late


class _HistogramReader(Collector):
    def __init__(self, name: str, text: str, read: Callable[[], Lateness]) -> None:
        self._name, self._text, self._read = name, text, read

    def collect(self) -> Iterator[Metric]:
        lateness = self._read()
        bounds = (*map(str, LATENESS), "+Inf")
        buckets = list(zip(bounds, accumulate(lateness.counts), strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets, lateness.total / NS)


class _LabelledReader(Collector):
    def __init__(
        self,
        family: type[CounterMetricFamily] | type[GaugeMetricFamily],
        name: str,
        text: str,
        labels: tuple[str, str],
        read: Callable[[], Mapping[tuple[str, str], float]],
    ) -> None:
        self._family, self._name, self._text, self._read = family, name, text, read
        self._labelnames = labels

    def collect(self) -> Iterator[Metric]:
        family = self._family(self._name, self._text, labels=self._labelnames)
        for values, value in self._read().items():
            family.add_metric(values, value)
        yield family


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
