"""Our side of a connection runs as in production."""

from collections.abc import Callable
from typing import Any

import uvloop


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], Any]]:
    """uvloop's: there a write to a transport that is closed raises."""
    return {"uvloop": uvloop.new_event_loop}
