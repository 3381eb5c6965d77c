"""The six use cases of VoIPBIN's media stream tutorial, end to end: a server process, real sockets, the sound."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import Samples, from_bytes, to_bytes
from tests.server.process import get
from tests.sound import level_db, read_wav, sine, speechlike, voice, write_wav
from tests.timing import UNIT, eventually, late
from tests.twin import Twin, coded
from tests.twin.stream import TwinStream
from tests.use_cases.backend import Backend
from tests.use_cases.conftest import Serve, attach

BIT_EXACT = pytest.mark.parametrize("encapsulation", ["audiosocket", "sln", "rtp"])  # all carry µ-law to us


def place(sound: Samples, heard: Samples) -> int:
    """Where a sound is in what was heard, to the bit; -1 where it is not."""
    return heard.tobytes().find(sound.tobytes()) // 2


def heard_by(stream: TwinStream) -> Samples:
    return from_bytes(stream.heard)


# -- 1: real-time speech recognition ---------------------------------------------------------------

RECOGNISER = """
from mediaserver.handlers import Handler
from mediaserver.audio.detection.vad import VoiceActivityDetector
from mediaserver.wire.events import Audio

class Recogniser(Handler):
    engine: str

    async def run(self, call):
        detector, utterance = VoiceActivityDetector(), b""
        async for event in call.events():
            if not isinstance(event, Audio):
                continue
            spoke = detector.speaking
            utterance += event.pcm
            if detector.feed(event.pcm):
                continue
            if spoke:
                text = (await call.ask(self.engine, {"pcm": utterance.hex()}))["text"]
                call.notify("transcript", {"text": text})
            utterance = utterance[-16000:] if not spoke else b""  # what came before the detector was sure
