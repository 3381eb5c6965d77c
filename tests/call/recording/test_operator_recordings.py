"""Recordings that operators begin on a call: how they end, under virtual time."""

import contextlib
from pathlib import Path

from mediaserver.call import Call
from mediaserver.call.recording.operator_recordings import MAX_RECORDINGS
from mediaserver.errors import RefusalReason, RefusedError
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.sound import read_wav
from tests.virtual import VirtualLoop, in_virtual_time


async def quiet(call: Call) -> None:
    await call.silence()


def recorded(caller: Caller) -> list[tuple[str, object]]:
    """Kinds and reasons of the events about recordings."""
    return [(kind, data.get("reason")) for kind, data in caller.backend.events if kind.startswith("recording.")]


@in_virtual_time
async def test_one_is_ended_by_its_id_and_others_go_on(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of({}))
    recordings, begun = caller.session.operator.recordings, list[tuple[str, Path]]()
    caller.say(b"\1\0" * 8000)
    await caller.call(
        quiet,
        1000,
        (100, lambda: begun.extend(recordings.start(tmp_path, name, seconds=0.6) for name in "ab")),
        (300, lambda: recordings.stop(begun[0][0])),
    )
    assert recorded(caller) == [
        ("recording.started", None),
        ("recording.started", None),
        ("recording.done", "requested"),
        ("recording.done", "max-duration"),
    ]
    assert [path.name for _, path in begun] == [f"{name}-{begun[n][0]}.wav" for n, name in enumerate("ab")]
    assert [len(read_wav(path)) for _, path in begun] == [9 * 160, 30 * 160]
    assert not recordings.in_progress


@in_virtual_time
async def test_one_that_is_ended_at_once_leaves_nothing(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of({}))
    recordings = caller.session.operator.recordings

    def begin_and_end() -> None:
        recordings.stop(recordings.start(tmp_path, "a")[0])

    await caller.call(quiet, 200, (100, begin_and_end))
    assert recorded(caller) == []
    assert list(tmp_path.iterdir()) == []


@in_virtual_time
async def test_one_more_than_may_be_made_at_once_is_refused(loop: VirtualLoop, tmp_path: Path) -> None:
    caller, refused = Caller(loop, library_of({})), list[RefusalReason]()
    recordings = caller.session.operator.recordings

    def start() -> None:
        try:
            recordings.start(tmp_path, "a")
        except RefusedError as error:
            refused.append(error.reason)

    await caller.call(quiet, 200, *[(100, start)] * (MAX_RECORDINGS + 1))
    assert refused == [RefusalReason.STREAM_BUSY]
    assert len(list(tmp_path.iterdir())) == MAX_RECORDINGS


@in_virtual_time
async def test_a_folder_that_cannot_be_written_is_told(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    caller = Caller(loop, library_of({}))
    recordings, listed = caller.session.operator.recordings, list[int]()

    def fail(count: int) -> None:
        with contextlib.suppress(RefusedError):
            for _ in range(count):
                recordings.start(tmp_path / "file", "a")
        listed.append(len(recordings.in_progress))

    await caller.call(
        quiet,
        400,
        (100, lambda: fail(MAX_RECORDINGS)),
        (200, lambda: listed.append(len(recordings.in_progress))),
        (300, lambda: fail(1)),  # the places are free again
    )
    failed = [("recording.started", None), ("recording.failed", "error")]
    assert sorted(recorded(caller)) == sorted(failed * (MAX_RECORDINGS + 1))
    assert listed == [MAX_RECORDINGS, 0, 1]


@in_virtual_time
async def test_a_slow_disk_delays_the_end_of_the_stream_but_loses_nothing(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    caller = Caller(loop, library_of({}))
    recordings = caller.session.operator.recordings
    caller.say(b"\1\0" * 8000)
    loop.jobs_last = iter([0.0, 1.5, 0.0])  # the file is made; its last audio is written
    await caller.call(quiet, 200, (100, lambda: recordings.start(tmp_path, "a")))
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".wav"
    assert len(read_wav(file)) == 4 * 160
    assert recorded(caller)[-1] == ("recording.done", "stream-ended")
    assert loop.time() >= 1.7


@in_virtual_time
async def test_all_are_listed_with_their_states_the_handlers_first(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of({}))
    recordings, listed, begun = caller.session.operator.recordings, list[object](), list[tuple[str, Path]]()
    caller.say(b"\1\0" * 8000)
    (tmp_path / "handler.wav").write_text("taken")

    async def record(call: Call) -> None:
        await call.record(tmp_path / "handler.wav")

    def look() -> None:
        listed.append(recordings.in_progress)

    await caller.call(
        record,
        1000,
        (100, lambda: begun.append(recordings.start(tmp_path, "a"))),
        (100, look),
        (520, look),
        (520, caller.session.call.pause_recording),
        (720, look),
    )
    (identity, path), handlers = begun[0], str(tmp_path / "handler-1.wav")
    paused = [False, False, True]
    assert listed == [
        [
            {"id": None, "file": handlers, "seconds": seconds, "paused": paused[n], "error": ""},
            {"id": identity, "file": str(path), "seconds": since, "paused": paused[n], "error": ""},
        ]
        for n, (seconds, since) in enumerate(((0.1, 0.0), (0.5, 0.4), (0.7, 0.6)))
    ]
    assert recordings.in_progress == []


@in_virtual_time
async def test_those_being_finished_are_listed_with_their_duration_until_they_are_over(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    caller = Caller(loop, library_of({}))
    recordings, listed, begun = caller.session.operator.recordings, list[list[object]](), list[tuple[str, Path]]()
    caller.say(b"\1\0" * 16_000)
    # Two files are made. Of the first one, the audio is written, and the file is closed.
    loop.jobs_last = iter([0.0, 0.0, 0.0, 0.5, *[0.0] * 50])

    async def record(call: Call) -> None:
        await call.record(tmp_path / "handler.wav", max_duration=0.4)
        await call.silence()

    def look() -> None:
        rows = recordings.in_progress
        listed.append([(row["id"] and row["id"] == begun[0][0], row["seconds"]) for row in rows])

    def stop() -> None:
        loop.jobs_last = iter([0.0, 0.5, *[0.0] * 50])
        recordings.stop(begun[0][0])

    await caller.call(
        record,
        2000,
        (100, lambda: begun.append(recordings.start(tmp_path, "a"))),
        (440, look),  # the handler's is being finished
        (920, look),  # it is over
        (920, stop),
        (1200, look),  # the operator's is being finished
        (1500, look),
    )
    assert listed == [[(None, 0.4), (True, 0.3)], [(True, 0.8)], [(True, 0.8)], []]
    assert recorded(caller)[2:] == [("recording.done", "max-duration"), ("recording.done", "requested")]
