"""Fixtures of all tests of the playout."""

from collections.abc import AsyncIterator

import pytest

from mediaserver.playout.decoding.pool import DecodePool


@pytest.fixture
async def pool() -> AsyncIterator[DecodePool]:
    pool = DecodePool()
    yield pool
    await pool.release_decoders()
