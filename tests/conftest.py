"""What all tests share: a real ffmpeg, a cache that is not the user's, and a log that no test leaves changed."""

import gc
import importlib.util
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from mediaserver.call import Call
from tests.known_events import unlike_the_reference
from tests.site import sitecustomize
from tests.timing import UNIT, WITNESS
from tests.twin import Twin

SITE = Path(sitecustomize.__file__).parent


def _bundled_ffmpeg() -> str | None:
    """The folder of the ffmpeg that comes with the development requirements, where they have one."""
    package = importlib.util.find_spec("ffmpeg")
    places = package.submodule_search_locations if package else None
    folder = Path(next(iter(places)), "binaries") if places else None
    return str(folder) if folder and (folder / "ffmpeg").exists() else None


BUNDLED = _bundled_ffmpeg()
if shutil.which("ffmpeg") is None and BUNDLED is not None:
    os.environ["PATH"] += os.pathsep + BUNDLED


# How long an example takes says nothing where others have the machine as well.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# For ours, and for all that it starts.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SITE), os.environ.get("PYTHONPATH"))))
os.setpriority = sitecustomize.refuse


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A machine that is given more time is given it for a whole test as well."""
    if config.option.timeout is None:
        config.option.timeout = float(config.getini("timeout")) * UNIT


def pytest_collection_finish(session: pytest.Session) -> None:
    """Exclude pytest and all tests from garbage collections, each of which would visit them for 0.3 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own() -> Iterator[None]:
    """Servers of tests keep decoded prompts where nobody else finds them."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        yield


@pytest.fixture(autouse=True)
def witness_anew() -> None:
    """What the machine does before a test is no excuse for what is late in it."""
    WITNESS.anew()


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A command that a test runs in this process sets up the log, on a standard error that is soon closed."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def events_as_the_reference_has_them(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every event that any test sees is one of `mediaserver.events.kinds`, with the keys that stand there."""
    found: list[str] = []
    notify = Call.notify

    def noted(call: Call, kind: str, data: Mapping[str, Any]) -> None:
        found.extend(unlike_the_reference(kind, data))
        notify(call, kind, data)

    monkeypatch.setattr(Call, "notify", noted)
    yield
    assert found == []


@pytest.fixture
def ffmpeg() -> str:
    """An ffmpeg that makes inputs: the bundled one if there is one, since a distribution's may lack encoders."""
    found = shutil.which("ffmpeg", path=BUNDLED) or shutil.which("ffmpeg")
    if found is None:
        pytest.skip("no ffmpeg on this machine")
    return found


@pytest.fixture
async def twin() -> AsyncIterator[Twin]:
    """A platform to dial, which asks for a token."""
    async with Twin(token="t0ken") as twin:
        yield twin
