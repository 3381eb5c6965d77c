"""The state of a recording that is in progress, and the result of one that has ended."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class StopReason(StrEnum):
    """Why a recording ended."""

    STREAM_ENDED = "stream-ended"
    STOPPED = "stopped"  # cancelled while the stream goes on, such as when the stream switches to another URL path
    MAX_DURATION = "max-duration"
    SILENCE = "silence"
    DIGIT = "digit"
    REQUESTED = "requested"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Recording:
    """The result of a recording."""

    file: str  # path of the WAV file
    seconds: float  # duration of the audio in the file
    reason: str  # why the recording ended, a `StopReason`
    error: str = ""  # why the file ended early or was never made; "" without an error

    def as_dict(self) -> dict[str, Any]:
        """The fields as a dictionary for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a recording that is in progress."""

    file: str  # path of the WAV file
    seconds: float  # duration of the audio so far
    paused: bool  # whether silence is recorded
    error: str = ""  # why the file has ended early or was never made; "" without an error
