"""The JSON answers of the admin port's API. `openapi` describes them; a test compares every answer with them."""

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field, create_model

from mediaserver.events.payloads import StreamSummary


def _model_of(payload: type) -> type[BaseModel]:
    """A model with the keys of an event's payload, a TypedDict whose annotations say what each key is."""
    fields: dict[str, Any] = {}
    for key, hint in get_type_hints(payload, include_extras=True).items():
        optional = get_origin(hint) is NotRequired
        kind, about = get_args(get_args(hint)[0] if optional else hint)
        default: dict[str, Any] = {"default_factory": str} if optional else {}  # a factory is not described
        fields[key] = (kind, Field(description=about, **default))
    return create_model(payload.__name__, __doc__=payload.__doc__, **fields)


class Error(BaseModel):
    """Why a request was refused, or failed."""

    error: str = Field(description="one line of text")


class Token(BaseModel):
    """The token with which a request was made."""

    name: str
    scopes: list[str]


class Ticket(BaseModel):
    """A ticket for one request."""

    ticket: str


class Identified(BaseModel):
    """Something that was begun, by the id under which other requests name it."""

    id: str


class Marked(BaseModel):
    """A mark that was set."""

    name: str


class Switched(BaseModel):
    """The path that takes a stream over."""

    path: str = Field(description="the path as configured, with its placeholders filled in")


class RecordingBegun(BaseModel):
    """A recording that was begun."""

    id: str
    file: str = Field(description="the path of the file")


class Variables(BaseModel):
    """All variables that a stream has from now on."""

    variables: dict[str, str]


class Problem(BaseModel):
    """One thing that is bad about a stream."""

    kind: str = Field(description="a fixed word, for programs")
    text: str = Field(description="a sentence, for people")


class Played(BaseModel):
    """A sound that was played on a stream."""

    name: str = Field(description="the prompts' names, or `text`, `tone`, `live`, `sound`")
    ended_s: float = Field(description="when it ended, in seconds since the stream's beginning")
    seconds: float = Field(description="how much of it was played")
    complete: bool = Field(description="whether this was all of it")


class SideLevels(BaseModel):
    """How loud one side of a stream was, by one look a second at sound that was there anyway."""

    dbfs: list[int | None] = Field(description="the loudest look of each step; null if unknown, -100 for silence")
    seconds: int = Field(description="looks that count here: at a caller who is listened to, at our live sound")
    loudest_dbfs: int = Field(description="the loudest of these")
    loud_seconds: int = Field(description="how many of these were louder than voices are")
    faint: bool = Field(description="whether none of these was as loud as a voice")
    loud: bool = Field(description="whether so many were too loud that the sound is most likely clipped")
    muted_since_s: float = Field(0.0, description="when digital silence began that lasts for long; absent if none")


class StreamLevels(BaseModel):
    """How loud both sides of a stream were."""

    every_s: int = Field(description="seconds of a step: 1, and more in long calls")
    caller: SideLevels
    us: SideLevels


class Impairment(BaseModel):
    """A period in which a stream was impaired, in seconds since its beginning."""

    kind: Literal["late", "stalled", "underrun", "lost", "malformed", "gap"]
    from_s: float
    to_s: float
    count: int = Field(description="frames, pauses, packets or messages; of a gap in what the peer sends, seconds")


class RecordingInProgress(BaseModel):
    """A recording of a stream."""

    id: str | None = Field(description="null if the stream's handler has begun it")
    file: str
    seconds: float
    paused: bool
    error: str = Field(description="why its file has failed; empty if it has not")


class ListedStream(_model_of(StreamSummary)):  # type: ignore[misc]
    """A stream in progress, in a list."""

    id: str
    direction: Literal["in", "out"]
    connected: bool = Field(description="false while the server dials it, also after its connection broke")
    label: str = ""


class LiveStream(ListedStream):
    """A stream in progress."""

    playing: str = Field(description="the name of what plays now; empty for silence")
    listeners: int
    gain: float = Field(description="in dB")
    muted: list[Literal["caller", "us"]]
    played: list[Played]
    recordings: list[RecordingInProgress]
    variables: dict[str, str]
    levels: StreamLevels | None = Field(None, description="absent in a list, and where the peer has sent nothing")
    impairments: list[Impairment] = Field([], description="absent with the levels")
    prompt_warnings: list[str] = Field([], description="about prompts that played; absent in a list")
    problems: list[Problem]


