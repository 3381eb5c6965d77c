"""Barge-in: the caller stops a prompt by a key, or by speech.

Noise, tones, hum, hold music and the echo of played sound do not count as speech. The audio that was sent shows
what may be an echo.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from mediaserver.audio.detection.echo_bound import ECHO_FRAMES
from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.pcm import FRAME_BYTES
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.events import Audio, Event


class BargeIn(StrEnum):
    """What the caller may do to stop a prompt."""

    OFF = "off"
    DIGITS = "digits"
    SPEECH = "speech"  # speech stops the prompt, and a digit does as well


class SentFrames:
    """The latest frames that were sent. They are kept encoded, and decoded only if they are asked for."""

    def __init__(self) -> None:
        self._frames: deque[tuple[Encoding, bytes]] = deque(maxlen=ECHO_FRAMES)
        self._encoding: Encoding | None = None
        self._silence = b""  # a frame of silence in the encoding of the latest frame
        self._echo_frames = 0  # number of frames for which an echo of sent audio may still come

    def on_frame_sent(self, encoding: Encoding, item: bytes) -> None:
        """Keep a frame that is sent."""
        if encoding is not self._encoding:
            self._encoding, self._silence = encoding, encoding.silence
        if item != self._silence:
            self._echo_frames = ECHO_FRAMES
        elif self._echo_frames:
            self._echo_frames -= 1
        self._frames.append((encoding, item))

    def take(self) -> bytes:
        """The PCM of the frames that were sent since `take` was last called, at most 28 of them."""
        if self.may_echo:
            pcm = b"".join([encoding.decode(item) for encoding, item in self._frames])
        else:
            pcm = bytes(FRAME_BYTES * len(self._frames))
        self._frames.clear()
        return pcm

    @property
    def may_echo(self) -> bool:
        """Whether sound was sent so recently that its echo may still come."""
        return self._echo_frames > 0


async def play_until_barge_in(
    playing: Coroutine[Any, Any, object],
    by_digit: Coroutine[Any, Any, None] | None,
    by_speech: Coroutine[Any, Any, None] | None,
) -> bool:
    """Play until the sound ends, or a digit or speech stops it. Returns whether speech stopped it.

    `by_digit` and `by_speech` are done when a digit or speech stops the sound. Once one of the three coroutines is
    done, the others are cancelled. An exception of `playing` is raised.
    """
    digit, speech = (asyncio.ensure_future(each) if each is not None else None for each in (by_digit, by_speech))
    sound = asyncio.ensure_future(playing)  # begins last: `speech` must get its first frame, to tell its echo
    tasks = [each for each in (digit, speech, sound) if each is not None]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if sound.done():
            sound.result()
        return speech is not None and speech.done()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_for_speech(
    listen: Callable[[Callable[[Event], None], SpeechDetector], contextlib.AbstractContextManager[None]],
    observe: Callable[[Callable[[Encoding, bytes], None]], contextlib.AbstractContextManager[None]],
    dtmf_active: Callable[[], bool],
    mode: int,
) -> None:
    """Wait for speech in the audio from `listen`. Neither a key's tone nor the echo of sent audio counts.

    `observe` calls a function with each sent frame. `mode` is 0 to 3: at 3, the least audio counts as speech.
    """
    sent, spoken = SentFrames(), asyncio.Event()
    detector = SpeechDetector(mode, sent.take)

    def on_event(event: Event) -> None:
        if isinstance(event, Audio) and event.feed_to(detector, dtmf_active()):
            spoken.set()

    with observe(sent.on_frame_sent), listen(on_event, detector):
        await spoken.wait()
