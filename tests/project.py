"""Where the project is: its documents, its configuration, its prompts; and what this machine may lack for it."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from mediaserver import config
from mediaserver.routing.configuration import Configuration
from mediaserver.runtime.disk_caches import open_library

ROOT = Path(__file__).parent.parent


def without_missing_engine(problems: Iterable[str]) -> list[str]:
    """Problems but that of pocketsphinx, where it is not installed: for Python 3.14 there is no wheel of it."""
    missing = find_spec("pocketsphinx") is None
    return [problem for problem in problems if not (missing and "pocketsphinx is not installed" in problem)]


def cache_in(folder: Path) -> Path:
    """A cache, for XDG_CACHE_HOME, in which `mistakes` keeps prompts: they are decoded once, not by a process each
    time.
    """
    (folder / "mediaserver" / "sounds").mkdir(parents=True)
    return folder


async def mistakes(file: Path) -> list[str]:
    """All that `check` says of a configuration that stops `serve`. Prompts are decoded, but not measured."""
    settings, problems = config.load(file)
    configuration = Configuration.build(settings, str(file), problems)
    library = open_library(settings, make_store=False)
    await library.load()
    await library.close()
    return [*configuration.problems, *configuration.missing_prompts(library)]
