"""Reports the call-progress and fax tones in the audio that a call's peer sends."""

from collections.abc import Callable, Mapping
from typing import Any

from mediaserver.audio.detection.call_progress import ToneDetector
from mediaserver.events.kinds import EventKind
from mediaserver.wire.events import Event, Tone


class ToneListener:
    """Recognises tones in PCM, and reports each as an event, to the call's handler and to the operator."""

    def __init__(
        self, push_event: Callable[[Event], None], notify: Callable[[str, Mapping[str, Any]], None]
    ) -> None:
        self._push_event, self._notify = push_event, notify
        self._detector = ToneDetector()

    def on_pcm(self, pcm: bytes) -> None:
        """Search received audio (16-bit, 8 kHz, any number of samples) for tones."""
        for tone, at_ms in self._detector.feed(pcm):
            self._notify(EventKind.TONE, {"tone": str(tone), "at_ms": at_ms})
            self._push_event(Tone(str(tone), at_ms))
