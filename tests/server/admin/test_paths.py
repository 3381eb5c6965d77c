"""The admin port's request about paths, and about the token that asks."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.server.process import ServerProcess, get, serving, until_nobody_plays, while_listening, write_config
from tests.sound import write_wav

CONFIG = """
token = "of-the-admin"
[admin.tokens.reader]
token = "of-the-reader"
[paths."/menu"]
handler = "menu"
tokens = ["of-a-caller"]
max_streams = 7
[paths."/menu".menus.main]
play = ["beep", { say = "Press one." }]
keys.1 = { menu = "sales" }
keys.2 = { webhook = "https://user:secret@flows.example.com/next?token=secret" }
keys.3 = { play = "beep", hangup = true }
[paths."/menu".menus.sales]
play = "beep"
keys.9 = { menu = "main" }
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
[paths."/bot"]
handler = "bridge"
url = "wss://bot.example.com/media?key=of-the-bot"
token = "to-the-bot"
"""
READER = {"Authorization": "Bearer of-the-reader"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("paths")
    config = write_config(folder, CONFIG)
    write_wav(folder / "prompts" / "beep.wav", np.full(80_000, 1000, dtype=np.int16))
    with serving(config) as server:
        yield server


async def paths(server: ServerProcess) -> list[dict[str, Any]]:
    status, text = await get(server.admin_url("/v1/paths"), headers=READER)
    assert status == 200
    assert "secret" not in text
    assert "of-" not in text
    assert "to-the-bot" not in text
    found: list[dict[str, Any]] = json.loads(text)["paths"]
    return found


async def test_paths_are_told_without_secrets(server: ServerProcess) -> None:
    menu, play, bot = await paths(server)
    assert [each["path"] for each in (menu, play, bot)] == ["/menu", "/play/{prompt:.+}", "/bot"]
    assert (menu["handler"], menu["access"], menu["open"], menu["max_streams"]) == ("menu", "tokens", False, 7)
    assert (play["handler"], play["access"], play["open"]) == ("playback", "open", True)
    assert (menu["prompts"], menu["start"]) == (["beep"], "main")
    assert play["menus"] == bot["menus"] == bot["prompts"] == []
    plays = 'beep "Press one."'
    assert [tuple(each.values()) for each in menu["menus"]] == [
        ("main", plays, "1", "menu sales", "sales"),
        ("main", plays, "2", "webhook https://flows.example.com/next", None),
        ("main", plays, "3", "play beep, hang up", None),
        ("sales", "beep", "9", "menu main", "main"),
    ]
    assert list(menu["menus"][0]) == ["menu", "plays", "key", "leads_to", "next_menu"]


async def test_the_streams_of_each_path_are_counted(server: ServerProcess) -> None:
    tasks = await while_listening(server.url("/play/beep"), 2)
    assert [each["streams"] for each in await paths(server)] == [0, 2, 0]
    for task in tasks:
        task.cancel()
    await until_nobody_plays(server, headers=READER)
    assert [each["streams"] for each in await paths(server)] == [0, 0, 0]


async def test_a_token_is_told_its_name_and_scopes(server: ServerProcess) -> None:
    for token, me in (
        ("reader", {"name": "reader", "scopes": ["read"]}),
        ("admin", {"name": "admin", "scopes": ["control", "listen", "prompts", "read"]}),
    ):
        status, text = await get(server.admin_url("/v1/me"), headers={"Authorization": f"Bearer of-the-{token}"})
        assert (status, json.loads(text)) == (200, me)
    assert (await get(server.admin_url("/v1/me")))[0] == 401
