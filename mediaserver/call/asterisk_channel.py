"""A stream that is an Asterisk WebSocket channel (`chan_websocket`): its control, both ways.

Asterisk queues what we send, 1000 frames at the most, and says when to stop and when to go on; what comes beyond
it drops without a word.
"""

import asyncio
from collections.abc import Callable

import structlog

from mediaserver.call.peer_control import PeerControl
from mediaserver.errors import ProtocolError
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.wire import chan_websocket
from mediaserver.wire.chan_websocket import Command, ControlEvent, EventName
from mediaserver.wire.events import Digit, Event

_DRAIN_TIMEOUT = 5.0  # seconds: its queue holds no more than the lead, as a rule
_DIGITS = frozenset("0123456789ABCD*#")

log = structlog.get_logger()


class AsteriskChannel(PeerControl):
    """Says commands by `write_text`, and turns Asterisk's texts into events and into pauses of the playout."""

    def __init__(
        self,
        start: ControlEvent,
        stream: str,
        pacer: Pacer,
        write_text: Callable[[str], None],
        hear: Callable[[Event], None],
    ) -> None:
        self._json, self._stream = start.is_json, stream
        self._pacer, self._write_text, self._hear = pacer, write_text, hear
        self._drained = asyncio.Event()  # or there is no queue any more
        self._passes_through = False  # it has no queue of its own, and refuses to talk of one
        self._told = False  # that it has refused a command: the peer could fill the log with that

    def answer(self) -> None:
        """Answer the channel, once. One that Asterisk has answered by itself takes no notice."""
        if not self.answered:
            self.answered = True
            self._command(Command.ANSWER)

    def flush(self) -> bool:
        """Empty its queue, where it has one."""
        if self._passes_through:
            return False
        self._command(Command.FLUSH_MEDIA)
        return True

    async def drain(self) -> None:
        """Wait until its queue is empty: a close, and a hang-up, cut what is in it."""
        self._command(Command.REPORT_QUEUE_DRAINED)
        try:
            await asyncio.wait_for(self._drained.wait(), _DRAIN_TIMEOUT)
        except TimeoutError:
            log.warning(
                "Asterisk does not say that its queue is empty", stream=self._stream, seconds=_DRAIN_TIMEOUT
            )

    def hang_up(self) -> None:
        """End the channel, and with it the call."""
        self._command(Command.HANGUP)

    def lost(self) -> None:
        """The connection is gone, and its queue with it."""
        self._drained.set()

    def _command(self, command: Command) -> None:
        self._write_text(chan_websocket.serialize(command, as_json=self._json))

    def on_text(self, text: str) -> bool:
        """Take in one of Asterisk's texts; whether it was one."""
        try:
            self._on_event(chan_websocket.parse(text))
        except ProtocolError:
            return False
        return True

    def _on_refusal(self, why: str) -> None:
        """A command was not taken. A channel that passes media through (its option `p`) has no queue to flush."""
        if "passthrough" in why:
            self._passes_through = True
            self._drained.set()
        if not self._told:
            self._told = True
            log.warning("Asterisk refuses a command", stream=self._stream, why=why)

    def _on_event(self, event: ControlEvent) -> None:
        match event.name:
            case EventName.DTMF_END:
                digit = event.fields.get("digit", "").upper()
                if digit not in _DIGITS:
                    raise ProtocolError("a key that no telephone has")
                self._hear(Digit(digit))
            case EventName.MEDIA_XOFF:
                self._pacer.xoff()
            case EventName.MEDIA_XON:
                self._pacer.xon()
            case EventName.QUEUE_DRAINED:
                self._drained.set()
            case EventName.ERROR:
                self._on_refusal(event.fields.get("error_text", "")[:200])
            case EventName.STATUS | EventName.MEDIA_MARK_PROCESSED | EventName.MEDIA_BUFFERING_COMPLETED:
                pass  # we did not ask
            case _:
                raise ProtocolError("an event that Asterisk does not have")
