"""Our side of a connection runs as in production."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from tests.twin import Twin


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], Any]]:
    """uvloop's: there a write to a transport that is closed raises."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def twin() -> AsyncIterator[Twin]:
    async with Twin(token="t0ken") as twin:
        yield twin
