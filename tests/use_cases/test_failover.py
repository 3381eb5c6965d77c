"""An engine that is killed while a caller hears it: the caller notices nothing but the voice."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from mediaserver.audio.pcm import FRAMES_PER_SECOND, PTIME, from_bytes
from tests.server.process import Heard, get, listen, serving, write_config
from tests.speech import tone_speaker
from tests.timing import TIMEOUT, UNIT, eventually, lag_from_now

SPEAKER = str(Path(tone_speaker.__file__))
SERVED, WRITTEN = (round(seconds * FRAMES_PER_SECOND) for seconds in (tone_speaker.SERVED, tone_speaker.WRITTEN))
FIRST, SECOND = 400, 1000  # Hz: the two voices
PATHS = """
[speech]
engine = ["openai", "command"]
timeout = {timeout}
[speech.openai]
url = "http://127.0.0.1:{port}/v1"
[speech.command]
program = {program}
[prompts]
cache = "off"
[defaults]
encapsulation = "sln"
[paths."/say"]
handler = "say"
text = "This is the first sentence. And this is the second one."
linger_ms = 0
"""


@contextlib.contextmanager
def first_engine() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    command = [sys.executable, SPEAKER, "serve", str(FIRST)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def voice_of(frame: bytes) -> int:
    """The voice that speaks in a frame, 0 for silence: by how often its sound crosses zero."""
    samples = from_bytes(frame)
    if np.abs(samples.astype(int)).max() < 1000:
        return 0
    crossings = np.count_nonzero(np.diff(samples < 0))
    return FIRST if crossings < (FIRST + SECOND) * PTIME else SECOND


async def test_an_engine_that_is_killed_in_mid_sentence_is_replaced_by_another_voice(tmp_path: Path) -> None:
    log = tmp_path / "second.log"
    program = json.dumps([sys.executable, SPEAKER, "write", str(SECOND), "{file}", str(log)])
    heard = Heard()
    with first_engine() as (engine, port):
        config = write_config(tmp_path, PATHS.format(timeout=TIMEOUT, port=port, program=program))
        with serving(config) as server:
            lag = lag_from_now(server.process.pid)
            listening = asyncio.ensure_future(listen(server.url("/say"), heard=heard))
            await eventually(lambda: sum(map(voice_of, heard.messages)) > 25 * FIRST)
            engine.kill()
            await listening
            _, metrics = await get(server.admin_url("/metrics"))
            failures = server.events("engine failed")
            waited = lag()
            log_text = server.log_file.read_text()
    spans = [(voice, len(list(frames))) for voice, frames in groupby(map(voice_of, heard.messages))]
    assert heard.close_code == 1000
    interrupted, rest = (sum(frames for each, frames in spans if each == voice) for voice in (FIRST, SECOND))
    assert spans[-1][0] == SECOND  # which nothing interrupts
    assert rest == spans[-1][1]
    assert 25 <= interrupted < SERVED
    assert abs(rest - 2 * WRITTEN) <= 2  # both sentences, as the caller did not hear the first one to its end
    ready = float(log.read_text().splitlines()[0])
    resumed = heard.times[[voice_of(frame) for frame in heard.messages].index(SECOND)]
    assert resumed - ready < TIMEOUT  # within the time that one engine would have had
    assert np.diff(heard.times).max() < 0.2 * UNIT + waited  # no frame was missed
    assert [line["engine"] for line in failures] == ["openai"]
    assert 'mediaserver_engine_healthy{engine="openai",kind="speech"} 0.0' in metrics
    assert 'mediaserver_engine_healthy{engine="command",kind="speech"} 1.0' in metrics
    assert 'mediaserver_engine_failures_total{engine="openai",kind="speech"} 2.0' in metrics  # both sentences
    assert "speech.failed" not in log_text
