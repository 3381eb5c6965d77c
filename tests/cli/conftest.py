"""What tests of commands have in common."""

from collections.abc import AsyncIterator

import pytest

from tests.twin import Twin


@pytest.fixture
async def twin() -> AsyncIterator[Twin]:
    async with Twin(token="t0ken") as twin:
        yield twin
