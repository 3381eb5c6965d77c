"""Recordings: the content of the file, to the sample, and what becomes of it where the disk fails."""

import asyncio
import contextlib
import errno
import itertools
import os
import resource
import subprocess
import sys
import textwrap
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaserver.audio import tones
from mediaserver.audio.containers import wav
from mediaserver.audio.pcm import to_bytes
from mediaserver.audio.tone_plans import resolve_tone
from mediaserver.call import Call, Recording
from mediaserver.call.inbound.frame_gatherer import FrameGatherer
from mediaserver.call.recording.disk import DiskExecutor
from mediaserver.call.recording.recorder import Recorder
from mediaserver.call.recording.states import Progress, StopReason
from mediaserver.call.recording.wav_writer import WavFile
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Clip
from mediaserver.wire.encapsulation import Framing, WireSettings
from mediaserver.wire.events import Audio
from tests.call.caller import Caller, digits
from tests.call.recording.test_disk import is_busy
from tests.handlers.test_handlers import library_of
from tests.sound import read_stereo, read_wav, speechlike, voice
from tests.timing import PATIENCE, eventually
from tests.virtual import VirtualLoop, in_virtual_time

SPEECH = speechlike(12_000)  # 75 frames
PCM = to_bytes(SPEECH)
OURS = speechlike(8000, 7)


async def recorded(loop: VirtualLoop, path: Path, ms: float, *acts, caller: Caller | None = None, **options):
    """A recording of a caller who says things at their times."""
    caller = caller or Caller(loop, library_of())
    made: list[Recording] = []

    async def run(call: Call) -> None:
        made.append(await call.record(path, **options))
        await call.silence()

    await caller.call(run, ms, *[(at, lambda pcm=pcm: caller.say(pcm)) for at, pcm in acts])
    events = [data for kind, data in caller.backend.events if kind in ("recording.done", "recording.failed")]
    return caller, made[0] if made else Recording(**events[0])


@in_virtual_time
async def test_received_audio_is_recorded_to_the_sample(loop: VirtualLoop, tmp_path: Path) -> None:
    _, recording = await recorded(loop, tmp_path / "deep" / "calls" / "a.wav", 2000, (0, PCM))
    heard = read_wav(tmp_path / "deep/calls/a.wav")
    assert (heard[: len(SPEECH)] == SPEECH).all()
    assert len(heard) == 16_000
    assert recording == Recording(str(tmp_path / "deep/calls/a.wav"), 2.0, "stream-ended")
    assert [file.name for file in (tmp_path / "deep/calls").iterdir()] == ["a.wav"]


