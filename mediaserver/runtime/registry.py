"""The registry of streams in progress: admits streams within limits, counts their starts and ends, drains them."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import structlog

from mediaserver.call import CloseCode, End, EndReason, EventSink, InboundProblem, Session
from mediaserver.config.listener_settings import ServerSettings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.kinds import EventKind
from mediaserver.routing.route import Route
from mediaserver.support.metrics import Metrics

# Frames sent (one second). A peer that drops the stream within as many frames may not understand our framing.
_MISFRAMED_FRAMES = 50

# The reasons of a stream's end that are a fault of the stream's peer.
_FAULTS = {
    EndReason.STALLED,
    EndReason.UNANSWERED,
    EndReason.FLOOD,
    EndReason.OVERSIZE,
    EndReason.PROTOCOL_ERROR,
}

log = structlog.get_logger()


class _Entry(NamedTuple):
    session: Session
    number: int  # how many streams had begun by then, this one included
    path: str  # the pattern of the stream's route
    peer: str  # the address or network by which the peer's streams are counted; "" where the server dialled
    timer: asyncio.TimerHandle | None  # ends the stream at its time limit; None for no limit
    reserved: str = ""  # the pattern of a route on which the stream has a place for later; "" for none


class StreamRegistry:
    """All streams in progress of one server, dialled by peers or by the server."""

    limits: ServerSettings

    def __init__(self, metrics: Metrics, event_sink: EventSink) -> None:
        for kind in (*_FAULTS, "text", "slow-handshake", "malformed-request"):
            metrics.peer_faults.labels(kind)
        for problem in InboundProblem:
            metrics.inbound_problems.labels(problem)
        self._metrics, self._event_sink = metrics, event_sink
        self._entries: dict[str, _Entry] = {}
        self._begun = 0  # streams that have begun so far
        self._by_path: Counter[str] = Counter()  # streams in progress, and reserved places, for each path
        self._by_peer: Counter[str] = Counter()  # the number of streams in progress for each peer
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False
        self.closed_by_drain = 0  # streams that `drain` closed because they had not ended by themselves in time

    def apply_limits(self, limits: ServerSettings, routes: Iterable[Route]) -> None:
        """Apply these limits to new streams, and start the metrics of these routes' paths at 0."""
        self.limits = limits
        for route in routes:  # if a counter did not begin at 0, Prometheus' `rate` would miss its first stream
            self._metrics.started.labels(route.pattern)
            self._metrics.ended.labels(route.pattern, EndReason.ERROR)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Session]:
        return iter([entry.session for entry in self._entries.values()])

    def get(self, stream_id: str) -> Session | None:
        """The session of a stream in progress; None where there is no such stream."""
        entry = self._entries.get(stream_id)
        return entry.session if entry is not None else None

    def number_of(self, session: Session) -> int:
        """A number that grows from one stream to the next, in the order in which streams begin, from 1 on."""
        return self._entries[session.stream.id].number

    def count_on_path(self, pattern: str) -> int:
        """How many streams are in progress on the path with this pattern, or have a place on it by `reserve`."""
        return self._by_path[pattern]

    def of_call(self, name: str) -> list[Session]:
        """The streams of a call. `name` is the platform's id of the call, alone, or in the form `calls/<id>`."""
        return [session for session in self if name in _call_names(session)]

    def named(self, name: str) -> list[Session]:
        """The streams that a name stands for: a stream's label, or the name of its call as of `of_call`."""
        return [session for session in self if name == session.stream.label or name in _call_names(session)]

    def admit(self, route: Route, peer: str = "") -> None:
        """Check that one more stream may begin on a route, and for a peer.

        RefusedError 503 where a limit is reached, or where the server is shutting down.
        """
        limits = self.limits
        if self.draining:
            raise RefusedError(RefusalReason.DRAINING, "shutting down: try again later")
        if len(self) >= limits.max_streams:
            raise RefusedError(RefusalReason.FULL, f"full: {_streams(len(self))} playing, try again later")
        self._require_room_on(route)
        if peer and self._by_peer[peer] >= limits.max_streams_per_peer:
            text = f"full: {_streams(limits.max_streams_per_peer)} playing to your address, try again later"
            raise RefusedError(RefusalReason.PEER_FULL, text)

    def _require_room_on(self, route: Route) -> None:
        """Check that one more stream may be on a route; RefusedError 503 where it has as many as it may."""
        if self._by_path[route.pattern] >= route.max_streams:
            text = f"full: {_streams(route.max_streams)} playing on this path, try again later"
            raise RefusedError(RefusalReason.PATH_FULL, text)

    def register(self, session: Session, route: Route, peer: str = "") -> None:
        """Add a stream, and start its time limit. `peer` is the key by which the peer's streams are counted.

        It is "" for a stream that the server has dialled.
        """
        self._begun += 1
        timer = _time_limit(session, route)
        self._entries[session.stream.id] = _Entry(session, self._begun, route.pattern, peer, timer)
        self._by_path[route.pattern] += 1
        self._by_peer[peer] += 1
        self._idle.clear()
        self._metrics.sessions.labels(route.pattern).inc()
        self._metrics.started.labels(route.pattern).inc()
        stream = session.stream
        log.debug("stream started", stream=stream.id, path=stream.path, peer=stream.peer)

    def reserve(self, session: Session, route: Route) -> None:
        """Keep a place on another route for a stream, until `move` or the stream's end.

        Until then the stream counts on both routes, because the handler of the first one still runs. RefusedError
        503 where the route has as many streams as it may.
        """
        entry = self._entries[session.stream.id]
        if route.pattern != entry.path:
            self._require_room_on(route)
            self._by_path[route.pattern] += 1
            self._entries[session.stream.id] = entry._replace(reserved=route.pattern)

    def move(self, session: Session, route: Route) -> None:
        """Count a stream on the route on which it has a place by `reserve`; that route's time limit begins anew.

        The metric of streams that have started counts it on the first route, that of ended ones on the last.
        """
        entry = self._entries[session.stream.id]
        if entry.timer is not None:
            entry.timer.cancel()
        timer = _time_limit(session, route)
        self._entries[session.stream.id] = entry._replace(path=route.pattern, timer=timer, reserved="")
        if entry.reserved:
            _count_down(self._by_path, entry.path)
        self._metrics.sessions.labels(entry.path).dec()
        self._metrics.sessions.labels(route.pattern).inc()

    def unregister(self, session: Session) -> None:
        """Remove a stream that has ended: count it, log its summary, and emit its last event."""
        entry = self._entries.pop(session.stream.id)
        if entry.timer is not None:
            entry.timer.cancel()
        _count_down(self._by_path, entry.path)
        if entry.reserved:
            _count_down(self._by_path, entry.reserved)
        _count_down(self._by_peer, entry.peer)
        if not self._entries:
            self._idle.set()
        summary = session.summary()
        metrics = self._metrics
        metrics.sessions.labels(entry.path).dec()
        metrics.ended.labels(entry.path, summary["reason"]).inc()
        metrics.stalls.inc(summary["stalls"])
        self._count_faults(summary)
        metrics.underruns.inc(summary["underruns"])
        metrics.malformed.inc(summary["malformed"])
        metrics.reconnects.inc(session.reconnects)
        metrics.lost.inc(session.lost)
        log.info("stream ended", stream=session.stream.id, **summary)
        session.call.notify(EventKind.STREAM_ENDED, summary)
        self._event_sink.forget(session.stream)
        misframed = summary["reason"] == EndReason.PEER_VANISHED and 0 < session.frames <= _MISFRAMED_FRAMES
        # For a stream that the server dialled, which has a resource, the client logs advice of its own.
        if misframed and not session.stream.resource:
            log.warning(
                "peer dropped stream after first frames",
                stream=session.stream.id,
                sent=summary["wire"],
                hint="is the framing what it expects? try framing = message (or pcm) for audiosocket, "
                "another rtp_payload for rtp",
            )

    def _count_faults(self, summary: Mapping[str, Any]) -> None:
        """Count the faults of a stream's peer, by kind, from the stream's summary."""
        faults = self._metrics.peer_faults
        if summary["reason"] in _FAULTS:
            faults.labels(summary["reason"]).inc()
        faults.labels("text").inc(summary["texts"])

    async def drain(self, timeout: float, grace: float) -> bool:
        """Admit no more streams, and wait up to `timeout` seconds for streams in progress to end.

        Streams that have not ended by then are closed with the code "going away", and get `grace` more seconds.
        Returns False if some stream has not ended even then, because its handler still runs.
        """
        self.draining = True
        log.info("draining", streams=len(self), timeout_s=timeout)
        self.closed_by_drain = 0
        going_away = End(EndReason.DRAINED, CloseCode.GOING_AWAY, "server is shutting down")
        for session in self:
            if not session.connected and not session.frames:  # the server still dials this stream
                session.finish(going_away)
        if not await self._wait_until_idle(timeout):
            self.closed_by_drain = len(self)
            for session in self:
                session.finish(going_away)
        return await self._wait_until_idle(grace)

    async def _wait_until_idle(self, timeout: float) -> bool:
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            return False
        return True


def _time_limit(session: Session, route: Route) -> asyncio.TimerHandle | None:
    """The timer that ends a stream at the time limit of its route; None without a limit."""
    if not route.time_limit:
        return None
    end = End(EndReason.TIME_LIMIT, CloseCode.POLICY, f"a stream may last {route.time_limit:g} seconds")
    return asyncio.get_running_loop().call_later(route.time_limit, session.finish, end)


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _call_names(session: Session) -> set[str]:
    """The names by which a stream's call is known: the platform's id, as `<id>` and as `calls/<id>`."""
    stream = session.stream
    return {stream.call, stream.resource, stream.resource.partition("/")[2], stream.event_resource} - {""}


def _streams(count: int) -> str:
    return "1 stream is" if count == 1 else f"{count} streams are"


def describe_stream(session: Session) -> Mapping[str, Any]:
    """The description of a stream in progress that `GET /v1/streams` returns."""
    summary = session.summary()
    del summary["reason"], summary["code"]
    direction = "out" if session.stream.resource else "in"
    label = {"label": session.stream.label} if session.stream.label else {}
    return {"id": session.stream.id, "direction": direction, "connected": session.connected} | label | summary
