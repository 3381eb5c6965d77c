"""A call that we dial, handed to a bot behind TLS: a real server between the platform's twin and the bot."""

import ssl
from pathlib import Path

import aiohttp
import trustme

from tests.bridge.bots import BotServer, echo
from tests.bridge.test_bridge import MULAW, SPEECH
from tests.server.process import serving, write_config
from tests.timing import eventually
from tests.twin import Twin

PATHS = """
[voipbin]
api = "{api}"
token = "t0ken"
[paths."/bot/{{name}}"]
handler = "bridge"
delay_ms = 1000
url = "wss://localhost:{port}/{{name}}"
"""


async def test_a_dialled_call_talks_to_a_bot_with_a_trusted_certificate(tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    bots = BotServer(echo=echo)
    await bots.start(tls)
    try:
        async with Twin(token="t0ken") as twin:
            config = write_config(tmp_path, PATHS.format(api=twin.api, port=bots.port))
            with serving(config, SSL_CERT_FILE=str(tmp_path / "authority.pem")) as server:
                call = twin.call()
                wanted = {"resource": f"calls/{call.id}", "path": "/bot/echo", "variables": {"agent": "Ann"}}
                url = server.admin_url("/v1/attach")
                async with aiohttp.ClientSession() as client, client.post(url, json=wanted) as answer:
                    assert answer.status == 202
                stream = await call.stream()
                await eventually(lambda: server.events("bridge connected"))
                stream.say(SPEECH)
                await eventually(lambda: MULAW in stream.heard)
                (connection,) = bots.connections["echo"]
                start = connection.events_named("start")[0]["start"]
                assert start["callSid"] == "CA" + call.id.replace("-", "")
                told = start["customParameters"]
                assert (told["resource"], told["call"]) == (f"calls/{call.id}", call.id)
                assert (told["name"], told["agent"]) == ("echo", "Ann")
                call.hang_up()
                await eventually(lambda: connection.over)
                assert connection.messages[-1]["event"] == "stop"
    finally:
        await bots.stop()
