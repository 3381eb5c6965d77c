"""The admin port's requests about prompts: their facts, their sound to the sample, their waveforms."""

import io
import json
import wave
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from yarl import URL

from mediaserver.audio import g711
from tests.server.process import ServerProcess, client_session, get, serving, write_config
from tests.sound import write_wav

PAST_A_BLOCK = 250 * 160 + 37  # samples: more than are sent at once, and no whole frame at the end
SOUND = (np.arange(PAST_A_BLOCK) * 37 % 30_000 - 15_000).astype(np.int16)
STEPS = np.repeat(np.array([0, 16384, -16384, 8192], dtype=np.int16), 1000)  # 4000 samples: 10 in a column
TINY = np.array([16384, -8192, 0], dtype=np.int16)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("prompts")
    config = write_config(folder, '[paths."/a"]\nhandler = "silence"')
    for name, samples in (("steps", STEPS), ("music/of all", SOUND), ("tiny", TINY)):
        write_wav(folder / "prompts" / f"{name}.wav", samples)
    (folder / "prompts" / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVEnothing")
    with serving(config) as server:
        yield server


async def ask(server: ServerProcess, path: str) -> tuple[int, Any]:
    status, text = await get(server.admin_url(path))
    return status, json.loads(text)


async def sound(server: ServerProcess, name: str, law: str = "") -> np.ndarray:
    url = server.admin_url(f"/v1/prompts/{quote(name)}/audio{law and f'?law={law}'}")
    async with client_session() as client, client.get(url) as response:
        assert (response.status, response.content_type) == (200, "audio/wav")
        body = await response.read()
    with wave.open(io.BytesIO(body)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


async def test_prompts_are_listed_with_their_facts_and_files_that_cannot_be_played(server: ServerProcess) -> None:
    status, answer = await ask(server, "/v1/prompts")
    assert status == 200
    assert [prompt["name"] for prompt in answer["prompts"]] == ["music/of all", "steps", "tiny"]
    assert answer["total"] == 3
    steps = answer["prompts"][1]
    assert steps.keys() == {"name", "duration_s", "source", "peak_dbfs", "loudness_lufs", "warnings"}
    assert (steps["duration_s"], steps["peak_dbfs"], steps["warnings"]) == (0.5, -6.0, [])
    assert steps["source"] == "WAV 8000 Hz 16-bit mono"
    (problem,) = answer["problems"]
    assert problem["file"] == "broken.wav"
    assert "damaged WAV" in problem["why"]


async def test_prompts_are_listed_by_pages(server: ServerProcess) -> None:
    _, page = await ask(server, "/v1/prompts?limit=2")
    assert ([prompt["name"] for prompt in page["prompts"]], page["next"]) == (["music/of all", "steps"], "steps")
    _, page = await ask(server, "/v1/prompts?limit=2&after=steps")
    assert [prompt["name"] for prompt in page["prompts"]] == ["tiny"]
    assert "next" not in page
    assert (await ask(server, "/v1/prompts?limit=x"))[0] == 400


async def test_the_sound_of_a_prompt_is_what_callers_hear_to_the_sample(server: ServerProcess) -> None:
    for name, samples in (("music/of all", SOUND), ("steps", STEPS), ("tiny", TINY)):
        assert np.array_equal(await sound(server, name), samples)
    assert np.array_equal(
        await sound(server, "music/of all", "mulaw"), g711.mulaw_decode(g711.mulaw_encode(SOUND))
    )
    assert np.array_equal(await sound(server, "music/of all", "alaw"), g711.alaw_decode(g711.alaw_encode(SOUND)))


async def test_a_slash_in_a_name_may_be_encoded(server: ServerProcess) -> None:
    async with client_session() as client:
        url = URL(server.admin_url("/v1/prompts/music%2Fof%20all/waveform"), encoded=True)
        async with client.get(url) as response:
            assert response.status == 200
            assert (await response.json())["duration_s"] == round(PAST_A_BLOCK / 8000, 3)


async def test_the_waveform_has_the_extremes_of_each_part(server: ServerProcess) -> None:
    _, answer = await ask(server, "/v1/prompts/steps/waveform")
    assert answer["duration_s"] == 0.5
    assert answer["waveform"] == [[level, level] for level in (0, 50, -50, 25) for _ in range(100)]
    _, answer = await ask(server, "/v1/prompts/tiny/waveform")
    assert answer["waveform"] == [[50, 50], [-25, -25], [0, 0]]
    _, answer = await ask(server, f"/v1/prompts/{quote('music/of all')}/waveform")
    assert len(answer["waveform"]) == 400
    edges = [PAST_A_BLOCK * column // 400 for column in range(401)]
    assert answer["waveform"] == [
        [round(100 * float(SOUND[begin:end].min()) / 32768), round(100 * float(SOUND[begin:end].max()) / 32768)]
        for begin, end in pairwise(edges)
    ]


@pytest.mark.parametrize(
    ("path", "status", "why"),
    [
        ("/v1/prompts/step/audio", 404, 'no prompt "step" (did you mean "steps"?)'),
        ("/v1/prompts/broken/waveform", 404, 'prompt "broken" cannot be played: broken.wav'),
        ("/v1/prompts/steps/audio?law=x", 400, "law should be mulaw or alaw"),
    ],
)
async def test_what_cannot_be_told_is_refused(server: ServerProcess, path: str, status: int, why: str) -> None:
    got, answer = await ask(server, path)
    assert got == status
    assert answer["error"].startswith(why)
