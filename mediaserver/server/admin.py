"""The admin listener: health and metrics. Never on the public port."""

from collections.abc import Callable

from aiohttp import web

from mediaserver import metrics


def application(exported: metrics.Metrics, ready: Callable[[], str]) -> web.Application:
    """`ready` tells why the server takes no calls, or nothing when it does."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_: web.Request) -> web.Response:
        why_not = ready()
        return web.Response(status=503 if why_not else 200, text=f"{why_not or 'ready'}\n")

    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=exported.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", expose)
    return app
