"""Backends that are down, slow, or talk nonsense: the caller hears what was planned for that, on time."""

import asyncio
import socket
from pathlib import Path

import numpy as np
import pytest

from tests.server.process import serving, write_config
from tests.sound import speechlike, write_wav
from tests.timing import UNIT, eventually, late
from tests.twin import Twin
from tests.use_cases.backend import Backend
from tests.use_cases.conftest import Serve, attach
from tests.use_cases.test_use_cases import heard_by, place

FLOW = """
[paths."/m"]
handler = "menu"
webhook_timeout = 0.5
on_webhook_error = { play = "sorry", hangup = true }
[paths."/m".menus.main]
play = "main"
keys.1 = { webhook = "WEBHOOK" }
"""


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("kind", ["down", "slow", "nonsense", "missing"])
async def test_a_webhook_that_fails(serve: Serve, twin: Twin, backend: Backend, tmp_path: Path, kind: str) -> None:
    main, sorry = speechlike(4000, 1), speechlike(4000, 2)
    write_wav(tmp_path / "prompts/main.wav", main)
    write_wav(tmp_path / "prompts/sorry.wav", sorry)
    backend.answer = lambda question: ["nonsense"]
    urls = {
        "down": f"http://127.0.0.1:{closed_port()}/",
        "slow": "BACKEND/slow",
        "nonsense": "BACKEND/ask",
        "missing": "BACKEND/nowhere",
    }
    call = twin.call()
    with serve(FLOW.replace("WEBHOOK", urls[kind])) as server:
        await attach(server, f"calls/{call.id}", "/m")
        stream = await call.stream()
        await eventually(lambda: place(main, heard_by(stream)) >= 0)
        stream.press("1")
        await stream.over()
        assert place(sorry, heard_by(stream)) > 0
        assert stream.peer_code == 1000
        assert np.diff(stream.heard_at).max() < 0.2 * UNIT + late()  # silence all the while, on time
        await eventually(lambda: backend.told("webhook.failed"))
        assert len(server.events("webhook failed")) == 1


async def test_events_that_nobody_takes_delay_no_frame(twin: Twin, tmp_path: Path) -> None:
    tune = speechlike(8000, 3)
    write_wav(tmp_path / "prompts/tune.wav", tune)
    config = write_config(
        tmp_path,
        f"""
        [voipbin]
        api = "{twin.api}"
        token = "{twin.token}"
        [events]
        url = "http://127.0.0.1:{closed_port()}/"
        give_up = 0.5
        [paths."/play"]
        handler = "playback"
        prompt = "tune"
        linger_ms = 0
        """,
    )
    calls = [twin.call() for _ in range(5)]
    with serving(config) as server:
        for call in calls:
            await attach(server, f"calls/{call.id}", "/play")
        streams = [await call.stream() for call in calls]
        await asyncio.gather(*(stream.over() for stream in streams))
        assert all((np.trim_zeros(heard_by(stream)) == tune).all() for stream in streams)
        assert max(np.diff(stream.heard_at).max() for stream in streams) < 0.2 * UNIT + late()
        await eventually(lambda: len(server.events("webhook event not delivered")) >= 10)
        assert server.stop() == 0
