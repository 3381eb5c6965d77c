"""What strangers may have said: texts of their URLs, on paths that let them, and not too many different ones."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.handlers.base import Handler
from mediaserver.routing.routes import Route

_PERIOD = 60.0  # seconds
_PEERS = 10_000  # that are known at a time


def says_text_of_url(route: Route) -> bool:
    """Whether ?text= is said on a path: where the path does not say, it is where a token is asked for."""
    given = route.settings.get("text_from_url")
    return bool(route.access.tokens) if given is None else given is True


def check_text(route: Route, query: Mapping[str, str]) -> None:
    """RefusedError 400 where a URL has a text to be said, and the path does not say it."""
    if _takes_text(route) and "text" in query and not says_text_of_url(route):
        told = "text: this path says no text of a URL: set tokens, or text_from_url = true, in its configuration"
        raise RefusedError(RefusalReason.BAD_QUERY, told)


def notes(routes: Iterable[Route]) -> Iterator[tuple[Route, str]]:
    """What an operator should know of paths on which anybody could have said what they like."""
    for route in routes:
        if not _takes_text(route) or not route.access.is_open:
            continue
        if says_text_of_url(route):
            yield route, "text_from_url: anybody who reaches the port has it say what they like (?text=)"
        elif route.settings.get("text") is None:
            yield route, "there is no text, and ?text= is not said where anybody may dial: set text or tokens"


def _takes_text(route: Route) -> bool:
    return "text" in route.handler.query_settings


class Texts:
    """The different texts that peers have had made in the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: OrderedDict[str, OrderedDict[int, float]] = OrderedDict()  # by peer: texts, and since when

    def take(
        self, peer: str, route: Route, handler: Handler, told: tuple[Mapping[str, str], ...], most: int
    ) -> None:
        """Count what a stranger's URL has said; `told` are its variables and query. RefusedError 429: too many."""
        said = handler.said_of_url(*told) if route.access.is_open else ""
        if said and not self._is_within(peer, hash((route.pattern, said)), most):
            text = f"{most} different texts a minute are spoken for one address: try again in a minute"
            raise RefusedError(RefusalReason.TOO_MANY_TEXTS, text)

    def _is_within(self, peer: str, text: int, most: int) -> bool:
        now, texts = self._clock(), self._of.setdefault(peer, OrderedDict())
        self._of.move_to_end(peer)
        while texts and next(iter(texts.values())) <= now - _PERIOD:
            texts.popitem(last=False)
        if text not in texts:
            if len(texts) >= most:
                return False
            texts[text] = now
        while len(self._of) > _PEERS:
            self._of.popitem(last=False)
        return True
