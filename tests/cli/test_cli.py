"""The commands as users run them: real processes, their output and their exit codes."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from mediaserver import __version__
from tests.server.preloaded import MEDIASERVER, popen, run
from tests.server.process import ServerProcess, serving, write_config
from tests.sound import read_wav, speechlike, write_wav
from tests.timing import PATIENCE, UNIT, late

SAMPLES = speechlike(160 * 40)
PATHS = """
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
linger_ms = 0
[paths."/silence"]
handler = "silence"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("server")
    config = write_config(directory, PATHS)
    write_wav(directory / "prompts/speech.wav", SAMPLES)
    with serving(config) as server:
        yield server


# -- check -----------------------------------------------------------------------------------------


def test_check_shows_paths_and_prompts(tmp_path: Path) -> None:
    config = write_config(tmp_path, PATHS)
    write_wav(tmp_path / "prompts/music/tune.wav", speechlike(16_000), 8000)
    (tmp_path / "prompts/notes.txt").write_text("not a prompt")
    done = run("check", "--config", config)
    assert done.returncode == 0
    for told in (
        "/play/{prompt:.+}",
        "playback",
        "music/tune",
        "2.00 s",
        "WAV 8000 Hz 16-bit mono",
        "dBFS",
        "LUFS",
    ):
        assert told in done.stdout
    assert "ignored, not a sound file by its name: notes.txt" in done.stdout


MENU = """
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
play = "welcome"
keys.1 = { menu = "pin" }
keys.2 = { play = ["welcome"], record = true, hangup = true }
[paths."/menu".menus.pin]
collect = { min = 4, max = 8 }
then = { webhook = "https://me:s3cret@backend.example.com:8443/pin?token=s3cret" }
"""


def test_check_shows_where_keys_lead_and_no_secret(tmp_path: Path) -> None:
    config = write_config(tmp_path, MENU)
    write_wav(tmp_path / "prompts/welcome.wav", speechlike(8000))
    done = run("check", "--config", config)
    assert done.returncode == 0, done.stderr
    rows = [" ".join(line.strip("│").replace("│", " ").split()) for line in done.stdout.splitlines()]
    for row in (
        "main welcome 1 menu pin",
        "2 play welcome, record, hang up",
        "pin 4 to 8 digits webhook https://backend.example.com:8443/pin",
    ):
        assert row in rows
    as_json = run("check", "--json", "--config", config).stdout
    assert json.loads(as_json)["paths"][0]["settings"]["menus"]["main"]["play"] == "welcome"
    assert "s3cret" not in done.stdout + done.stderr + as_json


