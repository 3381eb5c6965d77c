"""A configuration that changes while calls go on: all of it is applied, or nothing."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediaserver.audio.pcm import from_bytes, to_bytes
from tests.server.process import ServerProcess, connected, get, listen, refusal, serving, write_config
from tests.sound import speechlike, write_wav
from tests.timing import eventually

SOUND, LONG = to_bytes(speechlike(1600)), to_bytes(speechlike(24_000, 3))
BEFORE = (
    '[paths."/old"]\nhandler = "playback"\nprompt = "a"\nlinger_ms = 0\n'
    '[paths."/long"]\nhandler = "playback"\nprompt = "long"\nlinger_ms = 0\n'
)
AFTER = f'{BEFORE}[paths."/new"]\nhandler = "playback"\nprompt = "a"\ntokens = ["file:{{token}}"]\n'


class Configured:
    """A server, and its configuration, which a test changes."""

    def __init__(self, server: ServerProcess, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.token = directory / "token"

    def write(self, paths: str, **server: Any) -> None:
        write_config(self.directory, paths.format(token=self.token), **server)

    def ask(self) -> None:
        self.server.process.send_signal(signal.SIGHUP)

    def change(self, paths: str, **server: Any) -> None:
        """Write the configuration, without waiting for the reload."""
        self.write(paths, **server)
        self.ask()

    def taken(self) -> int:
        return len(self.server.events("configuration reloaded"))

    def told(self) -> list[str]:
        return [line["why"] for line in self.server.events("configuration rejected")]

    async def status(self, path: str) -> int:
        return (await refusal(self.server.url(path)))[0]

    async def listed(self) -> list[list[str]]:
        """The mistakes of the latest reloads, as the admin port tells them, the last reload first."""
        _, text = await get(self.server.admin_url("/v1/reloads"))
        return [each["mistakes"] for each in json.loads(text)["reloads"]]

    async def reloads(self) -> tuple[float, float]:
        """The counts of reloads that succeeded and that failed."""
        _, text = await get(self.server.admin_url("/metrics"))
        lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("mediaserver_reloads"))
        ok, failed = (lines[f'mediaserver_reloads_total{{result="{result}"}}'] for result in ("ok", "failed"))
        return float(ok), float(failed)


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Configured]:
    config = write_config(tmp_path, BEFORE)
    write_wav(tmp_path / "prompts/a.wav", from_bytes(SOUND))
    write_wav(tmp_path / "prompts/long.wav", from_bytes(LONG))
    (tmp_path / "token").write_text("first")
    with serving(config) as server:
        yield Configured(server, tmp_path)


async def test_a_prompt_that_comes_after_the_configuration_that_names_it_has_that_taken(
    configured: Configured,
) -> None:
    configured.write(f'{BEFORE}[paths."/late"]\nhandler = "playback"\nprompt = "late"\nlinger_ms = 0\n')
    await eventually(configured.told)
    assert [why.partition(": ")[2] for why in configured.told()] == ['paths."/late": no prompt "late"']
    write_wav(configured.directory / "prompts/early.wav", from_bytes(SOUND))  # its mistake is not told again
    await eventually(lambda: len(configured.server.events("prompts reloaded")) == 1)
    write_wav(configured.directory / "prompts/late.wav", from_bytes(SOUND))
    await eventually(configured.taken)
    assert (await listen(configured.server.url("/late"))).close_code == 1000
    write_wav(configured.directory / "prompts/other.wav", from_bytes(SOUND))
    await eventually(lambda: len(configured.server.events("prompts reloaded")) == 3)
    assert (configured.taken(), len(configured.told())) == (1, 1)  # what is in force is not loaded again


async def test_a_changed_file_is_reloaded(configured: Configured) -> None:
    assert await configured.status("/new") == 404
    async with connected(configured.server.url("/long")) as call:
        heard = await call.receive_bytes()
        configured.write(AFTER)
        await eventually(configured.taken)
        assert await configured.status("/new") == 401
        assert b"".join((await listen(configured.server.url("/new?token=first"))).messages).startswith(SOUND)
        assert heard + b"".join([message.data async for message in call]) == LONG
    assert await configured.reloads() == (1, 0)


async def test_a_changed_token_file_is_reloaded(configured: Configured) -> None:
    configured.change(AFTER)
    await eventually(configured.taken)
    configured.token.write_text("second")
    await eventually(lambda: configured.taken() == 2)
    assert await configured.status("/new?token=first") == 401
    assert (await listen(configured.server.url("/new?token=second"), frames=1)).messages


async def test_sighup_reloads(configured: Configured) -> None:
    configured.ask()
    await eventually(configured.taken)
    assert await configured.status("/new") == 404


async def test_a_file_that_was_missing_is_reloaded_when_it_comes(configured: Configured) -> None:
    token = configured.token.read_text()
    configured.token.unlink()
    configured.change(AFTER)
    await eventually(configured.told)
    configured.token.write_text(token)
    await eventually(configured.taken)
    assert await configured.status("/new") == 401


@pytest.mark.parametrize(
    ("paths", "server", "told"),
    [
        ("[paths", {}, ["is not TOML"]),
        (AFTER + '[paths."/x"]\nhandler = "playbak"\n', {"max_streams": 0}, ["server.max_streams", "playbak"]),
        (AFTER + '[paths."/x"]\nhandler = "playback"\nprompt = "nope"\n', {}, ['no prompt "nope"']),
        (AFTER + '[tls]\ncertificate = "none.pem"\nkey = "none.key"\n', {}, ["none.pem cannot be read"]),
        (
            AFTER + '[events]\nurl = "http://127.0.0.1:1/"\n',
            {"reuse_port": True},
            ["server.reuse_port: cannot change", "events.url: cannot change"],
        ),
    ],
)
async def test_a_wrong_configuration_changes_nothing(
    configured: Configured, paths: str, server: dict[str, object], told: list[str]
) -> None:
    configured.change(paths, **server)
    await eventually(lambda: len(configured.told()) >= len(told))  # each mistake is a line of its own
    assert await configured.status("/new") == 404  # answered after all lines are written
    lines = configured.told()
    assert all(any(part in line for line in lines) for part in told)
    assert b"".join((await listen(configured.server.url("/old"))).messages) == SOUND
    assert await configured.reloads() == (0, 1)
    assert await configured.listed() == [lines]
    configured.change(AFTER)  # mended
    await eventually(configured.taken)
    assert await configured.listed() == [[], lines]
    assert await configured.status("/new") == 401


async def test_a_file_that_is_gone_changes_nothing(configured: Configured) -> None:
    configured.server.log_file.with_suffix(".toml").unlink()
    await eventually(configured.told)
    assert (await listen(configured.server.url("/old"))).close_code == 1000
    configured.write(AFTER)
    await eventually(configured.taken)
    assert len(configured.told()) == 1


async def test_limits_hold_for_calls_to_come(configured: Configured) -> None:
    async with connected(configured.server.url("/long")) as first:
        await first.receive_bytes()
        configured.change(BEFORE, max_streams=1)
        await eventually(configured.taken)
        assert await configured.status("/old") == 503
        assert len(await first.receive_bytes()) == 320


async def test_calls_of_a_path_that_is_gone_go_on(configured: Configured) -> None:
    async with connected(configured.server.url("/long")) as call:
        await call.receive_bytes()
        configured.change('[paths."/other"]\nhandler = "silence"\n')
        await eventually(configured.taken)
        assert await configured.status("/long") == 404
        assert len(await call.receive_bytes()) == 320
        _, metrics = await get(configured.server.admin_url("/metrics"))
        assert 'mediaserver_sessions{path="/long"} 1.0' in metrics


async def test_changed_prompts_are_played_to_the_next_caller(configured: Configured) -> None:
    other = to_bytes(speechlike(1600, 7))
    async with connected(configured.server.url("/long")) as call:
        heard = await call.receive_bytes()
        write_wav(configured.directory / "prompts/long.wav", from_bytes(other))
        await eventually(lambda: configured.server.events("prompts reloaded"))
        assert configured.server.events("prompts reloaded")[0]["replaced"] == ["long"]
        assert b"".join((await listen(configured.server.url("/long"))).messages) == other
        assert heard + b"".join([message.data async for message in call]) == LONG
    (configured.directory / "prompts/long.wav").unlink()
    await eventually(lambda: configured.server.events("prompt missing"))
    assert await configured.status("/long") == 404
    assert await configured.reloads() == (2, 0)


async def test_unwatched_prompts_are_refreshed_by_sighup(tmp_path: Path) -> None:
    config = write_config(
        tmp_path, '[prompts]\nwatch = "off"\n[paths."/play/{prompt}"]\nhandler = "playback"\nprompt = "{prompt}"\n'
    )
    with serving(config) as server:
        write_wav(tmp_path / "prompts/b.wav", from_bytes(SOUND))
        server.process.send_signal(signal.SIGHUP)
        await eventually(lambda: server.events("prompts reloaded"))
        assert (await listen(server.url("/play/b"), frames=1)).messages == [SOUND[:320]]
