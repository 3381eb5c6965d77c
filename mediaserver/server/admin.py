"""The admin listener: health, metrics, and the streams that are dialled. Never on the public port."""

from collections.abc import Awaitable, Callable

import pydantic
from aiohttp import web
from yarl import URL

from mediaserver import config, metrics
from mediaserver.client.attach import Attacher, AttachRequest
from mediaserver.errors import ConfigError, RefusedError
from mediaserver.session import CloseCode, End, EndReason
from mediaserver.streams.engine import Engine
from mediaserver.streams.registry import listing

_MAX_BODY = 64 * 1024


def application(engine: Engine, attacher: Attacher, why_not_ready: Callable[[], str]) -> web.Application:
    """`why_not_ready` tells why the server takes no calls, or nothing when it does."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_: web.Request) -> web.Response:
        why_not = why_not_ready()
        return web.Response(status=503 if why_not else 200, text=f"{why_not or 'ready'}\n")

    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=engine.metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def attach(request: web.Request) -> web.Response:
        if why_not := why_not_ready():
            raise RefusedError(503, why_not)
        try:
            wanted = AttachRequest.model_validate_json(await request.read())
        except pydantic.ValidationError as error:
            raise RefusedError(400, "; ".join(config.problems("body", error, AttachRequest))) from error
        attachment = await attacher.prepare(wanted)
        attacher.start(attachment)
        stream = attachment.session.stream.id
        return web.json_response({"id": stream}, status=202, headers={"Location": f"/v1/streams/{stream}"})

    async def streams(_: web.Request) -> web.Response:
        return web.json_response({"streams": [listing(session) for session in engine.streams]})

    async def hang_up(request: web.Request) -> web.Response:
        session = engine.streams.find(request.match_info["id"])
        if session is None:
            raise RefusedError(404, f"no stream {request.match_info['id']}")
        session.finish(End(EndReason.HUNG_UP, CloseCode.NORMAL))
        return web.Response(status=204)

    app = web.Application(middlewares=[_refuse], client_max_size=_MAX_BODY)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", expose)
    app.router.add_post("/v1/attach", attach)
    app.router.add_get("/v1/streams", streams)
    app.router.add_delete("/v1/streams/{id}", hang_up)
    return app


@web.middleware
async def _refuse(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What is wrong with a request, as a status and one line."""
    try:
        origin = request.headers.get("Origin")
        if origin is not None and URL(origin).authority != request.host:
            raise RefusedError(403, "not for pages of other sites")
        return await handler(request)
    except RefusedError as error:
        return web.json_response({"error": str(error)}, status=error.status)
    except ConfigError as error:
        return web.json_response({"error": str(error)}, status=500)
