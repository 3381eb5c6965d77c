"""The operations of the admin port, and their description by OpenAPI 3.1."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from mediaserver import __version__
from mediaserver.config.listener_settings import Scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_REF = "#/components/schemas/{model}"


class Operation(NamedTuple):
    """A request that the admin port handles. Without a `scope`, everybody may ask, such as a health probe."""

    method: str
    path: str
    scope: Scope | None
    handler: Handler
    body: type[BaseModel] | None = None  # what the request's JSON is
    query: tuple[str, ...] = ()  # the keys that the URL's query may have
    lasting: bool = False  # whether the answer goes on for as long as the peer wants
    takes_sound: bool = False  # whether the request's body is a sound file

    @property
    def route(self) -> str:
        """The path as aiohttp's router has it. Names of prompts have slashes, as ids have not."""
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
    """Whether a request may do without a body, which counts as an empty object."""
    try:
        model.model_validate({})
    except ValidationError:
        return False
    return True
