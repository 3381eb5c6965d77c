"""Handlers that listen: `record`, `echo`, `analyse`."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call, Stream
from mediaserver.handlers.analyse import Analyse
from mediaserver.handlers.common import files
from mediaserver.handlers.echo import Echo
from mediaserver.handlers.record import Record
from mediaserver.handlers.table import HANDLERS
from mediaserver.playout.sources.live import LiveSource
from mediaserver.wire.encapsulation import PCM as PCM_ENCODING
from mediaserver.wire.encapsulation import Encapsulation, WireSettings
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import SOUNDS, library_of
from tests.project import ROOT
from tests.sound import read_stereo, read_wav, speechlike, voice
from tests.virtual import VirtualLoop, in_virtual_time

SPEECH = speechlike(8000)
PCM = to_bytes(SPEECH)
ON_A_CALL = Stream("5tr3am", "/record/a", "peer", resource="calls/652af662")
ON_OUR_PATH = Stream("5tr3am", "/record/a", "peer")


# -- record ----------------------------------------------------------------


@in_virtual_time
async def test_record_begins_after_its_beep_and_closes_at_its_limit(loop: VirtualLoop, tmp_path: Path) -> None:
    handler = Record(directory=tmp_path, file="{id}.wav", beep="welcome", max_duration=0.5, linger_ms=100)
    caller = Caller(loop, library_of())
    end = await caller.call(handler.run, 2000, (0, lambda: caller.say(PCM)))
    assert end is not None
    assert end.code == 1000
    assert (caller.heard[:1600] == SOUNDS["welcome"]).all()  # 200 ms, which are not recorded
    recorded = read_wav(tmp_path / "id.wav")
    assert (recorded == SPEECH[1600 : 1600 + 4000]).all()


@in_virtual_time
async def test_the_built_in_beep_is_heard(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of())
    await caller.call(Record(directory=tmp_path, beep=True).run, 1000)
    assert caller.sounding().sum() == 15
    assert caller.backend.events_of("recording.started") == [
        {"file": caller.backend.events_of("recording.done")[0]["file"]}
    ]


@in_virtual_time
async def test_record_ends_at_silence_and_cuts_it_off(loop: VirtualLoop, tmp_path: Path) -> None:
    """To 200 ms after the end of what was said."""
    said, caller = voice(8000), Caller(loop, library_of())
    handler = Record(directory=tmp_path, file="{id}.wav", max_silence=2, trim_silence=True, linger_ms=0)
    end = await caller.call(handler.run, 6000, (0, lambda: caller.say(to_bytes(said))))
    assert end is not None
    (done,) = caller.backend.events_of("recording.done")
    assert done["reason"] == "silence"
    assert 2.9 <= caller.stage.pacer.frames * 0.02 <= 3.6
    recorded, loud = read_wav(tmp_path / "id.wav"), np.flatnonzero(np.abs(said) > 180)
    assert len(recorded) == loud[-1] + 1 + 1600
    assert (recorded[:8000] == said).all()


@in_virtual_time
async def test_record_does_not_follow_a_link_out_of_its_folder(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "recordings/box").symlink_to(tmp_path / "elsewhere")
    caller = Caller(loop, library_of())
    handler = Record(directory=tmp_path / "recordings", file="box/{id}.wav", max_duration=0.5)
    await caller.call(handler.run, 1000)
    (failed,) = caller.backend.events_of("recording.failed")
    assert failed["error"] == "Operation not permitted"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@in_virtual_time
async def test_a_recording_that_fails_leaves_the_call_alone(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    caller = Caller(loop, library_of())
    assert await caller.call(Record(directory=tmp_path / "file").run, 3000) is None
    assert caller.stage.pacer.frames >= 148


@pytest.mark.parametrize("then", ["close", "hangup"])
@in_virtual_time
async def test_what_follows_a_recording_follows_one_that_fails(
    loop: VirtualLoop, tmp_path: Path, then: str
) -> None:
    """The prompt is heard meanwhile, and the call ends when it would have ended."""
    (tmp_path / "file").write_text("in the way")
    caller = Caller(loop, library_of())
    handler = Record(directory=tmp_path / "file", prompt="welcome", max_duration=1, then=then, linger_ms=100)
    end = await caller.call(handler.run, 3000)
    assert end is not None
    assert end.code == 1000
    assert (caller.heard[:1600] == SOUNDS["welcome"]).all()
    assert caller.stage.pacer.frames == 50 + 5  # a second, and what lingers
    assert caller.session._lifetime.hanging_up == (then == "hangup")
    (failed,) = caller.backend.events_of("recording.failed")
    assert failed["error"] == "File exists"


@pytest.mark.parametrize(
    ("stream", "template", "name"),
    [
        (ON_A_CALL, "{resource}-{id}.wav", "calls-652af662.wav"),
        (ON_OUR_PATH, "{resource}-{id}.wav", "record-a-5tr3am.wav"),
        (ON_A_CALL, "{resource}/{id}/{stream}.wav", "calls/652af662/5tr3am.wav"),
        (Stream("s", "/../..//etc/passwd", "p"), "{resource}.wav", "etc-passwd.wav"),
        (Stream("s", "/", "p", resource="calls/.."), "{id}.wav", "none.wav"),
        (Stream("s", "/" + "漢" * 300, "p"), "{resource}.wav", "漢" * 20 + ".wav"),
        (Stream("s", "/" + "x" * 300, "p"), "{resource}.wav", "x" * 60 + ".wav"),
    ],
)
def test_names_are_made_by_templates_and_stay_in_their_folder(stream: Stream, template: str, name: str) -> None:
    assert files.expand_template(Path("recordings"), template, stream) == Path("recordings") / name


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("../{id}.wav", "must name a file within the folder"),
        ("/etc/{id}.wav", "must name a file within the folder"),
        ("a/../../{id}.wav", "must name a file within the folder"),
        ("{caller}.wav", "has a field that is none of {call}, {id}, {resource}, {stream}, {time}"),
        ("{time:%Y%m%d}.wav", "has a field that is none of"),
        ("{id!r}.wav", "has a field that is none of"),
        ("{id", "is not a name template"),
        ("", "must name a file within the folder"),
    ],
)
def test_templates_that_lead_out_of_the_folder_are_mistakes(template: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Record(file=template)


# -- echo ----------------------------------------------------------------


@pytest.mark.parametrize(("delay_ms", "frames"), [(0, 1), (20, 1), (500, 25)])
@in_virtual_time
async def test_echo_sends_the_audio_back(loop: VirtualLoop, delay_ms: int, frames: int) -> None:
    caller = Caller(loop, library_of())
    await caller.call(Echo(delay_ms=delay_ms).run, 3000, (500, lambda: caller.say(PCM)))
    heard = caller.heard
    at = int(np.flatnonzero(heard)[0]) - int(np.flatnonzero(SPEECH)[0])
    assert (heard[at : at + 8000] == SPEECH).all()
    assert not heard[at + 8000 :].any()
    assert at // 160 * 20 == 500 + frames * 20  # said at 510, in a frame that is there at the tick after the delay


def test_a_live_source_keeps_its_delay_and_drops_what_comes_too_fast() -> None:
    live = LiveSource(delay_ms=40)
    items = live.iter_frames(PCM_ENCODING)
    head = len(PCM_ENCODING.header)

    def hear() -> int:
        return next(items)[head]

    assert [hear() for _ in range(3)] == [0, 0, 0]
    live.push_audio(b"\1" * 320)
    assert hear() == 0  # not yet 40 ms
    live.push_audio(b"\2" * 320)
    assert [hear() for _ in range(3)] == [1, 2, 0]
    assert live.underruns == 1
    live.push_audio(b"\3" * 320)
    assert hear() == 0  # 40 ms again
    live.push_audio(b"\4" * 320 * 20)
    assert live.dropped == 19 * 160  # all but the delay
    assert [hear() for _ in range(3)] == [4, 4, 0]


# -- analyse ----------------------------------------------------------------


@in_virtual_time
async def test_analyse_reports_at_each_interval_and_at_the_end(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of())
    half_scale = to_bytes((16_384 * np.sin(np.arange(8000) * 2 * np.pi / 8)).astype(np.int16))
    await caller.call(
        Analyse(interval=1, directory=tmp_path, file="{id}.jsonl").run,
        2500,
        (0, lambda: caller.say(half_scale + b"\xff\x7f" * 1600 + digits("42"))),
    )
    reports = [json.loads(line) for line in (tmp_path / "id.jsonl").read_text().splitlines()]
    assert [report["final"] for report in reports] == [False, False, True]
    for report, told in zip(reports, caller.backend.events_of("analysis"), strict=True):
        assert report.items() >= (told | {"stream": "id", "path": "/path"}).items()
        assert abs(datetime.fromisoformat(report["time"]) - datetime.now(UTC)) < timedelta(minutes=1)
    first, second, last = reports
    assert first["rms_dbfs"] == pytest.approx(-6.0, abs=0.1)
    assert first["peak_dbfs"] == pytest.approx(-6.0, abs=0.1)
    assert first["level_dbm0"] == pytest.approx(-6.0 + 3.2, abs=0.1)
    assert second["clipped_samples"] == 1600
    assert second["digits"] + last["digits"] == "42"
    assert [report["to_s"] for report in reports] == [first["to_s"], second["to_s"], 2.5]
    assert sum(report["heard_s"] for report in reports) == pytest.approx(2.5)
    assert caller.backend.events_of("digits") == [{"digits": "4"}, {"digits": "2"}]


@in_virtual_time
async def test_a_report_that_cannot_be_written_is_reported_once(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    caller = Caller(loop, library_of())
    await caller.call(Analyse(interval=1, directory=tmp_path / "file", file="a.jsonl").run, 3500)
    assert len(caller.backend.events_of("analysis")) == 4
    failed = {"file": str(tmp_path / "file/a.jsonl"), "error": "File exists"}
    assert caller.backend.events_of("report.failed") == [failed]


@in_virtual_time
async def test_speech_and_long_silence_are_events_when_they_happen(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    said = to_bytes(voice(16_000))
    await caller.call(Analyse(silence_after=2).run, 8000, (1000, lambda: caller.say(said)))
    (started,), (stopped,) = caller.backend.events_of("speech.started"), caller.backend.events_of("speech.stopped")
    assert started["at_s"] == pytest.approx(1.08, abs=0.04)
    assert stopped["seconds"] == pytest.approx(2.4, abs=0.1)
    silences = caller.backend.events_of("silence")
    assert [silence["at_s"] for silence in silences] == pytest.approx([stopped["at_s"] + 2.0], abs=0.05)
    report = caller.backend.events_of("analysis")[-1]
    assert report["talk_spurts"] == 1
    assert report["speech_s"] == pytest.approx(2.4, abs=0.1)
    assert report["speech_ratio"] == pytest.approx(0.3, abs=0.02)


@in_virtual_time
async def test_keys_are_no_speech(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    await caller.call(Analyse().run, 4000, (500, lambda: caller.say(digits("12345#", on_ms=200))))
    assert caller.backend.events_of("speech.started") == []
    (report,) = caller.backend.events_of("analysis")
    assert (report["digits"], report["speech_s"]) == ("12345#", 0.0)


@in_virtual_time
async def test_a_prompt_heard_while_it_records_is_on_the_right(loop: VirtualLoop, tmp_path: Path) -> None:
    handler = Record(
        directory=tmp_path, file="a.wav", stereo=True, prompt="welcome", max_duration=1, then="silence"
    )
    caller = Caller(loop, library_of())
    await caller.call(handler.run, 2000, (0, lambda: caller.say(PCM)))
    right = read_stereo(tmp_path / "a.wav")[:, 1].tobytes()
    assert SOUNDS["welcome"].tobytes() in right
    assert caller.heard.tobytes().startswith(SOUNDS["welcome"].tobytes())


@in_virtual_time
async def test_lost_packets_and_jitter_are_reported(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(), WireSettings(encapsulation=Encapsulation.RTP))
    session = caller.session

    async def work(call: Call) -> None:
        await Analyse(interval=60).run(call)

    packets = [b"\x80\x00" + n.to_bytes(2, "big") + bytes(8) + b"\xff" * 160 for n in range(100)]
    acts = [
        (n * 20.0, lambda packet=packet: session.receive_binary(packet))
        for n, packet in enumerate(packets)
        if n not in (30, 31, 60)
    ]
    caller.quiet = True
    await caller.call(work, 2500, *acts)
    (report,) = caller.backend.events_of("analysis")
    assert (report["packets_lost"], report["packets_late"], report["packets_duplicate"]) == (3, 0, 0)
    assert report["heard_s"] == 2.0  # with what stands in for the lost packets
    assert report["jitter_ms"] == 0.0


def test_the_file_template_of_a_config_may_have_the_fields(tmp_path: Path) -> None:
    from mediaserver import config
    from mediaserver.routing import route_builder

    file = tmp_path / "config.toml"
    file.write_text(
        '[paths."/record/{box}"]\nhandler = "record"\nfile = "{box}/{time}-{id}.wav"\n'
        '[paths."/bad"]\nhandler = "record"\nfile = "{caller}.wav"\n'
    )
    settings, _ = config.load(file)
    built, found = route_builder.build_routes(settings, "config.toml")
    assert found == ['config.toml: paths."/bad": file: uses {caller}, which the path does not have']
    handler = built[0].build_handler({"box": "sales"}, {}, library_of().snapshot)
    assert isinstance(handler, Record)
    assert handler.file == "sales/{time}-{id}.wav"


# -- who needs to hear the caller ----------------------------------------------------------------

TABLE = (ROOT / "docs/flow-builders/handlers.md").read_text()
NEEDS = dict(re.findall(r"^\| `([a-z-]+)` \| .*? \| (yes|no)\b.*? \|", TABLE, re.MULTILINE))
MENU = {"main": {"keys": {"1": {"hangup": True}}, "timeout": 60}}
SETTINGS: dict[str, dict[str, Any]] = {
    "playback": {"prompt": "welcome", "repeat": "forever"},
    "hold-music": {"prompts": ["welcome"]},
    "tone": {"tone": "dial"},
    "record": {"max_duration": 60},
    "menu": {"menus": MENU},
}


def test_the_table_says_of_every_handler_whether_it_listens() -> None:
    assert NEEDS.keys() == HANDLERS.keys()
    assert {NEEDS[name] for name in ("bridge", "recognise", "assistant")} == {"yes"}  # which need others to run


@pytest.mark.parametrize("name", sorted(HANDLERS.keys() - {"say", "bridge", "recognise", "assistant"}))
@in_virtual_time
async def test_a_handler_that_listens_warns_of_a_one_way_stream(
    loop: VirtualLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    caller = Caller(loop, library_of())
    caller.quiet = True
    await caller.call(HANDLERS[name].model_validate(SETTINGS.get(name, {})).run, 6000)
    assert caller.session.inbound_problems == ["no-audio"] * (NEEDS[name] == "yes")
