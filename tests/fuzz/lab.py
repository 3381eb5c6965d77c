"""A real server with nothing but default limits, a platform that it may dial, and decoders: what inputs meet."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from mediaserver.playout.decoding.pool import DecodePool
from tests.fuzz.configs import MARK
from tests.server.process import ServerProcess, audiosocket_ports, serving, write_config
from tests.sound import speechlike, write_wav

SAMPLES = speechlike(8000)  # of the prompt "second", which a healthy call hears again and again
PORTS = [
    "/silence",
    "/forever",
    "/echo",
    "/record",
    "/analyse",
    "/menu",
]  # which have a port of AudioSocket as well
_LONG_LINE = 1 << 17  # a resource may have any length
_PATHS = """
[prompts]
watch = "off"
[voipbin]
api = {api}
token = "{mark}"
[paths."/forever"]
handler = "playback"
prompt = "second"
repeat = "forever"
[paths."/play/{{prompt:.+}}"]
handler = "playback"
prompt = "{{prompt}}"
[paths."/tone/{{tone}}"]
handler = "tone"
tone = "{{tone}}"
[paths."/silence"]
handler = "silence"
[paths."/guarded"]
handler = "silence"
tokens = ["{mark}-of-a-path"]
allow = ["127.0.0.0/8", "::1"]
max_streams = 100
time_limit = 5.0
[paths."/echo"]
handler = "echo"
[paths."/record"]
handler = "record"
directory = {recordings}
stereo = true
finish_on = "#"
max_silence = 5.0
[paths."/analyse"]
handler = "analyse"
interval = 1.0
[paths."/menu"]
handler = "menu"
start = "main"
directory = {recordings}
[paths."/menu".menus.main]
play = "second"
barge_in = "speech"
invalid = "beep"
keys.1 = {{ play = "beep", menu = "main" }}
keys.12 = {{ record = {{ max_duration = 1.0, finish_on = "#" }}, menu = "main" }}
keys."*" = {{ hangup = true }}
"""


@dataclass
class Lab:
    """What inputs meet."""

    server: ServerProcess
    pool: DecodePool
    directory: Path


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Lab]:
    """A laboratory in an empty folder; the server in it is ended in the end."""
    write_wav(directory / "prompts/second.wav", SAMPLES)
    write_wav(directory / "prompts/beep.wav", SAMPLES[:800])
    async with _platform() as api:
        recordings = json.dumps(str(directory / "recordings"))
        paths = _PATHS.format(api=json.dumps(api), mark=MARK, recordings=recordings)
        config = write_config(directory, audiosocket_ports(*PORTS) + paths)
        pool = DecodePool()
        with serving(config) as server:
            try:
                yield Lab(server, pool, directory)
            finally:
                await pool.release_decoders()


@contextlib.asynccontextmanager
async def _platform() -> AsyncIterator[str]:
    """VoIPBIN's side for who is dialled: every call exists, says a frame, hears one, and is over."""

    async def media_stream(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(timeout=1)
        await websocket.prepare(request)
        with contextlib.suppress(ConnectionError):
            await websocket.send_bytes(bytes(320))
            await websocket.receive()
            await websocket.close(code=aiohttp.WSCloseCode.OK)
        return websocket

    app = web.Application()
    app.router.add_get("/v1.0/{resource:.+}/media_stream", media_stream)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, max_line_size=_LONG_LINE)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1.0"
    finally:
        await runner.cleanup()
