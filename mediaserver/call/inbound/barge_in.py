"""Barge-in: the caller stops a prompt by a key, or by speech that the VAD finds."""

import asyncio
import contextlib
from collections.abc import Callable
from enum import StrEnum

from mediaserver.audio.vad import VoiceActivityDetector
from mediaserver.wire.events import Audio, Event


class BargeIn(StrEnum):
    """What the caller may do to stop a prompt."""

    OFF = "off"
    DIGITS = "digits"
    SPEECH = "speech"  # speech stops the prompt, and a digit does as well


async def wait_for_voice(
    listen: Callable[[Callable[[Event], None]], contextlib.AbstractContextManager[None]],
    dtmf_active: Callable[[], bool],
    mode: int,
) -> None:
    """Wait until the VAD finds speech in the audio from `listen`. A key's tone does not count as speech."""
    detector, spoken = VoiceActivityDetector(mode), asyncio.Event()

    def on_event(event: Event) -> None:
        if isinstance(event, Audio) and detector.feed(event.pcm, dtmf_active(), event.power):
            spoken.set()

    with listen(on_event):
        await spoken.wait()
