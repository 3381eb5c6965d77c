"""Waiting in tests: one unit for every tolerance, so that a slow machine needs one number changed."""

import asyncio
import os
import time
from collections.abc import Callable

UNIT = float(os.environ.get("TEST_TIME_UNIT", "1"))  # seconds that are ample on any machine this is run on


async def eventually(condition: Callable[[], object], units: float = 10) -> None:
    """Wait until a condition holds; fail where it never does."""
    deadline = time.monotonic() + units * UNIT
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.002)
