"""The operations of the admin port, and their description by OpenAPI 3.1."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from mediaserver import __version__
from mediaserver.config.listener_settings import Scope
from mediaserver.errors import RefusalReason
from mediaserver.server.admin.schemas.answers import Error

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# The cases in which the API, /v1, refuses a request, by the reason of the refusal, besides those in which the
# admin port refuses any request. docs/reference/refusals.md is generated from this table.
REFUSALS = {
    RefusalReason.BAD_QUERY: "a key of the query has an invalid value",
    RefusalReason.BAD_HANDSHAKE: "the handshake of a WebSocket is wrong; the answer says how",
    RefusalReason.BAD_BODY: "the body is not JSON or is cut short, or a field of it is missing, unknown or wrong",
    RefusalReason.BAD_PATH: "`path` of the body is no path of the configuration",
    RefusalReason.BAD_TEXT: "a text cannot be spoken: it is empty or too long, or a variable is missing or wrong",
    RefusalReason.BAD_NAME: "no prompt may have this name; the answer says why",
    RefusalReason.RECORDINGS_OFF: "the request records a stream, and `admin.recordings` is not set",
    RefusalReason.UNLISTED_URL: "the request plays a URL that begins with no entry of `admin.play_from`",
    RefusalReason.NOT_EDITABLE: "the request changes a prompt, and `prompts.editable` is not set",
    RefusalReason.UNKNOWN_STREAM: "there is no such stream in progress",
    RefusalReason.UNKNOWN_PLAYBACK: "the sound has ended, or was never played on this stream",
    RefusalReason.UNKNOWN_RECORDING: "the recording has ended, or was never begun on this stream",
    RefusalReason.UNKNOWN_PATH: "no path of the configuration matches the path",
    RefusalReason.UNKNOWN_PROMPT: "there is no such prompt",
    RefusalReason.UNKNOWN_VERSION: "the prompt has no such old version, or no longer has it",
    RefusalReason.AMBIGUOUS: "several streams have this name; the answer has their ids",
    RefusalReason.PROMPT_CONFLICT: (
        "a path needs the prompt, its new name is taken, or its place is taken by a link or a file"
    ),
    RefusalReason.SWITCHING: "the stream is being switched to another path already",
    RefusalReason.TOO_LARGE: "the file is larger than `prompts.upload_limit`",
    RefusalReason.BAD_KEY: "`Idempotency-Key` is too long, or was used for another request",
    RefusalReason.UNPLAYABLE: "the file of the URL cannot be played",
    RefusalReason.BAD_SOUND: "the uploaded file, or the old version, cannot be played",
    RefusalReason.STREAM_BUSY: "the stream has the most sounds or marks that may wait, or the most recordings",
    RefusalReason.SOUNDS_FULL: "the sounds of URLs that play and wait take all the memory that they may take",
    RefusalReason.NO_SOUND: "the server of the URL sent no file, or not in time",
    RefusalReason.ENGINE: "no TTS engine could speak the text",
    RefusalReason.CONNECTIONS: "16 requests that last are in progress, or 8 uploads",
    RefusalReason.NO_CALLS: "the server takes no calls, for example because it is shutting down",
    RefusalReason.PATH_FULL: "the path to which the stream would be switched has `max_streams` streams already",
    RefusalReason.NOT_WEBSOCKET: "the request is plain HTTP, and its answer would be a WebSocket",
    RefusalReason.STORAGE: "the prompt folder cannot be read or written, for example because the disk is full",
}
_REF = "#/components/schemas/{model}"
TEXT, JSON, WAV = "text/plain", "application/json", "audio/wav"


class Operation(NamedTuple):
    """A request that the admin port handles. If `scope` is None, the request needs no token."""

    method: str
    path: str
    scope: Scope | None
    handler: Handler
    body: type[BaseModel] | None = None  # the model of the request's JSON body
    query: tuple[str, ...] = ()  # the keys that the URL's query may have
    lasting: bool = False  # whether the answer is HTTP that goes on for as long as the peer wants
    websocket: bool = False  # whether the answer is a WebSocket, which lasts, too
    # The answers of success, by their status: a model of `answers`, a media type, or None for no body.
    answers: Mapping[int, type[BaseModel] | str | None] = MappingProxyType({204: None})
    takes_sound: bool = False  # whether the request's body is a sound file

    @property
    def route(self) -> str:
        """The path in the form of aiohttp's router. Names of prompts may have slashes; ids have none."""
        return self.path.replace("{name}", "{name:.+}")

    @property
    def summary(self) -> str:
        """What the request does: the first paragraph of the handler's docstring."""
        return " ".join((self.handler.__doc__ or "").strip().split("\n\n")[0].split())


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI document that describes `operations`."""
    bodies = [operation.body for operation in operations if operation.body is not None]
    answers = [each for operation in operations for each in operation.answers.values() if isinstance(each, type)]
    models: dict[type[BaseModel], None] = dict.fromkeys([Error, *bodies, *answers])
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "mediaserver, admin port", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"summary": operation.summary, "responses": _responses(operation)}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    parameters += [{"name": key, "in": "query", "schema": {"type": "string"}} for key in operation.query]
    if parameters:
        described["parameters"] = parameters
    if operation.scope is not None:
        described["security"] = [{"token": []}]
        described["x-scope"] = str(operation.scope)
    if operation.body is not None:
        schema = {"$ref": _REF.format(model=operation.body.__name__)}
        required = not _takes_nothing(operation.body)
        described["requestBody"] = {"required": required, "content": {"application/json": {"schema": schema}}}
    if operation.takes_sound:
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return described


def _responses(operation: Operation) -> dict[str, Any]:
    """The responses of an operation, by their status. Errors are JSON."""
    responses: dict[str, Any] = {}
    if operation.websocket:
        responses["101"] = {"description": "The WebSocket is open."}
    for status, answer in () if operation.websocket else operation.answers.items():
        content = {} if answer is None else {"content": _content(answer)}
        responses[str(status)] = {"description": HTTPStatus(status).phrase} | content
    for range_, why in (("4XX", "The request is refused."), ("5XX", "The request has failed.")):
        responses[range_] = {"description": why, "content": _content(Error)}
    return responses


def _content(answer: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {}}
    return {"application/json": {"schema": {"$ref": _REF.format(model=answer.__name__)}}}


def _takes_nothing(model: type[BaseModel]) -> bool:
    """Whether a request may have no body: no body counts as `{}`, which is then valid."""
    try:
        model.model_validate({})
    except ValidationError:
        return False
    return True