"""


@BIT_EXACT
async def test_1_speech_recognition_hears_what_was_said(
    serve: Serve, twin: Twin, backend: Backend, tmp_path: Path, encapsulation: str
) -> None:
    (tmp_path / "recogniser.py").write_text(RECOGNISER)
    backend.answer = lambda question: {"text": "hello"}
    call, said = twin.call(), voice(12_000)
    with serve('[paths."/recognise"]\nhandler = "recogniser:Recogniser"\nengine = "BACKEND/ask"') as server:
        await attach(server, f"calls/{call.id}", "/recognise", encapsulation=encapsulation)
        stream = await call.stream()
        await eventually(lambda: stream.heard_at)  # by now the handler listens
        stream.say(to_bytes(said))
        await eventually(lambda: backend.told("transcript"))
        assert backend.told("transcript")[0]["text"] == "hello"
        utterance = bytes.fromhex(backend.questions[0]["pcm"])
        assert coded(to_bytes(said)) in utterance
        call.hang_up()
        await eventually(lambda: backend.told("stream.ended"))


# -- 2: audio injection, IVR replacement -----------------------------------------------------------

MENU = """
[paths."/ivr"]
handler = "menu"
[paths."/ivr".menus.main]
play = "welcome"
keys.1 = { menu = "sales" }
[paths."/ivr".menus.sales]
play = "sales"
keys.2 = { menu = "order" }
[paths."/ivr".menus.order]
play = "order"
collect = { min = 4, max = 8 }
then = { webhook = "BACKEND/ask" }
"""


@BIT_EXACT
async def test_2_digits_pressed_lead_through_three_menus(
    serve: Serve, twin: Twin, backend: Backend, tmp_path: Path, encapsulation: str
) -> None:
    names = ["welcome", "sales", "order", "bye"]
    sounds = {name: speechlike(4000, seed) for seed, name in enumerate(names, 10)}
    for name, sound in sounds.items():
        write_wav(tmp_path / f"prompts/{name}.wav", sound)
    backend.answer = lambda question: {"play": "bye", "hangup": True}
    call = twin.call()
    with serve(MENU) as server:
        identity = await attach(
            server, f"calls/{call.id}", "/ivr", encapsulation=encapsulation, variables={"a": "b"}
        )
        stream = await call.stream()
        for name, keys in (("welcome", "1"), ("sales", "2"), ("order", "4711#")):
            sound = sounds[name]
            await eventually(lambda: place(sound, heard_by(stream)) >= 0)  # noqa: B023
            stream.press(keys)
        assert "code" in (await stream.over()) or stream.peer_code == 1000
        places = [place(sounds[name], heard_by(stream)) for name in names]
        assert places == sorted(places)
        assert min(places) >= 0
        assert stream.errors == []
        (question,) = backend.questions
        assert (question["digits"], question["event"], question["menu"]) == ("4711", "digits", "order")
        assert (question["stream"], question["variables"]) == (identity, {"a": "b"})
        await eventually(lambda: backend.told("stream.ended"))
        assert [event["sequence"] for event in backend.events] == list(range(1, len(backend.events) + 1))
        assert [told["digits"] for told in backend.told("digits")] == ["1", "2", "4711"]


BARGE_IN = """
[paths."/m"]
handler = "menu"
[paths."/m".menus.main]
play = "long"
keys.5 = { menu = "quiet" }
[paths."/m".menus.quiet]
timeout = 60
keys.0 = { menu = "main" }
"""


def sounding(stream: TwinStream) -> np.ndarray:
    """Whether there is sound in each frame that was heard."""
    return np.any(heard_by(stream).reshape(-1, 160), axis=1)


def stopped(stream: TwinStream, begun: int) -> int | None:
    """The frame from `begun` on that the first 400 ms of silence follow; None where there are none yet.

    A test on a busy machine may look so late that the next prompt plays already.
    """
    frames = np.flatnonzero(sounding(stream)[begun:]) + begun
    pauses = np.flatnonzero(np.diff(frames, append=len(stream.heard_at)) > 20)
    return int(frames[pauses[0]]) if pauses.size else None


async def test_2_a_digit_stops_a_prompt_within_60_ms_of_its_end(
    serve: Serve, twin: Twin, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """At the far end, from the end of the tone to the last frame of the prompt: as a rule that was before."""
    write_wav(tmp_path / "prompts/long.wav", speechlike(80_000, 4))
    call, latencies = twin.call(), []
    with serve(BARGE_IN) as server:
        await attach(server, f"calls/{call.id}", "/m")
        stream = await call.stream()
        for count in range(1, 10, 2):
            await eventually(lambda: sounding(stream)[-10:].any())
            begun = int(np.flatnonzero(sounding(stream))[-1])
            stream.press("5")
            await eventually(lambda: len(stream.pressed) == count and stopped(stream, begun) is not None)  # noqa: B023
            last = stopped(stream, begun)
            assert last is not None
            latencies.append(stream.heard_at[last] - stream.pressed[-1].at)
            stream.press("0")
        call.hang_up()
    record_property("latency_ms", [round(latency * 1000) for latency in latencies])
    assert max(latencies) <= 0.060 * UNIT + late()


# -- 3: conference recording -----------------------------------------------------------------------


@BIT_EXACT
async def test_3_a_conference_recording_has_every_participant(
    serve: Serve, twin: Twin, backend: Backend, tmp_path: Path, encapsulation: str
) -> None:
    conference = twin.conference(participants=3)
    pitches = (440, 1000, 1700)
    voices = [(sine(hz, 1.0, 8000, 0.2) * 32_768).astype(np.int16) for hz in pitches]
    with serve(f'[paths."/record"]\nhandler = "record"\ndirectory = "{tmp_path}/recordings"') as server:
        await attach(server, f"conferences/{conference.id}", "/record", encapsulation=encapsulation)
        stream = await conference.stream()
        await eventually(lambda: backend.told("recording.started"))
        utterances = [
            said
            for participant, voice in zip(conference.participants, voices, strict=True)
            for said in participant.say(to_bytes(voice))
        ]
        assert len(utterances) == 3
        await eventually(lambda: not stream.speaking)
        conference.hang_up()
        await eventually(lambda: backend.told("recording.done"))
    (done,) = backend.told("recording.done")
    assert re.fullmatch(rf"conferences-{conference.id}-\d{{8}}T\d{{6}}\.\d{{3}}Z\.wav", Path(done["file"]).name)
    recorded = read_wav(Path(done["file"]))
    assert len(recorded) / 8000 == pytest.approx(done["seconds"])
    said = from_bytes(stream.said)
    assert place(recorded[: len(recorded) - 1600], said) >= 0  # to the bit, from when it began to listen
    loud = recorded[np.flatnonzero(recorded)[0] :][:8000]
    for hz in pitches:
        assert level_db(loud / 32_768, hz) == pytest.approx(20 * np.log10(0.2), abs=0.5)


async def test_a_recording_that_fails_is_counted_told_once_and_ends_as_it_would_have(
    serve: Serve, twin: Twin, backend: Backend, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    record = f'[paths."/record"]\nhandler = "record"\ndirectory = "{tmp_path}/file"\nmax_duration = 0.5\n'
    counter = 'mediaserver_events_total{type="recording.failed"}'
    call = twin.call()
    with serve(record) as server:
        _, metrics = await get(server.admin_url("/metrics"))
        assert f"{counter} 0.0" in metrics
        await attach(server, f"calls/{call.id}", "/record")
        await (await call.stream()).over()
        await eventually(lambda: backend.told("stream.ended"))
        _, metrics = await get(server.admin_url("/metrics"))
        assert f"{counter} 1.0" in metrics
        assert len(server.events("recording failed")) == 1
    (failed,) = backend.told("recording.failed")
    assert (failed["error"], failed["seconds"]) == ("File exists", 0.0)
    assert backend.told("stream.ended")[0]["reason"] == "finished"


# -- 4: real-time audio analysis -------------------------------------------------------------------


async def test_4_analysis_reports_as_lines_events_and_metrics(
    serve: Serve, twin: Twin, backend: Backend, tmp_path: Path
) -> None:
    call = twin.call()
    paths = (
        f'[paths."/analyse"]\nhandler = "analyse"\ninterval = 1\nfile = "{{id}}.jsonl"\ndirectory = "{tmp_path}"'
    )
    with serve(paths) as server:
        await attach(server, f"calls/{call.id}", "/analyse", encapsulation="rtp")
        stream = await call.stream()
        await eventually(lambda: stream.heard_at)  # by now the handler listens
        stream.say(to_bytes(voice(8000)))
        await eventually(lambda: not stream.speaking)
        stream.press("42")
        await eventually(lambda: len(backend.told("digits")) == 2)
        await eventually(lambda: backend.told("speech.stopped"))
        call.hang_up()
        await eventually(lambda: backend.told("stream.ended"))
        _, metrics = await get(server.admin_url("/metrics"))
    reports = [json.loads(line) for line in (tmp_path / f"{call.id}.jsonl").read_text().splitlines()]
    assert reports[-1]["final"]
    assert max(report["speech_ratio"] for report in reports) > 0.4
    assert "".join(report["digits"] for report in reports) == "42"
    assert backend.told("analysis")[0]["rms_dbfs"] == reports[0]["rms_dbfs"]
    assert float(re.findall(r"\nmediaserver_heard_seconds_total (\S+)", metrics)[0]) > 1
    assert float(re.findall(r'mediaserver_events_total{type="digits"} (\S+)', metrics)[0]) == 2


# -- 5: custom music on hold -----------------------------------------------------------------------


@BIT_EXACT
async def test_5_hold_music_loops_without_a_seam(
    serve: Serve, twin: Twin, tmp_path: Path, encapsulation: str
) -> None:
    tune = speechlike(3777, 6)  # no whole number of frames
    write_wav(tmp_path / "prompts/tune.wav", tune)
    call = twin.call()
    with serve('[paths."/hold"]\nhandler = "hold-music"\nprompts = ["tune"]\nshared = false') as server:
        await attach(server, f"calls/{call.id}", "/hold", encapsulation=encapsulation)
        stream = await call.stream()
        await eventually(lambda: len(stream.heard_at) >= 120)
        call.hang_up()
        await stream.over()
    heard = np.trim_zeros(heard_by(stream), "f")
    assert (heard == np.resize(tune, len(heard))).all()  # five times round
    assert stream.errors == []


# -- 6: a voice assistant --------------------------------------------------------------------------

ASSISTANT = """
import asyncio
from mediaserver.audio.detection.vad import VoiceActivityDetector
from mediaserver.handlers import Handler
from mediaserver.playout.sources.source import Clip
from mediaserver.wire.events import Audio

