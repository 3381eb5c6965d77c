"""A twin for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.twin import Twin


@pytest.fixture
async def twin() -> AsyncIterator[Twin]:
    async with Twin() as twin:
        yield twin
