"""Texts in a URL (`?text=`) that TTS speaks: on which paths, and how many different texts a peer may send.

Each new text costs TTS work, and on an open path any stranger may ask for it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.handlers.base import Handler
from mediaserver.routing.route import Route

_PERIOD = 60.0  # seconds in which a peer's different texts are counted
_PEERS = 10_000  # peers whose texts are counted; beyond these, the peer that asked longest ago is forgotten


def speaks_text_of_url(route: Route) -> bool:
    """Whether a path speaks `?text=`. Where `text_from_url` is not set, a path does if it asks for a token."""
    given = route.settings.get("text_from_url")
    return bool(route.access.tokens) if given is None else given is True


def validate_text_query(route: Route, query: Mapping[str, str]) -> None:
    """Raise RefusedError 400 where a URL has `?text=`, and the path does not speak it."""
    if _has_text_query(route) and "text" in query and not speaks_text_of_url(route):
        why = "text: this path says no text of a URL: set tokens, or text_from_url = true, in its configuration"
        raise RefusedError(RefusalReason.BAD_QUERY, why)


def open_text_notes(routes: Iterable[Route]) -> Iterator[tuple[Route, str]]:
    """Notes for the operator on open paths that take `?text=`: strangers choose the text, or none is spoken."""
    for route in routes:
        if not _has_text_query(route) or not route.access.is_open:
            continue
        if speaks_text_of_url(route):
            yield route, "text_from_url: anybody who reaches the port has it say what they like (?text=)"
        elif route.settings.get("text") is None:
            yield route, "there is no text, and ?text= is not said where anybody may dial: set text or tokens"


def _has_text_query(route: Route) -> bool:
    return "text" in route.handler.query_settings


class SpokenTextLimiter:
    """Limits how many different texts a peer may have spoken in a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # For each peer, the hashes of its texts, each with the time when it was first asked for. Peers are in
        # the order of their latest request, and the texts of a peer in the order of these times.
        self._texts: OrderedDict[str, OrderedDict[int, float]] = OrderedDict()

    def admit(
        self, peer: str, route: Route, handler: Handler, url_values: tuple[Mapping[str, str], ...], most: int
    ) -> None:
        """Count the text that TTS is to speak for a URL on an open path. RefusedError 429 beyond `most` texts.

        `url_values` are the URL's variables and its query.
        """
        text = handler.spoken_url_text(*url_values) if route.access.is_open else ""
        if text and not self._is_within(peer, hash((route.pattern, text)), most):
            why = f"{most} different texts a minute are spoken for one address: try again in a minute"
            raise RefusedError(RefusalReason.TOO_MANY_TEXTS, why)

    def _is_within(self, peer: str, text: int, most: int) -> bool:
        now, texts = self._clock(), self._texts.setdefault(peer, OrderedDict())
        self._texts.move_to_end(peer)
        while texts and next(iter(texts.values())) <= now - _PERIOD:
            texts.popitem(last=False)
        if text not in texts:
            if len(texts) >= most:
                return False
            texts[text] = now
        while len(self._texts) > _PEERS:
            self._texts.popitem(last=False)
        return True
