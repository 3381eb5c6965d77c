"""The TTS engine `command`: with real programs, that work or fail."""

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import from_bytes
from mediaserver.config.speech_settings import CommandSettings, SpeechSettings
from mediaserver.errors import EngineError
from mediaserver.speech.service import SpeechService
from mediaserver.speech.tts import command
from mediaserver.speech.tts.interface import Voice
from tests.project import ROOT
from tests.timing import PATIENCE, TIMEOUT, UNIT, eventually

# Writes a WAV file of 24 kHz by the standard library: as many tenths of a second as the text has characters.
PROGRAM = """
import os, subprocess, sys, time, wave
text = {text}
def write(target):
    with wave.open(target, "wb") as file:
        file.setnchannels(1); file.setsampwidth(2); file.setframerate(24000)
        file.writeframes((b"\\x00\\x10" * 1200 + b"\\x00\\xf0" * 1200) * len(text))
"""
TO_STDOUT = "import io\nfound = io.BytesIO(); write(found); sys.stdout.buffer.write(found.getvalue())"
# As programs write that cannot seek: the sizes in the header are unknown.
STREAMED = TO_STDOUT.replace(
    "found.getvalue()", "b'RIFF' + b'\\xff' * 4 + found.getvalue()[8:40] + b'\\xff' * 4 + found.getvalue()[44:]"
)
FROM_STDIN, FROM_ARGUMENT = "sys.stdin.read()", "sys.argv[1]"


@pytest.fixture
async def speaking(tmp_path: Path) -> AsyncIterator[Callable[..., SpeechService]]:
    """Makes a speech service whose program is Python of the given source."""
    made: list[SpeechService] = []

    def speech(source: str, *arguments: str, timeout: float = TIMEOUT, text: str = FROM_STDIN) -> SpeechService:
        program = tmp_path / f"program{len(made)}.py"
        program.write_text(PROGRAM.replace("{text}", text) + source)
        settings = CommandSettings(program=(sys.executable, str(program), *arguments))
        made.append(SpeechService(SpeechSettings(engine="command", command=settings, timeout=timeout)))
        return made[-1]

    yield speech
    for each in made:
        await each.close()


@pytest.mark.parametrize(
    ("source", "arguments", "text"),
    [
        (TO_STDOUT, (), FROM_STDIN),
        (STREAMED, (), FROM_STDIN),
        (TO_STDOUT, ("{text}",), FROM_ARGUMENT),
        ("write(sys.argv[2])", ("{text}", "{file}"), FROM_ARGUMENT),
        ("write(sys.argv[1])", ("{file}",), FROM_STDIN),
    ],
    ids=["stdin to stdout", "streamed", "argument to stdout", "argument to file", "stdin to file"],
)
async def test_a_program_that_writes_wav(
    source: str, arguments: tuple[str, ...], text: str, speaking: Callable[..., SpeechService]
) -> None:
    samples = from_bytes(await speaking(source, *arguments, text=text).say("Ten of them").collect_pcm())
    assert len(samples) == 11 * 800  # resampled, and whole frames
    halves = samples.reshape(-1, 2, 400)[:, :, 150:250]  # the middle of each half of a period
    assert (np.abs(halves - np.array([[0x1000], [-0x1000]])) < 20).all()


async def test_placeholders_are_replaced_in_arguments(
    tmp_path: Path, speaking: Callable[..., SpeechService]
) -> None:
    arguments_file = tmp_path / "arguments_file"
    source = f"open({str(arguments_file)!r}, 'w').write(repr(sys.argv[1:]))\n{TO_STDOUT}"
    arguments = ("{voice}/{language}", "--rate={rate}", "{text}", "$HOME; {text}")
    speech = speaking(source, *arguments, text="'abc'")
    voice = speech.voice(name="amy", rate=1.25, language="en-GB")
    await speech.say("--version $(id) 'a'", voice).collect_pcm()
    assert eval(arguments_file.read_text()) == [  # noqa: S307 - written a line above
        "amy/en-GB",
        "--rate=1.25",
        " --version $(id) 'a'",  # the space keeps it from being an option
        "$HOME; --version $(id) 'a'",
    ]


FAILING = {
    "fails": (
        "sys.stderr.write('loading\\nno such voice\\n'); sys.exit(3)",
        "the program ended with 3: no such voice",
    ),
    "dies": ("os.kill(os.getpid(), 9)", "the program was killed by signal 9"),
    "garbage": ("print('hello')", "what the program wrote is not a WAV file"),
    "empty": ("", "what the program wrote is empty"),
    "half": (f"{TO_STDOUT[:-1]}[:30])", "what the program wrote is a damaged WAV file"),
    "endless": (
        "[sys.stdout.buffer.write(bytes(1 << 20)) for _ in range(40)]",
        "the program wrote more than 32000000 bytes",
    ),
}


async def test_a_program_that_fails_is_an_error_with_its_reason(speaking: Callable[..., SpeechService]) -> None:
    sources = {how: source for how, (source, _) in FAILING.items()}
    speech = speaking(f"exec({sources!r}[text])")
    for how, (_, why) in FAILING.items():
        with pytest.raises(EngineError, match=why):
            await speech.say(how).collect_pcm()


