"""Gathers the frames of calls whose connections are not polled, so that they are searched together as well.

These are AudioSocket over TCP, RTP, and frames that are not polled because the peer sent them together with other
data. They are decoded one by one. To search each frame alone for digits and speech would cost several times as
much as to search the frames of many calls at once. So frames wait for that, up to 20 ms, as polled ones do.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from mediaserver.audio.pcm import FRAME_BYTES
from mediaserver.call.inbound.frame_batch import deliver_batch, deliver_frames
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.wire.events import Audio, Event

_MAX_IDLE_POLLS = 50  # number of polls in a row without a frame (1 s), after which the polls end
# The most frames of one stream, and of all streams, that wait. To search more of them at one poll would delay what
# is sent to all streams. A stream's frames cannot be searched together, but one after another, in 0.3 ms each.
_MAX_FRAMES_OF_STREAM, _MAX_FRAMES = 3, 100


class PollClock(Protocol):
    """Calls a function once in each ptime (20 ms)."""

    def add_poll(self, poll: Callable[[], None]) -> Callable[[], None]:
        """Begin to call `poll` once in each ptime; returns a function that ends these calls."""


class FrameGatherer:
    """Keeps the frames of all calls of the process until the next poll, which delivers them."""

    def __init__(self, clock: PollClock) -> None:
        self._clock = clock
        self._end_polls: Callable[[], None] | None = None  # None while there are no polls
        self._idle = 0  # number of polls in a row without a frame
        self._receivers: list[Receiver] = []
        self._frames: list[Audio] = []  # a frame of each of the receivers
        self._waiting: dict[Receiver, int] = {}  # the number of frames that are kept of each of the receivers

    def keep(self, receiver: Receiver, event: Event) -> bool:
        """Keep a frame if it is to be searched for digits or speech, or else return False.

        Before an event that is not kept, all frames of its receiver are delivered. All frames are also delivered
        at once when there are too many, such as after a network was held up.
        """
        searched = receiver.speech_detectors or receiver.dtmf_row >= 0
        if not (searched and isinstance(event, Audio) and len(event.pcm) == FRAME_BYTES) or receiver.awaits_sound:
            if receiver in self._waiting:
                self.deliver()
            return False
        of_stream = self._waiting[receiver] = self._waiting.get(receiver, 0) + 1
        self._receivers.append(receiver)
        self._frames.append(event)
        if self._end_polls is None:
            self._end_polls = self._clock.add_poll(self._poll)
        if of_stream >= _MAX_FRAMES_OF_STREAM or len(self._frames) >= _MAX_FRAMES:
            self.deliver()
        return True

    def deliver(self) -> None:
        """Deliver all frames that are kept, now."""
        if self._receivers:
            receivers, frames = self._receivers, self._frames
            self._receivers, self._frames, self._waiting = [], [], {}
            deliver_frames(receivers, frames)

    def deliver_polled(self, receivers: Sequence[Receiver], messages: Sequence[bytes]) -> None:
        """Deliver messages that were polled: what `deliver_batch` does, after the frames that came before them."""
        if not self._waiting.keys().isdisjoint(receivers):
            self.deliver()
        deliver_batch(receivers, messages)
        self.deliver()  # frames of RTP are decoded one by one, and gathered

    def _poll(self) -> None:
        self._idle = 0 if self._receivers else self._idle + 1
        self.deliver()
        if self._idle > _MAX_IDLE_POLLS and self._end_polls is not None:
            self._end_polls()
            self._end_polls, self._idle = None, 0
