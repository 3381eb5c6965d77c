"""Figures of a test, beside its name in `pytest --junitxml`."""

from collections.abc import Callable

import pytest


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Keep a figure: how late the latest frame was, how long a fault was borne with."""
    return lambda name, value: request.node.user_properties.append((name, value))
