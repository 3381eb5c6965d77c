"""The routes of a configuration, found by the path that is dialled."""

from collections.abc import Coroutine, Iterable, Iterator
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from aiohttp import web
from aiohttp.web import UrlDispatcher
from yarl import URL

from mediaserver.errors import RefusalReason, RefusedError, did_you_mean
from mediaserver.routing import patterns
from mediaserver.routing.routes import Route

T = TypeVar("T")


class RouteTable:
    """The routes by the path that is dialled."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._dispatcher = UrlDispatcher()
        self._routes: dict[web.AbstractRoute, Route] = {}
        for route in routes:
            self._routes[self._dispatcher.add_get(route.pattern, _nothing, allow_head=False)] = route
        self.slow = [route.pattern for route in self if patterns.is_slow(route.pattern)]

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __len__(self) -> int:
        return len(self._routes)

    @property
    def open_paths(self) -> list[str]:
        """The paths that anybody may dial who reaches the port."""
        return [route.pattern for route in self if route.access.is_open]

    def match(self, url: URL) -> tuple[Route, dict[str, str]]:
        """The same as `find`, where nothing can be awaited."""
        return _at_once(self.find(url))

    async def find(self, url: URL) -> tuple[Route, dict[str, str]]:
        """The route of a URL's path, and the path's variables.

        RefusedError: 404 where there is none, 414 or 400 where the URL is too long to be looked up.
        """
        patterns.check_bounds(url, slow=bool(self.slow))
        found = await _resolve(self._dispatcher, url)
        route = self._routes.get(found.route)
        if route is not None and "%2F" in url.raw_path.upper():  # it is no way around the path that it looks like
            alike = self._routes.get((await _resolve(self._dispatcher, url.with_path(url.path))).route)
            route = route if alike in (None, route) else None
        if route is None:
            known = (route.pattern for route in self if route.access.is_open)  # others are nobody's business
            raise RefusedError(RefusalReason.UNKNOWN_PATH, f"no path {url.path}{did_you_mean(url.path, known)}")
        return route, dict(found)


def are_meant(unsound: Iterable[str], url: URL) -> bool:
    """Whether a URL's path is of one of these patterns, as far as they are patterns at all."""
    dispatcher, path = UrlDispatcher(), url.path.strip("/")
    for pattern in unsound:
        try:
            dispatcher.add_get(pattern, _nothing, allow_head=False)
        except (ValueError, OverflowError, RecursionError):
            if pattern.strip("/") == path:
                return True
    return _at_once(_resolve(dispatcher, url)).http_exception is None


def _at_once(finding: Coroutine[Any, Any, T]) -> T:
    """What is found where nothing can be awaited: aiohttp's dispatcher never waits for anything."""
    try:
        finding.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    finding.close()
    raise RuntimeError("aiohttp's dispatcher has waited for something")


async def _resolve(dispatcher: UrlDispatcher, url: URL) -> web.UrlMappingMatchInfo:
    request = SimpleNamespace(method="GET", rel_url=url)  # all that aiohttp's dispatcher looks at
    return await dispatcher.resolve(cast("web.Request", request))


async def _nothing(request: web.Request) -> web.StreamResponse:
    raise NotImplementedError
