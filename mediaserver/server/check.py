"""`check`: a configuration and all its prompts, as `serve` would load them, without serving."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.playout.library import Progress
from mediaserver.server import tls
from mediaserver.settings import Settings
from mediaserver.streams.configuration import Configuration
from mediaserver.streams.engine import open_library


@dataclass(frozen=True, slots=True)
class Findings:
    """What a configuration amounts to. A line each: `problems` stop `serve`, it leaves files `left_out`, and
    `warnings` are of built-in paths that lack their prompts, which nobody asked for.

    Each path has the AudioSocket ports that it answers on, with the path as the port has it.
    """

    paths: list[dict[str, Any]]
    prompts: list[dict[str, Any]]
    ignored: list[str]
    problems: list[str]
    left_out: list[str]
    warnings: list[str]


async def check(settings: Settings, where: str, problems: Sequence[str], progress: Progress) -> Findings:
    """Build the routes, decode every prompt, and hold them against each other."""
    configuration = Configuration.of(settings, where, [*problems, *tls.load(settings.tls, where)[1]])
    library = open_library(settings, make_store=False)
    try:
        await library.load((), progress)
    finally:
        await library.close()
    problems = [*configuration.problems, *configuration.missing_prompts(library)]
    left_out = [f"{library.directory / file}: {problem}" for file, problem in sorted(library.problems.items())]
    paths = [
        {
            "path": route.pattern,
            "handler": settings.paths[route.pattern].handler,
            "encapsulation": str(route.wire.encapsulation),
            "access": str(route.access),
            "audiosocket": {
                str(port.number): str(port.url) for port in configuration.ports.values() if port.route is route
            },
            "settings": _shown(route.settings),
        }
        for route in configuration.table
    ]
    prompts = [
        {
            "name": prompt.name,
            "duration_s": round(prompt.samples / SAMPLE_RATE, 3),
            "source": prompt.about.source,
            "peak_dbfs": round(prompt.about.peak_dbfs, 1),
            "loudness_lufs": round(prompt.about.loudness_lufs, 1),
        }
        for _, prompt in sorted(library.prompts.items())
    ]
    return Findings(paths, prompts, library.ignored, problems, left_out, configuration.left_out(library))


def _shown(value: Any) -> Any:
    """Settings as they may be shown: of a URL, no more than where it leads; it may hold a password or a token."""
    if isinstance(value, str) and "://" in value:
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if isinstance(value, dict):
        return {key: _shown(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shown(each) for each in value]
    return value
