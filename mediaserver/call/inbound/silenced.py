"""Listeners that get silence in place of the caller's audio, while an operator has the caller muted."""

from collections.abc import Callable

from mediaserver.wire.events import Audio, Event

EventListener = Callable[[Event], None]
PcmListener = Callable[[bytes], None]


def silenced(listener: EventListener) -> EventListener:
    """A listener that passes silence of the same length on for audio, and all other events as they are.

    What was already found in the audio, such as the digit of a DTMF tone, is left out.
    """

    def on_event(event: Event) -> None:
        listener(Audio(bytes(len(event.pcm)), event.concealed) if isinstance(event, Audio) else event)

    return on_event


def silenced_pcm(listener: PcmListener) -> PcmListener:
    """A listener for PCM that passes on silence of the same length."""
    return lambda pcm: listener(bytes(len(pcm)))
