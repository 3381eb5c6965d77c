"""Callers of all kinds, each a coroutine that makes one call and ends it."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import numpy as np

from mediaserver.client.simulator import SimulatedCall, simulate
from mediaserver.errors import PeerError
from mediaserver.wire.voipbin.webhooks import SIGNATURE_HEADER, sign_body
from scripts.pictures.dashboard.stage import FLOW_SECRET, PROMPTS, WEBHOOK_SECRET, Stage, no_verification
from tests.server.flows.flow_engine import FlowEngine
from tests.server.process import client_session, connected, refusal
from tests.speech.recordings import FOLDER, PAUSE, recording_of
from tests.twin import Faults, TwinStream, oddities, seeded_fates

Caller = Callable[[Stage, random.Random], Awaitable[None]]
_TEXTS = sorted(file.stem for file in FOLDER.glob("*.ulaw"))
_LOSS = 0.02  # the share of RTP packets that is lost on their way
_LOUD = 12.0  # by how much a caller who clips is too loud
_GIVES_UP = 60.0  # seconds after which any call is over


async def _call(stage: Stage, path: str, seconds: float, **script: Any) -> None:
    await simulate(SimulatedCall(stage.main.url(path), seconds, **script))


async def _hold(stage: Stage, rng: random.Random) -> None:
    await _call(stage, "/hold", rng.uniform(10, 40))


async def _prompt(stage: Stage, rng: random.Random) -> None:
    name = rng.choice(("welcome", "beep", "music/drift", "music/hold"))
    form = rng.choice(("", "", "&encapsulation=rtp", "&encapsulation=rtp&rtp_payload=pcma", "&encapsulation=sln"))
    await _call(stage, f"/play/{name}?repeat=9{form}", rng.uniform(8, 30))


async def _position(stage: Stage, rng: random.Random) -> None:
    await _call(stage, f"/queue/{rng.randrange(1, 25)}", 20)


async def _menu(stage: Stage, rng: random.Random) -> None:
    await _call(stage, "/menu", 25, digits=rng.choice("112"), after=rng.uniform(1, 4))


async def _record(stage: Stage, rng: random.Random) -> None:
    await _call(stage, "/record", rng.uniform(5, 9), send=PROMPTS / "welcome.wav", after=rng.uniform(0.2, 2))


async def _bot(stage: Stage, rng: random.Random) -> None:
    await _call(stage, "/bot", rng.uniform(5, 9), send=PROMPTS / "welcome.wav", after=0.5)


async def _unheard(stage: Stage, rng: random.Random) -> None:
    """A stream that is one-way, on a path that listens."""
    await _call(stage, "/listen", 9)


async def _analysed(stage: Stage, rng: random.Random) -> None:
    """Somebody who speaks too loud, on a line that loses packets."""
    stream = await _attach(stage, "/analyse", "rtp", Faults(fates=seeded_fates(rng.randrange(1000), loss=_LOSS)))
    for _ in range(rng.randrange(2, 5)):
        sound = np.frombuffer(recording_of(rng.choice(_TEXTS)), "<i2") * _LOUD * rng.random()
        stream.say(sound.clip(-32_768, 32_767).astype("<i2").tobytes() + 2 * PAUSE)
    await _until_said(stream)


async def _recognised(stage: Stage, rng: random.Random) -> None:
    stream = await _attach(stage, "/listen", "audiosocket")
    for _ in range(rng.randrange(2, 5)):
        stream.say(recording_of(rng.choice(_TEXTS)) + 2 * PAUSE)
    await _until_said(stream)


async def _assisted(stage: Stage, rng: random.Random) -> None:
    stream = await _attach(stage, "/assistant", "audiosocket")
    for _ in range(2):
        await asyncio.sleep(4)  # the greeting, or the answer
        stream.say(recording_of(rng.choice(_TEXTS)) + PAUSE)
    await asyncio.sleep(4)
    stream.hang_up()


async def broken_line(stage: Stage, rng: random.Random) -> None:
    """A call with some malformed messages, whose connection breaks, so that the server dials again."""
    faults = Faults(strange=list(oddities("audiosocket").values()), strange_every=20)
    stream = await _attach(stage, "/hold", "audiosocket", faults)
    for _ in range(2):
        await asyncio.sleep(rng.uniform(2, 5))
        stream.cut()
        stream = await stream.resource.stream()
    await asyncio.sleep(2)
    stream.hang_up()


async def _by_flow(stage: Stage, rng: random.Random) -> None:
    """A call whose flow fetches from the server. Asterisk dials the media port."""
    async with FlowEngine(f"http://127.0.0.1:{stage.flow_port}/flow/{FLOW_SECRET}/menu") as call:
        await asyncio.sleep(rng.uniform(4, 9))
        call.press(rng.choice("123"))
        await asyncio.sleep(4)


async def _by_webhook(stage: Stage, rng: random.Random) -> None:
    """A call that VoIPBIN's webhook tells of, so that the server dials it. Some webhooks are not signed."""
    call = stage.twin.call()
    secret = WEBHOOK_SECRET if rng.random() < 0.8 else "guessed"
    number = "+15551234567" if rng.random() < 0.7 else "+4930123456"
    await _send_webhook(stage, "call_progressing", call.id, number, secret)
    await asyncio.sleep(rng.uniform(4, 12))
    await _send_webhook(stage, "call_hangup", call.id, number, WEBHOOK_SECRET)


