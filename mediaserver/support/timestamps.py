"""Points in time as events, reports, transcripts and the admin port have them."""

from datetime import UTC, datetime


def iso_timestamp(moment: datetime) -> str:
    """A time in UTC, as ISO 8601 with milliseconds and a Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_timestamp() -> str:
    """The present time in UTC, as ISO 8601 with milliseconds and a Z."""
    return iso_timestamp(datetime.now(UTC))
