"""Two servers under load, and the systems around them: VoIPBIN's twin, a backend, a model, a bot, STT.

All of them run on this machine. The servers, their handlers, prompts and engines are real.
"""

import asyncio
import contextlib
import json
import shutil
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.certificate import make_certificate
from tests.bridge.bots import BotServer, echo
from tests.server.flows.test_flows import free_ports
from tests.server.process import ServerProcess, listening, start, write_config
from tests.speech.llm.chat_server import ChatServer
from tests.speech.stt_servers import OpenAiServer
from tests.twin import Twin

PROMPTS = Path(__file__).parents[3] / "prompts"
WEBHOOK_SECRET, FLOW_SECRET, TOKEN = "wh00k", "s3cret", "t0ken"
MOST_STREAMS = 32
KEYWORDS = ["account", "bill", "help", "weather"]
_ANSWERS = ["Of course, I can.", "It is sunny and warm today.", "We are open from nine to five."]
_PATHS = f"""
[speech]
processes = 1
[recognition]
engine = "openai"
[recognition.openai]
url = "STT"
token = "{TOKEN}"
[chat]
engine = ["openai", "local"]
url = "MODEL"
[chat.servers.local]
url = "LOCAL"
[voipbin]
api = "TWIN"
token = "{TOKEN}"
reconnect_timeout = 5
[flows]
host = "127.0.0.1"
port = FLOW_PORT
public_url = "http://127.0.0.1:FLOW_PORT/flow"
secret = "{FLOW_SECRET}"
webhook_secret = "{WEBHOOK_SECRET}"
media_host = "127.0.0.1"
media_ports = "MEDIA_PORTS"
[[attach]]
destination = "+1555*"
path = "/hold"
[events]
url = "BACKEND/events"
timeout = 1
give_up = 4
queue = 40
[prompts]
cache = "CACHE"
memory_limit = 3
poll_interval = 1
settle = 0.3
[paths."/hold"]
handler = "hold-music"
prompts = ["music/*"]
[paths."/play/{{prompt:.+}}"]
handler = "playback"
prompt = "{{prompt}}"
[paths."/offer"]
handler = "playback"
prompt = "offer"
[paths."/queue/{{position}}"]
handler = "say"
text = "Your position is {{position}}."
[paths."/menu"]
handler = "menu"
webhook_timeout = 1
flow = true
[paths."/menu".menus.main]
play = "welcome"
retries = 0
keys.1 = {{ webhook = "BACKEND/ask" }}
keys.2 = {{ play = "beep", hangup = true }}
keys.3 = {{ transfer = "tel:+4930123456" }}
[paths."/record"]
handler = "record"
directory = "RECORDINGS"
[paths."/bot"]
handler = "bridge"
url = "ws://127.0.0.1:BOT/echo"
[paths."/listen"]
handler = "recognise"
keywords = {json.dumps(KEYWORDS)}
[paths."/analyse"]
handler = "analyse"
interval = 4
[paths."/assistant"]
handler = "assistant"
instructions = "You answer the telephone of a bakery."
greeting = "Hello, how can I help you?"
[paths."/raises"]
handler = "raises:Raises"
"""
_SECOND_PATHS = """
[prompts]
cache = "off"
[paths."/hold"]
handler = "hold-music"
prompts = ["music/*"]
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
"""
_RAISES = """
from mediaserver.handlers import Handler

class Raises(Handler):
    async def run(self, call):
        await call.play("beep")
        raise LookupError("a mistake in a handler of one's own")
"""


class Backend:
    """The operator's backend, which takes events, and answers menus. While it is `down`, it answers 503."""

    def __init__(self) -> None:
        self.down = False
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Backend"]:
        """Serve on a free port."""
        app = web.Application()
        app.router.add_post("/{what}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if self.down:
            return web.Response(status=503)
        return web.json_response({"play": "beep", "hangup": True})


@dataclass
class Model:
    """A chat model, which takes turns through a few answers. While it is `down`, its answers break off."""

    down: bool = False
    _count: int = 0

    def answer(self, request: dict[str, Any]) -> list[Any]:
        """The parts of an answer."""
        if self.down:
            return [None]
        self._count += 1
        return [0.2, _ANSWERS[self._count % len(_ANSWERS)]]


@dataclass
class Stage:
    """Everything that runs while callers call: `main` gets nearly all of the load, `second` has TLS."""

    folder: Path
    main: ServerProcess
    second: ServerProcess
    twin: Twin
    backend: Backend
    model: Model

    @property
    def servers(self) -> dict[str, ServerProcess]:
        """The servers by the names of their instances."""
        return {"media-1": self.main, "media-2": self.second}

    @property
    def flow_port(self) -> int:
        """The port of the main server's listener for VoIPBIN's flows and webhooks."""
        return int(self.main.events("listening")[0]["flows"])


@contextlib.asynccontextmanager
async def set_up(folder: Path) -> AsyncIterator[Stage]:
    """Start everything, in a folder. In the end it is all stopped."""
    async with contextlib.AsyncExitStack() as stack:
        twin = await stack.enter_async_context(Twin(token=TOKEN))
        backend = await stack.enter_async_context(Backend().running())
        model = Model()
        first = await stack.enter_async_context(ChatServer(model.answer, pace=20))
        local = await stack.enter_async_context(ChatServer(Model().answer, pace=20))
        stt = await stack.enter_async_context(OpenAiServer().running())
        bots = BotServer(echo=echo)
        await bots.start()
        stack.push_async_callback(bots.stop)
        ports = free_ports(21)
        values = {
            "TWIN": twin.api,
            "BACKEND": backend.url,
            "MODEL": first.url,
            "LOCAL": local.url,
            "STT": f"http://{stt.host}/v1",
            "BOT": str(bots.port),
            "FLOW_PORT": str(ports),
            "MEDIA_PORTS": f"{ports + 1}-{ports + 20}",
            "CACHE": str(folder / "cache"),
            "RECORDINGS": str(folder / "recordings"),
        }
        paths = _PATHS
        for name, value in values.items():
            paths = paths.replace(name, value)
        limits = {"max_streams": MOST_STREAMS, "stall_timeout": 3, "handshake_timeout": 3, "heartbeat": 5}
        config = await asyncio.to_thread(_write, folder / "media-1", paths, limits)
        (config.parent / "raises.py").write_text(_RAISES)
        certificate, key = make_certificate(folder, days=61)
        tls = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
        second = await asyncio.to_thread(_write, folder / "media-2", tls + _SECOND_PATHS, {"max_streams": 20})
        main, other = (stack.enter_context(listening(_start(each))) for each in (config, second))
        yield Stage(folder, main, other, twin, backend, model)


def no_verification() -> ssl.SSLContext:
    """A TLS context for the second server, whose certificate is self-signed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _start(config: Path) -> ServerProcess:
    """A server whose working directory is the folder of its configuration."""
    # With -u, it is a process of its own, and no fork whose memory is partly another's.
    command = [sys.executable, "-u", "-m", "mediaserver", "serve", "--config", str(config)]
    return start(command, config.with_suffix(".log"), config.parent)


def _write(folder: Path, paths: str, limits: dict[str, Any]) -> Path:
    config = write_config(folder, paths, **limits)
    shutil.copytree(PROMPTS, folder / "prompts", dirs_exist_ok=True)
    shutil.copy(PROMPTS / "beep.wav", folder / "prompts" / "offer.wav")
    return config