class Streams(BaseModel):
    """A page of the streams in progress."""

    streams: list[ListedStream]
    total: int
    next: str = Field("", description="the `after` of the next page")


class EndedStream(_model_of(StreamSummary)):  # type: ignore[misc]
    """A stream that is over."""

    id: str
    direction: Literal["in", "out"]
    label: str
    ended: str = Field(description="UTC in ISO 8601")
    reason: str
    code: int = Field(description="the WebSocket close code")
    variables: dict[str, str]
    played: list[Played]
    levels: StreamLevels | None = Field(None, description="absent in a list, and where the peer has sent nothing")
    impairments: list[Impairment] = Field([], description="absent with the levels")
    prompt_warnings: list[str] = Field([], description="about prompts that played; absent in a list")
    gain: float = Field(0.0, description="as a request has set it, in dB; absent in a list")
    muted: list[Literal["caller", "us"]] = Field([], description="by requests, at the end; absent in a list")
    problems: list[Problem]


class EndedStreams(BaseModel):
    """A page of the latest streams that are over."""

    streams: list[EndedStream]
    next: str = Field("", description="the `after` of the next page")


class Prompt(BaseModel):
    """A prompt, and what decoding found out about it."""

    name: str
    duration_s: float
    source: str = Field(description="the format of its file")
    peak_dbfs: float
    loudness_lufs: float
    warnings: list[str]


class CheckedPrompt(Prompt):
    """A prompt that was made or replaced, with what `check --json` measures; null if a figure does not apply."""

    level_dbov: float | None
    gain_db: float | None
    dc_percent: float | None
    clipped_runs: int | None
    silence_before_s: float | None
    silence_after_s: float | None
    out_of_band_percent: float | None
    loop_step_percent: float | None
    file: str = Field(description="the path of its file in the prompt folder")


class UnplayableFile(BaseModel):
    """A file in the prompt folder that cannot be played."""

    file: str
    why: str


class Prompts(BaseModel):
    """A page of the prompts that can be played."""

    prompts: list[Prompt]
    total: int
    editable: bool = Field(description="whether requests may change prompts")
    upload_limit: int = Field(description="the most bytes of an uploaded file")
    problems: list[UnplayableFile]
    next: str = Field("", description="the `after` of the next page")


class Waveform(BaseModel):
    """The waveform of a prompt."""

    duration_s: float
    waveform: list[tuple[int, int]] = Field(
        description="the lowest and the highest value of each part, in percent"
    )


class Version(BaseModel):
    """An old version of a prompt."""

    version: str
    until: str = Field(description="until when callers heard it: UTC in ISO 8601")
    change: str = Field(description="`replaced`, `removed` or `restored`")
    by: str = Field(description="the name of the token with which it was changed")
    duration_s: float | None
    bytes: int
    type: str = Field(description="the extension of its file")


class Versions(BaseModel):
    """The old versions of a prompt, the newest first."""

    versions: list[Version]


class Transition(BaseModel):
    """Where a key of a menu leads."""

    menu: str
    plays: str
    key: str
    leads_to: str
    next_menu: str | None


class Path(BaseModel):
    """A configured path."""

    path: str
    handler: str
    encapsulation: str
    access: str = Field(description="who may call it, in words")
    open: bool = Field(description="whether anybody may")
    audiosocket_ports: list[int]
    max_streams: int
    time_limit_s: float
    streams: int = Field(description="streams in progress")
    prompts: Sequence[str]
    start: str | None
    menus: list[Transition]


class Paths(BaseModel):
    """The configured paths, in their order."""

    paths: list[Path]


class Reload(BaseModel):
    """One reload of the configuration."""

    time: str = Field(description="UTC in ISO 8601")
    mistakes: Sequence[str] = Field(description="why it was refused; empty if it was taken in")


class Reloads(BaseModel):
    """The latest reloads of the configuration."""

    reloads: list[Reload]
