"""The first streams of a process import nothing: the files would be read while all other callers hear nothing."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.server.process import write_config
from tests.sound import write_wav

PATHS = """
[defaults]
framing = "pcm"
[events]
url = "http://127.0.0.1:1"
[paths."/playback"]
handler = "playback"
prompt = "prompt"
[paths."/hold"]
handler = "hold-music"
prompts = ["*"]
[paths."/tone"]
handler = "tone"
tone = "dial"
[paths."/silence"]
handler = "silence"
[paths."/noise/{level}"]
handler = "noise"
level = "{level}"
[paths."/echo"]
handler = "echo"
[paths."/record"]
handler = "record"
directory = "."
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
play = "prompt"
keys.1 = { hangup = true }
[paths."/analyse"]
handler = "analyse"
"""
# In a process of its own, since others have imported all that there is.
FIRST_STREAMS = """
import asyncio, sys
from pathlib import Path
import aiohttp
import numpy as np
import uvloop
from mediaserver import config
from mediaserver.audio.pcm import to_bytes
from mediaserver.server.server import Server
from mediaserver.speech.tts.spoken_text import split_pcm
from mediaserver.support.http_connector import Connector
from tests.sound import speechlike

async def main():
    settings, problems = config.load(Path(sys.argv[1]))
    server = Server(settings, "", problems)
    await server.start()
    at = np.arange(800) * 2 * np.pi / 8000
    key = 8000 * (np.sin(770 * at) + np.sin(1336 * at))
    said = list(split_pcm(to_bytes(np.concatenate([key, speechlike(8000)])), 160))
    async with aiohttp.ClientSession(connector=Connector()) as client:
        known = set(sys.modules)
        for path in ("playback", "hold", "tone", "silence", "noise/-50", "echo", "record", "menu", "analyse"):
            async with client.ws_connect(f"http://127.0.0.1:{server.port}/{path}") as websocket:
                for frame in said:
                    await websocket.send_bytes(frame)
                for _ in said:
                    await websocket.receive()
        while len(server.engine.streams):
            await asyncio.sleep(0.01)
        imported = sorted(set(sys.modules) - known)
    await server.close()
    print(*imported)

uvloop.run(main())
"""


def test_first_streams_import_nothing(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompts/prompt.wav", np.full(1600, 1000))
    command = [sys.executable, "-c", FIRST_STREAMS, str(write_config(tmp_path, PATHS))]
    done = subprocess.run(command, check=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert done.stdout.splitlines()[-1] == ""
