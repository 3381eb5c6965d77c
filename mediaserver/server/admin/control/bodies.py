"""The bodies of requests that act on one live stream."""

from typing import Literal

from pydantic import Field

from mediaserver.config.fields import Table
from mediaserver.handlers.base import LEAST_GAIN, MOST_GAIN

_WEEK = 7 * 86_400  # number of seconds in a week


class GainRequest(Table):
    """The gain of all that we send on a stream, from the next frame on."""

    gain: float = Field(
        ge=LEAST_GAIN, le=MOST_GAIN, description="The gain in dB. With 0, everything is sent as it is."
    )


class MarkRequest(Table):
    """A request to report a mark once all audio now queued on a stream has been played or stopped."""

    name: str = Field(min_length=1, max_length=100, description="The name that the event `mark` will have.")


class RecordRequest(Table):
    """How a stream is recorded."""

    seconds: float | None = Field(None, gt=0, le=_WEEK, description="Seconds after which the recording ends.")
    stereo: bool = Field(
        False,
        description="Whether there are two channels: the caller on the left, what the server sends on the right.",
    )


class SwitchRequest(Table):
    """The body of a request to switch a stream: the URL path whose handler takes the stream over."""

    path: str = Field(pattern="^/", max_length=8000, description="The path with its query, as in a URL.")


class LabelRequest(Table):
    """A name by which requests may name a stream."""

    label: str | None = Field(
        pattern=r"^\w[\w.@:+-]{0,99}$",
        description="At most 100 letters, digits and `_ . @ : + -`, or null for none.",
    )


class MuteRequest(Table):
    """Whether one side of a stream is muted."""

    muted: bool
    side: Literal["us", "caller"] = Field(
        description="With `us`, silence is sent, and what plays goes on in time. With `caller`, the handler hears"
        " silence in place of the caller, while recordings and listeners hear the caller."
    )
