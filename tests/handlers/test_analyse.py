"""The `analyse` handler: events as they happen, each once, and reports to the end."""

import json
from pathlib import Path

import pytest

from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.call import Call
from mediaserver.handlers.analyse import Analyse
from mediaserver.wire.encapsulation import Encapsulation, WireSettings
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.sound import voice
from tests.virtual import VirtualLoop, in_virtual_time

VOICE = to_bytes(voice(8000))


@in_virtual_time
async def test_every_talkspurt_and_every_long_silence_is_one_event(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    acts = [(at, lambda: caller.say(VOICE)) for at in (3000, 9000)]
    await caller.call(Analyse(silence_after=1, interval=60).run, 14_000, *acts)
    kinds = [kind for kind, _ in caller.backend.events if kind != "analysis"]
    spurt = ["speech.started", "speech.stopped", "silence"]
    assert kinds == ["silence", *spurt, *spurt]
    for kind in ("speech.stopped", "silence"):
        for told in caller.backend.events_of(kind):
            assert set(told) == {"at_s", "seconds"}
    first, second, _ = (told["at_s"] for told in caller.backend.events_of("silence"))
    assert first == pytest.approx(1.0, abs=0.03)
    assert second == pytest.approx(caller.backend.events_of("speech.stopped")[0]["at_s"] + 1.0, abs=0.03)
    assert [set(told) for told in caller.backend.events_of("speech.started")] == [{"at_s"}] * 2


@in_virtual_time
async def test_packets_are_counted_report_by_report(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(), WireSettings(encapsulation=Encapsulation.RTP))
    caller.quiet = True
    packets = [b"\x80\x00" + n.to_bytes(2, "big") + bytes(8) + b"\xff" * 160 for n in range(200)]
    lost, again, late = {20, 120, 121}, {40, 140, 141}, {160}

    def act(n: int) -> None:
        if n not in lost | late:
            caller.session.receive_binary(packets[n])
        if n in again:
            caller.session.receive_binary(packets[n])
        if n - 10 in late:
            caller.session.receive_binary(packets[n - 10])

    acts = [(n * 20.0, lambda n=n: act(n)) for n in range(200)]
    await caller.call(Analyse(interval=2).run, 4500, *acts)
    first, second, last = caller.backend.events_of("analysis")
    keys = ("packets_lost", "packets_duplicate", "packets_late", "final")
    assert [first[key] for key in keys] == [1, 1, 0, False]
    assert [second[key] for key in keys] == [3, 2, 1, False]
    assert [last[key] for key in keys] == [0, 0, 0, True]


@in_virtual_time
async def test_packets_before_the_analysis_are_not_counted(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(), WireSettings(encapsulation=Encapsulation.RTP))
    caller.quiet = True

    async def run(call: Call) -> None:
        with call.listen(lambda event: None):
            for n in (1, 2, 5, 6, 7, 8, 9):
                caller.session.receive_binary(b"\x80\x00" + n.to_bytes(2, "big") + bytes(8) + b"\xff" * 160)
        assert call.packets.lost == 2
        await Analyse(interval=60).run(call)

    await caller.call(run, 1000)
    (report,) = caller.backend.events_of("analysis")
    assert report["packets_lost"] == 0


@in_virtual_time
async def test_a_report_that_cannot_be_written_does_not_end_the_call(loop: VirtualLoop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    caller = Caller(loop, library_of())
    loop.call_later(2.5, (tmp_path / "file").unlink)
    handler = Analyse(interval=1, directory=tmp_path / "file", file="a.jsonl")
    assert await caller.call(handler.run, 3500, (0, lambda: caller.say(SILENCE))) is None
    assert [told["final"] for told in caller.backend.events_of("analysis")] == [False, False, False, True]
    lines = [json.loads(line) for line in (tmp_path / "file/a.jsonl").read_text().splitlines()]
    assert [line["final"] for line in lines] == [False, True]  # it is tried each time anew
