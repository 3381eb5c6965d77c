"""Exports metrics whose values other objects keep, such as the ticker, caches, decoders, webhooks and TTS.

The values are read from these objects when Prometheus asks for them.
"""

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from mediaserver.events import Webhooks
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.speech.service import SpeechService
from mediaserver.support.metrics import Metrics
from mediaserver.support.processes import child_stderr

_ENGINE_LABELS = ("kind", "engine")


def export_pacing(metrics: Metrics, ticker: Ticker) -> None:
    """Export how many frames of all streams were sent, sent late or skipped, and how late ticks were."""
    counter = metrics.counter
    counter("frames", "Frames of 20 ms sent to peers", lambda: ticker.frames)
    counter(
        "late_ticks",
        "Frames sent 20 ms or more after their time, to catch up after the process was held up",
        lambda: ticker.late_ticks,
    )
    counter(
        "skipped_ticks",
        "Frames by which streams were set back because the process was held up for too long",
        lambda: ticker.skipped_ticks,
    )
    metrics.histogram(
        "tick_lateness_seconds",
        "Seconds from the time at which frames were due to the time at which they were sent",
        lambda: ticker.lateness,
    )


def export_prompts(metrics: Metrics, library: PromptLibrary) -> None:
    """Export how many prompts the library has, and the counts of its caches and decoders."""
    cache, pool = library.store.cache, library.pool
    counter, gauge = metrics.counter, metrics.gauge
    counter("cache_hits", "Look-ups of prompts that were ready in memory", lambda: cache.hits)
    counter("cache_misses", "Look-ups of prompts that were not ready in memory", lambda: cache.misses)
    counter(
        "cache_evictions",
        "Prompts removed from memory because prompts.memory_limit was reached",
        lambda: cache.evictions,
    )
    counter("decodes", "Sound files decoded", lambda: pool.decodes)
    counter("decode_seconds", "Seconds spent on decoding sound files", lambda: pool.decode_seconds)
    counter("disk_cache", "Look-ups of decoded prompts in the cache on disk, by result", lambda: pool.stored)
    gauge("cache_bytes", "Bytes of memory used by prompts that are ready to be sent", lambda: cache.bytes)
    gauge("prompts", "Prompts that can be played", lambda: len(library.prompts))
    gauge("prompt_errors", "Files in the prompt folder that cannot be played", lambda: len(library.problems))


def export_results(metrics: Metrics, webhooks: Webhooks, speech: SpeechService) -> None:
    """Export the counts of webhooks, of sentences that TTS spoke, and of lines that child processes printed."""
    counter = metrics.counter
    counter(
        "printed_lines",
        "Lines that the server's child processes printed, by what became of them",
        lambda: child_stderr.counts,
    )
    counter("webhooks", "Events for the URL of [events], by whether they were delivered", lambda: webhooks.results)
    counter("sentences", "Sentences to be spoken, by where their audio came from", lambda: speech.results)


def export_engines(metrics: Metrics, speech: SpeechService) -> None:
    """Export the health and the failures of each TTS, STT and LLM engine that paths need."""
    metrics.by_labels(
        GaugeMetricFamily,
        "engine_healthy",
        "1 if the engine is ready and its last request did not fail, else 0",
        _ENGINE_LABELS,
        lambda: speech.engine_health,
    )
    metrics.by_labels(
        CounterMetricFamily,
        "engine_failures",
        "Requests that the engine failed, even if another engine served them",
        _ENGINE_LABELS,
        lambda: speech.engine_failures,
    )