def test_check_cuts_nothing_on_a_terminal_of_80_columns(tmp_path: Path) -> None:
    path = "/a-path/that-is/longer/than-a-column-of-a-table/{which}/{may}/{be}/cut"
    url = "wss://bots.example.com/that-is/longer/than-a-column-of-a-table/as-well"
    bot = f'[paths."{path}"]\nhandler = "bridge"\nurl = "{url}"\n'
    config = write_config(tmp_path, bot + MENU)
    name = "a-prompt/that-is/longer/than-a-column-of-a-table-can-be/on-a-narrow-terminal"
    for each in ("welcome", name):
        write_wav(tmp_path / f"prompts/{each}.wav", speechlike(8000))
    done = run("check", "--config", config, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert "…" not in done.stdout
    *lines, last = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert last.startswith("2 of 2 paths are open")
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    cells = {"".join(part) for part in zip(*(row for row in rows if len(row) == 5), strict=True)}
    for whole in (path, f'"{url}"', name):
        assert any(whole in cell for cell in cells), whole


ACCESS = """
[paths."/open"]
handler = "silence"
[paths."/token"]
handler = "silence"
tokens = ["s3cret"]
[paths."/network"]
handler = "silence"
allow = ["10.0.0.0/8"]
"""


def test_the_last_word_of_check_is_who_may_dial(tmp_path: Path) -> None:
    config = write_config(tmp_path, ACCESS)
    done = run("check", "--config", config)
    assert done.stdout.splitlines()[-1] == (
        "1 of 3 paths is open to anybody who reaches the port (see defaults.tokens and defaults.allow): /open"
    )
    assert json.loads(run("check", "--config", config, "--json").stdout)["open_paths"] == ["/open"]
    locked = run("check", "--config", config, MEDIASERVER_DEFAULTS__TOKENS='["s3cret"]')
    assert locked.stdout.splitlines()[-1] == "no path is open to anybody who reaches the port"
    misspelt = run("check", "--config", config, MEDIASERVER_DEFAULTS_TOKENS='["s3cret"]')
    assert misspelt.returncode == 2
    assert (
        "MEDIASERVER_DEFAULTS_TOKENS: unknown setting (did you mean MEDIASERVER_DEFAULTS__TOKENS?)"
        in misspelt.stderr
    )
    assert "s3cret" not in misspelt.stderr + misspelt.stdout


def test_check_as_json(tmp_path: Path) -> None:
    config = write_config(tmp_path, PATHS)
    write_wav(tmp_path / "prompts/tune.wav", speechlike(16_000))
    findings = json.loads(run("check", "--config", config, "--json").stdout)
    assert findings["problems"] == []
    assert [path["path"] for path in findings["paths"]] == ["/play/{prompt:.+}", "/silence"]
    (prompt,) = findings["prompts"]
    assert (prompt["name"], prompt["duration_s"]) == ("tune", 2.0)


def test_check_names_every_broken_file(tmp_path: Path, ffmpeg: str) -> None:
    config = write_config(tmp_path, '[paths."/"]\nhandler = "silence"\n')
    prompts = tmp_path / "prompts"
    good = write_wav(prompts / "good.wav", speechlike(1000)).read_bytes()
    broken = {
        "empty.wav": b"",
        "text.wav": b"this is no sound",
        "header-only.wav": good[:30],
        "no-channels.wav": good[:22] + bytes(2) + good[24:],
        "no-bytes.mp3": b"",
        "garbage.mp3": b"never an mp3 file" * 100,
        "noise.ogg": bytes(range(256)) * 8,
        "page.ulaw": b"<!DOCTYPE html><title>403</title>",
    }
    odd = {
        "cut-short.wav": (good[:-10], "is cut short: its header promises 2000 bytes of sound, 1990 are there"),
        "no-samples.wav": (good[:40] + bytes(4), "is empty: nothing is heard where it is played"),
        "half.raw": (b"\x01\x02\x03", "ends amid a sample, which is left out"),
        "twice.raw": (bytes(320), "is passed over: twice.wav has the same name, and is the better format"),
    }
    for name, (content, _) in odd.items():
        (prompts / name).write_bytes(content)
    (prompts / "twice.wav").write_bytes(good)
    (prompts / "up").symlink_to(prompts)
    for name, content in broken.items():
        (prompts / name).write_bytes(content)
    (prompts / "nowhere.wav").symlink_to(prompts / "gone")
    done = run("check", "--config", config)
    assert done.returncode == 2
    for name in (*broken, "nowhere.wav"):
        assert f"prompts/{name}: " in done.stderr
    for name, (_, why) in odd.items():
        assert f"prompts/{name} {why}\n" in done.stderr
    assert "prompts/up is a link to a folder above it, and passed over\n" in done.stderr
    assert "good.wav" not in done.stderr
    assert done.stderr.startswith("left out by serve, which goes on without:")
    assert len(done.stderr.strip().splitlines()) == 1 + len(broken) + 1 + len(odd) + 1


@pytest.mark.parametrize("command", ["check", "serve"])
def test_all_that_is_wrong_with_paths_and_prompts_is_told_at_once(tmp_path: Path, command: str) -> None:
    config = write_config(
        tmp_path,
        """
        [paths."/a"]
        handler = "playback"
        prompt = "welcom"
        [paths."/b"]
        handler = "hold-music"
        prompts = ["jazz/*", "broken"]
        [paths."/c"]
        handler = "playbak"
        [paths."/d"]
        handler = "silence"
        framing = "mesage"
        [paths."/e/{p}"]
        handler = "playback"
        prompts = ["nosuch", "{p}"]
        [defaults]
        encapsulation = "rpt"
        """,
    )
    write_wav(tmp_path / "prompts/welcome.wav", speechlike(1000))
    (tmp_path / "prompts/broken.wav").write_bytes(b"no sound")
    done = run(command, "--config", config)
    assert done.returncode == 2
    for told in (
        'paths."/a": no prompt "welcom" (did you mean "welcome"?)',
        'paths."/b": no prompt matches "jazz/*"',
        'paths."/e/{p}": no prompt "nosuch"',
        'paths."/d".framing: should be "auto", "pcm" or "message" (did you mean "message"?) (it is \'mesage\')',
        'defaults.encapsulation: should be "audiosocket", "rtp" or "sln" (did you mean "rtp"?) (it is \'rpt\')',
        'paths."/b": prompt "broken" cannot be played: broken.wav is not a WAV file',
        'paths."/c".handler: no handler "playbak" (did you mean "playback"?)',
    ):
        assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_file_that_no_path_names_does_not_stop_serve(tmp_path: Path) -> None:
    config = write_config(tmp_path, PATHS)
    (tmp_path / "prompts/broken.wav").write_bytes(b"no sound")
    with serving(config) as server:
        (line,) = server.events("prompt rejected")
        assert (line["file"], line["level"]) == ("broken.wav", "error")


# -- serve -----------------------------------------------------------------------------------------


def test_a_bad_config_is_exit_code_2_and_one_line_a_mistake(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    (tmp_path / "prompts").mkdir()
    config.write_text("[server]\nport = 'x'\nhots = 'y'\n[paths.'/']\nhandler = 'silence'\n")
    done = run("serve", "--config", config, "--admin-port", 0)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 2
    assert f"{config}: server.port: " in done.stderr
    assert f'{config}: server.hots: unknown setting (did you mean "host"?)' in done.stderr


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_prompt_folder_that_is_not_there_is_said_plainly(tmp_path: Path, command: str) -> None:
    config = write_config(tmp_path, PATHS)
    (tmp_path / "prompts").rmdir()
    done = run(command, "--config", config)
    assert done.returncode == 2
    assert f"{config}: prompts.directory: {tmp_path}/prompts is not a folder" in done.stderr


def test_an_address_in_use_is_said_plainly(tmp_path: Path) -> None:
    config = write_config(tmp_path, PATHS)
    write_wav(tmp_path / "prompts/a.wav", speechlike(1600))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--config", config, "--port", port)
    assert done.returncode == 2
    assert done.stderr == (
        f"{config}: server.port: cannot listen on 127.0.0.1:{port}: Address already in use:"
        " stop the program that listens there, or choose another port (--port)\n"
    )


@pytest.mark.parametrize("host", ["a..b", "256.0.0.1", "no host at all"])
def test_a_host_that_is_none_is_said_plainly(tmp_path: Path, host: str) -> None:
    write_wav(tmp_path / "prompts/a.wav", speechlike(1600))
    done = run("serve", "--config", write_config(tmp_path, PATHS), "--host", host)
    assert done.returncode == 2
    assert f"server.host: cannot listen on {host}:0: " in done.stderr
    assert done.stderr.endswith(": name an address of this machine, or 0.0.0.0 for all of them\n")
    assert len(done.stderr.strip().splitlines()) == 1


def test_options_win_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    config = write_config(tmp_path, PATHS)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = str(taken.getsockname()[1])
        done = run("serve", "--config", config, "--host", "256.0.0.1", MEDIASERVER_SERVER__PORT=wrong)
    assert f"cannot listen on 256.0.0.1:{wrong}" in done.stderr


# -- call ------------------------------------------------------------------------------------------


def test_call_reports_in_json(server: ServerProcess) -> None:
    done = run("call", server.url("/play/speech"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert list(report) == [
        *("frames", "duration_s", "first_frame_ms", "interarrival_ms", "lateness_ms", "drift_ppm", "bad_frames"),
        *("encapsulation", "framing", "close_code"),
    ]
    assert list(report["interarrival_ms"]) == list(report["lateness_ms"]) == ["p50", "p99", "max"]
    told = {key: report[key] for key in ("frames", "bad_frames", "encapsulation", "framing", "close_code")}
    assert told == {
        "frames": 40,
        "bad_frames": 0,
        "encapsulation": "audiosocket",
        "framing": "pcm",
        "close_code": 1000,
    }
    assert report["interarrival_ms"]["p50"] == pytest.approx(20, abs=5 * UNIT + 1000 * late())


@pytest.mark.parametrize(
    ("query", "options", "expected"),
    [
        ("?framing=message", (), ("audiosocket", "message")),
        ("?framing=message", ("--framing", "message"), ("audiosocket", "message")),
        ("?encapsulation=sln", (), ("sln", "pcm")),
        ("?encapsulation=rtp", ("--encapsulation", "rtp"), ("rtp", "pcmu")),
        ("?encapsulation=rtp&rtp_payload=pcma", (), ("rtp", "pcma")),
        ("?encapsulation=rtp&rtp_payload=l16", (), ("rtp", "l16")),
    ],
)
def test_call_speaks_every_encapsulation(server: ServerProcess, query: str, options, expected) -> None:
    report = json.loads(run("call", server.url(f"/play/speech{query}"), *options, "--json").stdout)
    assert (report["encapsulation"], report["framing"]) == expected
    assert (report["frames"], report["bad_frames"]) == (40, 0)


def test_call_records_what_it_hears(server: ServerProcess, tmp_path: Path) -> None:
    done = run("call", server.url("/play/speech"), "--record", tmp_path / "out.wav")
    assert done.returncode == 0
    assert (read_wav(tmp_path / "out.wav") == SAMPLES).all()
    assert "40 of 20 ms" in done.stdout


def test_call_talks_first_where_it_is_asked_to(server: ServerProcess, tmp_path: Path) -> None:
    spoken = write_wav(tmp_path / "in.wav", speechlike(160 * 10, 7))
    options = ("--send", spoken, "--after", "0", "--json")
    # The server answers as it is spoken to, where that is within the time of its first frame. In a process that
    # waits for a core it is not, so that some calls may get the other framing.
    for _ in range(20):
        report = json.loads(run("call", server.url("/play/speech"), *options).stdout)
        assert report["frames"] == 40
        line = server.events("stream ended")[-1]
        assert line["wire"] == f"audiosocket/{report['framing']}"
        assert line["received"] >= 10
        if report["framing"] == "message":
            return
    raise AssertionError("the server never answered as it was spoken to")


def test_call_does_not_talk_over_a_greeting_and_says_so(server: ServerProcess, tmp_path: Path) -> None:
    spoken = write_wav(tmp_path / "in.wav", speechlike(160 * 10, 7))
    done = run("call", server.url("/play/speech"), "--send", spoken, "--digits", "12")
    assert done.returncode == 1
    assert done.stderr == (
        "nothing was sent: the far end was never quiet for 1 s (--after 0 does not wait for that)\n"
    )


@pytest.mark.parametrize("digits", ["1w2", "1 2", "E"])
def test_what_is_no_key_is_said(digits: str) -> None:
    done = run("call", "ws://127.0.0.1:9/", "--digits", digits)
    assert done.returncode == 2
    assert "is no key: 0-9, A-D, * and #, and a comma for a pause" in done.stderr


def test_call_hangs_up_after_so_many_seconds(server: ServerProcess) -> None:
    report = json.loads(run("call", server.url("/silence"), "--seconds", "1", "--json").stdout)
    assert report["frames"] == pytest.approx(50, abs=3 + 5 * UNIT + late() / 0.02)
    assert report["close_code"] == 1000


def test_ctrl_c_hangs_up_and_still_reports(server: ServerProcess) -> None:
    command = [*MEDIASERVER, "call", server.url("/silence"), "--json"]
    before, begun = len(server.events("stream ended")), sent(server)
    with popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + PATIENCE
        while sent(server) < begun + 10:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["close_code"] == 1000
    deadline = time.monotonic() + PATIENCE
    while len(server.events("stream ended")) == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sent(server: ServerProcess) -> float:
    """Frames that the server has sent in its life."""
    with urlopen(server.admin_url("/metrics")) as response:
        lines = response.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("mediaserver_frames_total")))


@pytest.mark.parametrize(
    ("path", "options", "why"),
    [
        ("/play/nothing", (), 'no prompt "nothing"'),
        ("/nowhere", (), "no path /nowhere"),
        ("/silence?framing=tcp", (), 'framing="tcp" is none of auto, pcm, message'),
        (
            "/play/speech",
            ("--encapsulation", "rtp"),
            "40 messages were not one 20 ms frame: rtp was expected, and the first of them was 320 bytes",
        ),
        (
            "/play/speech",
            ("--framing", "message"),
            "audiosocket in message framing was expected, and the first of them was 320 bytes",
        ),
        (
            "/play/speech",
            ("--send", "missing.wav"),
            "--send: missing.wav cannot be read: No such file",
        ),
        ("/play/speech", ("--record", "/no/where.wav"), "--record: /no/where.wav cannot be written: No such file"),
    ],
)
def test_call_says_what_is_wrong_and_ends_with_1(server: ServerProcess, path: str, options, why: str) -> None:
    done = run("call", server.url(path), *options, "--json")
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_call_where_nothing_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    done = run("call", f"ws://127.0.0.1:{port}/?token=secret")
    assert done.returncode == 1
    assert done.stderr == f"ws://127.0.0.1:{port}/: cannot connect: Connection refused\n"
    assert "secret" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "url",
    [
        "ws://bob:SECRET@127.0.0.1:1/x?token=SECRET",
        "wss://SECRET@127.0.0.1:1/?sig=SECRET#SECRET",
        "http://bob:SECRET@127.0.0.1:1/x",
        "ws://bob:SECRET",
        "ws://bob:SEC/RET@127.0.0.1:1/",
        "tcp://bob:SECRET@127.0.0.1:1/x",
        "tcp://bob:SECRET",
        "bob:SECRET@127.0.0.1/x",
    ],
)
def test_call_shows_no_secret_of_a_url(url: str) -> None:
    done = run("call", url, "--json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for part in ("SEC", "RET", "bob"):
        assert part not in done.stderr + done.stdout


def test_a_refusal_is_json_too_and_dialled_once(server: ServerProcess) -> None:
    before = len(server.events("refused"))
    done = run("call", server.url("/play/nothing"), "--json")
    assert json.loads(done.stdout) == {"error": 'no prompt "nothing"', "status": 404}
    assert len(server.events("refused")) == before + 1


def test_a_url_that_is_none_is_said_plainly() -> None:
    done = run("call", "127.0.0.1:8080/audio-stream")
    assert "a media stream's URL begins with ws:// or wss://" in done.stderr


def test_the_version_is_told() -> None:
    assert run("--version").stdout.strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("attach", "calls", "x", "--path", "/echo"),
            "'call|conference': 'calls' is not one of 'call', 'conference'",
        ),
        (("call", "ws://x", "--seconds", "0"), "'--seconds': should be greater than or equal to 0.1"),
        (
            ("sign", "media.example.com/play/x"),
            "media.example.com/play/x: should begin with wss://, ws://, https:// or http://, or be a configured",
        ),
    ],
)
def test_what_a_command_is_given_wrong_is_told_in_its_own_words(arguments: tuple[str, ...], told: str) -> None:
    done = run(*arguments)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Value error" not in done.stderr
