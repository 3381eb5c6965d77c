"""What a caller hears of each handler, under virtual time."""

import asyncio
import random
import re
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from mediaserver.audio.level import levels
from mediaserver.audio.pcm import Samples, from_bytes, to_bytes
from mediaserver.call import End, EndReason, Session, Stream
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.handlers import Handler
from mediaserver.handlers import table as handler_table
from mediaserver.handlers.hold_music import HoldMusic, MusicLoop, join_timeline
from mediaserver.handlers.noise import Noise, Silence
from mediaserver.handlers.playback import Playback
from mediaserver.handlers.tone import Tone
from mediaserver.playout.decoding.pool import AudioInfo, DecodePool
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.prompts.prompt_store import Prompt
from mediaserver.wire.encapsulation import PCM, Framing, WireSettings
from tests.sound import speechlike
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

SOUNDS = {
    "welcome": speechlike(1600, 1),
    "odd": speechlike(1000, 2),  # six frames and a quarter
    "music/a": speechlike(8000, 3),
    "music/b": speechlike(12_000, 4),
    "music/c": speechlike(4040, 5),
}


def library_of(sounds: dict[str, Samples] = SOUNDS) -> PromptLibrary:
    """A library of prompts, loaded."""
    library = PromptLibrary(Path("prompts"), 100_000_000, DecodePool())
    for name, samples in sounds.items():
        prompt = Prompt(name, Path(f"{name}.wav"), len(samples), AudioInfo("test", 0.0, -26.0), library.store)
        library.snapshot = library.snapshot.updated({name: prompt}, {})
        frames = EncodedFrames(PCM.packetize(to_bytes(samples)), len(samples))
        library.store.put(prompt, {PCM.name: frames})
    return library


async def hear(
    loop: VirtualLoop, handler: Handler, ms: float, sounds: dict[str, Samples] = SOUNDS
) -> tuple[Samples, End | None]:
    """The audio of a handler in so many milliseconds, and how the stream ended; None where it has not."""
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = Session(Stream("id", "/", "peer", {}, {}), stage.wire, library_of(sounds), stage.pacer, loop.time)
    running = asyncio.create_task(session.run(handler.run(session.call)))
    await stage.until(ms)
    end = session.end
    session.finish(End(EndReason.PEER_CLOSED, 1000))
    await running
    return from_bytes(b"".join(message[4:] for message in stage.transport.messages)), end


def quiet(ms: float) -> Samples:
    return np.zeros(round(ms * 8), dtype=np.int16)


def padded(*parts: Samples) -> Samples:
    """Parts end to end, filled up to whole frames."""
    sound = np.concatenate(parts)
    return np.concatenate((sound, np.zeros(-len(sound) % 160, dtype=np.int16)))


# -- playback ----------------------------------------------------------------


@in_virtual_time
async def test_playback_plays_every_sample_lingers_and_closes(loop: VirtualLoop) -> None:
    heard, end = await hear(loop, Playback(prompt="odd"), 2000)
    assert (heard == np.concatenate((padded(SOUNDS["odd"]), quiet(200)))).all()
    assert end == End(EndReason.FINISHED, 1000)


@in_virtual_time
async def test_playback_of_several_prompts_is_gapless_to_the_sample(loop: VirtualLoop) -> None:
    heard, _ = await hear(loop, Playback(prompts=("odd", "welcome", "odd"), linger_ms=0), 2000)
    assert (heard == padded(SOUNDS["odd"], SOUNDS["welcome"], SOUNDS["odd"])).all()


@in_virtual_time
async def test_playback_repeats_with_gaps_between_but_not_around(loop: VirtualLoop) -> None:
    heard, _ = await hear(loop, Playback(prompt="odd", repeat=3, gap_ms=30, linger_ms=0), 2000)
    assert (heard == padded(SOUNDS["odd"], quiet(30), SOUNDS["odd"], quiet(30), SOUNDS["odd"])).all()


@in_virtual_time
async def test_endless_playback_is_seamless(loop: VirtualLoop) -> None:
    heard, end = await hear(loop, Playback(prompt="odd", repeat="forever"), 60_000)
    assert len(heard) == 3000 * 160
    assert (heard == np.resize(SOUNDS["odd"], len(heard))).all()
    assert end is None


