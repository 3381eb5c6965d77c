"""Whose fault it is: one tree, so that a caller can tell a user's mistake from a peer's and from ours.

    MediaServerError
    ├── ConfigError        the operator's: a setting, a path, a file named in the config; a list of problems
    ├── PromptError        the author's: a sound file that cannot be played, with its name and why
    ├── RefusedError       the caller's: a request that we refuse, with a RefusalReason and its HTTP status
    └── PeerError          the far end's
        ├── ProtocolError  bytes that no wire format allows
        ├── WebhookError   no answer from the operator's own backend that can be used
        └── EngineError    nothing from an engine that speaks, recognises or thinks that can be used

Anything else that escapes is our own fault, and is logged with its traceback.
"""

import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice

_MISSPELT, _CANDIDATES = 3, 50  # letters too many or too few; words compared
_LONGEST = 100  # letters of a word that is looked for


class MediaServerError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(MediaServerError):
    """The configuration cannot be used. `problems` holds one line per mistake, all of them at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(map(one_line, problems))
        super().__init__("\n".join(self.problems))


class PromptError(MediaServerError):
    """A sound file cannot be played; the message says why, without the file's name."""


class RefusalReason(StrEnum):
    """Why a request is refused: the word for metrics and the log, and the HTTP `status` that goes with it."""

    status: int

    def __new__(cls, word: str, status: int) -> "RefusalReason":
        member = str.__new__(cls, word)
        member._value_ = word
        member.status = status
        return member

    BAD_QUERY = "bad-query", 400
    BAD_TEXT = "bad-text", 400
    TOO_LONG = "too-long", 400
    BAD_VARIABLE = "bad-variable", 400
    BAD_HANDSHAKE = "bad-handshake", 400
    MALFORMED = "malformed", 400
    TLS = "tls", 400
    UNAUTHORISED = "unauthorised", 401
    NETWORK = "network", 403
    SIGNATURE = "signature", 403
    EXPIRED = "expired", 403
    UNKNOWN_PATH = "unknown-path", 404
    UNKNOWN_PROMPT = "unknown-prompt", 404
    METHOD = "method", 405
    SLOW_HANDSHAKE = "slow-handshake", 408
    LONG_PATH = "long-path", 414
    NOT_WEBSOCKET = "not-websocket", 426
    TOO_MANY_TEXTS = "too-many-texts", 429
    HEADERS = "headers", 431
    FULL = "full", 503
    PATH_FULL = "path-full", 503
    PEER_FULL = "peer-full", 503
    BUSY = "busy", 503
    DESCRIPTORS = "descriptors", 503
    DRAINING = "draining", 503
    # Of the admin port alone.
    HOST = "host", 403
    ORIGIN = "origin", 403
    SLOW = "slow", 408
    CONNECTIONS = "connections", 503
    # Of the admin port's /v1, whose answers no metric counts.
    BAD_BODY = "bad-body", 400
    BAD_PATH = "bad-path", 400
    UNKNOWN_STREAM = "unknown-stream", 404
    NO_CALLS = "no-calls", 503


class RefusedError(MediaServerError):
    """A request is refused: its `reason`, whose HTTP status is `status`, and one plain line.

    `logged` says the same as the message without what the peer wrote, where that may be a token.
    """

    def __init__(self, reason: RefusalReason, message: str, *, logged: str = "") -> None:
        super().__init__(one_line(message))
        self.reason = reason
        self.logged = logged or str(self)

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self.reason.status


class TooLongError(ValueError):
    """A value that is right in its form, and asks for more than there may be."""


class PeerError(MediaServerError):
    """The far end did something it must not do. It costs its own stream at most."""


class WebhookError(PeerError):
    """The operator's backend gave no answer that can be used; `status` is its HTTP status, if it came to one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class EngineError(PeerError):
    """An engine is not there, is late, or gives nothing that can be used; one plain line, without its URL."""


class ProtocolError(PeerError):
    """Bytes that the wire format in force does not allow."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint ` (did you mean "x"?)` for a misspelt word, or nothing where nothing known comes close.

    Strangers may ask, so it looks at no more than some words of about the same length, for none that is very long.
    """
    if len(word) > _LONGEST:
        return ""
    alike = islice((name for name in known if abs(len(name) - len(word)) <= _MISSPELT), _CANDIDATES)
    close = get_close_matches(word, list(alike), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""


def one_line(text: str) -> str:
    """Text that others wrote, in a message of one line."""
    return " ".join(text.splitlines())


def printable(text: str) -> str:
    """Text that others wrote, such as a file's name, for a terminal: what would write to it is escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def shown_lines(text: str) -> str:
    """The same of a text of several lines."""
    return "\n".join(map(printable, text.split("\n")))


def plainly(error: Exception) -> str:
    """What the system says, without the addresses and numbers that libraries put around it."""
    number = getattr(error, "errno", None)
    if number and number > 0:
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error)
