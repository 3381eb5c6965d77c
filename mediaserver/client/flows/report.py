"""The report of a call at the simulated VoIPBIN: executed actions, measurements of the audio, and problems."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mediaserver.client.flows.engine import ExecutedAction
from mediaserver.client.flows.media import MediaRequest
from mediaserver.client.measure import Report
from mediaserver.support.credentials import redact_url, redact_urls

_SHORT = 1.0  # the duration in seconds below which a media stream without audio is no problem
_REQUEST_URLS = ("event_url", "uri")  # the options of the actions `fetch` and `webhook_send` that are URLs
_FLOW_SECRET = re.compile(r"(/flow/)[^/]+")  # the secret in the URL of this server's flow endpoint


@dataclass(frozen=True, slots=True)
class MediaReport:
    """The report of one external media stream: when it began and ended, and its measurements, or why it failed.

    Times are seconds since the call began.
    """

    request: MediaRequest
    began: float
    ended: float
    report: Report | None
    problem: str = ""

    @property
    def problems(self) -> list[str]:
        """One line for each problem of the media stream."""
        where = redact_url(self.request.url)
        if self.report is None:
            return [f"{where}: {self.problem}"] if self.problem else []
        short = self.ended - self.began < _SHORT and not self.report.frames
        return [] if short else [f"{where}: {problem}" for problem in self.report.problems]


@dataclass(frozen=True, slots=True)
class FlowReport:
    """The report of one simulated call. Times are seconds since the call began."""

    ended: str  # the reason why the call ended
    duration: float
    log: Sequence[ExecutedAction]
    media: Sequence[MediaReport]
    unsent: Sequence[str] = ()  # one line each for the keys and the sound of the caller that were not sent
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """One line for each problem of the flow and its media streams."""
        flow = [f"{entry.at:.2f} s: {entry.action.type}: {entry.note}" for entry in self.log if entry.is_problem]
        return [*flow, *(problem for each in self.media for problem in each.problems), *self.unsent]

    def as_dict(self) -> dict[str, Any]:
        """The report as `simulate --json` prints it, without secrets of URLs."""
        return {
            "ended": self.ended,
            "duration_s": round(self.duration, 3),
            "actions": [_action(entry) for entry in self.log],
            "media": [_media(each) for each in self.media],
            "problems": self.problems,
        }


def shown_option(option: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an action without the secrets of URLs, so that they may be shown."""
    return {
        key: shown_request_url(value) if key in _REQUEST_URLS and isinstance(value, str) else _shown(value)
        for key, value in option.items()
    }


def shown_request_url(url: str) -> str:
    """The URL of an HTTP request without its user, password and query, and without possible secrets in its path.

    The platform does not sign such a request, so a part of the path may serve as a password.
    """
    shown = redact_url(url)
    if _FLOW_SECRET.search(shown):
        return _FLOW_SECRET.sub(r"\1…", shown, count=1)
    scheme, separator, rest = shown.partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0]}/…" if separator else "…"


def _shown(value: Any) -> Any:
    match value:
        case str():
            return redact_urls(value)
        case dict():
            return shown_option(value)
        case list():
            return [_shown(each) for each in value]
    return value


def _action(entry: ExecutedAction) -> dict[str, Any]:
    lasted = None if entry.ended is None else round(entry.ended - entry.at, 3)
    return {
        "at_s": round(entry.at, 3),
        "lasted_s": lasted,
        "type": entry.action.type,
        "option": shown_option(entry.action.option),
        "note": entry.note,
    }


def _media(media: MediaReport) -> dict[str, Any]:
    found: dict[str, Any] = {
        "url": redact_url(media.request.url),
        "at_s": round(media.began, 3),
        "lasted_s": round(media.ended - media.began, 3),
    }
    return found | (media.report.as_dict() if media.report is not None else {"error": media.problem})
