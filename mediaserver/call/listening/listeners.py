"""Those who listen to one call: each is attached to what the call sends and receives, and told of by events."""

import contextlib

from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.call.call import Call
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.call.lifetime import Lifetime
from mediaserver.call.listening.listen_in import ListenIn, Side
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.kinds import EventKind
from mediaserver.playout.pacing.pacer import Pacer


class Listeners:
    """The listeners of one call, by the call's handler unnoticed."""

    def __init__(self, call: Call, lifetime: Lifetime, pacer: Pacer, receiver: Receiver) -> None:
        self._call, self._lifetime, self._pacer, self._receiver = call, lifetime, pacer, receiver
        self._attached: dict[ListenIn, tuple[contextlib.ExitStack, dict[str, object]]] = {}

    def __len__(self) -> int:
        return len(self._attached)

    def start(self, side: Side, role: str, by: str) -> ListenIn:
        """Attach a listener, until `stop` is called or the stream ends. `by` and `role` are told by the events.

        RefusedError 404 where the stream has just ended.
        """
        if self._lifetime.end is not None:
            raise RefusedError(RefusalReason.UNKNOWN_STREAM, "the stream has ended")
        call, pacer, attached = self._call, self._pacer, contextlib.ExitStack()
        listener = ListenIn(side, lambda: call.now, lambda: pacer.lead)
        if side is not Side.US:
            # That nobody at the far end speaks is no fault which a listener could find in a call.
            attached.enter_context(self._receiver.listen_pcm(listener.push_received, expects_audio=False))
        if side is not Side.CALLER:
            attached.enter_context(pacer.observe(listener.on_frame_sent, listener.on_frames_flushed))
        facts: dict[str, object] = {"by": by, "side": str(side), "role": role}
        self._attached[listener] = attached, facts
        call.notify(EventKind.LISTENING_STARTED, facts)
        return listener

    def stop(self, listener: ListenIn) -> None:
        """Detach a listener, whose reader gets what is left. Only the first call for a listener has an effect."""
        found = self._attached.pop(listener, None)
        if found is not None:
            attached, facts = found
            attached.close()
            listener.close()
            dropped = listener.dropped / SAMPLE_BYTES / SAMPLE_RATE
            seconds = {"seconds": round(listener.seconds, 3), "dropped_s": round(dropped, 3)}
            self._call.notify(EventKind.LISTENING_ENDED, facts | seconds)

    def close(self) -> None:
        """Detach all listeners, because the stream ends."""
        for listener in list(self._attached):
            self.stop(listener)
