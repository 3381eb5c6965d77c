"""The bodies of requests that act on one live stream."""

from typing import Literal

from pydantic import Field

from mediaserver.config.fields import Table
from mediaserver.handlers.base import LEAST_GAIN, MOST_GAIN

_WEEK = 7 * 86_400  # number of seconds in a week


class GainRequest(Table):
    """The gain of all that we send on a stream, from the next frame on."""

    gain: float = Field(ge=LEAST_GAIN, le=MOST_GAIN, description="dB; 0 sends all as it is")


class MarkRequest(Table):
    """A request to report a mark once all audio now queued on a stream has been played or stopped."""

    name: str = Field(min_length=1, max_length=100, description="what the event `mark` calls it")


class RecordRequest(Table):
    """How a stream is recorded."""

    seconds: float | None = Field(None, gt=0, le=_WEEK, description="after which it ends")
    stereo: bool = Field(False, description="the caller on the left, what we send on the right")


class SwitchRequest(Table):
    """The path on which a stream continues."""

    path: str = Field(pattern="^/", max_length=8000, description="with its query, as a URL has it")


class LabelRequest(Table):
    """A name by which requests may name a stream."""

    label: str | None = Field(
        pattern=r"^\w[\w.@:+-]{0,99}$", description="letters, digits and `_ . @ : + -`, 100 at most; null for none"
    )


class MuteRequest(Table):
    """Whether one side of a stream is muted."""

    muted: bool
    side: Literal["us", "caller"] = Field(
        description="`us`: silence is sent, and what plays goes on in time; `caller`: silence is heard in place of"
        " what the caller says, but by recordings and listeners"
    )
