"""A folder of sound files, decoded by real worker processes, and its prompts by name."""

import asyncio
from pathlib import Path

import pytest

from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.wire.encapsulation import MESSAGE, PCM, PCMU
from tests.sound import speechlike, write_wav
from tests.timing import eventually

MEGABYTE = 1_000_000


async def loaded(directory: Path, pool: DecodePool, limit: int = MEGABYTE, encodings=(PCM,)) -> PromptLibrary:
    library = PromptLibrary(directory, limit, pool)
    await library.load(encodings)
    return library


async def test_a_link_to_nowhere_is_reported(tmp_path: Path, pool: DecodePool) -> None:
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    library = await loaded(tmp_path, pool)
    assert library.problems == {"a.wav": "cannot be read: No such file or directory"}


async def test_sound_that_cannot_be_decoded_is_named_where_it_is_asked_for(
    tmp_path: Path, pool: DecodePool
) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music/hold.siren7").write_bytes(b"\x01" * 80)
    library = await loaded(tmp_path, pool)
    assert library.problems == {}
    with pytest.raises(PromptError) as caught:
        library.snapshot.get("music/hold")
    assert str(caught.value) == (
        'no prompt "music/hold": music/hold.siren7 is of a kind that cannot be decoded, convert it to WAV'
    )


async def test_an_empty_prompt_is_a_prompt_of_no_length(tmp_path: Path, pool: DecodePool) -> None:
    (tmp_path / "a.gsm").touch()
    write_wav(tmp_path / "b.wav", speechlike(160))
    library = await loaded(tmp_path, pool)
    nothing, sound = library.snapshot.get("a"), library.snapshot.get("b")
    assert nothing.samples == 0
    assert library.warnings(["a"]) == [f"{tmp_path / 'a.gsm'} is empty: nothing is heard where it is played"]
    joined = list(Playlist([nothing, sound, nothing]).iter_frames(PCM))
    assert joined == list(Playlist([sound]).iter_frames(PCM))


async def test_prompts_are_decoded_and_cached_in_the_encodings_asked_for(tmp_path: Path, pool: DecodePool) -> None:
    samples = speechlike(1000)
    write_wav(tmp_path / "a.wav", samples)
    progress: list[tuple[int, int]] = []
    library = PromptLibrary(tmp_path, MEGABYTE, pool)
    await library.load((PCM, PCMU), lambda done, total: progress.append((done, total)))
    prompt = library.snapshot.get("a")
    assert prompt.samples == 1000
    assert prompt.get_frames(PCM) == EncodedFrames(tuple(PCM.packetize(to_bytes(samples))), 1000)
    assert prompt.get_frames(PCMU) == EncodedFrames(tuple(PCMU.packetize(to_bytes(samples))), 1000)
    assert library.store.cache.misses == 0
    assert progress == [(0, 1), (1, 1)]


async def test_the_error_for_a_missing_or_broken_prompt_has_a_hint(tmp_path: Path, pool: DecodePool) -> None:
    write_wav(tmp_path / "welcome.wav", speechlike(100))
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    library = await loaded(tmp_path, pool)
    with pytest.raises(PromptError, match=r'no prompt "welcom" \(did you mean "welcome"\?\)'):
        library.snapshot.get("welcom")
    with pytest.raises(PromptError, match=r'prompt "broken" cannot be played: broken.wav is not a WAV file'):
        library.snapshot.get("broken")
    assert list(library.problems) == ["broken.wav"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../a", "./a", "a.wav", "", "."])
async def test_a_name_never_reaches_outside(tmp_path: Path, pool: DecodePool, name: str) -> None:
    write_wav(tmp_path / "secret.wav", speechlike(100))
    write_wav(tmp_path / "prompts/a.wav", speechlike(100))
    library = await loaded(tmp_path / "prompts", pool)
    with pytest.raises(PromptError, match="no prompt"):
        library.snapshot.get(name)


async def test_globs_match_in_order_and_names_may_repeat(tmp_path: Path, pool: DecodePool) -> None:
    for name in ("music/b", "music/a", "x"):
        write_wav(tmp_path / f"{name}.wav", speechlike(100))
    library = await loaded(tmp_path, pool)
    assert [prompt.name for prompt in library.snapshot.match(["x", "music/*", "x"])] == [
        "x",
        "music/a",
        "music/b",
        "x",
    ]
    with pytest.raises(PromptError, match=r'no prompt matches "jazz/\*"'):
        library.snapshot.match(["jazz/*"])


async def test_another_encoding_plays_at_once_and_is_cached_soon(tmp_path: Path, pool: DecodePool) -> None:
    samples = speechlike(1600)
    write_wav(tmp_path / "a.wav", samples)
    library = await loaded(tmp_path, pool)
    prompt = library.snapshot.get("a")
    first = prompt.get_frames(MESSAGE)
    assert isinstance(first, EncodedFrames)
    assert list(first.frames) == MESSAGE.packetize(to_bytes(samples))
    await eventually(lambda: library.store.cache.get((prompt, "message")))
    assert prompt.get_frames(MESSAGE) is prompt.get_frames(MESSAGE)


async def test_an_evicted_prompt_is_decoded_again_with_silence_meanwhile(tmp_path: Path, pool: DecodePool) -> None:
    first, second = speechlike(1600, 1), speechlike(1600, 2)
    write_wav(tmp_path / "a.wav", first)
    write_wav(tmp_path / "b.wav", second)
    library = await loaded(tmp_path, pool, limit=4000)  # room for one of them
    assert library.store.cache.evictions == 1
    evicted = next(
        name for name in ("a", "b") if library.store.cache.get((library.snapshot.get(name), "pcm")) is None
    )
    playlist = Playlist([library.snapshot.get(evicted)])
    heard: list[bytes] = []
    for frame in playlist.iter_frames(PCM):
        heard.append(frame)
        await asyncio.sleep(0.002)
    waited = playlist.underruns
    assert waited > 0
    assert heard[:waited] == [PCM.encode(SILENCE)] * waited
    assert heard[waited:] == PCM.packetize(to_bytes(first if evicted == "a" else second))


async def test_many_callers_of_one_evicted_prompt_decode_it_once(tmp_path: Path, pool: DecodePool) -> None:
    write_wav(tmp_path / "a.wav", speechlike(1600))
    library = await loaded(tmp_path, pool, encodings=())
    opened = [library.snapshot.get("a").get_frames(PCM) for _ in range(5)]
    assert all(future is opened[0] for future in opened)
    assert isinstance(opened[0], asyncio.Future)
    frames = await opened[0]
    assert library.snapshot.get("a").get_frames(PCM) is frames


async def test_a_prompt_that_cannot_be_decoded_again_fails_its_source_only(
    tmp_path: Path, pool: DecodePool
) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(1600))
    library = await loaded(tmp_path, pool, encodings=())
    path.unlink()
    future = library.snapshot.get("a").get_frames(PCM)
    assert isinstance(future, asyncio.Future)
    with pytest.raises(PromptError, match="cannot be read"):
        await future


async def test_the_error_names_a_sound_file_that_cannot_be_read(tmp_path: Path, pool: DecodePool) -> None:
    with pytest.raises(PromptError, match=r"nosuch\.wav cannot be read: No such file or directory"):
        await PromptLibrary(tmp_path, 1_000_000, pool).decode(tmp_path / "nosuch.wav")
