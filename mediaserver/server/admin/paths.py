"""The admin port's request that describes the configured URL paths, without any setting that may be a secret."""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from mediaserver.handlers.menu.transitions import list_transitions
from mediaserver.routing.route import Route
from mediaserver.runtime.engine import Engine


class PathRequests:
    """Handles the request that describes the configured URL paths."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def list_paths(self, _: web.Request) -> web.Response:
        """List the paths in their configured order: handlers, prompts, menus, access, streams in progress."""
        return web.json_response({"paths": [self._describe(route) for route in self._engine.table]})

    def _describe(self, route: Route) -> dict[str, Any]:
        """Describe a path by the settings that are named here; any other setting may have a secret in it."""
        configuration, handler = self._engine.configuration, route.validated.table
        prompts: list[str] = []
        with route.known_handler() as known:
            prompts = known.needed_prompts
        return {
            "path": route.pattern,
            "handler": configuration.settings.paths[route.pattern].handler,
            "encapsulation": str(route.wire.encapsulation),
            "access": str(route.access),
            "open": route.access.is_open,
            "audiosocket_ports": [port.number for port in configuration.ports.values() if port.route is route],
            "max_streams": route.max_streams,
            "time_limit_s": route.time_limit,
            "streams": self._engine.streams.count_on_path(route.pattern),
            "prompts": prompts,
            "start": getattr(handler, "start", None),
            "menus": [asdict(each) for each in list_transitions(getattr(handler, "menus", None))],
        }
