"""A stream while it lasts: its handler's work, its end, and its connection, or one after another."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import structlog

from mediaserver.call.call import Call
from mediaserver.call.channel_start import StreamStart
from mediaserver.call.event_sink import Nobody, Outbox
from mediaserver.call.inbound_monitor import InboundMonitor, InboundProblem
from mediaserver.call.lifetime import Lifetime
from mediaserver.call.peer_control import PeerControl
from mediaserver.call.receiver import Receiver
from mediaserver.call.stream import Clock, Stream
from mediaserver.errors import ProtocolError
from mediaserver.events.kinds import EventKind
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.slow_peer import Transport
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.speech.service import SpeechService
from mediaserver.transport.closing import CloseCode, End, EndReason
from mediaserver.wire.events import Digit, Event, Hangup, Identity
from mediaserver.wire.wire import Wire

log = structlog.get_logger()


class Session:
    """A stream while it lasts, for whoever has its connection. Its handler has `call`, and nothing else of it."""

    def __init__(
        self,
        stream: Stream,
        wire: Wire,
        library: PromptLibrary,
        pacer: Pacer,
        clock: Clock = time.monotonic,
        outbox: Outbox | None = None,
        speech: SpeechService | None = None,
    ) -> None:
        receiver = Receiver(wire, clock, self._listener_failed, self._signalled, self._expect_audio)
        self.receiver, self._pacer, self._clock = receiver, pacer, clock
        self._lifetime = Lifetime(stream)
        self.call = Call(
            self._lifetime, library, pacer, receiver, clock, outbox or Nobody(), speech or SpeechService()
        )
        self.write_text: Callable[[str], None] | None = None  # says a text to the peer, where its wire has texts
        self.connected = True  # one that we dial is not always
        self.texts = 0  # messages that were text, and nothing that we understand
        self.reconnects = 0
        self.lost = 0  # frames sent that are not known to have arrived when a connection broke
        self._started = clock()
        self._attentive = wire.negotiating  # whether a message is to be looked at before it is heard
        self._start = StreamStart(receiver, pacer)
        self._monitor: InboundMonitor | None = None
        self._start_timer: asyncio.TimerHandle | None = None
        self.problems: list[InboundProblem] = []  # with what is heard

    @property
    def stream(self) -> Stream:
        """What the stream is, as far as that is known by now."""
        return self._lifetime.stream

    @property
    def end(self) -> End | None:
        """How the stream ended; None while it lasts."""
        return self._lifetime.end

    @property
    def over(self) -> asyncio.Future[None]:
        """Done when `end` is known."""
        return self._lifetime.over

    @property
    def control(self) -> PeerControl:
        """What the peer can be told besides sound."""
        return self._lifetime.control

    @control.setter
    def control(self, control: PeerControl) -> None:
        self._lifetime.control = control

    async def run(self, work: Coroutine[Any, Any, None]) -> End:
        """Start the playout and do a handler's work in this task, until it is done or the session is finished.

        A handler's own failure is raised after the playout has stopped, with `end` set.
        """
        life = self._lifetime
        try:
            if life.end is not None:  # over before it began
                work.close()
                self._hear_held()  # nobody listens; but it came, and is counted
                return life.end
            life.task = asyncio.current_task()
            self._pacer.start()  # what a handler plays before it first awaits is heard from the first tick on
            if self._start.holding:
                asyncio.get_running_loop().call_soon(self._hear_held)  # and what it listens to
            await work
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
            self._pacer.stop()
            self.receiver.close()
            self._stop_timers()
            life.end = life.end or End(EndReason.FINISHED, CloseCode.NORMAL)
            if not life.over.done():
                life.over.set_result(None)
        return life.end

    @property
    def hanging_up(self) -> bool:
        """Whether the call is to end with the stream."""
        return self._lifetime.hanging_up

    def finish(self, end: End) -> None:
        """End the stream; the first reason given stands."""
        self._lifetime.finish(end)

    def _listener_failed(self, error: Exception) -> None:
        stream = self.stream
        log.error("handler failed: it cannot listen", stream=stream.id, path=stream.path, exc_info=error)
        self.finish(End(EndReason.ERROR, CloseCode.INTERNAL_ERROR, "the handler failed"))

    # -- what the peer sends -------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take in a binary message. Without a listener it is looked at only as far as `auto` needs."""
        if self._attentive and self._attend(data):
            return
        self.receiver.receive(data)
        if self._monitor is None and self.end is None:
            self._monitor = InboundMonitor(self.receiver, self._tell_problem)

    def _expect_audio(self) -> None:
        """Somebody listens, or, where we dialled, may: a peer that sends nothing is worth a word."""
        if self.connected and self.end is None and not self.receiver.samples:
            self._monitor = self._monitor or InboundMonitor(self.receiver, self._tell_problem)
            self._monitor.expect()

    def press(self, digits: str) -> None:
        """Take in keys that the caller pressed and that came by another way, as if they had been heard here."""
        _ = self.call.keypad
        for digit in digits:
            self.receiver.push(Digit(digit))

    def texted(self, text: str) -> None:
        """Take in a text message. It is never media; Asterisk's WebSocket channel has its control in them."""
        start = self._start
        if self.end is None and self.write_text is not None and start.is_first(text):
            self._start_channel(text, self.write_text)
        elif not start.hold_text(text):
            self.texts += start.channel is None or not start.channel.on_text(text)

    def hold(self) -> None:
        """Keep what the peer sends until the handler listens, so that it hears the first message too."""
        self._start.wait()
        self._attentive = True

    def expect_media_start(self) -> None:
        """The peer is Asterisk's WebSocket channel: what it sends waits until it has named its format."""
        self.hold()
        self._start.expect()

    async def media_started(self) -> None:
        """Wait until the peer has named its format, where it is to come, or is over; it is late after 2 s."""
        await self._start.named(self.stream.id, self.over)

    def _attend(self, data: bytes) -> bool:
        """A message of the peer's may settle how we must speak, even in mid-prompt; whether it is to wait."""
        if self._start.hold(data):
            return True
        wire = self.receiver.wire
        if wire.negotiate(data):
            self._pacer.on_wire_changed()
        self._attentive = wire.negotiating
        return False

    def _start_channel(self, text: str, write_text: Callable[[str], None]) -> None:
        """Asterisk's WebSocket channel begins."""
        try:
            self._lifetime.stream = self._start.begin(text, self.stream, write_text)
        except ProtocolError as error:
            log.warning("Asterisk's channel cannot be served", stream=self.stream.id, why=str(error))
            self.finish(End(EndReason.PROTOCOL_ERROR, CloseCode.UNSUPPORTED, str(error)))
            return
        channel, before = self._start.channel, self.control
        assert channel is not None  # noqa: S101 - it has just begun
        self._attentive, self.control = self._start.holding, channel
        if before.answered:  # a handler was not told to wait for it
            channel.answer()

    def _hear_held(self) -> None:
        """Take in what came before the handler could listen."""
        held, self._attentive = self._start.release(), self.receiver.wire.negotiating
        for message in held:
            if isinstance(message, bytes):
                self.receive(message)
            else:
                self.texted(message)

    def _signalled(self, event: Event) -> None:
        """Take in what is no sound."""
        match event:
            case Hangup():
                self.finish(End(EndReason.PEER_HUNG_UP, CloseCode.NORMAL))
            case Identity():
                uuid, stream = str(event.uuid), self.stream
                call = stream.call or ("" if stream.resource else uuid)
                self._lifetime.stream = replace(stream, call=call, variables={"uuid": uuid, **stream.variables})

    def _tell_problem(self, problem: InboundProblem) -> None:
        if problem in self.problems:  # on a connection before this one
            return
        self.problems.append(problem)
        facts = {"problem": str(problem), "inbound": str(self.receiver.wire.inbound.codec)}
        stream, hint = self.stream, problem.hint(dialled=bool(self.stream.resource))
        log.warning("inbound media", stream=stream.id, path=stream.path, hint=hint, **facts)
        self.call.notify(EventKind.STREAM_INBOUND, facts)

    # -- its connection ------------------------------------------------------------------------------------------

    def connect(self, wire: Wire, transport: Transport, start_timeout: float | None = None) -> None:
        """There is a connection, the first or another: the peer is heard, and hears from `run` or `resume` on.

        With a `start_timeout` it hears silence until its own first sound has come, or for so many seconds: a
        platform answers before its media is there, and drops what is said until then.
        """
        self.connected = True
        self._attentive = wire.negotiating or self._start.holding
        self.receiver.use(wire)
        self._pacer.reconnect(wire, transport)
        if start_timeout:
            self._pacer.hold()
            self.receiver.when_heard(self._release)
            self._start_timer = asyncio.get_running_loop().call_later(start_timeout, self._release)
        else:
            self._pacer.release()
        self._expect_audio()

    def _release(self) -> None:
        if self._start_timer is not None:
            self._start_timer.cancel()
            self._start_timer = None
        self._pacer.release()

    def _stop_timers(self) -> None:
        if self._monitor is not None:
            self._monitor.stop()
            self._monitor = None  # or the stream would refer to itself
        if self._start_timer is not None:
            self._start_timer.cancel()

    def resume(self) -> None:
        """Go on speaking, from where the connection before broke."""
        self.reconnects += 1
        self._pacer.start()

    def disconnect(self) -> None:
        """The connection is gone: playout keeps its place."""
        self.connected = False
        self._stop_timers()
        self._pacer.pause()
        self.receiver.pause()
        self.control.lost()

    async def drain(self) -> None:
        """The media is over: wait until the peer has played it, and have it hang up where that was asked for."""
        self._pacer.write_partial_frame()
        await self.control.drain()
        if self.hanging_up:
            self.control.hang_up()

    @property
    def frames(self) -> int:
        """Frames sent so far."""
        return self._pacer.frames

    @property
    def wire_facts(self) -> dict[str, str]:
        """How the stream speaks, and in what codec it is heard, as far as that is known by now."""
        wire = self.receiver.wire
        return {"wire": wire.name, "inbound": str(wire.inbound.codec)}

    def summary(self) -> dict[str, Any]:
        """What there is to say of the stream in one line of a log."""
        pacer, receiver = self._pacer, self.receiver
        return {
            "path": self.stream.path,
            "peer": self.stream.peer,
            **self.wire_facts,
            "frames": pacer.frames,
            "duration_s": round(self._clock() - self._started, 3),
            "late": pacer.late_ticks,
            "skipped": pacer.skipped_ticks,
            "underruns": pacer.underruns,
            "stalls": pacer.stalls,
            "received": receiver.received,
            "malformed": receiver.malformed,
            "texts": self.texts,
            "dropped": receiver.dropped,
            "reason": str(self.end.reason) if self.end else None,
            "code": self.end.code if self.end else None,
            **({"why": self.end.text} if self.end and self.end.text else {}),
            **({"call": self.stream.call} if self.stream.call else {}),
            **({"keys": self.call.keys} if self.call.keys is not None else {}),
            **({"inbound_problems": list(map(str, self.problems))} if self.problems else {}),
        } | (
            {"resource": self.stream.resource, "reconnects": self.reconnects, "lost": self.lost}
            if self.stream.resource
            else {}
        )
