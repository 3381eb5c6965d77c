"""`metrics.md`: every metric that a server exports, read from a server's own registry."""

import asyncio
from typing import Any

from prometheus_client.metrics_core import Metric

from mediaserver.config.settings import Settings
from mediaserver.server.server import Server
from mediaserver.support.metrics import Metrics
from scripts.reference.markdown import code, page, prose, sentence, table

_ABOUT = """\
`GET /metrics` of the admin port exports these metrics for Prometheus. A histogram has `_bucket{le}`, `_sum` and
`_count`. [The dashboard](../../deploy/grafana-dashboard.json) and [the alerts](../../deploy/alerts.yaml) use them.

On Linux there are also the metrics of the Prometheus client library that begin with `process_`, such as
`process_cpu_seconds_total`, `process_resident_memory_bytes` and `process_open_fds`.

If a label has a few fixed values, they are listed beside it. [Refusals](refusals.md) has the values of `reason`
and `status` of refusals, [Events](events.md) those of `type`. `path` is a path of the configuration."""
_LISTED_ELSEWHERE = {"path", "reason", "status", "type", "version"}


def write() -> str:
    """The page in Markdown."""
    metrics = asyncio.run(_metrics())
    labels = _labels(metrics)
    rows = []
    for family in sorted(metrics.registry.collect(), key=lambda family: family.name):
        if not family.name.startswith("process_"):
            about = _shown(labels[family.name]), prose(sentence(family.documentation))
            rows.append((code(_name(family)), family.type, *about))
    return page(
        "Metrics", "a server's own registry", _ABOUT, table(("metric", "type", "labels", "what it is"), rows)
    )


async def _metrics() -> Metrics:
    """The metrics of a server with default settings, which is created but not started."""
    settings = Settings.model_validate({"prompts": {"directory": "prompts", "cache": "off"}})
    server = Server(settings, "defaults")
    try:
        return server.engine.metrics
    finally:
        await server.close()


def _name(family: Metric) -> str:
    """The name of a metric as Prometheus shows it."""
    return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")


def _labels(metrics: Metrics) -> dict[str, dict[str, list[str]]]:
    """The labels of each family, each with the values that it has from the start."""
    found: dict[str, dict[str, list[str]]] = {}
    for collector in _collectors(metrics):
        for family in collector.collect():
            names = found[family.name] = {name: [] for name in getattr(collector, "_labelnames", ())}
            for name, value in (each for sample in family.samples for each in sample.labels.items()):
                if name != "le" and value not in names.setdefault(name, []):
                    names[name].append(value)
    return found


def _collectors(metrics: Metrics) -> list[Any]:
    """The collectors of the registry, which also know the names of labels that have no value yet."""
    return list(vars(metrics.registry)["_collector_to_names"])


def _shown(labels: dict[str, list[str]]) -> str:
    return ", ".join(
        code(name) if name in _LISTED_ELSEWHERE or not values else f"{code(name)} ({_all(values)})"
        for name, values in labels.items()
    )


def _all(values: list[str]) -> str:
    return ", ".join(map(code, sorted(values)))
