"""The recordings of a call: what they get while the caller is muted, and what the log says of their ends."""

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mediaserver.audio.pcm import to_bytes
from mediaserver.call.listening.listen_in import Side
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.sound import read_stereo, read_wav, speechlike
from tests.virtual import VirtualLoop, in_virtual_time

SPEECH = speechlike(8000)  # 50 frames
PCM = to_bytes(SPEECH)


@pytest.mark.parametrize(
    "options", [{}, {"stereo": True}, {"max_silence": 5}], ids=["mono", "stereo", "max_silence"]
)
@in_virtual_time
async def test_a_muted_caller_is_recorded(loop: VirtualLoop, tmp_path: Path, options: dict[str, object]) -> None:
    caller = Caller(loop, library_of({}))
    mute = (300, lambda: caller.session.operator.mute(Side.CALLER, True))
    await caller.call(
        lambda call: call.record(tmp_path / "a.wav", **options),  # type: ignore[arg-type]
        1000,
        (0, lambda: caller.say(PCM)),
        mute,
    )
    heard = read_stereo(tmp_path / "a.wav")[:, 0] if "stereo" in options else read_wav(tmp_path / "a.wav")
    assert (heard == SPEECH[: len(heard)]).all()
    assert len(heard) >= 49 * 160


@in_virtual_time
async def test_the_end_of_a_recording_is_logged_with_its_file(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of({}))
    with capture_logs() as lines:
        await caller.call(lambda call: call.record(tmp_path / "a.wav", max_duration=0.5), 1000)
    facts = {"file": str(tmp_path / "a.wav"), "seconds": 0.5, "reason": "max-duration", "error": ""}
    assert [line for line in lines if "recording" in line["event"]] == [
        {"event": "recording done", "log_level": "info", "stream": "id", **facts}
    ]


@in_virtual_time
async def test_a_file_that_cannot_be_finished_is_a_failure_in_the_log_and_an_event(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    """The folder is gone when the file is to get its name."""
    caller = Caller(loop, library_of({}))
    gone = (300, lambda: shutil.rmtree(tmp_path / "calls"))
    with capture_logs() as lines:
        await caller.call(lambda call: call.record(tmp_path / "calls/a.wav", max_duration=0.5), 1000, gone)
    facts = {
        "file": str(tmp_path / "calls/a.wav"),
        "seconds": 0.5,
        "reason": "error",
        "error": "No such file or directory",
    }
    assert caller.backend.events_of("recording.failed") == [facts]
    assert caller.backend.events_of("recording.done") == []
    assert [line for line in lines if line["event"] in ("recording failed", "recording done")] == [
        {"event": "recording failed", "log_level": "error", "stream": "id", **facts}
    ]
