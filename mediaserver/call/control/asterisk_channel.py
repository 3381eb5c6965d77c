"""Control of an Asterisk WebSocket channel (`chan_websocket`), in both directions.

Asterisk queues up to 1000 frames of the audio that the server sends. Asterisk sends MEDIA_XOFF when the queue is
full, and MEDIA_XON when the server may go on. It silently drops frames that exceed the queue.
"""

import asyncio
from collections.abc import Callable

import structlog

from mediaserver.call.control.peer_control import PeerControl
from mediaserver.errors import ProtocolError
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.wire import chan_websocket
from mediaserver.wire.chan_websocket import Command, ControlEvent, EventName
from mediaserver.wire.events import Digit, Event

_DRAIN_TIMEOUT = 5.0  # seconds to wait until Asterisk has played its queue, which rarely holds more audio
_DIGITS = frozenset("0123456789ABCD*#")

log = structlog.get_logger()


class AsteriskChannel(PeerControl):
    """Sends commands by `write_text`, and turns Asterisk's control texts into events and pauses of the playout."""

    def __init__(
        self,
        start: ControlEvent,
        stream: str,
        pacer: Pacer,
        write_text: Callable[[str], None],
        push_event: Callable[[Event], None],
    ) -> None:
        self._json, self._stream = start.is_json, stream
        self._pacer, self._write_text, self._push_event = pacer, write_text, push_event
        self._drained = asyncio.Event()  # set when Asterisk has no queue, an empty one, or no connection
        self._passes_through = False  # whether the channel has no queue, and refuses commands about a queue
        self._refusal_logged = False  # only the first refused command is logged, so that no peer fills the log

    def answer(self) -> None:
        """Answer the channel, once. Asterisk ignores the command if the channel is answered already."""
        if not self.answered:
            self.answered = True
            self._command(Command.ANSWER)

    def flush(self) -> bool:
        """Have Asterisk drop the audio in its queue. Returns False if the channel has no queue."""
        if self._passes_through:
            return False
        self._command(Command.FLUSH_MEDIA)
        return True

    async def drain(self) -> None:
        """Wait until Asterisk has played its queue, because a close or a hang-up would discard queued audio."""
        self._command(Command.REPORT_QUEUE_DRAINED)
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT):
                await self._drained.wait()
        except TimeoutError:
            log.warning("Asterisk queue drain timed out", stream=self._stream, seconds=_DRAIN_TIMEOUT)

    def hang_up(self) -> None:
        """Have Asterisk hang up the channel, which ends the call."""
        self._command(Command.HANGUP)

    def on_disconnect(self) -> None:
        """Stop waiting for Asterisk's queue, because the queue is gone with the connection."""
        self._drained.set()

    def _command(self, command: Command) -> None:
        self._write_text(chan_websocket.serialize(command, as_json=self._json))

    def on_text(self, text: str) -> bool:
        """Process a text message from Asterisk. Returns whether the message is a valid event of Asterisk."""
        try:
            self._on_event(chan_websocket.parse(text))
        except ProtocolError:
            return False
        return True

    def _on_refusal(self, why: str) -> None:
        """Log the first command that Asterisk refuses.

        A channel that passes media through (option `p`) has no queue, and refuses commands about it. From then on
        `flush` returns False, and `drain` does not wait.
        """
        if "passthrough" in why:
            self._passes_through = True
            self._drained.set()
        if not self._refusal_logged:
            self._refusal_logged = True
            log.warning("Asterisk command refused", stream=self._stream, why=why)

    def _on_event(self, event: ControlEvent) -> None:
        match event.name:
            case EventName.DTMF_END:
                digit = event.fields.get("digit", "").upper()
                if digit not in _DIGITS:
                    raise ProtocolError("a key that no telephone has")
                self._push_event(Digit(digit))
            case EventName.MEDIA_XOFF:
                self._pacer.xoff()
            case EventName.MEDIA_XON:
                self._pacer.xon()
            case EventName.QUEUE_DRAINED:
                self._drained.set()
            case EventName.ERROR:
                self._on_refusal(event.fields.get("error_text", "")[:200])
            case EventName.STATUS | EventName.MEDIA_MARK_PROCESSED | EventName.MEDIA_BUFFERING_COMPLETED:
                pass  # answers to commands that the server never sends
            case _:
                raise ProtocolError("an event that Asterisk does not have")