@in_virtual_time
async def test_playback_may_be_followed_by_silence(loop: VirtualLoop) -> None:
    heard, end = await hear(loop, Playback(prompt="welcome", then="silence"), 2000)
    assert (heard == np.concatenate((SOUNDS["welcome"], quiet(1800)))).all()
    assert end is None


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, 'give either "prompt" or "prompts"'),
        ({"prompt": "a", "prompts": ["b"]}, 'give either "prompt" or "prompts"'),
        ({"prompt": "a", "repeat": 0}, 'a count of 1 to 1000000, or "forever"'),
        ({"prompt": "a", "repeat": "9" * 30}, 'a count of 1 to 1000000, or "forever"'),
        ({"prompt": "a", "repeat": True}, 'a count of 1 to 1000000, or "forever"'),
        ({"prompt": "a", "repeat": "always"}, 'a count of 1 to 1000000, or "forever"'),
        ({"prompt": "a", "linger_ms": -1}, "greater than or equal to 0"),
        ({"prompt": "a", "then": "stop"}, "'close', 'silence' or 'hangup'"),
        ({"prompt": "a", "promt": "b"}, "Extra inputs are not permitted"),
    ],
)
def test_playback_settings_are_validated(settings, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Playback.model_validate(settings)


@pytest.mark.parametrize(("repeat", "times"), [(1, 1), ("1000000", 1_000_000), ("forever", "forever")])
def test_repeat_may_be_a_number_or_forever(repeat: object, times: object) -> None:
    assert Playback.model_validate({"prompt": "a", "repeat": repeat}).repeat == times
    with pytest.raises(ValidationError, match="a count of 1 to 1000000"):
        Playback.model_validate({"prompt": "a", "repeat": 1_000_001})


def test_the_prompts_of_playback_are_known_before_a_call_comes() -> None:
    spoken_prompt = {"say": "Hello {name}, you are {place}.", "voice": "v"}
    playback = Playback.model_validate({"prompts": ["a", spoken_prompt, "b"], "fallback": "c"})
    assert list(playback.prompt_names()) == ["a", "b", "c"]
    assert [(need.kind, need.voice) for need in playback.engines()] == [("speech", "v")]
    playback.validate_request({"name": "Bob"}, {"place": "first"}, SpeechSettings())
    with pytest.raises(ValueError, match="place"):
        playback.validate_request({"name": "Bob"}, {}, SpeechSettings())
    assert list(Playback(prompt="a").prompt_names()) == ["a"]
    assert list(Playback(prompt="a").engines()) == []


@pytest.mark.parametrize(
    ("settings", "looped"),
    [
        ({"prompt": "a", "repeat": "forever"}, ["a"]),
        ({"prompts": ["a", "b"], "repeat": 2}, ["a", "b"]),
        ({"prompt": "a"}, []),
        ({"prompt": "a", "repeat": 2, "gap_ms": 20}, []),
        ({"prompts": ["a", {"say": "Hello."}], "repeat": 2}, []),
    ],
)
def test_prompts_are_looped_where_nothing_comes_between_two_rounds(
    settings: dict[str, object], looped: list[str]
) -> None:
    """Such prompts have to end where they begin."""
    assert list(Playback.model_validate(settings).looped_prompts()) == looped


@in_virtual_time
async def test_then_hangup_hangs_up_after_the_media(loop: VirtualLoop) -> None:
    for then, hangs_up in (("hangup", True), ("close", False)):
        stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
        session = Session(Stream("id", "/", "peer"), stage.wire, library_of(), stage.pacer, loop.time)
        assert (await session.run(Playback(prompt="odd", then=then).run(session.call))).reason == "finished"
        assert session._lifetime.hanging_up is hangs_up
        assert session.frames == 7 + 10  # and it lingers


# -- hold-music ----------------------------------------------------------------


@in_virtual_time
async def test_hold_music_that_is_not_shared_begins_at_the_top_and_loops_without_a_seam(loop: VirtualLoop) -> None:
    heard, _ = await hear(loop, HoldMusic(prompts=("music/*",), shared=False), 12_000)
    tune = np.concatenate([SOUNDS[name] for name in ("music/a", "music/b", "music/c")])
    assert (heard == np.resize(tune, len(heard))).all()
    assert len(heard) == 600 * 160


@pytest.mark.parametrize(
    "handler",
    [
        *(HoldMusic(prompts=("a",), shared=shared) for shared in (True, False)),
        HoldMusic(prompts=("a",), announcement="a", announce_every=1),
    ],
)
@in_virtual_time
async def test_hold_music_of_empty_prompts_is_silence(handler: HoldMusic, loop: VirtualLoop) -> None:
    heard, end = await hear(loop, handler, 3000, {"a": quiet(0)})
    assert end is None
    assert (heard == quiet(3000)).all()


@in_virtual_time
async def test_an_empty_prompt_is_over_at_once_however_often_it_is_repeated(loop: VirtualLoop) -> None:
    heard, end = await hear(loop, Playback(prompt="a", repeat="forever", linger_ms=0), 1000, {"a": quiet(0)})
    assert end is not None
    assert end.reason == "finished"
    assert len(heard) <= 160


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0, 2.49, 2.51, 3.004, 1_700_000_000.123])
def test_the_shared_timeline_is_joined_at_its_present_position(at: float) -> None:
    library = library_of()
    pieces = library.snapshot.match(["music/*"])
    tune = np.concatenate([SOUNDS[piece.name] for piece in pieces])
    items = join_timeline(MusicLoop(pieces, None), at).iter_frames(PCM)
    heard = from_bytes(b"".join(next(items)[4:] for _ in range(200)))
    position = int(at * 8000) % len(tune)
    starts = [(position - back) % len(tune) for back in range(160)]
    assert any((heard == np.resize(np.roll(tune, -start), len(heard))).all() for start in starts)


