"""Gathers the frames of calls whose connections are not polled, so that they are searched together as well.

These are AudioSocket over TCP, RTP, and frames that are not polled because the peer sent them together with other
data. They are decoded one by one. To search each frame alone for digits and speech would cost several times as
much as to search the frames of many calls at once. So frames wait for that, up to 20 ms, as polled ones do.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from mediaserver.audio.pcm import FRAME_BYTES
from mediaserver.call.inbound.frame_batch import deliver_batch, deliver_frames
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.wire import websocket
from mediaserver.wire.events import Audio, Event

_MAX_IDLE_POLLS = 50  # number of polls in a row without a frame (1 s), after which the polls end
# To search a round, a frame of each of some streams, takes 0.3 ms and some 10 us for each frame. Frames of one
# stream are searched one after another. So a poll delivers few rounds, and a round has no more than so many
# streams: more would delay what is sent to all streams.
_ROUNDS_PER_POLL, _STREAMS_PER_ROUND = 5, 100
_MAX_FRAMES_OF_STREAM = 50  # the most frames of one stream that wait (1 s)


class PollClock(Protocol):
    """Calls a function once in each ptime (20 ms)."""

    def add_poll(self, poll: Callable[[], None]) -> Callable[[], None]:
        """Begin to call `poll` once in each ptime; returns a function that ends these calls."""


class FrameGatherer:
    """Keeps the frames of all calls of the process until the next poll, which delivers them.

    They wait in rounds: the streams' first frames, their second frames, and so on. Usually there is one round.
    After a hold-up, of the network or of this process, many frames of each stream come together. To search those
    of one stream and then those of the next would cost so much that frames came faster than they were searched,
    for ever.
    """

    def __init__(self, clock: PollClock) -> None:
        self._clock = clock
        self._end_polls: Callable[[], None] | None = None  # None while there are no polls
        self._idle = 0  # number of polls in a row without a frame
        self._rounds: deque[dict[Receiver, Audio]] = deque()
        self._delivered = 0  # number of rounds that were delivered
        self._next: dict[Receiver, int] = {}  # the round of each stream's next frame, counted from the first ever
        self._delivering = False  # whether a round is being delivered: a listener must not hurry the next one

    def keep(self, receiver: Receiver, event: Event) -> bool:
        """Keep a frame if it is to be searched for digits or speech, or else return False.

        Before an event that is not kept, all frames of its receiver are delivered. Frames are also delivered at
        once when there are too many.
        """
        searched = receiver.searched and not receiver.awaits_sound
        if not (searched and isinstance(event, Audio) and len(event.pcm) == FRAME_BYTES):
            self.deliver(receiver)
            return False
        rounds, delivered = self._rounds, self._delivered
        ahead = max(self._next.get(receiver, 0) - delivered, 0)  # number of the stream's frames that wait already
        if ahead == len(rounds):
            rounds.append({})
        rounds[ahead][receiver] = event
        self._next[receiver] = delivered + ahead + 1
        if self._end_polls is None:
            self._end_polls = self._clock.add_poll(self._poll)
        full = ahead + 1 >= _MAX_FRAMES_OF_STREAM or len(rounds[0]) >= _STREAMS_PER_ROUND
        if full and not self._delivering:
            self._deliver_round()
        return True

    def _waits(self, receiver: Receiver) -> bool:
        """Whether frames of a receiver are kept."""
        return self._next.get(receiver, 0) > self._delivered

    def deliver(self, receiver: Receiver) -> None:
        """Deliver all frames that are kept of a receiver, now, and with them as many of each other one."""
        while self._waits(receiver) and not self._delivering:
            self._deliver_round()

    def deliver_polled(self, receivers: Sequence[Receiver], messages: Sequence[bytes]) -> None:
        """Deliver messages that were polled: what `deliver_batch` does, but no frame before earlier ones."""
        late = set(filter(self._waits, receivers)) if self._rounds else ()
        if late:
            for receiver, message in zip(receivers, messages, strict=True):
                if receiver in late:
                    receiver.depacketize(websocket.payloads([message])[0].tobytes())
            rest = [n for n, receiver in enumerate(receivers) if receiver not in late]
            deliver_batch([receivers[n] for n in rest], [messages[n] for n in rest])
        else:
            deliver_batch(receivers, messages)
        if self._rounds and any(map(self._waits, receivers)):  # such frames, and those of RTP, are decoded singly
            self._deliver_some()

    def _deliver_some(self) -> None:
        for _ in range(min(len(self._rounds), _ROUNDS_PER_POLL)):
            self._deliver_round()

    def _deliver_round(self) -> None:
        frames = self._rounds.popleft()
        self._delivered += 1
        if not self._rounds:
            self._next.clear()
        self._delivering = True
        try:
            deliver_frames(list(frames), list(frames.values()))
        finally:
            self._delivering = False

    def _poll(self) -> None:
        self._idle = 0 if self._rounds else self._idle + 1
        self._deliver_some()
        if self._idle > _MAX_IDLE_POLLS and self._end_polls is not None:
            self._end_polls()
            self._end_polls, self._idle = None, 0
