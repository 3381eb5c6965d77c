"""Sounds that requests play from other servers: which URLs, within which limits, and what is told of failures."""

import asyncio
import functools
import gc
import http.server
import ipaddress
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from yarl import URL

from mediaserver import config
from mediaserver.audio.pcm import SILENCE
from mediaserver.config.listener_settings import AdminSettings
from mediaserver.errors import RefusedError
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.server.admin.control.download import Downloader, is_listed
from mediaserver.server.admin.control.fetched_sounds import FetchedSounds
from mediaserver.wire.encapsulation import PCMU
from tests.server.admin.live_calls import CONFIG, LONG, SHORT, ask, calling, parts
from tests.server.process import ServerProcess, serving, write_config
from tests.sound import write_wav
from tests.timing import PATIENCE, TIMEOUT, eventually

BRIEF = SHORT[:320] + np.int16(7)  # two frames
UNLISTED = "no entry of admin.play_from has this URL"


class Files(http.server.SimpleHTTPRequestHandler):
    """Files, and redirects: what follows `/to/` in the path is where they lead."""

    def do_GET(self) -> None:
        _, found, where = self.path.partition("/to/")
        if found:
            self.send_response(302)
            self.send_header("Location", f"/{where}")
            self.end_headers()
        elif self.path.endswith("/never"):
            stopped.wait()
        elif self.path.endswith("/slow.wav"):
            asked.set()
            released.wait(PATIENCE)
            self.path = "/sounds/short.wav"
            super().do_GET()
        else:
            super().do_GET()

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


