"""Timestamps of events and reports."""

import re
from datetime import UTC, datetime, timedelta

from mediaserver.support.timestamps import utc_timestamp


def test_timestamps_are_utc_to_the_millisecond() -> None:
    before, told = datetime.now(UTC), utc_timestamp()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told)
    assert before - timedelta(milliseconds=1) <= datetime.fromisoformat(told) <= datetime.now(UTC)
