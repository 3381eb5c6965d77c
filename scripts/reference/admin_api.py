"""`admin-api.md`: the requests that the admin port handles."""

from types import SimpleNamespace
from typing import Any, cast

from mediaserver.events.hub import EventHub
from mediaserver.server.admin.endpoint import AdminEndpoint
from mediaserver.server.admin.schemas.openapi import Operation
from scripts.reference.markdown import code, page, prose, table

_ABOUT = """\
The requests that the [admin port](settings.md#admin) answers. The server also describes them by OpenAPI, at
`/v1/openapi.json`. [Control](../developers/control.md) shows them at work.

`scope` is the scope that a token of `admin.tokens` needs. `admin.token` has all scopes. If no token is set,
every client has them. `{id}` is the server's id of a stream, its label, or VoIPBIN's id of its call. `{name}`
is the name of a prompt, with its slashes. An error is JSON, `{"error": "…"}`, with the status of [its
reason](refusals.md#the-api-of-the-admin-port)."""


def operations() -> list[Operation]:
    """All operations of the admin endpoint, which is created but not started."""
    endpoint = AdminEndpoint(
        cast("Any", SimpleNamespace(events=EventHub(), library=None, streams=SimpleNamespace(ended=None))),
        *[cast("Any", None)] * 4,
    )
    return endpoint.operations


def write() -> str:
    """The page in Markdown."""
    rows = [
        (
            f"`{operation.method} {operation.path}`",
            code(operation.scope) if operation.scope else "",
            prose(operation.summary),
            "<br>".join(_facts(operation)),
        )
        for operation in operations()
    ]
    return page(
        "Admin API",
        "the operations of `mediaserver.server.admin.endpoint`",
        _ABOUT,
        table(("request", "scope", "what it does", "body or query"), rows),
    )


def _facts(operation: Operation) -> list[str]:
    """The keys of an operation's body, and those of its query."""
    if operation.body is None:
        query = [f"`?{key}=`" for key in operation.query]
        return ["a sound file", *query] if operation.takes_sound else query
    fields = operation.body.model_fields.items()
    return [
        code(name)
        + ("" if field.is_required() else ", optional")
        + (f": {prose(field.description)}" if field.description else "")
        for name, field in fields
    ]
