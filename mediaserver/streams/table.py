"""The routes of a configuration, found by the path that is dialled."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import cast

from aiohttp import web
from aiohttp.web import UrlDispatcher
from yarl import URL

from mediaserver.errors import RefusedError, did_you_mean
from mediaserver.streams.routes import Route


class RouteTable:
    """The routes by the path that is dialled."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._dispatcher = UrlDispatcher()
        self._routes: dict[web.AbstractRoute, Route] = {}
        for route in routes:
            self._routes[self._dispatcher.add_get(route.pattern, _nothing, allow_head=False)] = route

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __len__(self) -> int:
        return len(self._routes)

    def match(self, url: URL) -> tuple[Route, dict[str, str]]:
        """The same as `find`, where nothing can be awaited: aiohttp's dispatcher never waits for anything."""
        finding = self.find(url)
        try:
            finding.send(None)
        except StopIteration as done:
            return cast("tuple[Route, dict[str, str]]", done.value)
        finding.close()
        raise RuntimeError("aiohttp's dispatcher has waited for something")

    async def find(self, url: URL) -> tuple[Route, dict[str, str]]:
        """The route of a URL's path, and the path's variables; RefusedError 404 where there is none."""
        found = await self._resolve(url)
        route = self._routes.get(found.route)
        if route is not None and "%2F" in url.raw_path.upper():  # it is no way around the path that it looks like
            alike = self._routes.get((await self._resolve(url.with_path(url.path))).route)
            route = route if alike in (None, route) else None
        if route is None:
            patterns = (
                route.pattern for route in self if str(route.access) == "open"
            )  # others are nobody's business
            raise RefusedError(404, f"no path {url.path}{did_you_mean(url.path, patterns)}", "unknown-path")
        return route, dict(found)

    async def _resolve(self, url: URL) -> web.UrlMappingMatchInfo:
        request = SimpleNamespace(method="GET", rel_url=url)  # all that aiohttp's dispatcher looks at
        return await self._dispatcher.resolve(cast("web.Request", request))


async def _nothing(request: web.Request) -> web.StreamResponse:
    raise NotImplementedError
