"""Decides on which paths TTS speaks a text of the URL (`?text=`), and how many different texts a peer may send.

The limits exist because each new text costs TTS work, which any stranger may cause on an open path: one that has
neither tokens nor allowed networks.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.handlers.base import Handler
from mediaserver.routing.route import LANGUAGE, Route
from mediaserver.speech.engines.requirements import EngineKind

_PERIOD = 60.0  # the seconds for which a text counts towards the limit of the peer that asked for the text
# The maximum number of peers whose texts are counted. Beyond it, the peer with the oldest last request is dropped.
_PEERS = 10_000


def speaks_text_of_url(route: Route) -> bool:
    """Whether a path speaks the `?text=` of a URL. If `text_from_url` is not set, only a path with tokens does."""
    given = route.settings.get("text_from_url")
    return bool(route.access.tokens) if given is None else given is True


def validate_text_query(route: Route, query: Mapping[str, str]) -> None:
    """Raise RefusedError 400 if a URL has `?text=`, and its path could speak such texts but must not."""
    if _has_text_query(route) and "text" in query and not speaks_text_of_url(route):
        why = "text: this path does not speak text of a URL: set tokens or text_from_url = true for it"
        raise RefusedError(RefusalReason.BAD_QUERY, why)


def open_text_notes(routes: Iterable[Route]) -> Iterator[tuple[Route, str]]:
    """Yield warnings about open paths with `?text=` on which strangers choose the text, or no text is spoken."""
    for route in routes:
        if not _has_text_query(route) or not route.access.is_open:
            continue
        if speaks_text_of_url(route):
            yield route, "text_from_url: anybody who reaches the port can have it speak any text (?text=)"
        elif route.settings.get("text") is None:
            yield route, "no text is set, and ?text= is not allowed where anybody may dial: set text or tokens"


def _has_text_query(route: Route) -> bool:
    return "text" in route.handler.query_settings


def _chosen_text(route: Route, handler: Handler, variables: Mapping[str, str], query: Mapping[str, str]) -> str:
    """What a URL chooses of a spoken text: values filled in, and the language; "" if it chooses nothing."""
    text, language = handler.spoken_url_text(variables, query), query.get(LANGUAGE, "")
    if not language or LANGUAGE not in route.handler.query_settings:
        return text
    speaks = text or any(need.kind is EngineKind.TTS for need in handler.engines())
    return f"{language}\0{text}" if speaks else ""


class SpokenTextLimiter:
    """Limits how many different texts a peer may have spoken in a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The hashes of the texts that each peer asked for, each with the time of its first request. Peers are in
        # the order of their latest request, and a peer's texts in the order of their first requests.
        self._texts: OrderedDict[str, OrderedDict[int, float]] = OrderedDict()

    def admit(
        self, peer: str, route: Route, handler: Handler, url_values: tuple[Mapping[str, str], ...], most: int
    ) -> None:
        """Count a peer's text that TTS is to speak, on a path that is open to any peer.

        RefusedError 429 if the peer asks for more than `most` different texts in a minute. `url_values` are the
        URL's variables and its query.
        """
        text = _chosen_text(route, handler, *url_values) if route.access.is_open else ""
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