@in_virtual_time
async def test_one_that_is_cancelled_while_the_stream_goes_on_was_stopped(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    caller = Caller(loop, library_of())

    async def run(call: Call) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await call.record(tmp_path / "a.wav")
        await call.record(tmp_path / "b.wav")

    await caller.call(run, 1000)
    (stopped, ended) = caller.backend.events_of("recording.done")
    assert (stopped["reason"], stopped["seconds"]) == ("stopped", 0.5)
    assert (ended["reason"], ended["seconds"]) == ("stream-ended", 0.5)


@in_virtual_time
async def test_max_duration_is_exact_to_the_sample(loop: VirtualLoop, tmp_path: Path) -> None:
    _, recording = await recorded(loop, tmp_path / "a.wav", 3000, (0, PCM), max_duration=1.0015)
    assert (read_wav(tmp_path / "a.wav") == SPEECH[:8012]).all()
    assert (recording.seconds, recording.reason) == (1.002, "max-duration")


@in_virtual_time
async def test_max_duration_ends_it_even_where_no_audio_comes(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of())
    caller.quiet = True
    _, recording = await recorded(loop, tmp_path / "a.wav", 5000, caller=caller, max_duration=2)
    assert (recording.seconds, recording.reason) == (0.0, "max-duration")


@in_virtual_time
async def test_a_digit_ends_it(loop: VirtualLoop, tmp_path: Path) -> None:
    _, recording = await recorded(
        loop, tmp_path / "a.wav", 3000, (500, digits("1")), (1000, digits("#")), finish_on="*#"
    )
    assert recording.reason == "digit"
    assert 1.0 <= recording.seconds <= 1.1


@in_virtual_time
async def test_silence_ends_it(loop: VirtualLoop, tmp_path: Path) -> None:
    _, recording = await recorded(loop, tmp_path / "a.wav", 6000, (0, to_bytes(voice(12_000))), max_silence=2)
    assert recording.reason == "silence"
    assert 3.5 <= recording.seconds <= 4.1


@pytest.mark.parametrize("sound", ["busy", "hum"])
@in_virtual_time
async def test_a_busy_tone_and_hum_are_silence_to_it(loop: VirtualLoop, tmp_path: Path, sound: str) -> None:
    """A caller who has hung up leaves a tone behind, for hours."""
    if sound == "busy":
        left = np.tile(tones.render(resolve_tone("busy", "de", -15.0)).repeat, 20)[:80_000]
    else:
        at = 2 * np.pi * 50 * np.arange(80_000) / 8000
        left = np.sum([800 * np.sin(n * at) / n for n in (1, 3, 5, 7, 9)], axis=0).astype(np.int16)
    said = to_bytes(voice(12_000)) + to_bytes(left)
    _, recording = await recorded(loop, tmp_path / "a.wav", 9000, (0, said), max_silence=3)
    assert recording.reason == "silence"
    assert 4.5 <= recording.seconds <= 5.2


@in_virtual_time
async def test_silence_at_the_end_is_trimmed(loop: VirtualLoop, tmp_path: Path) -> None:
    _, recording = await recorded(loop, tmp_path / "a.wav", 8000, (0, PCM), trim_silence=True)
    assert recording.seconds == pytest.approx(1.7, abs=0.03)  # 1.5 s, and 200 ms that are left


@in_virtual_time
async def test_stereo_has_the_caller_on_the_left_and_us_on_the_right_in_step(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    caller, made = Caller(loop, library_of()), []

    async def run(call: Call) -> None:
        playing = asyncio.create_task(call.play(Playlist(Repeated([Clip(to_bytes(OURS))], None))))
        made.append(await call.record(tmp_path / "a.wav", stereo=True, max_duration=3))
        playing.cancel()

    await caller.call(run, 5000, (1000, lambda: caller.say(PCM)))
    rows = read_stereo(tmp_path / "a.wav")
    assert len(rows) == 24_000
    left, right = rows[:, 0], rows[:, 1]
    at = int(np.flatnonzero(left)[0])
    assert 7800 <= at <= 8300  # spoken at 1000 ms
    assert (left[at : at + 12_000] == SPEECH[np.flatnonzero(SPEECH)[0] :][:12_000][: len(left) - at]).all()
    start = int(np.flatnonzero(right)[0])
    assert start <= 160
    assert (right[start:] == np.resize(OURS, 40_000)[int(np.flatnonzero(OURS)[0]) :][: len(right) - start]).all()


@pytest.mark.parametrize("stall_ms", [300, 800])
@in_virtual_time
async def test_a_burst_after_a_stall_of_the_network_leaves_both_sides_in_step(
    loop: VirtualLoop, tmp_path: Path, stall_ms: int
) -> None:
    """Nothing was lost, so nothing is filled in: all that came late has its place."""
    caller, made = Caller(loop, library_of()), []
    session, frames = caller.session, stall_ms // 20
    caller.quiet = True
    said = [PCM[at : at + 320] for at in range(0, len(PCM), 320)]
    acts = [(n * 20.0 if not 10 <= n < 10 + frames else 200.0 + stall_ms, n) for n in range(75)]

    async def run(call: Call) -> None:
        made.append(await call.record(tmp_path / "a.wav", stereo=True, max_duration=1.4))

    await caller.call(run, 3000, *[(at, lambda n=n: session.receive_binary(said[n])) for at, n in acts])
    rows = read_stereo(tmp_path / "a.wav")
    assert (rows[:, 0] == SPEECH[: len(rows)]).all()
    assert len(rows) == 11_200


@in_virtual_time
async def test_stereo_keeps_its_place_while_the_caller_sends_nothing(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of())
    caller.quiet = True
    await recorded(loop, tmp_path / "a.wav", 6000, (3000, PCM), caller=caller, stereo=True)
    rows = read_stereo(tmp_path / "a.wav")
    at = int(np.flatnonzero(rows[:, 0])[0])
    assert 3000 * 8 - 320 <= at <= 3000 * 8 + 480


@in_virtual_time
async def test_stereo_is_as_long_as_the_call_where_the_caller_falls_silent(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    """What we say after the caller's last frame is recorded to the end, one that is cut short included."""
    caller, made = Caller(loop, library_of()), []
    ours = Clip(to_bytes(OURS))

    async def run(call: Call) -> None:
        playing = asyncio.create_task(call.play(Playlist(Repeated([ours], None))))
        try:
            made.append(await call.record(tmp_path / "a.wav", stereo=True))
        finally:
            playing.cancel()

    await caller.call(run, 3500, (1000, lambda: setattr(caller, "quiet", True)))
    rows = read_stereo(tmp_path / "a.wav")
    assert len(rows) == pytest.approx(3.5 * 8000, abs=160)
    assert (rows[:, 1] == np.resize(OURS, len(rows))).all()


@in_virtual_time
async def test_frames_that_the_peer_dropped_are_not_on_the_right(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of(), WireSettings(framing=Framing.PCM, lead=10))
    session, heard = caller.session, []
    caller.stage.pacer.flush_peer = lambda: True  # as of Asterisk's queue

    async def run(call: Call) -> None:
        async def play() -> None:
            heard.append((await call.play(Clip(to_bytes(OURS)))).frames)

        playing = asyncio.create_task(play())
        await call.record(tmp_path / "a.wav", stereo=True, max_duration=0.5)
        await playing

    await caller.call(run, 2000, (110, session.call.clear))
    right = read_stereo(tmp_path / "a.wav")[:, 1]
    assert heard[0] < 10
    assert (right[: heard[0] * 160] == OURS[: heard[0] * 160]).all()
    assert not right[heard[0] * 160 :].any()


@in_virtual_time
async def test_a_name_that_is_taken_gets_a_number(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("precious")
    _, recording = await recorded(loop, tmp_path / "a.wav", 100, (0, PCM))
    assert Path(recording.file).name == "a-1.wav"
    assert (tmp_path / "a.wav").read_text() == "precious"
    both = [WavFile(tmp_path / "b.wav", 1) for _ in range(2)]
    for file in both:
        file.close()
    assert [file.path.name for file in both] == ["b.wav", "b-1.wav"]


@in_virtual_time
async def test_a_folder_that_cannot_be_made_ends_the_recording_not_the_stream(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    caller, recording = await recorded(loop, tmp_path / "file" / "a.wav", 500)
    assert (recording.reason, recording.error) == ("error", "File exists")
    assert caller.session.end is not None
    assert caller.session.end.reason == "peer-closed"
    assert caller.backend.events_of("recording.failed") == [recording.as_dict()]
    assert caller.backend.events_of("recording.done") == []


@in_virtual_time
async def test_a_link_does_not_lead_out_of_the_folder(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings/link").symlink_to(tmp_path)
    inside = tmp_path / "recordings"
    _, recording = await recorded(loop, inside / "link/a.wav", 500, within=inside)
    assert recording.error == "Operation not permitted"
    assert not list(tmp_path.glob("*.wav*"))


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture(params=["no folder", "full in mid-way"])
def failing_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be made, and a disk that takes half a second of sound."""
    if request.param == "no folder":
        (tmp_path / "file").write_text("in the way")
        yield tmp_path / "file"
        return
    limit_files(8044)
    yield tmp_path
    limit_files(resource.RLIM_INFINITY)


def ended_at(folder: Path, says: bytes, **limits: Any) -> tuple[float, Recording, Caller]:
    """When a recording ends, in milliseconds; what is told of it."""

    @in_virtual_time
    async def record(loop: VirtualLoop) -> tuple[float, Recording, Caller]:
        caller, made = Caller(loop, library_of()), []

        async def run(call: Call) -> None:
            recording = await call.record(folder / "a.wav", **limits)
            made.append((round(loop.time() * 1000), recording))

        end = await caller.call(run, 9000, (0, lambda: caller.say(says)))
        assert end is not None
        assert end.code == 1000
        return *made[0], caller

    return record()


@pytest.mark.parametrize("stereo", [False, True])
@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"max_duration": 3}, PCM),
        ({"max_silence": 2}, PCM),
        ({"finish_on": "#"}, bytes(2 * 16_000) + digits("#")),
    ],
    ids=["max_duration", "max_silence", "finish_on"],
)
def test_limits_hold_where_the_disk_fails(
    tmp_path: Path, failing_disk: Path, limits: dict[str, Any], says: bytes, stereo: bool
) -> None:
    """To the millisecond: a caller who is told to speak is not left in silence for want of a disk."""
    at, recording, caller = ended_at(failing_disk, says, stereo=stereo, **limits)
    limit_files(resource.RLIM_INFINITY)
    whole_at, whole, _ = ended_at(tmp_path / "whole", says, stereo=stereo, **limits)
    assert at == whole_at
    assert not whole.error
    assert recording.reason == "error"
    assert recording.error in ("File exists", "File too large")
    assert caller.backend.events_of("recording.failed") == [recording.as_dict()]  # once
    assert caller.backend.events_of("recording.done") == []
    if recording.seconds:  # what was taken is kept, under its name
        assert recording.seconds == (0.25 if stereo else 0.5)
        assert recording.file == str(failing_disk / "a.wav")
        assert (failing_disk / "a.wav").stat().st_size == 8044


@in_virtual_time
async def test_a_failure_is_reported_when_it_happens(loop: VirtualLoop, failing_disk: Path) -> None:
    caller = Caller(loop, library_of())
    told: list[int] = []
    acts = [(at, lambda: told.append(len(caller.backend.events_of("recording.failed")))) for at in (1500, 2500)]
    await caller.call(lambda call: call.record(failing_disk / "a.wav", max_duration=60), 3000, *acts)
    assert told == [1, 1]
    assert len(caller.backend.events_of("recording.failed")) == 1


@in_virtual_time
async def test_max_duration_holds_where_the_disk_fails_and_no_audio_comes(
    loop: VirtualLoop, failing_disk: Path
) -> None:
    caller = Caller(loop, library_of())
    caller.quiet = True
    end = await caller.call(lambda call: call.record(failing_disk / "a.wav", max_duration=2), 9000)
    assert end is not None
    assert caller.stage.pacer.frames * 20 == pytest.approx(2000, abs=20)


@in_virtual_time
async def test_a_link_that_leads_to_itself_is_a_failure_like_others(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    caller, recording = await recorded(loop, tmp_path / "loop/a.wav", 500, within=tmp_path)
    assert recording.error in ("Too many levels of symbolic links", "File exists")
    assert caller.backend.events_of("recording.failed") == [recording.as_dict()]


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 100 kB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@in_virtual_time
async def test_a_full_disk_ends_the_recording_and_keeps_what_it_took(loop: VirtualLoop, small_disk: Path) -> None:
    """A hundred kilobytes are six seconds."""
    caller = Caller(loop, library_of())
    speech = speechlike(80_000)
    caller, recording = await recorded(loop, small_disk / "a.wav", 12_000, (0, to_bytes(speech)), caller=caller)
    assert (recording.reason, recording.error) == ("error", "No space left on device")
    assert caller.stage.pacer.frames >= 590  # the call goes on
    kept = read_wav(small_disk / "a.wav")
    assert 40_000 < len(kept) < 52_000
    assert (kept == speech[: len(kept)]).all()


async def test_a_process_that_is_killed_leaves_a_playable_file(tmp_path: Path) -> None:
    """At any moment: the file is looked at while it grows, and after the kill."""
    code = f"""
        from pathlib import Path
        from mediaserver.call.recording.wav_writer import WavFile
        file = WavFile(Path({str(tmp_path / "a.wav")!r}), 1)
        while True:
            file.append(bytes(range(256)) * 40)
            if file.samples > 1_000_000:
                break
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    part = tmp_path / "a.wav.part"
    try:
        await eventually(lambda: part.exists() and part.stat().st_size > 100_000)
    finally:
        process.kill()
        process.wait(PATIENCE)
    sound = wav.parse(part.read_bytes())
    assert sound.native
    # The kill may come when sound is written, and the header does not count it yet.
    assert len(sound.data) >= 100_000 - 44 - 40 * 256
    assert sound.data == (bytes(range(256)) * 10_000)[: len(sound.data)]


@in_virtual_time
async def test_recordings_in_one_folder_are_written_together(loop: VirtualLoop, tmp_path: Path) -> None:
    """By one thread, whenever they began, as long as it is not another twentieth of a second."""
    began: list[int] = []

    def lasts() -> Iterator[float]:
        while True:
            began.append(round(loop.time() * 1000))
            yield 0.0

    loop.jobs_last = lasts()
    recorders = [recorder(tmp_path) for _ in range(3)]
    for each in recorders:
        each.push_pcm(PCM)
        task = asyncio.create_task(each.run())
        task.add_done_callback(lambda done: done.result())
        await asyncio.sleep(0.013)
    await asyncio.sleep(2)
    assert began == [0, 13, 26, 960, 1010, 1960, 2010]
    for each in recorders:
        await each.close()
    paths = [tmp_path / name for name in ("a.wav", "a-1.wav", "a-2.wav")]
    assert [read_wav(path).tobytes() for path in paths] == [PCM] * 3


def recorder(tmp_path: Path, **options) -> Recorder:
    plain: dict[str, Any] = dict.fromkeys(("within", "max_duration", "max_silence"))
    plain |= {"stereo": False, "trim_silence": False, "dtmf_active": lambda: False}
    return Recorder(tmp_path / "a.wav", clock=asyncio.get_running_loop().time, **plain | options)


def keeps(recording: Recorder, pcm: bytes) -> bool:
    """Whether a recording keeps PCM that it is given."""
    before = sys.getrefcount(pcm)
    recording.push_pcm(pcm)
    return sys.getrefcount(pcm) > before


@pytest.mark.parametrize(("peak", "loud"), [(180, 0), (181, 16_001), (-181, 16_001)])
@in_virtual_time
async def test_what_is_quieter_than_45_dbfs_is_trimmed_as_silence(
    loop: VirtualLoop, tmp_path: Path, peak: int, loud: int
) -> None:
    """To 200 ms after the last sample that is louder."""
    recording = recorder(tmp_path, trim_silence=True)
    running = asyncio.create_task(recording.run())
    for seconds, last in ((2, 100), (3, 0)):
        recording.on_event(Audio(to_bytes(np.full(8000 * seconds, 100, np.int16))))
        await asyncio.sleep(1.5)
        recording.on_event(Audio(to_bytes(np.array([peak if last else 0], np.int16))))
    recording.stop(StopReason.DIGIT)
    await running
    done = await recording.close()
    assert done.seconds == round((loud + 1600) / 8000, 3)


@in_virtual_time
async def test_the_first_failure_of_the_disk_is_the_one_that_is_reported(
    loop: VirtualLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(number: int) -> Callable[..., None]:
        def act(self: WavFile, *args: object) -> None:
            raise OSError(number, os.strerror(number))

        return act

    close = WavFile.close
    monkeypatch.setattr(WavFile, "append", fail(errno.ENOSPC))
    monkeypatch.setattr(WavFile, "close", fail(errno.EIO))
    recording = recorder(tmp_path)
    running = asyncio.create_task(recording.run())
    recording.on_event(Audio(PCM))
    recording.stop(StopReason.DIGIT)
    await running
    done = await recording.close()
    assert (done.error, done.seconds) == ("No space left on device", 0.0)
    assert recording._file is not None
    close(recording._file)


@in_virtual_time
async def test_audio_is_counted_while_the_disk_fails_and_after_it(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    loop.jobs_last = itertools.chain([0.5], itertools.repeat(0.0))  # the disk takes so long to fail
    recording = recorder(tmp_path / "file")
    running = asyncio.create_task(recording.run())
    await asyncio.sleep(0.1)
    recording.push_pcm(PCM[:6400])
    assert recording.progress == Progress(str(tmp_path / "file/a.wav"), 0.4, False, "")
    await asyncio.sleep(1)
    assert recording.progress == Progress(str(tmp_path / "file/a.wav"), 0.4, False, "File exists")
    recording.push_pcm(PCM[:1600])
    assert recording.progress.seconds == 0.5
    recording.stop(StopReason.DIGIT)
    await running


@in_virtual_time
async def test_the_first_reason_to_stop_stands_and_nothing_is_taken_after_it(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    recording = recorder(tmp_path)
    running = asyncio.create_task(recording.run())
    recording.on_event(Audio(PCM[:320]))
    recording.stop(StopReason.DIGIT)
    recording.stop(StopReason.SILENCE)
    recording.on_event(Audio(PCM))
    await running
    done = await recording.close()
    assert (done.reason, done.seconds, loop.time()) == ("digit", 0.02, 0.0)
    assert done.as_dict() == {"file": str(tmp_path / "a.wav"), "seconds": 0.02, "reason": "digit", "error": ""}


@in_virtual_time
async def test_nothing_is_taken_after_a_stop_that_comes_later(loop: VirtualLoop, tmp_path: Path) -> None:
    recording = recorder(tmp_path)
    running = asyncio.create_task(recording.run())
    await asyncio.sleep(1.5)
    recording.push_pcm(PCM[:320])
    recording.stop(StopReason.REQUESTED)
    recording.push_pcm(PCM)
    await running
    assert (await recording.close()).seconds == 0.02
    assert not keeps(recording, PCM[:320])


@in_virtual_time
async def test_nothing_is_kept_after_a_failure(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    recording = recorder(tmp_path / "file")
    running = asyncio.create_task(recording.run())
    assert keeps(recording, PCM[:320])
    await asyncio.sleep(0.1)
    assert recording.progress.error == "File exists"
    assert not keeps(recording, PCM[:320])
    recording.stop(StopReason.DIGIT)
    await running


@in_virtual_time
async def test_audio_that_comes_faster_than_it_was_said_ends_it_at_once(loop: VirtualLoop, tmp_path: Path) -> None:
    """A limit is one of the audio, also in mid-way between two writes."""
    for at in (0.0, 1.3):
        recording = recorder(tmp_path, max_duration=2.0)
        running, began = asyncio.create_task(recording.run()), loop.time()
        await asyncio.sleep(at)
        for _ in range(100):
            assert not running.done()
            recording.push_pcm(PCM[:320])
        await running
        assert loop.time() == pytest.approx(began + at)
        done = await recording.close()
        assert (done.reason, done.seconds) == ("max-duration", 2.0)


@in_virtual_time
async def test_limits_are_checked_where_no_audio_comes(loop: VirtualLoop, tmp_path: Path) -> None:
    """To the millisecond where nothing was heard; what the network may hold up is waited for, for a second."""
    for options, heard, seconds in (
        ({"max_duration": 2.0}, None, 2.0),
        ({"max_duration": 0.3}, None, 0.3),
        ({"max_silence": 2.5}, None, 2.5),
        ({"max_duration": 5.0, "max_silence": 1.7}, None, 1.7),
        ({"max_duration": 2.0}, 0.5, 2.0),
        ({"max_duration": 2.0}, 1.7, 2.7),
        ({"max_silence": 2.5}, 2.0, 3.0),
        ({"max_silence": 2.5}, 1.4, 2.5),
    ):
        began, recording = loop.time(), recorder(tmp_path, **options)
        if heard is not None:
            loop.call_later(heard, recording.on_event, Audio(bytes(320)))
        await recording.run()
        assert loop.time() - began == pytest.approx(seconds, abs=1e-6), options
        await recording.close()


async def test_what_comes_while_the_disk_writes_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much it is: a peer that sends faster than in real time is no sign of a slow disk."""
    writing, released = threading.Event(), threading.Event()
    append = WavFile.append

    def slowly(self: WavFile, pcm: bytes) -> None:
        writing.set()
        released.wait(PATIENCE)
        append(self, pcm)

    monkeypatch.setattr(WavFile, "append", slowly)
    first, second = (np.arange(shift, shift + 11 * 8_000).astype("<i2") for shift in (0, 7))
    recording = recorder(tmp_path)
    running = asyncio.create_task(recording.run())
    recording.on_event(Audio(first.tobytes()))
    await eventually(writing.is_set)
    recording.on_event(Audio(second.tobytes()))
    released.set()
    recording.stop(StopReason.DIGIT)
    await running
    done = await recording.close()
    assert (done.reason, done.error, done.seconds) == (StopReason.DIGIT, "", 22.0)
    assert Path(done.file).read_bytes()[44:] == first.tobytes() + second.tobytes()


async def test_a_failure_after_its_owner_is_gone_is_raised_to_the_next(tmp_path: Path) -> None:
    disk, released = DiskExecutor(), threading.Event()

    def fail() -> None:
        released.wait(PATIENCE)
        raise OSError(28, "No space left on device")

    working = asyncio.create_task(disk.run_blocking(fail))
    await eventually(lambda: is_busy(disk))
    working.cancel()
    released.set()
    with pytest.raises(OSError, match="No space left"):
        await disk.run_blocking(lambda: None)
    await disk.run_blocking(lambda: None)


async def test_a_disk_that_does_not_answer_is_not_waited_for() -> None:
    disk, released = DiskExecutor(timeout=0.05), threading.Event()
    with pytest.raises(OSError, match="the disk does not answer"):
        await disk.run_blocking(released.wait, PATIENCE)  # type: ignore[arg-type]
    released.set()


def test_headers_are_read_by_others(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "a.wav", 2)
    file.append(PCM)
    file.close()
    with wave.open(str(tmp_path / "a.wav")) as read:
        assert (read.getnchannels(), read.getsampwidth(), read.getframerate(), read.getnframes()) == (
            2,
            2,
            8000,
            6000,
        )
        assert read.readframes(6000) == PCM
    assert (tmp_path / "a.wav").stat().st_size == 44 + len(PCM)


@pytest.mark.parametrize("hang_up", [20, 60, 110, 160, 210, 260])
@in_virtual_time
async def test_a_hang_up_while_it_finishes_leaves_a_whole_file_and_its_event(
    loop: VirtualLoop, tmp_path: Path, hang_up: int
) -> None:
    """Each thing that the disk does takes 50 ms."""
    loop.jobs_last = itertools.repeat(0.05)
    caller = Caller(loop, library_of())
    await caller.call(lambda call: call.record(tmp_path / "a.wav", max_duration=0.1), hang_up)
    await asyncio.sleep(1)
    assert [kind for kind, _ in caller.backend.events if kind.startswith("recording")] == [
        "recording.started",
        "recording.done",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


@in_virtual_time
async def test_a_cancellation_while_the_file_is_finished_is_raised_after_it(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    loop.jobs_last = itertools.repeat(0.05)
    caller, went_on = Caller(loop, library_of()), []

    async def run(call: Call) -> None:
        went_on.append((await call.record(tmp_path / "a.wav", max_duration=0.1)).reason)

    await caller.call(run, 180)
    assert len(caller.backend.events_of("recording.done")) == 1
    assert went_on == []


@in_virtual_time
async def test_a_disk_that_hangs_is_waited_for_once(loop: VirtualLoop, tmp_path: Path) -> None:
    loop.jobs_last = itertools.repeat(1000.0)
    caller = Caller(loop, library_of())
    began = loop.time()
    await caller.call(lambda call: call.record(tmp_path / "a.wav"), 100)
    assert loop.time() - began < 5.2
    assert caller.backend.events_of("recording.failed")[0]["error"] == "the disk does not answer"


@pytest.mark.parametrize("stereo", [False, True])
@in_virtual_time
async def test_paused_recordings_have_silence_of_both_sides(
    loop: VirtualLoop, tmp_path: Path, stereo: bool
) -> None:
    """The caller says 75 frames from the beginning on, of which those from 400 to 1000 ms are private."""
    caller = Caller(loop, library_of())
    calls: list[Call] = []

    async def run(call: Call) -> None:
        calls.append(call)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.play(Clip(to_bytes(speechlike(16_000, 7)))))
            tasks.create_task(call.record(tmp_path / "a.wav", stereo=stereo, max_duration=1.5))
            await asyncio.sleep(0.5)
            tasks.create_task(call.record(tmp_path / "b.wav", stereo=stereo, max_duration=1))

    acts = [(0, lambda: caller.say(PCM)), (405, lambda: calls[0].pause_recording(by="agent"))]
    await caller.call(run, 2500, *acts, (1005, lambda: calls[0].pause_recording(False)))
    for file, began in (("a.wav", 0), ("b.wav", 500)):
        sides = read_stereo(tmp_path / file).T if stereo else [read_wav(tmp_path / file)]
        for side in sides:
            private = side[8 * (425 - began) if began < 425 else 0 : 8 * (985 - began)]
            assert not private.any()
            assert side[8 * (1025 - began) : 8 * (1400 - began)].any()
            assert not began or side[8 * 100 :].any()
    told = [
        (kind, data) for kind, data in caller.backend.events if kind.startswith("recording.p") or "resumed" in kind
    ]
    assert told == [("recording.paused", {"by": "agent"}), ("recording.resumed", {"by": ""})]


@pytest.mark.parametrize("limits", [(1.6, 0.4), (None, None)], ids=["limited", "unlimited"])
@pytest.mark.parametrize("searched", [False, True])
@in_virtual_time
async def test_a_pause_begins_after_what_has_come_and_covers_what_is_on_its_way(
    loop: VirtualLoop, tmp_path: Path, searched: bool, limits: tuple[float | None, float | None]
) -> None:
    """Frames that are searched for keys are delivered up to 20 ms later, together with those of other calls."""
    caller = Caller(loop, library_of())
    caller.session.receiver.gatherer = FrameGatherer(caller.stage.ticker)
    key = "#" if searched else ""
    caller.say(np.repeat(np.arange(1000, 1100, dtype="<i2"), 160).tobytes())  # the frame n comes at 10 + 20 n ms

    async def run(call: Call) -> None:
        loop.call_later(0.415, call.pause_recording)
        loop.call_later(1.015, call.pause_recording, False)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.record(tmp_path / "a.wav", max_duration=limits[0], finish_on=key))
            await asyncio.sleep(1.02)
            tasks.create_task(call.record(tmp_path / "later.wav", max_duration=limits[1], finish_on=key))

    await caller.call(run, 2000)
    first, later = (read_wav(tmp_path / name).reshape(-1, 160)[:, 0].tolist() for name in ("a.wav", "later.wav"))
    resumed = 63  # the first frame that is delivered 250 ms after the end of the pause
    ends = (1080, 1071) if limits[0] else (1000 + 51 + len(later),) * 2
    assert ends[0] >= 1071
    assert first == [*range(1000, 1021), *[0] * (resumed - 21), *range(1000 + resumed, ends[0])]
    assert later == [0 if n < 1000 + resumed else n for n in range(1051, ends[1])]
