"""The session: the lifecycle of a stream. It runs the handler, and holds the state that outlives a connection."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from mediaserver.call.call import Call
from mediaserver.call.control.channel_start import ChannelStart
from mediaserver.call.control.operator_control import OperatorControl
from mediaserver.call.control.peer_control import PeerControl
from mediaserver.call.event_sink import EventSink, NullEventSink
from mediaserver.call.inbound.monitor import InboundMonitor, InboundProblem
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.call.lifetime import CallSoon, Lifetime
from mediaserver.call.playout_hold import PlayoutHold
from mediaserver.call.stream import Clock, Stream
from mediaserver.call.summary import SessionFacts, summarise
from mediaserver.errors import ProtocolError
from mediaserver.events.kinds import EventKind
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.transport import Transport
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.speech.service import SpeechService
from mediaserver.support.timers import Timers
from mediaserver.transport.closing import CloseCode, End, EndReason
from mediaserver.wire.events import Digit, Event, Hangup, Identity
from mediaserver.wire.wire import Wire

log = structlog.get_logger()


class Session:
    """One stream, for the owner of its connection, a server or a client. Its handler sees only `call`.

    The owner passes messages to `receive_binary` and `receive_text`, and runs the handler by `run`. If the server
    dials the stream, the owner calls `connect` first, `disconnect` when the connection breaks, and `connect` and
    `resume` for a new connection.
    """

    def __init__(
        self,
        stream: Stream,
        wire: Wire,
        library: PromptLibrary,
        pacer: Pacer,
        clock: Clock = time.monotonic,
        event_sink: EventSink | None = None,
        speech: SpeechService | None = None,
        call_soon: CallSoon | None = None,
        timers: Timers | None = None,
    ) -> None:
        self._pacer, self._clock, self.started = pacer, clock, clock()
        self.receiver = Receiver(wire, clock, self._on_listener_error, self._on_signal, self._on_audio_expected)
        self._lifetime = Lifetime(stream, clock, call_soon)
        self.closings, self.failures = self._lifetime.closings, self._lifetime.failures
        sink = event_sink or NullEventSink()
        self.call = Call(self._lifetime, library, pacer, self.receiver, clock, sink, speech or SpeechService())
        self._operator: OperatorControl | None = None
        self.write_text: Callable[[str], None] | None = None  # sends a text message, if the transport can
        self.connected = True  # False while a stream that the server dials has no connection
        self.texts = 0  # number of text messages that were not understood
        self.reconnects = self.lost = 0  # number of reconnections, and of frames that broken connections may lose
        self._inspecting = wire.negotiating  # whether a message may still be buffered or change the wire format
        self._monitor: InboundMonitor | None = None
        self._timers = timers if timers is not None else Timers()
        self._start, self._playout_hold = ChannelStart(self.receiver, pacer), PlayoutHold(pacer, self.receiver)
        self.inbound_problems: list[InboundProblem] = []  # problems with received audio, in the order of finding

    @property
    def stream(self) -> Stream:
        """The identity of the stream, as far as it is known by now."""
        return self._lifetime.stream

    @property
    def operator(self) -> OperatorControl:
        """What operators can do with the stream, made when it is first asked for: most streams never need it."""
        if self._operator is None:
            self._operator = OperatorControl(self.call, self._lifetime, self._pacer, self.receiver)
        return self._operator

    @property
    def end(self) -> End | None:
        """How the stream ended; None while it lasts."""
        return self._lifetime.end

    @property
    def over(self) -> asyncio.Future[None]:
        """A future that is done once the session has ended, so that `end` is set."""
        return self._lifetime.over

    @property
    def control(self) -> PeerControl:
        """What the peer can be asked to do with the call, such as to hang it up."""
        return self._lifetime.control

    @control.setter
    def control(self, control: PeerControl) -> None:
        self._lifetime.control = control

    async def run(self, work: Coroutine[Any, Any, None]) -> End:
        """Start the playout and run a handler in this task, until it returns or the session is finished.

        `work` is the handler's coroutine. Its exception is raised after the playout has stopped and `end` is set.
        """
        life = self._lifetime
        try:
            if life.end is not None:  # the stream ended before its handler began
                work.close()
                self._receive_held()  # so that the buffered messages are counted
                return life.end
            self._pacer.start()  # what a handler plays before it first awaits is sent from the first tick on
            if self._start.buffering:
                # The buffered messages are processed only when the handler has had a turn to begin to listen.
                asyncio.get_running_loop().call_soon(self._receive_held)
            await life.run(work)
        except asyncio.CancelledError as error:
            if life.end is None and life.task is not None and not life.task.cancelling():
                life.end = End(EndReason.ERROR, CloseCode.INTERNAL_ERROR)
                raise RuntimeError("the handler was cancelled, though nobody ended its stream") from error
            life.end = life.end or End(EndReason.DRAINED, CloseCode.GOING_AWAY)
        except Exception:
            life.end = life.end or End(EndReason.ERROR, CloseCode.INTERNAL_ERROR)
            raise
        finally:
            life.task = None
            life.end = life.end or End(EndReason.FINISHED, CloseCode.NORMAL)
            try:
                if self._operator is not None:
                    await self._operator.close()
                await self.closings.wait()
            finally:
                self._pacer.stop()
                self.receiver.close()
                self._stop_timers()
                if not life.over.done():
                    life.over.set_result(None)
        return life.end

    def finish(self, end: End) -> None:
        """End the stream, and cancel its handler. Only the first call has an effect."""
        self._lifetime.finish(end)

    def _on_listener_error(self, error: BaseException) -> None:
        log.error("handler failed on received audio", stream=self.stream.id, path=self.stream.path, exc_info=error)
        self.finish(End(EndReason.ERROR, CloseCode.INTERNAL_ERROR, "the handler failed"))

    # -- what the peer sends -------------------------------------------------------------------------------------

    def receive_binary(self, data: bytes) -> None:
        """Process a binary message: buffer it, or have it decide settings that are `auto`, and decode it."""
        if self._inspecting and self._inspect(data):
            return
        self.receiver.decode_message(data)
        if self._monitor is None and self.end is None:
            self._monitor_inbound()

    def frame_size(self) -> int:
        """Bytes of a binary message that holds one frame; 0 while a message may still change the wire format."""
        return 0 if self._inspecting or self._monitor is None else self.receiver.wire.inbound.frame_size

    def _on_audio_expected(self) -> None:
        """Have a silent peer reported from now on, because a handler listens, or the server dialled the peer."""
        if self.connected and self.end is None and not self.receiver.samples:
            self._monitor_inbound().expect_audio()

    def _monitor_inbound(self) -> InboundMonitor:
        if self._monitor is None:
            self._monitor = InboundMonitor(self.receiver, self._timers, self._on_problem, self.operator.look)
        return self._monitor

    def push_digits(self, digits: str) -> None:
        """Process digits that came by another way, such as the admin API, as if the caller had pressed them."""
        _ = self.call.keypad
        for digit in digits:
            self.receiver.push_event(Digit(digit))

    def receive_text(self, text: str) -> None:
        """Process a text message, which is never media. Asterisk's WebSocket channel sends control texts."""
        start = self._start
        if self.end is None and self.write_text is not None and start.is_start(text):
            self._start_channel(text, self.write_text)
        elif not start.buffer_text(text):
            self.texts += start.channel is None or not start.channel.on_text(text)

    def hold_inbound(self) -> None:
        """Buffer what the peer sends until the handler runs, so that the handler receives all of it."""
        self._start.start_buffering()
        self._inspecting = True

    def expect_media_start(self) -> None:
        """Buffer what the peer sends until its MEDIA_START, which the handshake has promised."""
        self.hold_inbound()
        self._start.expect_media_start()

    async def wait_for_media_start(self) -> None:
        """Wait for an expected MEDIA_START, for 2 s or until the stream is over."""
        await self._start.wait_for_media_start(self.stream.id, self.over)

    def _inspect(self, data: bytes) -> bool:
        """Buffer a message and return True, or have it decide settings that are `auto` and return False."""
        if self._start.buffer(data):
            return True
        wire = self.receiver.wire
        if wire.negotiate(data):
            self._pacer.on_wire_changed()
        self._inspecting = wire.negotiating
        return False

    def _start_channel(self, text: str, write_text: Callable[[str], None]) -> None:
        """Process a MEDIA_START; end the stream where its media format is not supported."""
        try:
            channel, self._lifetime.stream = self._start.start_channel(text, self.stream, write_text)
        except ProtocolError as error:
            log.warning("Asterisk channel rejected", stream=self.stream.id, why=str(error))
            self.finish(End(EndReason.PROTOCOL_ERROR, CloseCode.UNSUPPORTED, str(error)))
            return
        previous, self.control = self.control, channel
        self._inspecting = self._start.buffering
        if previous.answered:  # the handler answered before the channel was known
            channel.answer()

    def _receive_held(self) -> None:
        """Process the messages that were buffered before the handler could listen."""
        held, self._inspecting = self._start.take_buffered(), self.receiver.wire.negotiating
        for message in held:
            self.receive_binary(message) if isinstance(message, bytes) else self.receive_text(message)

    def _on_signal(self, event: Event) -> None:
        """Process an event that is not audio."""
        if isinstance(event, Hangup):
            self.finish(End(EndReason.PEER_HUNG_UP, CloseCode.NORMAL))
        elif isinstance(event, Identity):
            self._lifetime.identify(str(event.uuid))

    def _on_problem(self, problem: InboundProblem) -> None:
        if problem in self.inbound_problems:  # the problem was reported on an earlier connection
            return
        self.inbound_problems.append(problem)
        facts = {"problem": str(problem), "inbound": str(self.receiver.wire.inbound.codec)}
        hint = problem.hint(dialled=bool(self.stream.resource))
        log.warning("inbound media problem", stream=self.stream.id, path=self.stream.path, hint=hint, **facts)
        self.call.notify(EventKind.STREAM_INBOUND, facts)

    # -- the connection ------------------------------------------------------------------------------------------

    def connect(self, wire: Wire, transport: Transport, start_timeout: float | None = None) -> None:
        """Attach the first or the next connection of the stream. The playout starts with `run` or `resume`.

        With a `start_timeout` only silence is sent until the peer's first audio, or for that many seconds.
        """
        self.connected = True
        self._inspecting = wire.negotiating or self._start.buffering
        self.receiver.switch_wire(wire)
        self._pacer.reconnect(wire, transport)
        if start_timeout:
            self._playout_hold.begin(start_timeout)
        else:
            self._pacer.release()
        self._on_audio_expected()

    def _stop_timers(self) -> None:
        if self._monitor is not None:
            self._monitor.stop()
            self._monitor = None  # the monitor refers to this session: a reference cycle
        self._playout_hold.cancel()

    def resume(self) -> None:
        """Continue the playout on a new connection, from where the previous one broke."""
        self.reconnects += 1
        self._pacer.start()

    def disconnect(self) -> None:
        """Detach a lost connection. The playout pauses, and can resume from where it was."""
        self.connected = False
        self._stop_timers()
        self._pacer.pause()
        self.receiver.pause()
        self.control.on_disconnect()

    async def drain(self) -> None:
        """After the handler's end, wait until the peer has played its queue; then hang up or transfer the call."""
        self._pacer.write_partial_frame()
        await self.control.drain()
        self._lifetime.conclude()

    @property
    def frames(self) -> int:
        """Number of frames sent so far."""
        return self._pacer.frames

    def summary(self) -> dict[str, Any]:
        """The facts of the stream for its log line and its `stream.ended` event."""
        duration, problems = self._clock() - self.started, self.inbound_problems
        facts = SessionFacts(duration, self.texts, self.call.keys, problems, self.reconnects, self.lost)
        return summarise(self.stream, self.end, self._pacer, self.receiver, facts)