stopped, asked, released = threading.Event(), threading.Event(), threading.Event()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server of files."""
    folder = tmp_path_factory.mktemp("files")
    write_wav(folder / "sounds" / "short.wav", SHORT)
    write_wav(folder / "elsewhere" / "short.wav", SHORT)
    (folder / "sounds" / "page.wav").write_text("<!doctype html><title>An error</title>")
    (folder / "sounds" / "long.ulaw").write_bytes(b"\xff" * 8001 * 600)
    (folder / "sounds" / "large.wav").write_bytes(bytes(2 * 1024 * 1024))
    stopped.clear()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Files, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        stopped.set()
        released.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, files: int) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("play-from")
    listed = f'play_from = ["http://127.0.0.1:{files}/sounds/"]\n'
    for name, samples in (("long", LONG), ("brief", BRIEF)):
        write_wav(folder / "prompts" / f"{name}.wav", samples)
    with serving(write_config(folder, listed + CONFIG), TMPDIR=str(folder)) as server:
        yield server


async def test_a_file_of_a_listed_server_is_heard(server: ServerProcess, files: int) -> None:
    async with calling(server, "/silence") as (stream, heard):
        url = f"http://127.0.0.1:{files}/sounds/to/sounds/short.wav"
        status, answer = await ask(server, "POST", f"/v1/streams/{stream}/play", {"url": url, "repeat": 2})
        assert (status, list(answer)) == (202, ["id"])
        await eventually(lambda: heard.messages.count(parts(SHORT)[4]) == 2)
        assert (await ask(server, "DELETE", f"/v1/streams/{stream}/play/{answer['id']}"))[0] in (204, 404)
    assert [frame for frame in heard.messages if frame != SILENCE][:10] == parts(SHORT) * 2
    assert not list(Path(server.log_file).parent.glob("mediaserver-*"))


async def test_files_of_listed_servers_are_entries_of_a_sequence(server: ServerProcess, files: int) -> None:
    async with calling(server, "/silence") as (stream, heard):
        file = {"url": f"http://127.0.0.1:{files}/sounds/short.wav"}
        path = f"/v1/streams/{stream}/play"
        status, answer = await ask(server, "POST", path, {"play": [file, "brief", file, "brief"]})
        assert (status, list(answer)) == (202, ["id"])
        await eventually(lambda: heard.messages.count(parts(BRIEF)[1]) == 2)
        # Where one entry is wrong, nothing is played.
        unlisted = {"url": f"http://127.0.0.1:{files}/elsewhere/short.wav"}
        wrong = await ask(server, "POST", path, {"play": ["brief", file, unlisted]})
        assert wrong == (403, {"error": f"127.0.0.1: {UNLISTED}"})
        many = [{"url": f"http://127.0.0.1:{files}/sounds/{n}.wav"} for n in range(11)]
        assert await ask(server, "POST", path, {"play": many}) == (
            400,
            {"error": "body: should have at most 10 different URLs"},
        )
        bad = await ask(server, "POST", path, {"play": ["brief", {**file, "say": "both"}]})
        assert bad == (400, {"error": "body: play[1].say: unknown setting"})
    expected = [*parts(SHORT), *parts(BRIEF)] * 2
    assert [frame for frame in heard.messages if frame != SILENCE] == expected


@pytest.mark.parametrize(
    ("url", "status", "why"),
    [
        ("http://127.0.0.1:PORT/elsewhere/short.wav", 403, f"127.0.0.1: {UNLISTED}"),
        ("http://127.0.0.1:PORT/sounds/../elsewhere/short.wav", 403, f"127.0.0.1: {UNLISTED}"),
        ("http://127.0.0.1:PORT/sounds/to/elsewhere/short.wav", 403, f"127.0.0.1: {UNLISTED}"),
        ("file:///etc/passwd", 403, f"url: {UNLISTED}"),
        ("http://[::1", 403, f"url: {UNLISTED}"),
        ("http://127.0.0.1:PORT/sounds/none.wav?token=s3cret", 502, "127.0.0.1: HTTP status 404"),
        ("http://127.0.0.1:PORT/sounds/page.wav", 422, "127.0.0.1: the file is an HTML page, not sound"),
        (
            "http://127.0.0.1:PORT/sounds/long.ulaw",
            422,
            "127.0.0.1: the file is longer than 600 s: cut it into parts",
        ),
    ],
)
async def test_what_is_not_played_is_told(
    server: ServerProcess, files: int, url: str, status: int, why: str
) -> None:
    async with calling(server, "/silence") as (stream, _):
        body = {"url": url.replace("PORT", str(files))}
        answer = await ask(server, "POST", f"/v1/streams/{stream}/play", body)
    assert answer == (status, {"error": why})
    assert "s3cret" not in server.log_file.read_text()


@pytest.mark.parametrize("body", [{}, {"play": []}, {"play": "long", "url": "http://x/"}])
async def test_a_sound_has_a_name_or_a_url(server: ServerProcess, body: object) -> None:
    async with calling(server, "/silence") as (stream, _):
        answer = await ask(server, "POST", f"/v1/streams/{stream}/play", body)
    assert answer == (400, {"error": "body: should have play, with at least one entry, or url"})


async def test_names_are_asked_at_private_addresses_only_if_these_are_listed(files: int) -> None:
    url = f"http://localhost:{files}/sounds/short.wav"
    networks = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1")]
    data = await Downloader().download(url, [f"http://localhost:{files}/"], networks)
    assert data.endswith(SHORT.tobytes())
    with pytest.raises(RefusedError) as refused:
        await Downloader().download(url, [f"http://localhost:{files}/"], [])
    assert re.fullmatch(
        "localhost: cannot connect: its address is (127.0.0.1|::1): admin.play_from_networks has to list private"
        " ones",
        str(refused.value),
    )


@pytest.mark.parametrize(
    ("name", "timeout", "why"),
    [
        ("sounds/large.wav", TIMEOUT, "127.0.0.1: the file is larger than 1 MB"),
        ("sounds/never", 0.5, "127.0.0.1: no file within 0.5 s"),
        ("to/" * 5 + "short.wav", TIMEOUT, "127.0.0.1: more than 3 redirects"),
    ],
)
async def test_a_download_has_limits(files: int, name: str, timeout: float, why: str) -> None:
    prefix = f"http://127.0.0.1:{files}/"
    downloader = Downloader(max_bytes=1024 * 1024, timeout=timeout)
    with pytest.raises(RefusedError) as refused:
        await downloader.download(prefix + name, [prefix], [])
    assert (str(refused.value), refused.value.status) == (why, 502)


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        ("https://sounds.example.com/a/b.wav", True),
        ("https://SOUNDS.example.com:443/a/b.wav?x=1", True),
        ("https://sounds.example.com/ab.wav", False),
        ("https://sounds.example.com/a/../b.wav", False),
        ("https://sounds.example.com/a/%2e%2e/b.wav", False),
        ("https://sounds.example.com/a/%252e%252e/b.wav", False),
        ("https://sounds.example.com/a/..%2fb.wav", False),
        ("https://sounds.example.com.evil.example/a/b.wav", False),
        ("https://sounds.example.com@evil.example/a/b.wav", False),
        ("https://me@sounds.example.com/a/b.wav", False),
        ("https://sounds.example.com:444/a/b.wav", False),
        ("http://sounds.example.com/a/b.wav", False),
    ],
)
def test_a_url_is_listed_by_its_server_and_folder(url: str, listed: bool) -> None:
    assert is_listed(URL(url), URL("https://sounds.example.com/a/")) is listed


@pytest.mark.parametrize(
    "url", ["https://sounds.example.com", "https://a.example/b", "ftp://a.example/", "https://me@a.example/", "a"]
)
def test_mistakes_in_the_list_are_told(tmp_path: Path, url: str) -> None:
    written = write_config(tmp_path, f'play_from = ["{url}"]\n[paths."/s"]\nhandler = "silence"')
    settings, problems = config.load(written)
    assert settings.admin.play_from == ()
    (line,) = [line for line in problems if "admin.play_from" in line]
    assert "should" in line


async def test_a_sound_is_for_the_stream_that_had_the_name_when_it_was_asked_for(
    server: ServerProcess, files: int
) -> None:
    label, url = {"label": "sup"}, f"http://127.0.0.1:{files}/sounds/slow.wav"
    async with calling(server, "/silence") as (second, heard):
        async with calling(server, "/silence") as (first, _):
            await ask(server, "PUT", f"/v1/streams/{first}/label", label)
            playing = asyncio.create_task(ask(server, "POST", "/v1/streams/sup/play", {"url": url}))
            await asyncio.to_thread(asked.wait, PATIENCE)
        await ended(server, first)
        assert (await ask(server, "PUT", f"/v1/streams/{second}/label", label))[0] in (200, 204)
        released.set()
        assert await playing == (404, {"error": f"the stream {first} has ended"})
    assert set(heard.messages) == {SILENCE}


async def ended(server: ServerProcess, stream: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await ask(server, "GET", f"/v1/streams/{stream}"))[0] != 404:
            await asyncio.sleep(0.01)


async def test_a_failed_url_leaves_no_other_sound_of_its_request_in_memory(tmp_path: Path, files: int) -> None:
    """Not even until a garbage collection, which may come an hour later."""
    settings = AdminSettings(play_from=(f"http://127.0.0.1:{files}/",))
    library = PromptLibrary(tmp_path, 1_000_000, DecodePool())
    sounds = FetchedSounds(library, lambda: settings, memory_limit=5 * 365 + 100)
    urls = [f"http://127.0.0.1:{files}/sounds/{name}.wav" for name in ("short", "none")]
    gc.disable()
    try:
        with pytest.raises(RefusedError, match="HTTP status 404"):
            await sounds.fetch_all(urls)
        assert list(await sounds.fetch_all(urls[:1])) == urls[:1]
        assert not await sounds.fetch_all([])
    finally:
        gc.enable()
        await library.close()


async def test_the_sounds_that_play_and_wait_have_so_much_memory_together(tmp_path: Path, files: int) -> None:
    """Each is of five frames, which take 363 bytes of memory."""
    settings = AdminSettings(play_from=(f"http://127.0.0.1:{files}/",))
    library = PromptLibrary(tmp_path, 1_000_000, DecodePool())
    sounds = FetchedSounds(library, lambda: settings, memory_limit=2 * 5 * 365 + 100)
    url = f"http://127.0.0.1:{files}/sounds/short.wav"
    held = [await sounds.fetch(url) for _ in range(2)]
    playing = held.pop().get_frames(PCMU)
    with pytest.raises(RefusedError, match=r"^the sounds by URL that play or wait take all of 0 MB") as refused:
        await sounds.fetch(url)
    assert refused.value.status == 429
    held.clear()
    held.append(await sounds.fetch(url))
    with pytest.raises(RefusedError):
        await sounds.fetch(url)
    del playing
    held.append(await sounds.fetch(url))
    await library.close()
