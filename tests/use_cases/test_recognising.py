"""Recognising speech, end to end: a server process, real calls, real engines."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.handlers.test_transcript import captions
from tests.server.process import ServerProcess, get
from tests.sound import write_wav
from tests.speech.recordings import PAUSE, recording_of, split_chunks
from tests.speech.stt.test_pocketsphinx import HELP, THANKS, assert_understood, children, engine_of, sound_of
from tests.speech.stt_servers import OpenAiServer, VoskServer
from tests.timing import TIMEOUT, eventually
from tests.twin import Twin
from tests.twin.stream import TwinStream
from tests.use_cases.backend import Backend
from tests.use_cases.conftest import Serve, attach

pytest.importorskip("pocketsphinx", reason="pocketsphinx recognises what is said")

BALANCE = "please tell me my account balance"
PATHS = """
[recognition]
timeout = {patience}
processes = 1
[recognition.vosk]
url = "ws://{vosk}/"
[recognition.openai]
url = "http://{openai}/v1"
token = "sk-secret"
[paths."/listen"]
handler = "recognise"
keywords = ["help", "account balance", "fire"]
directory = "{folder}"
file = "{{id}}.jsonl"
[paths."/vosk"]
handler = "recognise"
engine = "vosk"
[paths."/openai"]
handler = "recognise"
engine = "openai"
language = "en-US"
[paths."/spoken"]
handler = "playback"
prompt = "spoken"
"""


async def stream_on(twin: Twin, server: ServerProcess, path: str) -> tuple[TwinStream, str]:
    call = twin.call()
    await attach(server, f"calls/{call.id}", path)
    stream = await call.stream()
    await eventually(lambda: stream.heard_at)  # by now the handler listens
    return stream, call.id


async def metrics(server: ServerProcess) -> str:
    return (await get(server.admin_url("/metrics")))[1]


def texts(backend: Backend) -> list[str]:
    return [event["text"] for event in backend.told("transcript.final")]


async def test_what_callers_say_is_told_in_words(
    serve: Serve, twin: Twin, backend: Backend, tmp_path: Path
) -> None:
    """One server for all of it, as a caller would have it: words, a killed process, a hang-up."""
    write_wav(tmp_path / "prompts/spoken.wav", np.frombuffer(recording_of(BALANCE), "<i2"))
    async with VoskServer().running() as vosk, OpenAiServer().running() as openai:
        with serve(PATHS.format(vosk=vosk.host, openai=openai.host, folder=tmp_path, patience=TIMEOUT)) as server:
            stream, call = await stream_on(twin, server, "/listen")
            stream.say(recording_of(HELP) + PAUSE + recording_of(BALANCE) + PAUSE)
            await eventually(lambda: len(backend.told("transcript.final")) == 2)
            assert_understood([HELP, BALANCE], texts(backend))
            assert [each["keyword"] for each in backend.told("keyword")] == ["help", "account balance"]
            assert [line["keyword"] for line in server.events("keyword spotted")] == ["help", "account balance"]
            assert backend.told("transcript.partial")[0]["utterance"] == 1

            recogniser = children(server.process.pid).pop()
            os.kill(recogniser, signal.SIGSTOP)  # so that it is killed amid its work, however fast it is
            stream.say(recording_of(BALANCE) + PAUSE)
            await eventually(lambda: not stream.speaking)
            os.kill(recogniser, signal.SIGKILL)
            await eventually(lambda: backend.told("recognition.failed"))
            assert backend.told("recognition.failed")[0]["why"] == "pocketsphinx: its process died"

            stream.say(recording_of(THANKS) + PAUSE)
            await eventually(lambda: len(texts(backend)) == 3)
            stream.hang_up()
            await eventually(lambda: backend.told("stream.ended"))
            assert_understood([HELP, BALANCE, THANKS], texts(backend))

            lines = [json.loads(line) for line in (tmp_path / f"{call}.jsonl").read_text().splitlines()]
            assert [line["text"] for line in lines] == texts(backend)
            assert [text for _, _, text in captions((tmp_path / f"{call}.vtt").read_text())] == texts(backend)

            found = await metrics(server)
            assert 'mediaserver_recognitions_total{result="ok"} 3.0' in found
            assert 'mediaserver_recognitions_total{result="failed"} 1.0' in found
            assert 'mediaserver_keywords_total{keyword="help"} 1.0' in found
            assert "mediaserver_recognition_seconds_count 3.0" in found

            for other, path, failure in ((vosk, "/vosk", "cut"), (openai, "/openai", "cut")):
                backend.events.clear()
                other.fault = failure
                stream, _ = await stream_on(twin, server, path)
                stream.say(recording_of(HELP) + PAUSE + recording_of(THANKS) + PAUSE)
                await eventually(lambda: len(backend.told("transcript.final")) == 1)
                assert texts(backend) == [THANKS]
                (failed,) = backend.told("recognition.failed")
                assert failed["why"] in (
                    f"{vosk.host}: the connection was closed",
                    f"{openai.host}: the connection broke off amid the answer",
                )
                stream.hang_up()
            assert "sk-secret" not in server.log_file.read_text()

            stream, _ = await stream_on(twin, server, "/spoken")
            await stream.over()
            engine = engine_of(processes=1)
            heard = await engine.recognise(sound_of(*split_chunks(stream.heard)), lambda text: None)
            await engine.close()
            assert_understood([BALANCE], [heard.text])
