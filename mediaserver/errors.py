"""The tree of errors, by who made the mistake: the operator, a prompt's author, a client, a handler or a peer.

    MediaServerError
    ├── ConfigError        the operator's: a setting, a path, a file named in the configuration
    ├── PromptError        the author's: a sound file that cannot be played
    ├── RefusedError       the client's: a request that we refuse, with a RefusalReason and its HTTP status
    ├── CallControlError   the handler's: it asks for what the peer of this stream cannot do, such as a transfer
    └── PeerError          the far end's
        ├── ProtocolError  bytes that the wire format in force does not allow
        ├── WebhookError   the operator's own backend gave no answer that can be used
        └── EngineError    a TTS, STT or LLM engine gave nothing that can be used

Any other exception is a bug of ours, and is logged with its traceback.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice
from pathlib import Path

# The most letters by which the lengths of two compared words may differ. The most known words with which one
# misspelt word is compared.
_LENGTH_DIFFERENCE, _CANDIDATES = 3, 50
_LONGEST_MESSAGE = 400  # the most characters of a refusal's message
_LONGEST = 100  # the most letters of a word that is compared with known words


class MediaServerError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(MediaServerError):
    """The configuration cannot be used. `problems` holds a line for each of its mistakes."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(map(single_line, problems))
        super().__init__("\n".join(self.problems))


class PromptError(MediaServerError):
    """A sound file cannot be played. The message says why, and leaves out the file's name."""


class RefusalReason(StrEnum):
    """Why a request is refused: a word for metrics and the log, and the HTTP `status` of the answer."""

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
    # Reasons for which only the admin port refuses requests or connections.
    SCOPE = "scope", 403
    HOST = "host", 403
    ORIGIN = "origin", 403
    SLOW = "slow", 408
    CONNECTIONS = "connections", 503
    # Reasons for which the admin port's API, /v1, refuses a request. No metric counts refusals for these reasons.
    BAD_BODY = "bad-body", 400
    BAD_PATH = "bad-path", 400
    RECORDINGS_OFF = "recordings-off", 403
    UNLISTED_URL = "unlisted-url", 403
    UNKNOWN_STREAM = "unknown-stream", 404
    UNKNOWN_PLAYBACK = "unknown-playback", 404
    UNKNOWN_RECORDING = "unknown-recording", 404
    AMBIGUOUS = "ambiguous", 409
    SWITCHING = "switching", 409
    BAD_KEY = "bad-key", 422
    UNPLAYABLE = "unplayable", 422
    STREAM_BUSY = "stream-busy", 429
    SOUNDS_FULL = "sounds-full", 429
    NO_SOUND = "no-sound", 502
    NO_CALLS = "no-calls", 503
    # Reasons for which the admin port's API refuses requests that change prompts.
    BAD_NAME = "bad-name", 400
    NOT_EDITABLE = "not-editable", 403
    UNKNOWN_VERSION = "unknown-version", 404
    PROMPT_CONFLICT = "prompt-conflict", 409
    TOO_LARGE = "too-large", 413
    BAD_SOUND = "bad-sound", 422
    ENGINE = "engine", 502
    STORAGE = "storage", 507


class RefusedError(MediaServerError):
    """A request is refused for a `reason`, which includes the HTTP `status` of the answer. The message is one
    plain line. If it is long, because it repeats what the peer wrote, its middle is left out.

    `logged` is the message for the log. It leaves out text that the peer wrote if that text may be a token.
    """

    def __init__(self, reason: RefusalReason, message: str, *, logged: str = "") -> None:
        super().__init__(_shortened(single_line(message)))
        self.reason = reason
        self.logged = _shortened(logged) if logged else str(self)

    @property
    def status(self) -> int:
        """The HTTP status of the answer to the refused request."""
        return self.reason.status


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_MESSAGE:
        return text
    end = _LONGEST_MESSAGE // 4
    return f"{text[: _LONGEST_MESSAGE - end - 1]}…{text[-end:]}"


class CallControlError(MediaServerError):
    """A handler asks for what the peer of its stream cannot do, such as a transfer over a plain WebSocket."""


class TooLongError(ValueError):
    """A value has the right form, but is longer than allowed."""


class PeerError(MediaServerError):
    """The far end did something that it must not do. The error ends only the stream of that far end."""


class WebhookError(PeerError):
    """The operator's backend gave no usable answer. `status` is the HTTP status, None without an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class EngineError(PeerError):
    """A TTS, STT or LLM engine is missing, too late, or gives no usable answer. The message leaves out its URL."""


class RejectedError(EngineError):
    """An engine that works cannot serve one request, for example because it does not know the request's language.
    The engine does not count as failed, and still gets all other requests.
    """


class ProtocolError(PeerError):
    """The far end sent bytes that the wire format in force does not allow."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint ` (did you mean "x"?)` for a misspelt word; "" if no known word is similar.

    Strangers may cause this look-up, so its time is bounded: only a few words of about the same length are
    compared, and a very long word is compared with none.
    """
    if len(word) > _LONGEST:
        return ""
    alike = islice((name for name in known if abs(len(name) - len(word)) <= _LENGTH_DIFFERENCE), _CANDIDATES)
    by_letters = {
        name.lower(): name for name in alike
    }  # PCMU means pcmu, however little the two texts have in common
    close = get_close_matches(word.lower(), by_letters, n=1, cutoff=0.6)
    return f' (did you mean "{by_letters[close[0]]}"?)' if close else ""


def single_line(text: str) -> str:
    """The text on a single line: its line breaks become spaces."""
    return " ".join(text.splitlines())


def escape_unprintable(text: str) -> str:
    """Escape control characters in foreign text, such as a file's name, so that no terminal obeys them."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def escape_unprintable_lines(text: str) -> str:
    """Apply `escape_unprintable` to each line of a text. The line breaks stay."""
    return "\n".join(map(escape_unprintable, text.split("\n")))


def unreadable(file: str, error: Exception) -> str:
    """The message that a file cannot be read. A relative path that leads nowhere is told with its folder."""
    folder = ""
    if isinstance(error, FileNotFoundError) and not Path(file).is_absolute():
        with contextlib.suppress(OSError):  # an OSError means that the working directory was removed
            folder = f" (looked in {Path.cwd()}, the working directory)"
    return f"{file} cannot be read: {error_text(error)}{folder}"


def error_text(error: Exception) -> str:
    """The operating system's text for an error, without the addresses and numbers that libraries add."""
    number = getattr(error, "errno", None)
    if number and number > 0:
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error)
