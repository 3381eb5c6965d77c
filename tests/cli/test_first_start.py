"""The first start: without a configuration, with prompts of one's own, with none; and what `init` writes."""

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from mediaserver import config
from mediaserver.audio.pcm import from_bytes, to_bytes
from tests.project import ROOT
from tests.server.preloaded import MEDIASERVER, run
from tests.server.process import (
    FREE_PORTS,
    ServerProcess,
    get,
    listen,
    listening,
    refusal,
    serving,
    start,
    write_config,
)
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, UNIT, eventually

SOUND = to_bytes(speechlike(1600))


def without_a_config(folder: Path, **environment: str) -> ServerProcess:
    return start([*MEDIASERVER, "serve"], folder / "log", folder, **FREE_PORTS, **environment)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server without a configuration over an empty folder."""
    (tmp_path / "prompts").mkdir()
    with listening(without_a_config(tmp_path, MEDIASERVER_PROMPTS__SETTLE="0.05")) as server:
        yield server


def test_prompts_of_one_s_own_are_served_without_a_configuration(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompts/mine.wav", from_bytes(SOUND))
    with listening(without_a_config(tmp_path)) as server:
        told = [line["why"] for line in server.events("built-in path disabled")]
        assert told == [
            'defaults: paths."/audio-stream": no prompt "welcome"',
            'defaults: paths."/hold": no prompt matches "music/*"',
        ]
        assert not server.events("no prompts found")
        done = run("call", server.url("/play/mine"), "--json")
        assert (done.returncode, done.stderr) == (0, "")


async def test_an_empty_folder_is_served_and_filled_while_it_is(empty: ServerProcess) -> None:
    (told,) = empty.events("no prompts found")
    assert told["folder"] == str(empty.log_file.parent / "prompts")
    assert "mediaserver init" in told["do"]
    assert await refusal(empty.url("/audio-stream")) == (404, 'no prompt "welcome"\n')
    assert (await listen(empty.url("/tone/dial"), frames=2)).messages
    assert "mediaserver_paths_without_prompts 0.0" in (await get(empty.admin_url("/metrics")))[1]
    welcome = empty.log_file.parent / "prompts/welcome.wav"
    write_wav(welcome, from_bytes(SOUND))
    await eventually(lambda: empty.events("prompts reloaded"))
    assert b"".join((await listen(empty.url("/audio-stream"))).messages).startswith(SOUND)
    welcome.unlink()
    await eventually(lambda: empty.events("prompt missing"))
    assert "mediaserver_paths_without_prompts 1.0" in (await get(empty.admin_url("/metrics")))[1]


def test_check_warns_of_built_in_paths_and_is_content(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    done = run("check", MEDIASERVER_PROMPTS__DIRECTORY=str(folder), MEDIASERVER_CONFIG="")
    assert done.returncode == 0
    assert 'left out until its prompts are there: defaults: paths."/audio-stream"' in done.stderr


def test_a_configuration_of_one_s_own_needs_its_prompts(tmp_path: Path) -> None:
    paths = '[paths."/audio-stream"]\nhandler = "playback"\nprompt = "welcome"\n'
    done = run("serve", "--config", write_config(tmp_path, paths))
    assert done.returncode == 2
    assert done.stderr.endswith('paths."/audio-stream": no prompt "welcome"\n')


async def test_one_without_paths_has_the_built_in_ones(tmp_path: Path) -> None:
    with serving(write_config(tmp_path, "")) as server:
        assert await refusal(server.url("/audio-stream")) == (404, 'no prompt "welcome"\n')


def test_without_a_folder_it_says_how_to_have_one(tmp_path: Path) -> None:
    server = without_a_config(tmp_path)
    assert server.process.wait(PATIENCE) == 2
    (line,) = server.log_file.read_text().splitlines()
    assert line.endswith('prompts is not a folder; "mediaserver init" makes one with sample prompts')


# -- init ----------------------------------------------------------------------------------------------------


def test_init_writes_the_example_and_the_sample_prompts(tmp_path: Path) -> None:
    done = run("init", tmp_path / "my server")
    place = tmp_path / "my server"
    assert (done.returncode, done.stderr) == (0, "")
    samples = sorted(file for file in (ROOT / "prompts").rglob("*") if file.is_file())
    files = [place / "config.toml", *(place / "prompts" / file.relative_to(ROOT / "prompts") for file in samples)]
    assert done.stdout.splitlines() == [
        *(f"wrote {file}" for file in files),
        f"next: mediaserver serve --config '{place}/config.toml'",
    ]
    assert files[0].read_bytes() == (ROOT / "config.example.toml").read_bytes()
    assert [file.read_bytes() for file in files[1:]] == [file.read_bytes() for file in samples]
    assert config.load(files[0])[1] == []


def test_init_keeps_what_is_there_unless_forced_to(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("# mine")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/welcome.mp3").write_bytes(b"mine")
    done = run("init", tmp_path)
    assert done.returncode == 0
    assert f"kept {tmp_path}/config.toml: it is there already; --force writes it anew" in done.stdout
    assert f"kept {tmp_path}/prompts/welcome.wav: welcome.mp3 is the prompt of that name" in done.stdout
    assert (tmp_path / "config.toml").read_text() == "# mine"
    assert not (tmp_path / "prompts/welcome.wav").exists()
    assert (tmp_path / "prompts/beep.wav").exists()
    done = run("init", tmp_path, "--force")
    assert f"wrote {tmp_path}/config.toml" in done.stdout
    assert (tmp_path / "config.toml").read_text() != "# mine"
    assert not (tmp_path / "prompts/welcome.wav").exists()
    assert sorted(file.name for file in (tmp_path / "prompts").iterdir()) == ["beep.wav", "music", "welcome.mp3"]


def test_where_init_cannot_write_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("a file")
    done = run("init", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/prompts: cannot be written: ")
    assert len(done.stderr.splitlines()) == 1


# -- on a terminal --------------------------------------------------------------------------------------------


def on_a_terminal(config_file: Path, until: str) -> str:
    """What a server that is started by hand shows, up to some words of it."""
    ours, theirs = pty.openpty()
    command = [*MEDIASERVER, "serve", "--config", str(config_file)]
    variables = os.environ | {"NO_COLOR": "1", "COLUMNS": "200"}
    shown = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables) as process:
        os.close(theirs)
        try:
            while until.encode() not in shown:
                ready, _, _ = select.select([ours], [], [], 30 * UNIT)
                assert ready, shown
                shown += os.read(ours, 65_536)
        finally:
            process.kill()
            os.close(ours)
    return shown.decode()


ANYBODY = "open to anybody who reaches the port"
SAY_WHO = "(see defaults.tokens and defaults.allow)"
HOLD = '[paths."/hold"]\nhandler = "hold-music"\nprompts = ["*"]\n'
PLAY = '[paths."/play/{prompt:.+}"]\nhandler = "playback"\nprompt = "{prompt}"\n'
SILENCE = '[paths."/quiet"]\nhandler = "silence"\n'
SECRET = 'tokens = ["a-secret-word"]\n'


@pytest.mark.parametrize(
    ("style", "paths", "path", "argument", "access"),
    [
        (
            "json",
            SILENCE + PLAY,
            "/play/a%20tune",
            "URL",
            f"2 of 2 paths are {ANYBODY} {SAY_WHO}: /quiet, /play/{{prompt:.+}}",
        ),
        (
            "console",
            HOLD + SECRET + SILENCE,
            "/quiet",
            "URL",
            f"1 of 2 paths is {ANYBODY} {SAY_WHO}: /quiet",
        ),
        (
            "console",
            HOLD + SECRET,
            "/hold",
            '"$(COMMAND sign URL --config FILE)"',
            f"no path is {ANYBODY}",
        ),
    ],
)
def test_on_a_terminal_it_says_what_to_try_and_who_may_dial(
    tmp_path: Path, style: str, paths: str, path: str, argument: str, access: str
) -> None:
    file = write_config(tmp_path, f'[log]\nformat = "{style}"\n{paths}')
    write_wav(tmp_path / "prompts/a tune.wav", from_bytes(SOUND))
    shown = on_a_terminal(file, ANYBODY).replace("\r", "")
    shown = shown.partition("listening")[2]
    (port,) = set(re.findall(r"127\.0\.0\.1:(\d+)/", shown))
    words = {
        "URL": f"ws://127.0.0.1:{port}{path}",
        "COMMAND": f"{sys.executable} -m mediaserver",
        "FILE": str(file),
    }
    for word, text in words.items():
        argument, access = argument.replace(word, text), access.replace(word, text)
    lines = shown.splitlines()
    assert f"Try {path} from another terminal:" in lines
    assert f"    {sys.executable} -m mediaserver call {argument}" in lines
    assert access.startswith(lines[-1])
    assert "secret-word" not in shown


def test_with_a_certificate_it_says_that_a_self_signed_one_is_not_trusted(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    issued.private_key_pem.write_to_path(tmp_path / "server.key")
    tls = f'[tls]\ncertificate = "{tmp_path}/server.pem"\nkey = "{tmp_path}/server.key"\n'
    shown = on_a_terminal(write_config(tmp_path, f"{tls}{SILENCE}"), ANYBODY)
    assert "call wss://127.0.0.1:" in shown
    assert "A self-signed certificate is not trusted there, unless SSL_CERT_FILE names it" in shown


def test_elsewhere_it_says_nothing_but_its_log(empty: ServerProcess) -> None:
    assert all(line.startswith("{") for line in empty.log_file.read_text().splitlines())
