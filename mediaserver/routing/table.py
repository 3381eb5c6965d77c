"""The table of routes finds the route for the path that a peer dials."""

from collections.abc import Coroutine, Iterable, Iterator
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from aiohttp import web
from aiohttp.web import UrlDispatcher
from yarl import URL

from mediaserver.errors import RefusalReason, RefusedError, did_you_mean
from mediaserver.routing import patterns
from mediaserver.routing.route import Route

T = TypeVar("T")


class RouteTable:
    """The routes of one configuration. A path gets the first route, in the configured order, that it matches."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._dispatcher = UrlDispatcher()
        self._routes: dict[web.AbstractRoute, Route] = {}
        for route in routes:
            self._routes[self._dispatcher.add_get(route.pattern, _never_called, allow_head=False)] = route
        self.slow = [route.pattern for route in self if patterns.is_slow_to_match(route.pattern)]

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __len__(self) -> int:
        return len(self._routes)

    @property
    def open_paths(self) -> list[str]:
        """The patterns of the routes without access rules, which every peer that reaches the port may dial."""
        return [route.pattern for route in self if route.access.is_open]

    def match_route_now(self, url: URL) -> tuple[Route, dict[str, str]]:
        """Find the route that a URL's path matches, as `match_route` does, for code that cannot await."""
        return _run_without_waiting(self.match_route(url))

    async def match_route(self, url: URL) -> tuple[Route, dict[str, str]]:
        """Find the route that a URL's path matches, and the values of the path's variables.

        RefusedError: 404 if no route matches, 414 or 400 if the URL is too long to be matched.
        """
        patterns.check_url_limits(url, slow=bool(self.slow))
        found = await _resolve(self._dispatcher, url)
        route = self._routes.get(found.route)
        if route is not None and "%2F" in url.raw_path.upper():
            # A URL with an encoded slash must reach the same route as its decoded path: otherwise, a peer could
            # evade the access rules of the decoded path's route.
            alike = self._routes.get((await _resolve(self._dispatcher, url.with_path(url.path))).route)
            route = route if alike in (None, route) else None
        if route is None:
            # Only open paths are suggested, because strangers must not learn of other paths.
            known = (route.pattern for route in self if route.access.is_open)
            raise RefusedError(RefusalReason.UNKNOWN_PATH, f"no path {url.path}{did_you_mean(url.path, known)}")
        return route, dict(found)


def matches_any_pattern(candidates: Iterable[str], url: URL) -> bool:
    """Whether a URL's path matches one of these patterns; an invalid pattern is compared with the path as text."""
    dispatcher, path = UrlDispatcher(), url.path.strip("/")
    for pattern in candidates:
        try:
            dispatcher.add_get(pattern, _never_called, allow_head=False)
        except (ValueError, OverflowError, RecursionError):
            if pattern.strip("/") == path:
                return True
    return _run_without_waiting(_resolve(dispatcher, url)).http_exception is None


def _run_without_waiting(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, such as a look-up in aiohttp's dispatcher, and return its result.

    RuntimeError if the coroutine does wait.
    """
    try:
        work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    work.close()
    raise RuntimeError("aiohttp's dispatcher has waited for something")


async def _resolve(dispatcher: UrlDispatcher, url: URL) -> web.UrlMappingMatchInfo:
    # The only attributes of a request that aiohttp's dispatcher reads.
    request = SimpleNamespace(method="GET", rel_url=url)
    return await dispatcher.resolve(cast("web.Request", request))


async def _never_called(request: web.Request) -> web.StreamResponse:
    """The request handler that aiohttp's dispatcher requires for each pattern, and never calls."""
    raise NotImplementedError
