"""The admin port's requests that change prompts: what the next call hears, what is refused, and what is kept."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from yarl import URL

from mediaserver.audio import g711
from mediaserver.audio.level.active_level import active_level
from mediaserver.audio.pcm import Samples, to_bytes
from tests.server.admin.live_calls import calling
from tests.server.process import Heard, ServerProcess, client_session, listen, serving, write_config
from tests.sound import read_wav, voice, write_wav
from tests.timing import TIMEOUT, UNIT, eventually

CONFIG = """
token = "of-the-admin"
[admin.tokens.studio]
token = "of-the-studio"
scopes = ["read", "prompts"]
[admin.tokens.agent]
token = "of-the-agent"
scopes = ["read", "control", "listen"]
[prompts]
editable = true
upload_limit = 1
history = 2
watch = "off"
[speech]
engine = "command"
timeout = [TIMEOUT]
max_characters = 100
[speech.command]
program = [PROGRAM]
[defaults]
framing = "pcm"
lead = 0
[paths."/silence"]
handler = "silence"
[paths."/needed"]
handler = "playback"
prompt = "needed"
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
linger_ms = 0
"""

# A TTS engine that speaks each letter as a frame, whose samples are its code times the voice's number.
SPEAK = """
import sys, wave
text, voice, file = sys.argv[1:]
if "fail" in text:
    sys.exit("no voice today")
with wave.open(file, "wb") as sound:
    sound.setparams((1, 2, 8000, 0, "NONE", ""))
    for letter in text:
        up, down = (sign * ord(letter) * int(voice or 1) for sign in (1, -1))
        sound.writeframes(b"".join(each.to_bytes(2, "little", signed=True) for each in (up, down)) * 80)
