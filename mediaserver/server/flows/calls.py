"""All calls whose VoIPBIN flows request their actions from us: finds the call of a fetch, or begins a new call."""

import asyncio
import secrets
from functools import partial
from typing import Any

import structlog
from yarl import URL

from mediaserver.call import Stream
from mediaserver.client.voipbin import Platform
from mediaserver.errors import ConfigError, PeerError, RefusalReason, RefusedError
from mediaserver.events.kinds import EventKind
from mediaserver.routing.audiosocket_ports import Port
from mediaserver.runtime.engine import Engine
from mediaserver.server.flows.call import Fetch, FlowCall
from mediaserver.server.flows.port_pool import PortPool
from mediaserver.wire.voipbin import actions
from mediaserver.wire.voipbin.actions import Action
from mediaserver.wire.voipbin.rounds import QUERY_KEYS

_NOT_DIALLED = "flow"  # the name of a stream's peer before Asterisk has dialled the stream's port

log = structlog.get_logger()


class FlowCalls:
    """The calls of one server, by the ids of their flows, and by their leased ports."""

    def __init__(self, engine: Engine, platform: Platform) -> None:
        self._engine, self._platform = engine, platform
        self._hanging_up: set[asyncio.Task[None]] = set()
        self.pool = PortPool(engine.settings.flows.ports if engine.settings.flows.enabled else ())
        self._by_flow: dict[str, FlowCall] = {}
        self._by_port: dict[int, FlowCall] = {}

    def __len__(self) -> int:
        return len(self._by_flow)

    def on_port(self, number: int) -> FlowCall | None:
        """The call that a media port is leased to; None for a port that is free."""
        return self._by_port.get(number)

    async def answer(self, url: URL, public_url: str, fetch: Fetch) -> list[Action]:
        """The next actions of a call, which answer a fetch.

        `url` is the requested path with its query. `public_url` is the URL by which VoIPBIN requests this path.
        RefusedError: 404 for a path that flows may not request, 400 if the flow belongs to another call.
        """
        call = self._by_flow.get(fetch.activeflow)
        if call is not None and call.reference != fetch.reference:
            raise RefusedError(RefusalReason.BAD_BODY, "reference_id: the activeflow belongs to another call")
        if call is None or (call.concluded and not fetch.round):  # the flow is new, or comes to us a second time
            executed = 0
            if call is not None:
                executed = call.executed
                call.close()
            begun = self._begin(url, public_url, fetch, executed)
            if not isinstance(begun, FlowCall):
                return begun
            call = begun
        return await call.answer(fetch)

    def _begin(self, url: URL, public_url: str, fetch: Fetch, executed: int) -> FlowCall | list[Action]:
        """Begin a call. If the call can have no media stream, return the actions that answer its fetch."""
        engine = self._engine
        route, variables = engine.table.match_route_now(url)
        if not route.flow:
            raise RefusedError(RefusalReason.UNKNOWN_PATH, f"{route.pattern} takes no flows: set flow = true")
        query = {key: value for key, value in url.query.items() if key not in QUERY_KEYS}
        variables = {"activeflow_id": fetch.activeflow, **variables}
        stream = Stream(
            id=secrets.token_hex(6),
            path=url.path,
            peer=_NOT_DIALLED,
            query=query,
            variables=route.stream_variables(query, variables),
            route=route.pattern,
            call=fetch.reference,
        )
        try:
            handler = route.build_handler(variables, query, engine.library.snapshot)
            engine.streams.admit(route)
            if (number := self.pool.acquire()) is None:
                raise RefusedError(
                    RefusalReason.FULL, f"no port of flows.media_ports is free: {self.pool.leased} are leased"
                )
        except RefusedError as error:
            reason = "no-port" if error.reason is RefusalReason.FULL else "refused"
            log.warning("flow failed", path=url.path, call=fetch.reference, reason=reason, why=str(error))
            self._report(stream, EventKind.FLOW_FAILED, {"reason": reason, "why": str(error)})
            return actions.add_ids(route.flow_full or [actions.CLEAR_DIGITS])
        port = Port(number, url.with_query(query), route, variables)
        call = FlowCall(
            fetch,
            stream,
            port,
            handler,
            public_url,
            engine.settings.flows,
            partial(self._free, number),
            self._forget,
            self._report,
            self._hang_up,
            executed,
        )
        self._by_flow[fetch.activeflow] = self._by_port[number] = call
        return call

    def _free(self, number: int, dialled: bool) -> None:
        del self._by_port[number]
        self.pool.release(number, dialled=dialled)

    def _forget(self, call: FlowCall) -> None:
        if self._by_flow.get(call.activeflow) is call:
            del self._by_flow[call.activeflow]

    def _report(self, stream: Stream, kind: EventKind, data: dict[str, Any]) -> None:
        """Emit an event of a stream that has not begun, and will not begin."""
        self._engine.event_sink.emit(stream, kind, data)
        self._engine.event_sink.forget(stream)

    def _hang_up(self, call: str) -> None:
        """Have VoIPBIN's API hang up a call, if we have a credential, because no fetch comes for some seconds."""
        if self._engine.settings.voipbin.has_credential:
            task = asyncio.create_task(self._ask_for_hangup(call))
            self._hanging_up.add(task)
            task.add_done_callback(self._hanging_up.discard)

    async def _ask_for_hangup(self, call: str) -> None:
        try:
            status = await self._platform.post(f"calls/{call}/hangup")
        except (PeerError, ConfigError) as error:
            log.warning("hangup request failed", call=call, why=str(error))
        else:
            log.debug("hangup requested", call=call, status=status)

    async def close(self) -> None:
        """Forget all calls, and stop all timers and requests."""
        for call in list(self._by_flow.values()):
            call.close()
        self.pool.close()
        for task in self._hanging_up:
            task.cancel()
        if self._hanging_up:
            await asyncio.wait(self._hanging_up)
