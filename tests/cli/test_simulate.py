"""`mediaserver simulate` as users run it: against a real server, with a keyboard, a speaker and a microphone."""

import contextlib
import json
import os
import pty
import select
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from mediaserver.audio.pcm import to_bytes
from tests.server.preloaded import MEDIASERVER, popen, run
from tests.server.process import ServerProcess, audiosocket_ports, serving, write_config
from tests.sound import read_wav, speechlike, write_wav
from tests.timing import PATIENCE

SAMPLES = speechlike(160 * 25)
PATHS = """
[paths."/play"]
handler = "playback"
prompt = "a"
linger_ms = 0
[paths."/echo"]
handler = "echo"
"""
SECRET = "s3cret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("server")
    config = write_config(directory, audiosocket_ports("/play", "/echo") + PATHS)
    write_wav(directory / "prompts/a.wav", SAMPLES)
    with serving(config) as server:
        yield server


def action(kind: str, **option: Any) -> dict[str, Any]:
    return {"id": str(uuid4()), "type": kind, "option": option}


def media(port: int) -> dict[str, Any]:
    return action(
        "external_media_start",
        external_host=f"127.0.0.1:{port}",
        encapsulation="audiosocket",
        transport="tcp",
        format="slin",
        direction_listen="in",
        direction_speak="out",
    )


def write_flow(directory: Path, *actions: dict[str, Any]) -> Path:
    file = directory / "flow.json"
    file.write_text(json.dumps({"name": "a flow", "actions": actions}))
    return file


class _Application(BaseHTTPRequestHandler):
    """Answers `fetch` with a menu that hangs up at the key 9."""

    port: ClassVar[int] = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        first, digit = "?" not in self.path, self.path.rpartition("=")[2]
        url = f"http://{self.headers['Host']}/flow/{SECRET}/menu"
        receive = [
            action("variable_set", key="voipbin.call.digits", value=""),
            action("digits_receive", length=1, key="", duration=60_000),
            action("fetch", event_url=f"{url}?d=${{voipbin.call.digits}}", event_method="POST"),
        ]
        answer = [action("answer"), media(self.port), *receive] if first else receive
        body = json.dumps([action("hangup")] if digit == "9" else answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def application(server: ServerProcess) -> Iterator[str]:
    """An application that answers `fetch`; its URL."""
    _Application.port = server.ports["/play"]
    with ThreadingHTTPServer(("127.0.0.1", 0), _Application) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/flow/{SECRET}/menu"
        finally:
            running.shutdown()
            thread.join()


def test_a_flow_of_a_file_is_executed_and_heard(server: ServerProcess, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, action("answer"), media(server.ports["/play"]), action("sleep", duration=2500))
    out = tmp_path / "out.wav"
    done = run("simulate", flow, "--record", out, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert to_bytes(SAMPLES) in to_bytes(read_wav(out))
    report = json.loads(done.stdout)
    assert report.keys() == {"ended", "duration_s", "actions", "media", "problems"}
    assert [each["type"] for each in report["actions"]] == ["answer", "external_media_start", "sleep"]
    assert report["actions"][2]["lasted_s"] >= 2.499
    assert report["ended"] == "the flow has no more actions"
    told = [report["media"][0][key] for key in ("frames", "bad_frames", "encapsulation", "framing", "close_code")]
    assert told == [25, 0, "audiosocket", "tcp", 1000]


def test_a_menu_by_fetch_is_tried_and_its_secret_is_not_shown(server: ServerProcess) -> None:
    with application(server) as url:
        done = run("simulate", "--fetch", url, "--digits", "19", "--after", 0.1)
    assert (done.returncode, done.stderr) == (0, "")
    assert SECRET not in done.stdout
    for told in ("Executed actions", "digits_receive", "external_media_start", "/flow/…/menu", "the flow hung up"):
        assert told in done.stdout


def test_what_is_wrong_is_told_and_ends_with_1(server: ServerProcess, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, action("anser"), action("fetch", event_url=f"http://127.0.0.1:1/x/{SECRET}"))
    done = run("simulate", flow)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == "0.00 s: anser: the platform knows no such action, and goes on with the next one"
    assert second.endswith("fetch: cannot connect: Connection refused: the platform hangs up")
    assert "http://127.0.0.1:1/…" in done.stdout
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{}", "should be a list of actions"),
        ("[", "is not JSON"),
    ],
)
def test_a_file_that_is_no_flow_is_told_of(text: str | None, why: str, tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    if text is not None:
        file.write_text(text)
    done = run("simulate", file, "--json")
    assert done.returncode == 1
    assert why in json.loads(done.stdout)["error"]
    assert f"{file} {why}" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("flow.json", "--fetch", "http://127.0.0.1/")])
