"""One call at a small flow engine, which executes actions as VoIPBIN's public code does, as far as ours need it.

Its telephone sends keys as RTP events (RFC 4733), which are neither in the sound nor in messages. They go to the
flow's variable: a key is appended while `digits_receive` is the call's present action, and replaces others else.
"""

import asyncio
import uuid
from typing import Any, Self

import aiohttp
from yarl import URL

from tests.server.process import client_session
from tests.timing import PATIENCE, eventually
from tests.twin import AsteriskAudioSocket

MAX_EXECUTED = 100
FETCH_TIMEOUT = 3.0
_DIGITS = "voipbin.call.digits"
# Actions of the flow itself, which are not the call's present action.
_OF_THE_FLOW = {"fetch", "variable_set"}


class FlowEngine:
    """`async with FlowEngine(url) as call`: a call whose flow is `fetch` of that URL, and then `behind`."""

    def __init__(self, url: str, behind: tuple[dict[str, Any], ...] = ()) -> None:
        self.activeflow, self.reference = str(uuid.uuid4()), str(uuid.uuid4())
        self.executed: list[dict[str, Any]] = []
        self.answers: list[tuple[str, list[dict[str, Any]]]] = []  # of each fetch: its URL, and the actions
        self.media: AsteriskAudioSocket | None = None
        self.dials = True  # whether Asterisk dials what `external_media_start` names
        self.hung_up = ""  # why the call is over; "" as long as it is not
        fetch = {"id": "f", "type": "fetch", "option": {"event_url": url, "event_method": "POST"}}
        self._flow = [fetch, *behind]
        self._digits = ""
        self._present: dict[str, Any] = {}
        self._wanted: asyncio.Future[None] | None = None  # done when `digits_receive` has enough
        self._running: asyncio.Task[None] | None = None
        self._client = client_session()

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(self._flow))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up("the test is over")
        assert self._running is not None
        self._running.cancel()
        await asyncio.wait((self._running,))
        await self._client.close()

    @property
    def types(self) -> list[str]:
        """The types of the actions that were executed, without those of the rounds and of the start."""
        start = {"answer", "external_media_start", "digits_receive", *_OF_THE_FLOW}
        return [action["type"] for action in self.executed if action["type"] not in start]

    async def is_over(self) -> None:
        """Wait until the flow has come to its end; its errors are the test's."""
        assert self._running is not None
        await asyncio.wait_for(asyncio.shield(self._running), PATIENCE)

    async def is_receiving(self) -> None:
        """Wait until the flow waits for keys, and the media is there."""
        await eventually(lambda: self._wanted is not None and self.media is not None and self.media.heard_at)

    def press(self, keys: str) -> None:
        """Press keys one after another."""
        for key in keys:
            receiving = self._present.get("type") == "digits_receive"
            self._digits = self._digits + key if receiving else key
            self._check()

    async def hang_up(self, why: str) -> None:
        """The call is over: Asterisk ends the media, and the flow is not executed any further."""
        self.hung_up = self.hung_up or why
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)
        if self.media is not None:
            media, self.media = self.media, None
            media.hang_up()
            await media.__aexit__()

    async def post(self, url: str, **changes: Any) -> tuple[int, Any]:
        """What the flow would get for a fetch of `url`."""
        body = {"activeflow_id": self.activeflow, "reference_id": self.reference} | changes
        timeout = aiohttp.ClientTimeout(PATIENCE)
        async with self._client.post(URL(url), json=body, timeout=timeout) as response:
            return response.status, await response.json(content_type=None) if response.status == 200 else None

    async def _run(self, actions: list[dict[str, Any]]) -> None:
        for action in actions:
            if self.hung_up:
                return
            self.executed.append(action)
            if len(self.executed) > MAX_EXECUTED:
                await self.hang_up("too many actions")
                return
            if action["type"] not in _OF_THE_FLOW:
                self._present = action
            await self._execute(action["type"], action.get("option", {}))

    async def _execute(self, kind: str, option: dict[str, Any]) -> None:
        if kind == "fetch":
            await self._fetch(option["event_url"].replace(f"${{{_DIGITS}}}", self._digits))
        elif kind == "variable_set":
            assert option["key"] == _DIGITS
            self._digits = option["value"]
        elif kind == "digits_receive":
            await self._receive(option["duration"] / 1000)
        elif kind == "external_media_start" and self.dials:
            host, _, port = option["external_host"].partition(":")
            self.media = await AsteriskAudioSocket(int(port), host).__aenter__()
        elif kind == "hangup":
            await self.hang_up("hangup")

    async def _receive(self, seconds: float) -> None:
        self._wanted = asyncio.get_running_loop().create_future()
        self._check()
        await asyncio.wait((self._wanted,), timeout=seconds)
        self._wanted = None

    def _check(self) -> None:
        option = self._present.get("option", {})
        enough = len(self._digits) >= (option.get("length") or 1000) or set(self._digits) & set(
            option.get("key", "")
        )
        if self._wanted is not None and not self._wanted.done() and enough:
            self._wanted.set_result(None)

    async def _fetch(self, url: str) -> None:
        status, actions = await self.post(url)
        if status != 200 or not isinstance(actions, list) or not all(uuid.UUID(each["id"]) for each in actions):
            await self.hang_up(f"fetch: {status}")
            return
        self.answers.append((url, actions))
        await self._run(actions)
