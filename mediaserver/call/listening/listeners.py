"""The listeners of one call: each gets the audio that the call sends and receives. Events report each listener.

A listener may also talk. The speech is mixed with the sound that the call plays, or played in its place.
"""

import contextlib
from typing import NamedTuple

from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.call.call import Call
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.call.lifetime import Lifetime
from mediaserver.call.listening.listen_in import ListenIn, Side
from mediaserver.call.listening.talker import Role, Talker
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.kinds import EventKind
from mediaserver.playout.pacing.pacer import Pacer


class _Attached(NamedTuple):
    """One listener: its talker, a stack that detaches it from the call's audio, and the data of its events."""

    talker: Talker
    observers: contextlib.ExitStack
    facts: dict[str, object]


class Listeners:
    """The listeners of one call. The call's handler does not notice them."""

    def __init__(self, call: Call, lifetime: Lifetime, pacer: Pacer, receiver: Receiver) -> None:
        self._call, self._lifetime, self._pacer, self._receiver = call, lifetime, pacer, receiver
        self._attached: dict[ListenIn, _Attached] = {}

    def __len__(self) -> int:
        return len(self._attached)

    def start(self, side: Side, role: Role, by: str) -> ListenIn:
        """Attach a listener, until `stop` is called or the stream ends. The events name the listener as `by`.

        RefusedError 404 where the stream has just ended.
        """
        if self._lifetime.end is not None:
            raise RefusedError(RefusalReason.UNKNOWN_STREAM, "the stream has ended")
        call, pacer, observers = self._call, self._pacer, contextlib.ExitStack()
        listener = ListenIn(side, lambda: call.now, lambda: pacer.lead)
        if side is not Side.US:
            # A silent far end is not reported as a problem, because the call's handler may not expect audio.
            observers.enter_context(
                self._receiver.listen_pcm(listener.push_received, expects_audio=False, despite_mute=True)
            )
        if side is not Side.CALLER:
            observers.enter_context(pacer.observe(listener.on_frame_sent, listener.on_frames_flushed))
        facts: dict[str, object] = {"by": by, "side": str(side), "role": str(role)}
        talker = Talker(role, pacer, self._lifetime.control.answer)
        self._attached[listener] = _Attached(talker, observers, facts)
        call.notify(EventKind.LISTENING_STARTED, facts)
        return listener

    def talk(self, listener: ListenIn, pcm: bytes) -> None:
        """Play a listener's speech (16-bit PCM at 8 kHz, mono) as its role says, unless it has been detached.

        ValueError if the PCM ends with half a sample.
        """
        found = self._attached.get(listener)
        if found is not None:
            found.talker.push_audio(pcm)

    def stop(self, listener: ListenIn) -> None:
        """Detach a listener; its reader gets the audio that is left. A second call of `stop` has no effect."""
        found = self._attached.pop(listener, None)
        if found is not None:
            found.talker.finish()
            found.observers.close()
            listener.close()
            dropped = listener.dropped / SAMPLE_BYTES / SAMPLE_RATE
            seconds = {"seconds": round(listener.seconds, 3), "dropped_s": round(dropped, 3)}
            self._call.notify(EventKind.LISTENING_ENDED, found.facts | seconds)

    def close(self) -> None:
        """Detach all listeners, because the stream ends."""
        for listener, attached in list(self._attached.items()):
            self.stop(listener)
            attached.talker.cut()