@pytest.mark.parametrize("shuffle", [False, True])
def test_callers_on_the_shared_timeline_hear_the_same_whenever_they_join(shuffle: bool) -> None:
    """Two processes agree as well: nothing but the wall clock and the library goes in."""
    pieces = library_of().snapshot.match(
        ["music/a", "music/b"]
    )  # whole frames, so the sound is the same to the bit
    rounds = MusicLoop(pieces, 0 if shuffle else None)
    early, late = join_timeline(rounds, 5000.0).iter_frames(PCM), join_timeline(rounds, 5007.0).iter_frames(PCM)
    heard_early = [next(early) for _ in range(700)]
    assert heard_early[350:] == [next(late) for _ in range(350)]


def test_shuffle_plays_every_track_in_every_round_and_not_always_in_the_same_order() -> None:
    pieces = library_of().snapshot.match(["music/*", "welcome", "odd"])
    rounds = MusicLoop(pieces, 0)
    orders = [[piece.name for piece in rounds.round_order(number)] for number in range(20)]
    assert all(sorted(order) == sorted(piece.name for piece in pieces) for order in orders)
    assert len({tuple(order) for order in orders}) > 10


@pytest.mark.parametrize("seed", [None, 0])
def test_rounds_follow_one_another_from_wherever_one_begins(seed: float | None) -> None:
    pieces = library_of().snapshot.match(["music/*", "welcome", "odd"])
    whole = MusicLoop(pieces, seed)
    expected = [piece for number in range(7) for piece in whole.round_order(number)]
    assert list(islice(whole, 35)) == expected
    assert list(islice(MusicLoop(pieces, seed, 2, 3), 22)) == expected[13:]


def test_where_one_track_ends_the_next_begins() -> None:
    pieces = library_of().snapshot.match(["music/a", "music/b"])  # 1 s and 1.5 s
    for at, name in ((0.0, "music/a"), (0.98, "music/a"), (1.0, "music/b"), (2.48, "music/b"), (2.5, "music/a")):
        sound = from_bytes(b"".join([next(join_timeline(MusicLoop(pieces, None), at).iter_frames(PCM))])[4:])
        start = round((at - (1.0 if name == "music/b" else 0.0)) % 2.5 * 8000)
        assert (sound == SOUNDS[name][start : start + 160]).all()


