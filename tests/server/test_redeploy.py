"""A new version without a gap: a second process on the same port, while calls come and go."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import aiohttp

from mediaserver.audio.pcm import from_bytes, to_bytes
from tests.server.process import ServerProcess, get, serving, write_config
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, eventually

FRAMES = 125
SOUND = to_bytes(speechlike(160 * FRAMES))
CALLERS = 200  # each dials again when a call of theirs is over, however long that takes on this machine
MOST = CALLERS // 2  # of them play at any time: the others are about to
FEW = 2  # connections that Linux may reset as they are made, when the old version closes its port
PATHS = '[paths."/a"]\nhandler = "playback"\nprompt = "a"\nlinger_ms = 0\n'


def config_in(directory: Path, name: str) -> Path:
    config = write_config(directory, PATHS, name=f"{name}.toml", reuse_port=True)
    write_wav(directory / "prompts/a.wav", from_bytes(SOUND))
    return config


async def started(server: ServerProcess) -> int:
    _, metrics = await get(server.admin_url("/metrics"))
    found = [line for line in metrics.splitlines() if line.startswith("mediaserver_sessions_started_total{")]
    return int(float(found[0].rsplit(" ", 1)[1])) if found else 0


class Callers:
    """Callers that dial again and again, at different times, and receive each call to its end."""

    def __init__(self, url: str) -> None:
        self._url, self._stop = url, asyncio.Event()
        self.playing = 0
        self.outcomes: Counter[str] = Counter()

    async def dial(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as client, asyncio.TaskGroup() as group:
            client._retry_connection = False  # or it would dial again by itself after a reset
            for _ in range(CALLERS):
                group.create_task(self._dial_again_and_again(client))
                await asyncio.sleep(FRAMES * 0.02 / CALLERS)

    def stop(self) -> None:
        self._stop.set()

    @property
    def have_failed(self) -> bool:
        """Whether any of them has not had its whole call, but those that were reset as they were connected."""
        return bool(self.outcomes - Counter(whole=self.outcomes["whole"], reset=FEW))

    async def _dial_again_and_again(self, client: aiohttp.ClientSession) -> None:
        while not self._stop.is_set():
            try:
                websocket = await client.ws_connect(self._url)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                self.outcomes["reset"] += 1
                continue
            async with websocket:
                self.playing += 1
                heard = b"".join([message.data async for message in websocket])
                self.playing -= 1
                whole = heard == SOUND and websocket.close_code == 1000
                self.outcomes["whole" if whole else "broken"] += 1


async def test_two_hundred_calls_play_while_another_version_takes_over(tmp_path: Path) -> None:
    with serving(config_in(tmp_path, "old")) as old:
        callers = Callers(old.url("/a"))
        dialling = asyncio.create_task(callers.dial())
        await eventually(lambda: callers.playing >= MOST)
        beside = serving(config_in(tmp_path, "new"), MEDIASERVER_SERVER__PORT=str(old.port))
        new = await asyncio.to_thread(beside.__enter__)  # calls go on meanwhile
        try:
            await eventually(lambda: callers.playing >= MOST)
            old.process.send_signal(signal.SIGTERM)
            await eventually(lambda: old.events("draining"))
            assert await get(old.admin_url("/readyz")) == (503, "draining\n")
            assert await get(new.admin_url("/readyz")) == (200, "ready\n")
            assert await asyncio.to_thread(old.process.wait, PATIENCE) == 0
            ended = len(old.events("stream ended"))
            # Calls of the new one are over as well.
            await eventually(lambda: callers.have_failed or callers.outcomes["whole"] >= ended + MOST)
            callers.stop()
            await dialling
            assert not callers.have_failed, callers.outcomes
            assert await started(new) == callers.outcomes["whole"] - ended
            assert {line["reason"] for line in old.events("stream ended")} == {"finished"}
            assert new.stop() == 0
        finally:
            beside.__exit__(None, None, None)
