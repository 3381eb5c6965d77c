"""Builds VoIPBIN flows that connect a caller with a server's URL path, for users to paste or create at VoIPBIN.

The README and the pages for flow builders show these flows, and tests compare the pages with this module.
"""

from yarl import URL

from mediaserver.wire.encapsulation import Encapsulation
from mediaserver.wire.voipbin import actions
from mediaserver.wire.voipbin.actions import Action

HOLD_MS = 60_000  # milliseconds for which the flow sleeps, because external media does not keep a call up
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
Actions = list[Action]


def flow_actions(
    *,
    fetch_url: str = "",
    external_host: str = "",
    url: str = "",
    encapsulation: Encapsulation = Encapsulation.AUDIOSOCKET,
    hold_ms: int = HOLD_MS,
) -> Actions:
    """The actions of a flow that connects a caller with a server, in one of three ways.

    Exactly one of `fetch_url`, `external_host` and `url` must be given, or ValueError is raised. At `fetch_url`,
    the action `fetch` gets all further actions. `external_host` is the `host:port` of AudioSocket over TCP, which
    the platform's public code dials. `url` is a WebSocket with this `encapsulation`, which the platform's tutorial
    dials. With `external_host` or `url`, the flow keeps the call for `hold_ms`, and then hangs up.
    """
    if sum(map(bool, (fetch_url, external_host, url))) != 1:
        raise ValueError("give one of fetch_url, external_host and url")
    if fetch_url:
        return [actions.fetch(fetch_url)]
    media = actions.external_media_start(external_host) if external_host else _websocket_media(url, encapsulation)
    return [actions.ANSWER, media, actions.make_action("sleep", duration=hold_ms), actions.HANG_UP]


def _websocket_media(url: str, encapsulation: Encapsulation) -> Action:
    """The action that has the platform dial a WebSocket, in the form in which VoIPBIN's tutorial writes it."""
    return actions.make_action("external_media_start", url=url, encapsulation=str(encapsulation))


def dialled_addresses(flow: Actions) -> list[tuple[str, int]]:
    """The hosts and ports that the platform dials to execute a flow; ValueError if one of them is invalid."""
    found = []
    for action in flow:
        option = action.get("option", {})
        if host := option.get("external_host"):
            found.append(URL(f"tcp://{host}"))
        found += [URL(option[key]) for key in ("url", "event_url") if key in option]
    return [(url.host or "", url.port or _PORTS.get(url.scheme, 0)) for url in found]