@pytest.mark.parametrize("shuffle", [False, True])
@in_virtual_time
async def test_shared_music_is_on_the_shared_timeline(loop: VirtualLoop, shuffle: bool) -> None:
    before = time.time()
    heard, _ = await hear(loop, HoldMusic(prompts=("music/a", "music/b"), shuffle=shuffle), 20_000)
    after = time.time()
    rounds = MusicLoop(library_of().snapshot.match(["music/a", "music/b"]), 0 if shuffle else None)

    def tune(at: float) -> bool:
        items = join_timeline(rounds, at).iter_frames(PCM)
        return (from_bytes(b"".join(next(items)[4:] for _ in range(len(heard) // 160))) == heard).all()

    assert any(tune(before + n * 0.02) for n in range(int((after - before) / 0.02) + 2))


@in_virtual_time
async def test_music_that_is_not_shared_can_be_shuffled(loop: VirtualLoop) -> None:
    random.seed(1)
    begins = set()
    for _ in range(8):
        stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
        session = Session(Stream("id", "/", "peer"), stage.wire, library_of(), stage.pacer, loop.time)
        source = HoldMusic(prompts=("music/*",), shared=False, shuffle=True)._source(session.call)
        begins.add(next(source.iter_frames(PCM)))
    assert len(begins) > 1


@in_virtual_time
async def test_an_announcement_interrupts_and_the_music_continues(loop: VirtualLoop) -> None:
    handler = HoldMusic(prompts=("music/b",), shared=False, announcement="welcome", announce_every=1)
    heard, _ = await hear(loop, handler, 4000)
    tune = np.resize(SOUNDS["music/b"], 100_000)
    told = SOUNDS["welcome"]
    expected = [tune[:8000], told, tune[8000:16_000], told, tune[16_000:24_000], told, tune[24_000:32_000]]
    assert (heard == np.concatenate(expected)[: len(heard)]).all()


@in_virtual_time
async def test_hold_music_joins_by_the_wall_clock(loop: VirtualLoop) -> None:
    before = time.time()
    heard, _ = await hear(loop, HoldMusic(prompts=("music/a",)), 100)
    after = time.time()
    where = [n for n in range(0, 8000, 160) if (np.resize(np.roll(SOUNDS["music/a"], -n), 800) == heard).all()]
    assert len(where) == 1
    span = int(after * 8000) - int(before * 8000) + 160
    assert (where[0] - int(before * 8000) + 160) % 8000 <= span


# -- tone, silence, noise ----------------------------------------------------------------


@in_virtual_time
async def test_a_tone_with_a_repeating_cadence_is_endless(loop: VirtualLoop) -> None:
    heard, end = await hear(loop, Tone(tone="busy"), 5000)
    on = heard.reshape(-1, 4000)  # half seconds
    assert [levels.rms_dbfs(half) > -20 for half in on] == [True, False] * 5
    assert (on[0] == on[8]).all()
    assert end is None


@in_virtual_time
async def test_a_tone_may_begin_with_what_is_not_repeated(loop: VirtualLoop) -> None:
    heard, _ = await hear(loop, Tone(tone="!440/500,!0/500,480/500,0/500"), 4000)
    halves = heard.reshape(-1, 4000)
    assert [levels.rms_dbfs(half) > -20 for half in halves] == [True, False] * 4
    first, later = (int(np.abs(np.fft.rfft(half)).argmax()) * 2 for half in (halves[0], halves[2]))
    assert (first, later) == (440, 480)
    assert (halves[2] == halves[6]).all()


@in_virtual_time
async def test_digits_are_played_once_and_the_stream_closes(loop: VirtualLoop) -> None:
    heard, end = await hear(loop, Tone(tone="dtmf:42#", digit_ms=80, digit_gap_ms=60, linger_ms=0), 2000)
    assert len(heard) == 3 * (80 + 60) * 8  # 21 whole frames
    sounding = np.abs(heard).reshape(-1, 160).max(axis=1) > 500
    assert list(sounding) == 3 * ([True] * 4 + [False] * 3)
    assert end == End(EndReason.FINISHED, 1000)


@in_virtual_time
async def test_digits_may_be_followed_by_silence(loop: VirtualLoop) -> None:
    heard, end = await hear(loop, Tone(tone="dtmf:4", then="silence"), 1000)
    assert len(heard) == 8000
    assert heard[:800].any()
    assert not heard[1600:].any()
    assert end is None


@in_virtual_time
async def test_the_silence_handler_sends_silence(loop: VirtualLoop) -> None:
    heard, end = await hear(loop, Silence(), 3000)
    assert len(heard) == 150 * 160
    assert not heard.any()
    assert end is None


@in_virtual_time
async def test_noise_has_its_level_and_each_caller_another_part_of_it(loop: VirtualLoop) -> None:
    random.seed(1)
    first, _ = await hear(loop, Noise(level=-40), 1000)
    second, _ = await hear(loop, Noise(level=-40), 3000)
    assert levels.rms_dbfs(second) == pytest.approx(-43.2, abs=0.3)  # 0 dBm0 is 3.2 dB below full scale
    assert not (first[:8000] == second[:8000]).all()


# -- the table ----------------------------------------------------------------


def test_every_entry_of_the_table_is_a_handler() -> None:
    assert list(handler_table.HANDLERS) == [
        "playback",
        "say",
        "hold-music",
        "tone",
        "silence",
        "noise",
        "record",
        "echo",
        "menu",
        "analyse",
        "bridge",
        "recognise",
        "assistant",
    ]
    assert all(issubclass(handler, Handler) for handler in handler_table.HANDLERS.values())


def test_a_users_own_handler_is_found_by_module_and_class(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from mediaserver.handlers import Handler\n"
        "class Greeting(Handler):\n"
        "    prompt: str = 'welcome'\n"
        "    async def run(self, call):\n"
        "        await call.play(self.prompt)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = handler_table.resolve_handler("mine:Greeting")
    assert found.model_validate({"prompt": "x"}).model_dump(exclude_defaults=True) == {"prompt": "x"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "playbak",
            r'no handler "playbak" \(did you mean "playback"\?\): playback, .*, assistant, or module:Class$',
        ),
        ("json:Nothing", r"handler \"json:Nothing\": json has no class \"Nothing\"$"),
        ("json:JSONDecoder", "is not a subclass of mediaserver.handlers.Handler"),
        ("mediaserver.handlers:Handler", r"has no method run\(self, call\)"),
    ],
)
def test_a_wrong_handler_is_a_mistake_that_names_it(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        handler_table.resolve_handler(name)


@pytest.mark.parametrize(
    ("name", "missing"),
    [("no.such.module:X", "'no'"), ("pinline:Pin", "'pinline'")],
)
def test_a_handlers_module_that_is_not_there_is_told_with_where_it_was_looked_for(
    name: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    looked = f"(looked in {tmp_path}, the working directory, and on PYTHONPATH)"
    with pytest.raises(
        ValueError, match=re.escape(f"ModuleNotFoundError: No module named {missing} {looked}") + "$"
    ):
        handler_table.resolve_handler(name)


def test_a_library_that_a_handlers_module_lacks_is_not_looked_for_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lacking.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"No module named 'no_such_library' \(lacking\.py, line 1\)$"):
        handler_table.resolve_handler("lacking:Mine")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"tone": "bsy"}, r'no tone "bsy" \(did you mean "busy"\?\)'),
        ({"tone": "dial", "country": "xx"}, 'no tones for country "xx"'),
        ({"tone": "dtmf:12E"}, '"E" is not a DTMF digit'),
        ({"tone": "sine:4000"}, "4000 Hz is not between 10 and 3999.9 Hz"),
        ({"tone": "dial", "level": 10}, "less than or equal to 3"),
        ({"tone": "dtmf:1", "digit_ms": 20}, "greater than or equal to 40"),
    ],
)
def test_tone_settings_are_validated(settings, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Tone.model_validate(settings)


def test_missing_prompts_are_known_before_a_call_comes() -> None:
    library = library_of()
    assert Playback(prompts=("welcome", "od")).missing_prompts(library.snapshot) == [
        'no prompt "od" (did you mean "odd"?)'
    ]
    assert HoldMusic(prompts=("jazz/*",), announcement="x").missing_prompts(library.snapshot) == [
        'no prompt matches "jazz/*"',
        'no prompt "x"',
    ]
