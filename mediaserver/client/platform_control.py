"""Control, by VoIPBIN's API, of a call or conference to which a URL path is attached: hang up, and transfer.

A call is hung up by `POST /calls/{id}/hangup`. To transfer a caller who is in a conference, VoIPBIN calls the
destination (`POST /calls`), and this new call joins the conference. A call that is in no conference cannot be
transferred, because `POST /transfers` hangs up the call that asks for the transfer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from mediaserver.call import Session
from mediaserver.call.control.peer_control import PeerControl
from mediaserver.client.voipbin import Platform
from mediaserver.errors import CallControlError, PeerError
from mediaserver.events.kinds import EventKind
from mediaserver.wire.voipbin.actions import Action, add_ids, make_action
from mediaserver.wire.voipbin.destination import Destination

_OVER_STATUS = {400, 404, 410}  # HTTP statuses that say, in answer to a hang-up, that the call is over already
_CALLABLE = {"tel", "sip", "extension", "agent"}  # the kinds of destinations that VoIPBIN can call

log = structlog.get_logger()


class PlatformControl(PeerControl):
    """Keeps the handler's request to hang up or to transfer, until `perform` sends the request to VoIPBIN.

    `source` is the number that a transfer shows to the called party.
    """

    def __init__(self, platform: Platform, resource: str, source: str) -> None:
        self._platform, self._source = platform, source
        self._kind, _, self._id = resource.partition("/")
        self._request: tuple[str, Mapping[str, Any] | None] | None = None  # the API path and body of the request

    def hang_up(self) -> None:
        """Have VoIPBIN hang up the call. A conference goes on, because VoIPBIN hangs up calls only."""
        if self._kind == "calls":
            self._request = f"calls/{self._id}/hangup", None

    def require(self, destination: Destination | Sequence[Action]) -> None:
        """Raise CallControlError unless this is a conference's stream and VoIPBIN can call the `destination`."""
        if not isinstance(destination, Destination):
            raise CallControlError(
                "the call cannot be given actions on a stream that we dialled: that takes a path with flow = true"
            )
        if self._kind != "conferences":
            raise CallControlError(
                "the call cannot be transferred on its media stream: let it join a conference, and attach to that"
            )
        if destination.kind not in _CALLABLE:
            raise CallControlError(f"a caller in a conference cannot be transferred to a {destination.kind}")

    def lead_to(self, destination: Destination | Sequence[Action]) -> None:
        """Have VoIPBIN call a destination into the conference."""
        self.require(destination)
        if isinstance(destination, Destination):
            shown = {"source": {"type": "tel", "target": self._source}} if self._source else {}
            self._request = (
                "calls",
                {
                    **shown,
                    "destinations": [{"type": destination.kind, "target": destination.target}],
                    "actions": add_ids([make_action("conference_join", conference_id=self._id)]),
                },
            )

    async def perform(self, session: Session) -> None:
        """Send the handler's request, if any, to VoIPBIN. A failure is logged, and emitted as an event."""
        if self._request is None:
            return
        path, body = self._request
        what = "hangup" if body is None else "transfer"
        try:
            status = await self._platform.post(path, body)
        except PeerError as error:
            why = str(error)
        else:
            why = "" if status < 300 or (body is None and status in _OVER_STATUS) else f"VoIPBIN answers {status}"
        facts = {"what": what, "resource": session.stream.resource}
        if why:
            log.error("call control failed", stream=session.stream.id, why=why, **facts)
            session.call.notify(EventKind.CONTROL_FAILED, {"what": what, "why": why})
        else:
            log.info("call control done", stream=session.stream.id, **facts)
