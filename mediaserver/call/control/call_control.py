"""What a handler may do with its call besides media: answer, hang up, transfer, close. `Call` inherits it."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from mediaserver.call.lifetime import Lifetime
from mediaserver.call.stream import Stream
from mediaserver.transport.closing import CloseCode, End, EndReason
from mediaserver.wire.voipbin.actions import Action, validate_actions
from mediaserver.wire.voipbin.destination import Destination


class CallControl:
    """Call control of one stream, for the stream's handler."""

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime

    @property
    def stream(self) -> Stream:
        """The identity of the stream: its id, URL path, peer and variables."""
        return self._lifetime.stream

    def answer(self) -> None:
        """Answer the call, if the peer leaves that to the server. `play` and `record` answer it by themselves."""
        self._lifetime.control.answer()

    def hang_up(self) -> None:
        """Have the peer hang up the call when the stream ends. If the peer cannot, only the stream ends."""
        self._lifetime.hang_up()

    def transfer(self, destination: Destination | str) -> None:
        """Have the caller connected with a destination when the stream ends, such as "tel:+4930123456".

        A destination is a number, `sip:…`, `extension:…`, `agent:<id>`, `queue:<id>` or `conference:<id>`.
        ValueError for another text. CallControlError if the peer of this stream cannot transfer calls.
        """
        self.lead_to(Destination.parse(destination) if isinstance(destination, str) else destination)

    def run_actions(self, actions: Sequence[Action]) -> None:
        """Have VoIPBIN execute these actions of a flow when the stream ends. Actions without an id are given one.

        ValueError for a wrong action. CallControlError unless the call's flow asks the server for actions.
        """
        self.lead_to(validate_actions(actions))

    def lead_to(self, destination: Destination | Sequence[Action]) -> None:
        """Do what `transfer` or `run_actions` does, with a destination or actions that are known to be valid."""
        self._lifetime.lead_to(destination)

    def require_control(self, destination: Destination | Sequence[Action]) -> None:
        """Raise CallControlError where `transfer` or `run_actions` would."""
        self._lifetime.control.require(destination)

    async def until_exhausted(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run `work` to its end, and return True. Where the call must end before, cancel `work`, and return False.

        VoIPBIN executes a limited number of actions in a flow. The call of a flow has to come to an end when the
        actions that are left suffice for some seconds only. Calls without a flow have no such limit.
        """
        exhausted = self._lifetime.control.exhausted
        if exhausted is None:
            await work
            return True
        working, warned = asyncio.create_task(work), asyncio.create_task(exhausted.wait())
        try:
            await asyncio.wait((working, warned), return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_done = working.done()
            working.cancel()
            warned.cancel()
            await asyncio.wait((working, warned))
        if is_done:
            await working
        return is_done

    def close_later(self, close: Coroutine[Any, Any, bool]) -> None:
        """Run `close`, which closes a connection of the handler's own, while the call goes on.

        `close` must end within a few seconds, and return whether the peer has answered the close. Where too many
        connections of the call are being closed, the oldest `close` is cancelled. The stream's end waits for all.
        """
        self._lifetime.closings.add(close)

    def close(self, code: int = CloseCode.NORMAL, text: str = "") -> None:
        """End the stream now, with a WebSocket close code and the text of its close frame."""
        self._lifetime.finish(End(EndReason.FINISHED, code, text))
