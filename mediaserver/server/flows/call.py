"""One call whose VoIPBIN flow requests its actions from us, fetch by fetch: its port, stream and answers."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from mediaserver.call import CloseCode, End, EndReason, Session, Stream
from mediaserver.call.control.flow_control import FlowControl
from mediaserver.config.flow_settings import FlowSettings
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler
from mediaserver.routing.audiosocket_ports import Port
from mediaserver.wire.voipbin import actions
from mediaserver.wire.voipbin.actions import Action
from mediaserver.wire.voipbin.rounds import Rounds, RoundSettings

# The most seconds for which the answer to a fetch is held back, so that the handler may decide, or begin to wait
# for a DTMF key. VoIPBIN waits 3 s for an answer.
_HOLD = 0.4
_GRACE = 10.0  # seconds by which a fetch may be late before the call counts as over
_FORGET = 30.0  # seconds after the last answer in which VoIPBIN may repeat the fetch that was answered

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request of VoIPBIN's action `fetch`: the ids of flow and call, the fetch's number, the digits so far."""

    activeflow: str  # the flow's id
    reference: str  # the call's id
    round: int = 0  # the fetch's number; 0 for the fetch that begins the flow
    digits: str = ""
    complete: bool = True  # False if a # among the caller's DTMF keys has cut off the rest of the URL