@pytest.mark.parametrize(
    ("megabytes", "why"),
    [(40, "wrote more than 32000000 bytes of sound"), (300, "wrote a file of more than 268435456 bytes")],
)
async def test_a_program_that_writes_too_large_a_file_is_an_error(
    megabytes: int, why: str, speaking: Callable[..., SpeechService]
) -> None:
    source = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"  # which Python ignores
    source += f"with open(sys.argv[1], 'wb') as file: file.truncate({megabytes} << 20)"
    with pytest.raises(EngineError, match=why):
        await speaking(source, "{file}").say("Hello").collect_pcm()


async def test_a_program_may_use_shared_memory(speaking: Callable[..., SpeechService]) -> None:
    """As espeak-ng has, where it is linked with PulseAudio: a file of 64 MB that is on no disk."""
    source = "os.truncate(os.memfd_create('pulseaudio'), 64 << 20)\nwrite(sys.argv[1])"
    assert await speaking(source, "{file}").say("Hello").collect_pcm()


async def test_a_program_that_hangs_is_killed_with_what_it_started(
    tmp_path: Path, speaking: Callable[..., SpeechService]
) -> None:
    pids_file = tmp_path / "pids_file"
    hang = f"""
if text == "Hello":
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open({str(pids_file)!r}, "w").write(f"{{os.getpid()}} {{other.pid}}")
    time.sleep(600)
"""
    speech = speaking(hang + TO_STDOUT, timeout=UNIT)
    while not pids_file.exists():  # a busy machine may take longer than the time-out to start it
        with pytest.raises(EngineError, match="no sound within"):
            await speech.say("Hello").collect_pcm()
    await eventually(lambda: not any(map(_runs, pids_file.read_text().split())))
    for _ in range(round(PATIENCE)):
        with contextlib.suppress(EngineError):  # it may take longer again
            assert await speech.say("Again").collect_pcm()
            return
    pytest.fail("nothing is spoken any more")


def _runs(pid: str) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def test_no_files_are_left_behind(speaking: Callable[..., SpeechService]) -> None:
    speech = speaking("write(sys.argv[1])", "{file}")
    await speech.say("Hello").collect_pcm()
    engine = speech._synthesiser("command").engine
    assert isinstance(engine, command.CommandTts)
    assert engine._folder is not None
    folder = Path(engine._folder)
    await eventually(lambda: not list(folder.iterdir()))
    await speech.close()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ((), "speech.command.program is empty: it names the program that speaks, and its arguments"),
        (("no-such-program",), 'speech.command.program: there is no program "no-such-program" here'),
        (("true", "{txet}"), r'speech.command.program: {txet} is none of .* \(did you mean "text"\?\)'),
        (("true", "{text}", "{voice}"), ""),
    ],
)
async def test_problems_of_the_configuration_are_known_before_a_call(program: tuple[str, ...], why: str) -> None:
    settings = SpeechSettings(engine="command", command=CommandSettings(program=program))
    found = command.config_problem(settings, Voice("command"))
    assert bool(found) == bool(why)
    if why:
        speech = SpeechService(settings)
        with pytest.raises(EngineError, match=why):
            await speech.say("Hello").collect_pcm()
        await speech.close()


EXAMPLE = ROOT / "config.example.toml"


async def test_espeak_speaks_with_the_example_of_the_configuration() -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng on this machine")
    (example,) = re.findall(r"^program = .*# (\[.*\])$", EXAMPLE.read_text(), re.MULTILINE)
    command = CommandSettings(program=tuple(json.loads(example)))
    speech = SpeechService(SpeechSettings(engine="command", command=command, timeout=TIMEOUT))
    try:
        short, long = [
            await speech.say(text).collect_pcm() for text in ("Hello.", "Hello there, how are you today.")
        ]
    finally:
        await speech.close()
    assert 4000 < len(short) < len(long)
    assert np.abs(from_bytes(long)).max() > 3000


async def test_a_program_sees_no_secrets_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment has paths, the locale, and the variables that are configured for it."""
    for name, value in {
        "MEDIASERVER_VOIPBIN__TOKEN": "s3cret",
        "MEDIA_TOKEN": "s3cret",
        "VOICE_KEY": "for the program",
        "LC_TIME": "C",
        "LANG": "C.UTF-8",
        "TMPDIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    environment_file = tmp_path / "environment_file"
    source = f"import json, os\njson.dump(dict(os.environ), open({str(environment_file)!r}, 'w'))\n"
    program = tmp_path / "program.py"
    program.write_text(source + PROGRAM.replace("{text}", FROM_STDIN) + TO_STDOUT)
    command = CommandSettings.model_validate(
        {
            "program": (sys.executable, "-E", str(program)),
            "environment": {"KEY": "env:VOICE_KEY", "LANG": "ko_KR.UTF-8"},
        }
    )
    speech = SpeechService(SpeechSettings(engine="command", command=command, timeout=TIMEOUT))
    try:
        assert await speech.say("Hello").collect_pcm()
        monkeypatch.delenv("VOICE_KEY")
        with pytest.raises(EngineError, match=r"speech\.command\.environment\.KEY: .* VOICE_KEY is not set"):
            await speech.say("Again").collect_pcm()
    finally:
        await speech.close()
    seen = json.loads(environment_file.read_text())
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    assert own | {
        "KEY": "for the program",
        "LANG": "ko_KR.UTF-8",
        "LC_TIME": "C",
        "TMPDIR": str(tmp_path),
    } == {
        name: value
        for name, value in seen.items()
        if name not in ("LANGUAGE", "TZ", "LD_LIBRARY_PATH", "LC_CTYPE")
    }