"""


def steps(seed: int, frames: int = 5) -> Samples:
    """Frames that differ from all frames of other seeds, without DC, which would be removed."""
    peaks = np.arange(1, frames + 1) * 100 + seed * 1000
    return (np.repeat(peaks, 160) * np.tile([1, -1], 80 * frames)).astype(np.int16)


def spoken(text: str, voice: int = 1) -> bytes:
    peaks = np.array([ord(letter) * voice for letter in text])
    return to_bytes((np.repeat(peaks, 160) * np.tile([1, -1], 80 * len(text))).astype(np.int16))


NEEDED = steps(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("changes")
    program = [sys.executable, "-c", SPEAK, "{text}", "{voice}", "{file}"]
    config = write_config(
        folder, CONFIG.replace("[PROGRAM]", json.dumps(program)).replace("[TIMEOUT]", f"{TIMEOUT}")
    )
    write_wav(folder / "prompts" / "needed.wav", NEEDED)
    left = folder / "prompts" / ".uploads" / "left"
    left.parent.mkdir()
    left.write_bytes(b"of a server that has crashed")
    os.utime(left, (1, 1))
    with serving(config) as server:
        yield server


@pytest.fixture
def folder(server: ServerProcess) -> Path:
    return server.log_file.parent / "prompts"


def sound(directory: Path, samples: Samples) -> bytes:
    return write_wav(directory / "sound.wav", samples).read_bytes()


async def ask(
    server: ServerProcess, method: str, path: str, body: object = None, by: str = "studio", **options: Any
) -> tuple[int, Any]:
    """Status and JSON of an answer; bytes are sent as they are, and anything else as JSON."""
    sent = {"data": body} if isinstance(body, bytes | AsyncIterator) else {"json": body}
    headers = {"Authorization": f"Bearer of-the-{by}"}
    async with client_session() as client:
        url = URL(server.admin_url(path), encoded=True)
        async with client.request(method, url, headers=headers, **sent, **options) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None


async def heard(server: ServerProcess, name: str) -> bytes:
    return b"".join((await listen(server.url(f"/play/{name}"))).messages)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in (folder / ".uploads").iterdir()]


async def test_an_uploaded_file_is_heard_by_the_next_call_and_tells_what_check_tells(
    server: ServerProcess, folder: Path, tmp_path: Path
) -> None:
    spoken = voice(8000)
    status, answer = await ask(server, "PUT", "/v1/prompts/music/new.wav", sound(tmp_path, spoken))
    assert status == 201, answer
    assert (answer["name"], answer["file"], answer["duration_s"]) == ("music/new", "music/new.wav", 1.0)
    assert (answer["source"], answer["clipped_runs"]) == ("WAV 8000 Hz 16-bit mono", 0)
    assert (answer["level_dbov"], answer["warnings"]) == (round(active_level(spoken), 1), [])
    assert (await heard(server, "music/new"))[: 2 * 8000] == to_bytes(spoken)
    assert np.array_equal(read_wav(folder / "music/new.wav"), spoken)
    assert leftovers(folder) == []
    status, answer = await ask(server, "PUT", "/v1/prompts/music/new.wav", sound(tmp_path, spoken // 100))
    assert status == 200
    assert [warning.split(":")[0] for warning in answer["warnings"]] == ["is soft"]
    lines = [(line["by"], line["method"], line["status"]) for line in server.events("admin request")]
    assert lines[-2:] == [("studio", "PUT", 201), ("studio", "PUT", 200)]
    assert server.events("admin request")[-1]["path"] == "/v1/prompts/music/new.wav"


async def test_calls_in_progress_keep_the_old_sound(server: ServerProcess, tmp_path: Path) -> None:
    old, new = steps(3, frames=7), steps(4)
    await ask(server, "PUT", "/v1/prompts/replaced.wav", sound(tmp_path, old))
    call = Heard()
    task = asyncio.create_task(listen(server.url("/play/replaced?repeat=forever"), heard=call))
    await eventually(lambda: len(call.messages) > 3)
    assert (await ask(server, "PUT", "/v1/prompts/replaced.wav", sound(tmp_path, new)))[0] == 200
    assert await heard(server, "replaced") == to_bytes(new)
    until_now = len(call.messages)
    await eventually(lambda: len(call.messages) > until_now + 10)
    task.cancel()
    sounds = b"".join(call.messages)
    assert sounds == (to_bytes(old) * len(call.messages))[: len(sounds)]


async def test_the_kind_is_that_of_the_name_or_of_type_or_of_the_first_bytes(
    server: ServerProcess, folder: Path, tmp_path: Path
) -> None:
    wave, mulaw = sound(tmp_path, steps(5)), g711.mulaw_encode(steps(5))
    for path, body, file in (
        ("kinds/by-content", wave, "by-content.wav"),
        ("kinds/by-content.de", wave, "by-content.de.wav"),
        ("kinds/by-name.ulaw", mulaw, "by-name.ulaw"),
        ("kinds/by-type?type=ulaw", mulaw, "by-type.ulaw"),
    ):
        status, answer = await ask(server, "PUT", f"/v1/prompts/{path}", body)
        assert (status, answer["file"]) == (201, f"kinds/{file}")
    assert await heard(server, "kinds/by-type") == to_bytes(g711.mulaw_decode(mulaw))
    status, answer = await ask(server, "PUT", "/v1/prompts/kinds/none", mulaw)
    assert (status, answer) == (
        422,
        {"error": "the first bytes do not tell the type of the file: name it, as in ?type=ulaw"},
    )
    status, answer = await ask(server, "PUT", "/v1/prompts/kinds/none?type=exe", mulaw)
    assert (status, answer["error"]) == (400, "type should be the extension of a sound file, such as wav")
    assert not list((folder / "kinds").glob("none*"))


async def test_a_file_that_cannot_be_played_changes_nothing(
    server: ServerProcess, folder: Path, tmp_path: Path
) -> None:
    good = sound(tmp_path, steps(6))
    await ask(server, "PUT", "/v1/prompts/kept.wav", good)
    for path, body, why in (
        ("kept", b"<html><body>403 Forbidden</body></html>", "the file is an HTML page, not sound"),
        ("kept.wav", b"RIFF\0\0\0\0WAVEnothing", "damaged WAV"),
        ("kept.wav", b"", "the file is empty"),
        ("kept?type=ulaw", b"", "the file is empty"),
        ("kept.mp3", b"\xff\xfb\x90\x00" * 3, "the file "),
    ):
        status, answer = await ask(server, "PUT", f"/v1/prompts/{path}", body)
        assert status == 422
        assert why in answer["error"]
    assert (folder / "kept.wav").read_bytes() == good
    assert not (folder / "kept.mp3").exists()
    assert await heard(server, "kept") == to_bytes(steps(6))
    assert (await ask(server, "GET", "/v1/prompts/kept/history"))[1] == {"versions": []}
    assert leftovers(folder) == []


async def test_a_file_that_is_too_large_is_refused_while_it_comes(server: ServerProcess, folder: Path) -> None:
    status, answer = await ask(server, "PUT", "/v1/prompts/large.ulaw", b"\xff" * 1_000_001)
    assert (status, answer) == (413, {"error": "the file is larger than prompts.upload_limit, 1000000 bytes"})
    sent = 0

    async def without_end() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 50_000
            yield b"\xff" * 50_000
            await asyncio.sleep(0)

    try:
        status, answer = await ask(server, "PUT", "/v1/prompts/large.ulaw", without_end())
        assert status == 413
    except aiohttp.ClientError:
        pass  # the connection was closed while the client was still sending
    assert sent > 1_000_000
    assert (await ask(server, "PUT", "/v1/prompts/large.ulaw", b"\xff" * 1_000_000))[0] == 201
    await eventually(lambda: leftovers(folder) == [])


async def test_a_folder_that_cannot_be_written_is_told_and_the_prompt_stays(
    server: ServerProcess, folder: Path, tmp_path: Path
) -> None:
    await ask(server, "PUT", "/v1/prompts/stays.wav", sound(tmp_path, steps(6)))
    (folder / ".history").mkdir(exist_ok=True)
    (folder / ".history").rename(tmp_path / "history")
    (folder / ".history").write_text("a file, where a folder should be")
    status, answer = await ask(server, "PUT", "/v1/prompts/stays.wav", sound(tmp_path, steps(7)))
    listed = await ask(server, "GET", "/v1/prompts/stays/history")
    (folder / ".history").unlink()
    (tmp_path / "history").rename(folder / ".history")
    assert (status, answer) == (507, {"error": "the prompt folder cannot be changed: Not a directory"})
    assert listed == (507, {"error": "the prompt folder cannot be read: Not a directory"})
    assert await heard(server, "stays") == to_bytes(steps(6))
    assert np.array_equal(read_wav(folder / "stays.wav"), steps(6))
    assert leftovers(folder) == []


async def test_names_stay_in_the_folder(server: ServerProcess, folder: Path, tmp_path: Path) -> None:
    body = sound(tmp_path, steps(7))
    (folder / "out").symlink_to(tmp_path)
    (folder / "linked.wav").symlink_to(tmp_path / "sound.wav")
    for path, status, why in (
        ("%2E%2E%2Fx.wav", 400, "no part of it may be empty or begin with a dot"),
        ("a%2F%2E%2E%2Fx.wav", 400, "no part of it may be empty or begin with a dot"),
        ("%2Fx.wav", 400, "no part of it may be empty or begin with a dot"),
        (".history%2Fx.wav", 400, "no part of it may be empty or begin with a dot"),
        ("x%07.wav", 400, "it has a character that cannot be printed"),
        ("x" * 201, 400, "it is longer than 200 bytes"),
        ("x.mp3.wav", 400, "prompts are named without the extension"),
        ("out/x.wav", 409, "is a link that leads out of the folder"),
        ("linked.wav", 409, "linked.wav is a link: it cannot be changed by requests"),
    ):
        found, answer = await ask(server, "PUT", f"/v1/prompts/{path}", body)
        assert (found, why in answer["error"]) == (status, True), answer
    assert not (folder.parent / "x.wav").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["sound.wav"]


async def test_a_token_needs_the_scope(server: ServerProcess) -> None:
    for method, path, body in (
        ("PUT", "needed.wav", b"x"),
        ("DELETE", "needed", None),
        ("POST", "needed/rename", {"to": "x"}),
        ("POST", "needed/say", {"say": "x"}),
        ("POST", "needed/history/x/restore", None),
    ):
        status, answer = await ask(server, method, f"/v1/prompts/{path}", body, by="agent")
        assert (status, answer) == (403, {"error": "the token agent lacks the scope prompts"})
    assert (await ask(server, "GET", "/v1/prompts/needed/history", by="agent"))[0] == 200


def test_what_a_crash_left_is_removed_at_the_start(server: ServerProcess, folder: Path) -> None:
    assert "left" not in leftovers(folder)


async def test_of_two_files_for_one_name_the_old_one_becomes_history(
    server: ServerProcess, folder: Path, tmp_path: Path
) -> None:
    first, second = sound(tmp_path, steps(8)), g711.mulaw_encode(steps(9, frames=7))
    await ask(server, "PUT", "/v1/prompts/two.wav", first)
    assert (await ask(server, "PUT", "/v1/prompts/two.ulaw", second, by="admin"))[0] == 200
    assert [path.name for path in folder.glob("two.*")] == ["two.ulaw"]
    assert await heard(server, "two") == to_bytes(g711.mulaw_decode(second))
    status, answer = await ask(server, "GET", "/v1/prompts/two/history")
    (version,) = answer["versions"]
    assert status == 200
    facts = {"change": "replaced", "by": "admin", "duration_s": 0.1, "bytes": len(first), "type": "wav"}
    assert {key: version[key] for key in facts} == facts
    assert version["until"].endswith("Z")
    status, answer = await ask(server, "POST", f"/v1/prompts/two/history/{version['version']}/restore")
    assert (status, answer["file"]) == (200, "two.wav")
    assert await heard(server, "two") == to_bytes(steps(8))
    assert (folder / "two.wav").read_bytes() == first
    (undo,) = (await ask(server, "GET", "/v1/prompts/two/history"))[1]["versions"]
    assert (undo["change"], undo["by"], undo["type"], undo["duration_s"]) == ("restored", "studio", "ulaw", 0.14)
    assert (await ask(server, "POST", f"/v1/prompts/two/history/{undo['version']}/restore"))[0] == 200
    assert await heard(server, "two") == to_bytes(g711.mulaw_decode(second))
    status, answer = await ask(server, "POST", f"/v1/prompts/two/history/{undo['version']}/restore")
    assert (status, answer) == (
        404,
        {"error": f'the prompt "two" has no version {undo["version"]}'},
    )


async def test_a_prompt_is_removed_and_comes_back(server: ServerProcess, folder: Path, tmp_path: Path) -> None:
    await ask(server, "PUT", "/v1/prompts/gone.wav", sound(tmp_path, steps(10)))
    assert (await ask(server, "DELETE", "/v1/prompts/gone"))[0] == 204
    assert (await ask(server, "GET", "/v1/prompts/gone/waveform"))[0] == 404
    assert not (folder / "gone.wav").exists()
    assert (await ask(server, "DELETE", "/v1/prompts/gone")) == (404, {"error": 'there is no prompt "gone"'})
    (version,) = (await ask(server, "GET", "/v1/prompts/gone/history"))[1]["versions"]
    assert version["change"] == "removed"
    status, _ = await ask(server, "POST", f"/v1/prompts/gone/history/{version['version']}/restore")
    assert status == 201
    assert await heard(server, "gone") == to_bytes(steps(10))


async def test_a_prompt_gets_another_name_and_takes_its_history_along(
    server: ServerProcess, folder: Path, tmp_path: Path
) -> None:
    for seed in (11, 12):
        await ask(server, "PUT", "/v1/prompts/before.wav", sound(tmp_path, steps(seed)))
    status, answer = await ask(server, "POST", "/v1/prompts/before/rename", {"to": "needed"})
    assert (status, answer) == (409, {"error": 'there is a prompt "needed" already'})
    status, answer = await ask(server, "POST", "/v1/prompts/before/rename", {"to": "sub/after"})
    assert (status, answer["name"]) == (200, "sub/after")
    line = server.events("admin request")[-1]
    assert (line["by"], line["path"], line["to"]) == ("studio", "/v1/prompts/before/rename", "sub/after")
    assert (folder / "sub/after.wav").exists()
    assert not (folder / "before.wav").exists()
    assert await heard(server, "sub/after") == to_bytes(steps(12))
    assert (await ask(server, "GET", "/v1/prompts/before/waveform"))[0] == 404
    assert (await ask(server, "GET", "/v1/prompts/before/history"))[1] == {"versions": []}
    (version,) = (await ask(server, "GET", "/v1/prompts/sub/after/history"))[1]["versions"]
    assert version["duration_s"] == 0.1
    status, answer = await ask(server, "POST", "/v1/prompts/nothing/rename", {"to": "x"})
    assert (status, answer) == (404, {"error": 'there is no prompt "nothing"'})
    assert (await ask(server, "POST", "/v1/prompts/needed/rename", {"to": "../x"}))[0] == 400


async def test_a_prompt_that_a_path_needs_is_removed_by_force_only(server: ServerProcess, tmp_path: Path) -> None:
    why = 'the prompt "needed" is needed, unless you add ?force=true: '
    for method, path, body in (("DELETE", "needed", None), ("POST", "needed/rename", {"to": "other"})):
        status, answer = await ask(server, method, f"/v1/prompts/{path}", body)
        assert status == 409
        assert answer["error"].startswith(why)
        assert answer["error"].endswith('paths."/needed": no prompt "needed"')
    assert (await ask(server, "DELETE", "/v1/prompts/needed?force=yes"))[0] == 400
    assert await heard(server, "needed") == to_bytes(NEEDED)
    assert (await ask(server, "DELETE", "/v1/prompts/needed?force=true"))[0] == 204
    status, _ = await ask(server, "PUT", "/v1/prompts/needed.wav", sound(tmp_path, NEEDED))
    assert status == 201


async def test_a_text_is_spoken_into_a_prompt(server: ServerProcess, folder: Path) -> None:
    status, answer = await ask(server, "POST", "/v1/prompts/menu/closed/say", {"say": "Closed"})
    assert (status, answer["file"], answer["duration_s"]) == (201, "menu/closed.wav", 0.12)
    assert await heard(server, "menu/closed") == spoken("Closed")
    assert to_bytes(read_wav(folder / "menu/closed.wav")) == spoken("Closed")
    status, _ = await ask(server, "POST", "/v1/prompts/menu/closed/say", {"say": "Open", "voice": "3"})
    assert status == 200
    assert await heard(server, "menu/closed") == spoken("Open", 3)
    for body, refused, why in (
        ({"say": "This will fail"}, 502, "no voice today"),
        ({"say": "x" * 101}, 400, "speech.max_characters is 100"),
        ({"say": "..."}, 400, "there is nothing to say"),
        ({"say": "Open", "engine": "openai"}, 400, "speech.openai.token"),
        ({"say": "Open", "engine": "nobody"}, 400, "body: engine"),
        ({"text": "Open"}, 400, "body: say"),
    ):
        status, answer = await ask(server, "POST", "/v1/prompts/menu/closed/say", body)
        assert (status, why in answer["error"]) == (refused, True), answer
    assert await heard(server, "menu/closed") == spoken("Open", 3)
    (version,) = (await ask(server, "GET", "/v1/prompts/menu/closed/history"))[1]["versions"]
    assert version["duration_s"] == 0.12
    assert leftovers(folder) == []


async def test_requests_for_one_name_at_the_same_time_leave_one_of_them_whole(
    server: ServerProcess, folder: Path, tmp_path: Path
) -> None:
    bodies = [sound(tmp_path, steps(seed)) for seed in range(13, 19)]
    paths = ["race.wav", "race", "race.wave"] * 2
    answers = await asyncio.gather(
        *(ask(server, "PUT", f"/v1/prompts/{path}", body) for path, body in zip(paths, bodies, strict=True))
    )
    assert sorted(status for status, _ in answers) == [200] * 5 + [201]
    (file,) = folder.glob("race.*")
    assert file.read_bytes() in bodies
    assert await heard(server, "race") == to_bytes(read_wav(file))
    versions = (await ask(server, "GET", "/v1/prompts/race/history"))[1]["versions"]
    assert len(versions) == 2
    assert leftovers(folder) == []


async def test_without_the_setting_nothing_is_changed(tmp_path: Path) -> None:
    config = write_config(tmp_path, '[paths."/silence"]\nhandler = "silence"')
    body = sound(tmp_path, steps(1))
    write_wav(tmp_path / "prompts" / "a.wav", steps(1))
    refusal = {"error": "prompts cannot be changed by requests: set prompts.editable = true"}
    with serving(config) as server:
        for method, path, sent in (
            ("PUT", "a.wav", body),
            ("DELETE", "a", None),
            ("POST", "a/rename", {"to": "b"}),
            ("POST", "a/say", {"say": "x"}),
            ("POST", "a/history/x/restore", None),
        ):
            assert await ask(server, method, f"/v1/prompts/{path}", sent) == (403, refusal)
        assert (await ask(server, "GET", "/v1/prompts"))[1]["editable"] is False
    assert [path.name for path in (tmp_path / "prompts").iterdir()] == ["a.wav"]


async def test_a_slow_upload_has_the_time_limit_anew_with_each_part_and_one_that_stops_has_not(
    tmp_path: Path,
) -> None:
    limit = 2 * UNIT
    paths = '[paths."/play/{prompt}"]\nhandler = "playback"\nprompt = "{prompt}"'
    config = write_config(tmp_path, f"[prompts]\neditable = true\n{paths}", handshake_timeout=limit)
    body = to_bytes(steps(1, frames=6))

    async def parts(count: int) -> AsyncIterator[bytes]:
        for number in range(count):
            yield body[number * 320 : (number + 1) * 320]
            await asyncio.sleep(limit / 4)

    async def stopping() -> AsyncIterator[bytes]:
        yield body[:320]
        await asyncio.Event().wait()

    with serving(config) as server:
        began = asyncio.get_running_loop().time()
        status, answer = await ask(server, "PUT", "/v1/prompts/slow.sln", parts(6))
        assert (status, answer["duration_s"]) == (201, 0.12)
        assert asyncio.get_running_loop().time() - began > limit
        assert (await listen(server.url("/play/slow"))).messages
        async with (
            client_session() as client,
            client.put(server.admin_url("/v1/prompts/stuck.sln"), data=stopping()) as response,
        ):
            assert (response.status, await response.text()) == (408, "the request took too long\n")
        await eventually(lambda: leftovers(tmp_path / "prompts") == [])
        assert not (tmp_path / "prompts/stuck.sln").exists()


async def test_a_few_files_are_received_at_a_time_and_one_whose_sender_leaves_is_forgotten(
    server: ServerProcess, folder: Path, tmp_path: Path
) -> None:
    sending = 0

    async def waiting() -> AsyncIterator[bytes]:
        nonlocal sending
        yield b"\0" * 320
        sending += 1
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(ask(server, "PUT", f"/v1/prompts/left-{n}.sln", waiting())) for n in range(8)]
    await eventually(lambda: sending == 8 and len(leftovers(folder)) == 8)
    body = sound(tmp_path, steps(20))
    status, answer = await ask(server, "PUT", "/v1/prompts/ninth.wav", body)
    assert (status, answer) == (503, {"error": "8 files are being received: try again"})
    for task in tasks:
        task.cancel()
    await eventually(lambda: leftovers(folder) == [])
    assert (await ask(server, "PUT", "/v1/prompts/ninth.wav", body))[0] == 201
    assert not list(folder.glob("left-*"))


async def test_a_call_in_progress_is_played_what_was_uploaded_since_it_began(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with calling(server, "/silence") as (stream, frames):

        async def upload_and_play(samples: Samples) -> int:
            status, _ = await ask(server, "PUT", "/v1/prompts/since.wav", sound(tmp_path, samples))
            played = await ask(server, "POST", f"/v1/streams/{stream}/play", {"play": "since"}, by="agent")
            assert played[0] == 202
            await eventually(lambda: to_bytes(samples[-160:]) in frames.messages)
            return status

        assert await upload_and_play(steps(2)) == 201
        assert await upload_and_play(steps(3)) == 200
        body = {"prompt": "since", "level": -20}
        assert (await ask(server, "PUT", f"/v1/streams/{stream}/background", body, by="agent"))[0] == 204