async def raises(stage: Stage, rng: random.Random) -> None:
    """A call to a handler that has a mistake."""
    await _call(stage, "/raises", 5)


async def fixed_prompt(stage: Stage, rng: random.Random) -> None:
    """A call to the path whose prompt is sometimes gone."""
    await _call(stage, "/offer", 5)


async def stranger(stage: Stage, rng: random.Random) -> None:
    """A scanner, who asks the media port and the admin port for what is not there."""
    for path in ("/.env", "/wp-login.php", "/play/../secrets", "/play/nothing"):
        await refusal(stage.main.url(path))
    async with client_session() as client:
        for headers in ({"Host": "rebound.example.com"}, {"Origin": "https://example.com"}):
            async with client.get(stage.main.admin_url("/v1/streams"), headers=headers):
                pass


async def secure(stage: Stage, rng: random.Random) -> None:
    """A call of the second server, by TLS."""
    path = rng.choice(("/hold", "/play/welcome?repeat=5"))
    async with asyncio.timeout(rng.uniform(8, 30)):
        async with connected(stage.second.url(path, "wss"), ssl=no_verification()) as websocket:
            async for _ in websocket:
                pass


# Callers of the main server by how often they call.
USUAL: dict[Caller, float] = {
    _hold: 5,
    _prompt: 6,
    _position: 3,
    _menu: 3,
    _record: 2,
    _bot: 2,
    _analysed: 2,
    _recognised: 2,
    _assisted: 2,
    _by_flow: 2,
    _by_webhook: 2,
    _unheard: 1,
    fixed_prompt: 1,
}


async def make(caller: Caller, stage: Stage, rng: random.Random) -> None:
    """Make one call. Whatever the server, or a fault that is meant, does to the call is no error."""
    try:
        async with asyncio.timeout(_GIVES_UP):
            await caller(stage, rng)
    except (PeerError, OSError, TimeoutError, aiohttp.ClientError):
        pass


async def _attach(stage: Stage, path: str, encapsulation: str, faults: Faults | None = None) -> TwinStream:
    """Have the server dial a new call of VoIPBIN. PeerError if the server has no room for it."""
    call = stage.twin.call(faults=faults or Faults())
    body = {"resource": f"calls/{call.id}", "path": path, "encapsulation": encapsulation}
    async with client_session() as client, client.post(stage.main.admin_url("/v1/attach"), json=body) as response:
        if response.status != 202:
            raise PeerError(await response.text())
    return await call.stream()


async def _until_said(stream: TwinStream) -> None:
    """Hang up once all is said."""
    while stream.speaking and stream.ended is None:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    stream.hang_up()


async def _send_webhook(stage: Stage, kind: str, call: str, number: str, secret: str) -> None:
    told = {"id": call, "source": {"target": "+4917012345"}, "destination": {"target": number}}
    data = told | {"status": kind.removeprefix("call_"), "direction": "incoming"}
    body = json.dumps({"type": kind, "data": data}).encode()
    headers = {SIGNATURE_HEADER: sign_body(body, secret), "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{stage.flow_port}/webhook"
    async with client_session() as client, client.post(url, data=body, headers=headers):
        pass
