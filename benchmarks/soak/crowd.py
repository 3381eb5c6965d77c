"""Concurrent callers: each makes one call after another, and verifies each call."""

import asyncio
import contextlib
import random
import time
from array import array

import aiohttp
from aiohttp import WSMsgType

from mediaserver.call import CloseCode
from mediaserver.client import dial
from mediaserver.client.dial import UpgradeRefusedError
from mediaserver.errors import PeerError, ProtocolError
from mediaserver.transport.dialled import OpenWebSocket

from .calls import Call, Caller
from .formats import Wire
from .prompts import passed
from .schedule import MachineLag, Recent, Schedule
from .tally import AUDIBLE, NOTICED, OUTLIER, Kind, Tally

_CLOSING = 5.0  # seconds within which the server must answer a caller's close


class Crowd:
    """All callers of a soak test. They hang up, and make no further calls, when `over` is set."""

    def __init__(
        self, url: str, caller: Caller, tally: Tally, lag: MachineLag, rng: random.Random, over: asyncio.Event
    ) -> None:
        self._url, self._caller, self._tally, self._lag, self._rng = url, caller, tally, lag, rng
        self._over = over
        self.recent = Recent()

    async def call(self, client: aiohttp.ClientSession, within: float) -> None:
        """Run one caller: make the first call within `within` seconds, and then one call after another."""
        while not await passed(self._over, self._rng.uniform(0, within)):
            await self.make(client, self._caller.next())
            within = 1.0

    async def make(self, client: aiohttp.ClientSession, call: Call, leaving: bool = False) -> None:
        """Make one call, and count its result. `leaving` tells that the server shuts down during the call."""
        try:
            websocket = await dial.dial(client, f"{self._url}{call.path}")
        except UpgradeRefusedError as error:
            self._tally.refusals[str(error.status)] += 1
            if not (error.status == 404 and call.may_be_missing):
                self._fail(call, f"refused with {error.status}: {error}")
            return
        except PeerError as error:
            self._fail(call, str(error))
            return
        self._tally.now += 1
        try:
            await self._converse(_Conversation(call, websocket, self._rng), leaving)
        finally:
            self._tally.now -= 1

    async def _converse(self, conversation: "_Conversation", leaving: bool) -> None:
        call, result = conversation.call, conversation.result
        late = await conversation.hold(self._over, self.recent.values)
        if call.afterwards is not None:
            result.lost += await call.afterwards()
        if late:
            await asyncio.sleep(0.2)  # by then, `MachineLag` knows whether the machine was late itself
        result.outliers = any(not self._lag.excuses(at, seconds) for at, seconds in late)
        check, code = call.check, conversation.code
        result.lost, result.wrong, result.waits = result.lost + check.lost, check.wrong, check.waits
        result.lost += conversation.wire.gaps
        expected = {None} | ({CloseCode.NORMAL} if call.ends else set())
        if leaving:
            expected.add(CloseCode.GOING_AWAY)
        if code not in expected:
            result.failed = 1
            self._tally.print_errors(f"{call.path}: closed with {code}, after {result.frames} frames")
        if result.lost or result.wrong:
            problem = f"{call.path}: {result.lost} lost, {result.wrong} wrong of {result.frames}"
            self._tally.print_errors(f"{problem} ({check.label}) {conversation.why}")
        if check.label:
            self._tally.heard[check.label] += 1
        self._tally.kinds[call.kind].add(result)

    def _fail(self, call: Call, why: str) -> None:
        self._tally.kinds[call.kind].add(Kind(failed=1))
        self._tally.print_errors(f"{call.path}: {why}")


class _Conversation:
    """One call while it lasts. `code` is the close code of the server, None if the caller hung up."""

    def __init__(self, call: Call, websocket: OpenWebSocket, rng: random.Random) -> None:
        self.call, self.websocket = call, websocket
        self.wire = Wire(call.form, rng)
        self.result = Kind(calls=1)
        self.code: int | None = None
        self.why = ""
        self._hung_up = False

    async def hold(self, over: asyncio.Event, lateness: "array[float]") -> list[tuple[float, float]]:
        """Listen and act until the server or the caller hangs up; return the outliers' arrival and lateness."""
        late: list[tuple[float, float]] = []
        listening = asyncio.create_task(self._listen(lateness, late))
        acting = asyncio.create_task(self._act())
        ending = asyncio.create_task(over.wait())
        await asyncio.wait((listening, ending), timeout=self.call.seconds, return_when=asyncio.FIRST_COMPLETED)
        self._hung_up = not listening.done()
        acting.cancel()
        ending.cancel()
        await asyncio.wait((acting,))
        if not acting.cancelled():
            acting.result()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await self.websocket.close()
        if not self.websocket.closed:
            self.websocket.transport.abort()
        await listening
        return late

    async def _act(self) -> None:
        await self.call.act(self.websocket, self.wire)

    async def _listen(self, lateness: "array[float]", outliers: list[tuple[float, float]]) -> None:
        clock, schedule, result = time.monotonic, Schedule(), self.result  # uvloop's clock has whole milliseconds
        while (message := await self.websocket.receive()).type is WSMsgType.BINARY:
            at = clock()
            late = schedule.late(at)
            lateness.append(late)
            result.frames += 1
            self._judge(late)
            if late > OUTLIER:
                outliers.append((at, late))
            try:
                self.call.check.take(self.wire.sound(message.data))
            except ProtocolError as error:
                result.wrong += 1
                self.why = str(error)
        if not self._hung_up:
            self.code = int(message.data or 0) if message.type is WSMsgType.CLOSE else CloseCode.ABNORMAL
            if self.code == CloseCode.NORMAL:
                self.call.check.closed()

    def _judge(self, late: float) -> None:
        result = self.result
        result.late_20 += late > NOTICED
        result.late_60 += late > AUDIBLE
        result.worst_ms = max(result.worst_ms, late * 1000)