def test_either_a_file_or_a_url_is_wanted(arguments: tuple[str, ...]) -> None:
    done = run("simulate", *arguments)
    assert done.returncode == 2
    assert "give a flow's file, or --fetch URL" in done.stderr


def test_ctrl_c_hangs_up_with_a_report(server: ServerProcess, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, media(server.ports["/echo"]), action("sleep", duration=600_000))
    out = tmp_path / "out.wav"
    pipe = subprocess.PIPE
    command = [*MEDIASERVER, "simulate", str(flow), "--json", "--record", str(out)]
    with popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        deadline = time.monotonic() + PATIENCE
        while not out.exists() or out.stat().st_size < 10_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(told)["ended"] == "the caller hung up"


def test_digits_that_are_typed_on_a_terminal_are_keys(server: ServerProcess) -> None:
    master, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"}
    with application(server) as url:
        command = [*MEDIASERVER, "simulate", "--fetch", url]
        # Not forked from a process that has imported rich, which looks at the terminal while it is imported.
        with subprocess.Popen(
            command, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, env=environment
        ) as process:
            os.close(terminal)
            shown = _read_until(master, "digits_receive")
            os.write(master, b"x4")
            shown += _read_until(master, "digits_receive")
            deadline = time.monotonic() + PATIENCE
            while process.poll() is None:  # a key between two rounds is lost, and a caller would press it again
                assert time.monotonic() < deadline
                os.write(master, b"9")
                shown += _read_for(master, 0.2)  # or the program would wait for room on the terminal
            out, _ = process.communicate(timeout=PATIENCE)
    shown += _read_for(master, 0.2)
    os.close(master)
    assert process.returncode == 0
    assert "the flow hung up" in out.decode()
    for told in ("external_media_start", "level", "dBFS", "keys"):
        assert told in shown
    assert SECRET not in shown + out.decode()


def _read_until(terminal: int, word: str) -> str:
    """What a terminal shows, up to a word and what came together with it."""
    shown = ""
    while word not in shown:
        shown += os.read(terminal, 65_536).decode(errors="replace")
    return shown


def _read_for(terminal: int, seconds: float) -> str:
    """What a terminal shows within so many seconds, or until its program has ended."""
    shown, deadline = b"", time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while (left := deadline - time.monotonic()) > 0 and select.select([terminal], [], [], left)[0]:
            shown += os.read(terminal, 65_536)
    return shown.decode(errors="replace")


def write_program(directory: Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def test_sound_goes_through_the_system_s_programs(server: ServerProcess, tmp_path: Path) -> None:
    """The speaker is given what is heard, and the microphone's sound is what the server hears."""
    programs, played, said = tmp_path / "bin", tmp_path / "played", tmp_path / "said"
    said.write_bytes(to_bytes(SAMPLES))
    write_program(programs, "aplay", f"exec cat > {played}")
    write_program(programs, "arecord", f"while :; do cat {said}; sleep 0.3; done")
    flow = write_flow(tmp_path, media(server.ports["/echo"]), action("sleep", duration=2500))
    path = f"{programs}:/usr/bin:/bin"
    done = run(
        "simulate", flow, "--speaker", "--microphone", "--record", tmp_path / "out.wav", "--json", PATH=path
    )
    told = done.stderr.splitlines()  # on a busy machine, it tells of frames that come late
    assert [line for line in told if "frames do not come every 20 ms" not in line] == []
    # The program says all at once what a microphone says in time, of which the last 40 ms are kept.
    for heard in (to_bytes(read_wav(tmp_path / "out.wav")), played.read_bytes()):
        assert to_bytes(SAMPLES[-320:]) in heard


def test_a_machine_without_sound_says_so(server: ServerProcess, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, action("answer"))
    done = run("simulate", flow, "--speaker", "--microphone", PATH=str(tmp_path))
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "no sound is played: none of pacat, aplay, play, ffplay is installed",
        "the caller is mute: none of parec, arecord, rec is installed",
    ]
