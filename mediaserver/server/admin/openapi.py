"""The operations of the admin port, and their description by OpenAPI 3.1."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from mediaserver import __version__
from mediaserver.config.listener_settings import Scope
from mediaserver.errors import RefusalReason

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# The cases in which the API, /v1, refuses a request, by the reason of the refusal, besides those in which the
# admin port refuses any request. docs/reference/refusals.md is generated from this table.
REFUSALS = {
    RefusalReason.BAD_QUERY: "a key of the query has a value that there is not",
    RefusalReason.BAD_BODY: "the body is no JSON, has no end, or a field of it is missing, unknown or wrong",
    RefusalReason.BAD_PATH: "`path` of the body is none of this server",
    RefusalReason.BAD_TEXT: "a text cannot be spoken: a value is missing or wrong, or it is empty or too long",
    RefusalReason.BAD_NAME: "no prompt may have this name; the line says why",
    RefusalReason.RECORDINGS_OFF: "a stream is to be recorded, and `admin.recordings` is not set",
    RefusalReason.UNLISTED_URL: "a file is to be played whose URL no entry of `admin.play_from` has",
    RefusalReason.NOT_EDITABLE: "a prompt is to be changed, and `prompts.editable` is not set",
    RefusalReason.UNKNOWN_STREAM: "there is no such stream in progress",
    RefusalReason.UNKNOWN_PLAYBACK: "the sound is over, or was never played on this stream",
    RefusalReason.UNKNOWN_RECORDING: "the recording is over, or was never begun on this stream",
    RefusalReason.UNKNOWN_PATH: "no path of the configuration matches the path",
    RefusalReason.UNKNOWN_PROMPT: "there is no such prompt",
    RefusalReason.UNKNOWN_VERSION: "the prompt has no such old version, or not any more",
    RefusalReason.AMBIGUOUS: "the name stands for several streams; the line has their ids",
    RefusalReason.PROMPT_CONFLICT: (
        "a path needs the prompt, its other name is taken, a link is in its place, or a file in its folder's"
    ),
    RefusalReason.SWITCHING: "the stream is being switched to another path already",
    RefusalReason.TOO_LARGE: "the file is larger than `prompts.upload_limit`",
    RefusalReason.BAD_KEY: "`Idempotency-Key` is too long, or was used for another request",
    RefusalReason.UNPLAYABLE: "the file of the URL cannot be played",
    RefusalReason.BAD_SOUND: "the uploaded file, or the old version, cannot be played",
    RefusalReason.STREAM_BUSY: "the stream has as many sounds or marks that wait, or recordings, as it may",
    RefusalReason.SOUNDS_FULL: "the sounds of URLs that play and wait have all the memory that they may have",
    RefusalReason.NO_SOUND: "the server of the URL gives no file, or none in time",
    RefusalReason.ENGINE: "no TTS engine has spoken the text",
    RefusalReason.CONNECTIONS: "there are 16 requests that last, or 8 files are being received, already",
    RefusalReason.NO_CALLS: "the server takes no calls, such as while it shuts down",
    RefusalReason.PATH_FULL: "the path on which the stream is to go on has `max_streams` streams",
    RefusalReason.NOT_WEBSOCKET: "the request is HTTP, and its answer is a WebSocket",
    RefusalReason.STORAGE: "the prompt folder cannot be read or written, such as for a full disk",
}
_REF = "#/components/schemas/{model}"


class Operation(NamedTuple):
    """A request that the admin port handles. If `scope` is None, the request needs no token."""

    method: str
    path: str
    scope: Scope | None
    handler: Handler
    body: type[BaseModel] | None = None  # the model of the request's JSON body
    query: tuple[str, ...] = ()  # the keys that the URL's query may have
    lasting: bool = False  # whether the answer goes on for as long as the peer wants
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
    """The OpenAPI document of these operations."""
    models = list(dict.fromkeys(operation.body for operation in operations if operation.body is not None))
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
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {"default": {"description": "the answer, or an error: JSON with `error`, a line of text"}},
    }
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


def _takes_nothing(model: type[BaseModel]) -> bool:
    """Whether a request may have no body: no body counts as `{}`, which is then valid."""
    try:
        model.model_validate({})
    except ValidationError:
        return False
    return True
