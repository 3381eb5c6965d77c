"""A caller waits for a model that thinks: a filler is heard until the first sound of the answer."""

import json
import sys
from itertools import groupby
from pathlib import Path

import numpy as np

from mediaserver.audio.pcm import from_bytes
from tests.call.caller import digits
from tests.server.process import serving, write_config
from tests.sound import sine, write_wav
from tests.speech import tone_speaker
from tests.speech.llm.chat_server import ChatServer
from tests.timing import TIMEOUT, eventually
from tests.use_cases.phone import Phone

TYPING, ANSWER = 400, 1000  # Hz
PATHS = """
[speech]
engine = "command"
timeout = {timeout}
[speech.command]
program = {program}
[prompts]
cache = "off"
[chat]
url = "{url}"
timeout = {timeout}
[defaults]
framing = "pcm"
[paths."/talk"]
handler = "assistant"
instructions = "Be brief."
recognition_engine = "vosk"
filler = "sounds/typing"
filler_after = 0.2
"""


def sound_of(frame: bytes) -> int:
    """The tone that a frame has most of, in Hz; 0 for silence."""
    samples = from_bytes(frame)
    if np.abs(samples.astype(int)).max() < 1000:
        return 0
    spectrum = np.abs(np.fft.rfft(samples, 8000))
    return TYPING if spectrum[TYPING] > spectrum[ANSWER] else ANSWER


async def test_a_filler_yields_to_the_answer_without_a_frame_of_silence(tmp_path: Path) -> None:
    """The caller presses a key, which is words to the model; typing goes on while the answer is being spoken."""
    write_wav(tmp_path / "prompts/sounds/typing.wav", sine(TYPING, 60.0, 8000) * 9000)
    program = json.dumps(
        [sys.executable, tone_speaker.__file__, "write", str(ANSWER), "{file}", str(tmp_path / "spoken.log")]
    )
    async with ChatServer(lambda body: [0.8, "Your parcel arrives tomorrow."]) as model:
        paths = PATHS.format(timeout=TIMEOUT, program=program, url=model.url)
        with serving(write_config(tmp_path, paths)) as server:
            async with Phone(server.url("/talk")) as phone:
                await phone.say(digits("1#"))
                await eventually(lambda: sum(sound_of(frame) == ANSWER for frame in phone.heard) >= 50)
                heard = list(map(sound_of, phone.heard))
    spans = [(sound, len(list(frames))) for sound, frames in groupby(heard)]
    assert [sound for sound, _ in spans] == [0, TYPING, ANSWER]
    assert spans[1][1] >= 20  # frames: most of the 0.8 s that the model thinks, but for the first 0.2 s
    assert [message["content"] for message in model.requests[0]["messages"]] == ["Be brief.", "[pressed 1 #]"]
