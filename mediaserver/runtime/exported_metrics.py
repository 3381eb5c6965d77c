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
    counter("frames", "Frames sent", lambda: ticker.frames)
    counter("late_ticks", "Frames sent a ptime or more after their time, to catch up", lambda: ticker.late_ticks)
    counter("skipped_ticks", "Frames never sent because time was lost", lambda: ticker.skipped_ticks)
    metrics.histogram(
        "tick_lateness_seconds", "How late the frames of one moment were sent", lambda: ticker.lateness
    )


def export_prompts(metrics: Metrics, library: PromptLibrary) -> None:
    """Export how many prompts the library has, and the counts of its caches and decoders."""
    cache, pool = library.store.cache, library.pool
    counter, gauge = metrics.counter, metrics.gauge
    counter("cache_hits", "Look-ups of prompts' messages found in memory", lambda: cache.hits)
    counter("cache_misses", "Look-ups of prompts' messages not found in memory", lambda: cache.misses)
    counter("cache_evictions", "Prompts' messages let go of for want of memory", lambda: cache.evictions)
    counter("decodes", "Sound files decoded", lambda: pool.decodes)
    counter("decode_seconds", "Seconds that decoding sound files took", lambda: pool.decode_seconds)
    counter("disk_cache", "Prompts looked up in the cache on disk, by what was found", lambda: pool.stored)
    gauge("cache_bytes", "Memory taken by prompts' messages", lambda: cache.bytes)
    gauge("prompts", "Prompts that can be played", lambda: len(library.prompts))
    gauge("prompt_errors", "Files in the prompt folder that cannot be played", lambda: len(library.problems))


def export_results(metrics: Metrics, webhooks: Webhooks, speech: SpeechService) -> None:
    """Export the counts of webhooks, of sentences that TTS spoke, and of lines that child processes printed."""
    counter = metrics.counter
    counter("printed_lines", "What our processes printed, by what became of it", lambda: child_stderr.counts)
    counter("webhooks", "Events for the operator's URL, by what became of them", lambda: webhooks.results)
    counter("sentences", "Sentences spoken, by where their audio came from", lambda: speech.results)


def export_engines(metrics: Metrics, speech: SpeechService) -> None:
    """Export the health and the failures of each TTS, STT and LLM engine that paths need."""
    metrics.by_labels(
        GaugeMetricFamily,
        "engine_healthy",
        "Whether an engine can serve requests: it is ready, and has not failed since it was last tried",
        _ENGINE_LABELS,
        lambda: speech.engine_health,
    )
    metrics.by_labels(
        CounterMetricFamily,
        "engine_failures",
        "Requests that an engine has failed, whether or not another engine served them",
        _ENGINE_LABELS,
        lambda: speech.engine_failures,
    )
