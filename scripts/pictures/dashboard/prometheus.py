"""A real Prometheus, which scrapes servers, and answers PromQL over its HTTP API."""

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from tests.server.process import client_session

SCRAPE = 2  # seconds from one scrape to the next
RULES = Path(__file__).parents[3] / "deploy" / "alerts.yaml"
_JOB = "mediaserver"
_STARTS_WITHIN = 30.0  # seconds


class Series(NamedTuple):
    """A time series that an expression has: its labels, and its values by Unix time. Values may be missing."""

    labels: dict[str, str]
    values: dict[float, float]


def find_prometheus() -> str:
    """The path of the program. SystemExit, with a line that says what to do, if it is not installed."""
    if (program := shutil.which("prometheus")) is None:
        raise SystemExit('no "prometheus" in PATH: the picture of the dashboard needs it (apt install prometheus)')
    return program


class Prometheus:
    """A client of a running Prometheus."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self._url, self._client = url, client

    async def label_values(self, metric: str, label: str) -> list[str]:
        """The values that a label of a metric has, as Grafana's `label_values(metric, label)`."""
        values = await self._ask(f"label/{label}/values", {"match[]": metric})
        return [str(value) for value in values]

    async def range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """The series of an expression from `start` to `end`. Values that are not finite are left out."""
        asked = {"query": expression, "start": f"{start}", "end": f"{end}", "step": f"{step}"}
        found = (await self._ask("query_range", asked))["result"]
        return [
            Series(each["metric"], {at: float(value) for at, value in each["values"] if value != "NaN"})
            for each in found
        ]

    async def firing(self) -> dict[str, float]:
        """The alerts that have fired so far, by name, each with the Unix time at which it was first firing."""
        found = (await self._ask("query", {"query": 'ALERTS{alertstate="firing"}[1d]'}))["result"]
        return {each["metric"]["alertname"]: each["values"][0][0] for each in found}

    async def _ask(self, method: str, parameters: Mapping[str, str]) -> Any:
        async with self._client.get(f"{self._url}/api/v1/{method}", params=parameters) as response:
            answer = await response.json()
        if answer["status"] != "success":
            raise ValueError(f"Prometheus refuses {dict(parameters)}: {answer['error']}")
        return answer["data"]


@contextlib.asynccontextmanager
async def scraping(folder: Path, targets: Mapping[str, str]) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes `targets`, addresses by the names of instances, every `SCRAPE` seconds."""
    program = find_prometheus()
    config = folder / "prometheus.json"  # JSON is YAML
    config.write_text(json.dumps(_config(targets)))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = {
        "config.file": config,
        "storage.tsdb.path": folder / "data",
        "web.listen-address": address,
        "log.level": "error",
    }
    process = await asyncio.create_subprocess_exec(
        program, *(f"--{name}={value}" for name, value in options.items())
    )
    try:
        async with client_session() as client:
            await _until_ready(f"http://{address}", client)
            yield Prometheus(f"http://{address}", client)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _config(targets: Mapping[str, str]) -> dict[str, Any]:
    static = [{"targets": [address], "labels": {"instance": name}} for name, address in targets.items()]
    return {
        "global": {"scrape_interval": f"{SCRAPE}s", "evaluation_interval": f"{SCRAPE}s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": _JOB, "static_configs": static}],
    }


async def _until_ready(url: str, client: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(_STARTS_WITHIN):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get(f"{url}/-/ready") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)