class Assistant(Handler):
    mind: str

    async def run(self, call):
        while True:
            question = await self.listen(call)
            answer = await call.ask(self.mind, {"seconds": len(question) / 16000})
            speaking = asyncio.create_task(call.play(Clip(bytes.fromhex(answer["pcm"]))))
            barging = asyncio.create_task(call.wait_for_speech())
            await asyncio.wait([speaking, barging], return_when=asyncio.FIRST_COMPLETED)
            if not speaking.done():
                call.clear()
                call.notify("interrupted", {"heard_s": (await speaking).seconds})
            barging.cancel()

    async def listen(self, call):
        detector, heard = VoiceActivityDetector(), b""
        async for event in call.events():
            if isinstance(event, Audio):
                spoke = detector.speaking
                if detector.feed(event.pcm) or spoke:
                    heard += event.pcm
                if spoke and not detector.speaking:
                    return heard
"""


async def test_6_an_assistant_listens_asks_and_speaks_and_can_be_interrupted(
    serve: Serve, twin: Twin, backend: Backend, tmp_path: Path
) -> None:
    (tmp_path / "assistant.py").write_text(ASSISTANT)
    answers = [speechlike(8000, 21), speechlike(80_000, 22)]  # the second is ten seconds long
    backend.answer = lambda question: {"pcm": to_bytes(answers[len(backend.questions) - 1]).hex()[:60_000]}
    call = twin.call()
    with serve('[paths."/assistant"]\nhandler = "assistant:Assistant"\nmind = "BACKEND/ask"') as server:
        await attach(server, f"calls/{call.id}", "/assistant")
        stream = await call.stream()
        await eventually(lambda: stream.heard_at)  # by now the handler listens
        stream.say(to_bytes(voice(8000, 130)))
        await eventually(lambda: place(answers[0], heard_by(stream)) >= 0)
        stream.say(to_bytes(voice(8000, 150)))
        await eventually(lambda: len(backend.questions) == 2)
        first = answers[1][:160]
        await eventually(lambda: place(first, heard_by(stream)) >= 0)
        stream.say(to_bytes(voice(8000)))
        await eventually(lambda: backend.told("interrupted"))
        heard = backend.told("interrupted")[0]["heard_s"]
        await eventually(lambda: not heard_by(stream)[-800:].any())
        frames = round(heard * 50)
        at = place(first, heard_by(stream))
        sound = heard_by(stream)[at : at + frames * 160]
        assert (sound == answers[1][: len(sound)]).all()
        assert 0.7 < backend.questions[0]["seconds"] < 1.6
        call.hang_up()
        await stream.over()