class FlowCall:
    """A call from its first fetch to the last answer, which leads to no further fetch.

    `port` has the number of the leased port, and the path. `on_freed` is called once the port is free again; its
    argument is whether the port was dialled. `on_over` is called with this object when no more fetches are
    expected. `report` emits an event of the stream, even if the stream has not begun. `hang_up` is called with the
    call's id when the call is to be hung up at once, and no fetch waits for an answer. If the same flow has come
    to us before, `executed` is the number of its actions that VoIPBIN executed then.
    """

    def __init__(
        self,
        fetch: Fetch,
        stream: Stream,
        port: Port,
        handler: Handler,
        url: str,
        settings: FlowSettings,
        on_freed: Callable[[bool], None],
        on_over: Callable[["FlowCall"], None],
        report: Callable[[Stream, EventKind, dict[str, object]], None],
        hang_up: Callable[[str], None],
        executed: int = 0,
    ) -> None:
        self.activeflow, self.reference = fetch.activeflow, fetch.reference
        self.stream, self.port, self.handler = stream, port, handler
        self.dialled = False  # whether Asterisk has dialled the port
        self.session: Session | None = None  # None before the stream begins and after it ends: no reference cycle
        self.control = FlowControl(settings.source, self._on_decision)
        self.concluded = False  # whether the last answer, which leads to no further fetch, was given
        self._settings, self._on_freed, self._on_over, self._report = settings, on_freed, on_over, report
        self._hang_up = hang_up
        host = f"{settings.media_host}:{port.number}"
        limits = settings.max_actions, settings.poll, settings.max_poll, executed
        self._rounds = Rounds(RoundSettings(url, host, *limits))
        self._loop = asyncio.get_running_loop()
        self._expected = 0  # the number of the fetch that is expected next
        self._answering: asyncio.Task[list[Action]] | None = None  # the task that makes the latest answer
        self._key_at = self._loop.time()  # when the last DTMF key came, or the flow began
        self._early = ""  # digits that came before the stream began
        self._dial_timer: asyncio.TimerHandle | None = None
        self._fetch_timer: asyncio.TimerHandle | None = None
        self._leased = True

    async def answer(self, fetch: Fetch) -> list[Action]:
        """The answer to a fetch. A repeated or late fetch gets the latest answer, and changes nothing."""
        if self._answering is None or (fetch.round == self._expected and not self.concluded):
            self._expected += 1
            self._stop(self._fetch_timer)
            self._answering = asyncio.create_task(self._next(fetch))
        return await asyncio.shield(self._answering)

    async def _next(self, fetch: Fetch) -> list[Action]:
        if self._expected == 1 and not self._rounds.can_begin:  # the flow has come back too often
            self._fail("exhausted", "the flow has too few actions left to begin its media")
            self._free(dialled=False)
            return self._conclude([actions.HANG_UP])
        if self._expected == 1:
            self._dial_timer = self._loop.call_later(self._settings.dial_timeout, self._on_not_dialled)
            return self._await_fetch(self._rounds.begin())
        if digits := self._rounds.take_digits(fetch.digits, fetch.complete):
            self._key_at = self._loop.time()
            self._push_digits(digits)
        if self.dialled:
            await self.control.settle(_HOLD)
        return self._go_on()

    @property
    def executed(self) -> int:
        """How many actions of the flow VoIPBIN has executed, as far as we know."""
        return self._rounds.executed

    def _push_digits(self, digits: str) -> None:
        if not self.dialled:
            self._early += digits
        elif self.session is not None and self.session.end is None:
            self.session.push_digits(digits)

    def _go_on(self) -> list[Action]:
        """The answer to the present fetch: the handler's decision, or actions that wait and then fetch again."""
        if self._rounds.exhausted and self.control.decision is None:
            self._fail("exhausted", "the flow has no actions left")
            self.control.hang_up()
            if self.session is not None:
                self.session.finish(End(EndReason.TIME_LIMIT, CloseCode.POLICY, "the flow has no actions left"))
        if self.control.decision is not None:
            return self._conclude(self.control.decision)
        if self._rounds.nearly_exhausted:
            self.control.warn_of_exhaustion()
        return self._await_fetch(self._rounds.go_on(self._loop.time() - self._key_at, self.control.patience))

    def _await_fetch(self, answer: list[Action]) -> list[Action]:
        """Begin to wait for the next fetch, which is the last action in `answer`, and return `answer`."""
        self._fetch_timer = self._loop.call_later(self._rounds.duration + _GRACE, self._on_no_fetch)
        return answer

    def _conclude(self, decision: Sequence[Action]) -> list[Action]:
        self.concluded = True
        self._fetch_timer = self._loop.call_later(_FORGET, self.close)
        return self._rounds.conclude(decision)

    # -- the call's stream ---------------------------------------------------------------------------------------

    def on_stream_begun(self, session: Session) -> None:
        """Note that Asterisk has dialled the port, so that the stream has begun; push earlier digits into it."""
        self._stop(self._dial_timer)
        self.session, self.dialled = session, True
        if self._early:
            session.push_digits(self._early)

    def on_stream_over(self) -> None:
        """Free the port. If the handler has decided nothing, VoIPBIN goes on with the flow's own next actions."""
        self._free(dialled=True)
        self.control.decide(())
        self.session = None

    def refuse_media(self, why: str) -> None:
        """Give up the media of a call whose stream was refused; the answer is the path's setting `flow_full`."""
        self._stop(self._dial_timer)
        self._fail("refused", why)
        self._free(dialled=True)
        self.control.decide(self.port.route.flow_full)

    def _on_not_dialled(self) -> None:
        self._dial_timer = None
        self._fail("not-dialled", f"Asterisk has not dialled {self._settings.media_host}:{self.port.number}")
        self._free(dialled=False)
        self.control.decide(self.port.route.flow_full)

    def _on_no_fetch(self) -> None:
        """End the stream, as the next fetch has not come: the call is over, but Asterisk may keep its media up."""
        if self.session is not None and self.session.end is None:
            self.session.finish(
                End(EndReason.PEER_HUNG_UP, CloseCode.NORMAL, "the flow of the call has stopped asking")
            )
        self.close()

    def _on_decision(self, decision: Sequence[Action]) -> None:
        if self.session is not None:
            types = [str(action["type"]) for action in decision]
            data = {"actions": types, "executed": self._rounds.executed}
            self.session.call.notify(EventKind.FLOW_DECIDED, data)
        if list(decision) == [actions.HANG_UP] and (self._answering is None or self._answering.done()):
            self._hang_up(self.reference)  # else the call would go on until the flow's next fetch

    def _fail(self, reason: str, why: str) -> None:
        facts = {"path": self.stream.path, "call": self.reference}
        log.warning("flow failed", stream=self.stream.id, reason=reason, why=why, **facts)
        if self.session is not None:
            self.session.call.notify(EventKind.FLOW_FAILED, {"reason": reason, "why": why})
        else:
            self._report(self.stream, EventKind.FLOW_FAILED, {"reason": reason, "why": why})

    # -- the end of the call -------------------------------------------------------------------------------------

    def _free(self, *, dialled: bool) -> None:
        if self._leased:
            self._leased = False
            self._on_freed(dialled)

    def close(self) -> None:
        """Forget the call: no more fetches are expected. A stream still in progress frees the port at its end."""
        self._stop(self._dial_timer)
        self._stop(self._fetch_timer)
        self._dial_timer = self._fetch_timer = None  # a fired timer would keep this call in memory
        if not self.dialled:
            self._free(dialled=False)
        self._on_over(self)

    def _stop(self, timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
