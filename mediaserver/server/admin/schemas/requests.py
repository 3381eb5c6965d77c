"""The bodies of requests to the admin port's API, and how they are parsed."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

import pydantic
from aiohttp import web
from pydantic import BeforeValidator, Discriminator, Field, Tag

from mediaserver.call.inbound.keypad import MAX_TYPED_AHEAD
from mediaserver.call.stream import MAX_VARIABLE, MAX_VARIABLE_NAME, MAX_VARIABLES
from mediaserver.config import error_messages
from mediaserver.config.fields import Table
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.handlers.common.spoken_prompt import SpokenPrompt, VoiceSettings, as_items, prompt_kind

MAX_URLS = 10  # the most sound files of other servers in what one request plays
MAX_WATCHED = 200  # the most streams whose levels one peer may see at a time

AUDITED = web.RequestKey("audited", dict[str, str])  # facts about a request that are logged with its path

B = TypeVar("B", bound=pydantic.BaseModel)
VariableName = Annotated[str, Field(min_length=1, max_length=MAX_VARIABLE_NAME)]
VariableValue = Annotated[str, Field(max_length=MAX_VARIABLE)]
_MAX_PAGE = 1000  # the most entries of a list in one answer


_KEYS = rf"^[0-9A-D*#]{{1,{MAX_TYPED_AHEAD}}}$"


def _validate_keys(digits: str) -> str:
    if not re.fullmatch(_KEYS, digits):
        raise ValueError(f"should be keys of 0-9 A-D * #, at least one and at most {MAX_TYPED_AHEAD}")
    return digits


class PressedKeys(Table):
    """DTMF keys, in the order in which a caller pressed them."""

    digits: Annotated[str, pydantic.AfterValidator(_validate_keys)] = Field(json_schema_extra={"pattern": _KEYS})


class SoundUrl(Table):
    """A sound file of another server."""

    url: str = Field(
        min_length=1, max_length=2000, description="A URL that begins with an entry of `admin.play_from`."
    )


def _kind_of(value: Any) -> str:
    if isinstance(value, SoundUrl) or (isinstance(value, dict) and "url" in value):
        return "a URL"
    return prompt_kind(value)


# One entry of what is played: a prompt's name, a text to be spoken, or a URL.
PlayItem = Annotated[
    Annotated[str, Tag("a prompt")]
    | Annotated[SpokenPrompt, Tag("what is said")]
    | Annotated[SoundUrl, Tag("a URL")],
    Discriminator(_kind_of),
]
PlayItems = Annotated[
    tuple[PlayItem, ...], BeforeValidator(as_items, json_schema_input_type=PlayItem | tuple[PlayItem, ...])
]


class PlayRequest(Table):
    """What is played on a stream, and when."""

    play: PlayItems = Field(
        (),
        max_length=100,
        description="Names of prompts, texts to be spoken, URLs of sound files, in sequence.",
    )
    url: str | None = Field(
        None, min_length=1, max_length=2000, description="In place of `play`: the URL of a sound file."
    )
    interrupt: bool = Field(
        False,
        description="With true it is played at once, and what it interrupts goes on afterwards. With false it"
        " waits for what plays.",
    )
    repeat: int = Field(1, ge=1, le=1000, description="How many times it is played.")

    @pydantic.model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.play) == (self.url is not None):
            raise ValueError("should have play, with at least one entry, or url")
        if len(self.urls) > MAX_URLS:
            raise ValueError(f"should have at most {MAX_URLS} different URLs")
        return self

    @property
    def items(self) -> tuple[str | SpokenPrompt | SoundUrl, ...]:
        """All that is played, in sequence."""
        return self.play if self.url is None else (SoundUrl(url=self.url),)

    @property
    def urls(self) -> list[str]:
        """The URLs of sound files, each once, in the order of their first turns."""
        return list(dict.fromkeys(item.url for item in self.items if isinstance(item, SoundUrl)))


class RecordingRequest(Table):
    """Whether a stream's recordings are paused: they then have silence in place of, say, a card's number."""

    paused: bool


class WatchedStreams(Table):
    """The ids of the streams whose levels a peer wants to see from now on."""

    streams: list[str] = Field(max_length=MAX_WATCHED)


class BackgroundRequest(Table):
    """The sound that plays under all other sound of a stream, and alone while nothing else plays."""

    prompt: str | None = Field(description="The prompt that is repeated, or null for none.")
    level: float | None = Field(
        None, ge=-60, le=0, description="The active speech level of the background in dBov."
    )
    ducking: float | None = Field(
        None, ge=0, le=60, description="By how many dB it is lowered while something is played."
    )


class VariablesRequest(Table):
    """Values to which variables of a stream are set; null removes a variable."""

    variables: dict[VariableName, VariableValue | None] = Field(max_length=MAX_VARIABLES)


class RenameRequest(Table):
    """The new name of a prompt, without an extension."""

    to: str = Field(min_length=1, max_length=1000)


class SayRequest(VoiceSettings, Table):
    """A text whose speech becomes a prompt's sound, and the voice that speaks it."""

    say: str = Field(min_length=1, description="The text. Braces in it are spoken as they are.")


class TicketRequest(Table):
    """The path of the one request for which a ticket is wanted."""

    path: str = Field(pattern="^/", max_length=1000)


async def read_body(request: web.Request) -> bytes:
    """The body of a request; RefusedError 400 if the body breaks off, or is not valid HTTP."""
    try:
        return await request.read()
    except (ConnectionError, web.RequestPayloadError) as error:  # the peer is gone or slow, or its body is no HTTP
        raise RefusedError(RefusalReason.BAD_BODY, "body: is incomplete") from error


async def parse_body(request: web.Request, model: type[B]) -> B:
    """Parse the JSON body of a request into a model; RefusedError 400 says what is wrong with the JSON.

    An empty body counts as `{}`.
    """
    try:
        return model.model_validate_json(await read_body(request) or b"{}")
    except pydantic.ValidationError as error:
        raise RefusedError(
            RefusalReason.BAD_BODY, "; ".join(error_messages.error_lines("body", error, model))
        ) from error


def parse_flag(query: Mapping[str, str], key: str) -> bool:
    """Whether a query sets `key` to `true`; RefusedError 400 if its value is neither true nor false."""
    text = query.get(key, "false")
    if text not in ("true", "false"):
        raise RefusedError(RefusalReason.BAD_QUERY, f"{key} should be true or false")
    return text == "true"


def parse_number(query: Mapping[str, str], key: str) -> int:
    """The number that a query has for `key`, 0 if it has none; RefusedError 400 if it is no whole number."""
    text = query.get(key, "") or "0"
    if not re.fullmatch("[0-9]{1,18}", text):
        raise RefusedError(RefusalReason.BAD_QUERY, f"{key} should be a whole number: the `next` of an answer")
    return int(text)


def parse_limit(query: Mapping[str, str]) -> int:
    """How many entries of a list a query's `limit` asks for; RefusedError 400 if `limit` is no allowed number."""
    text = query.get("limit", "")
    if not text:
        return _MAX_PAGE
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= _MAX_PAGE:
        raise RefusedError(RefusalReason.BAD_QUERY, f"limit should be a whole number from 1 to {_MAX_PAGE}")
    return int(text)
