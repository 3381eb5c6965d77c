"""A slot of the ticker: streams that send at the same moment, and what is done for each of their frames.

The code that runs for each frame is `Slot.fire`. It does not log, await or count. First it takes the messages of
all streams from their iterators, which mostly runs in C. Then it makes one call per frame, which writes a message.
A system call throws much of the code and the data of what came before out of the processor's caches. So whatever
is done between two of them takes several times as long.

How many frames a stream has sent is computed from the ticks of its slot.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from mediaserver.playout.pacing.transport import Encode, Transport
from mediaserver.playout.sources.source import SOURCE_FAULTS

T = TypeVar("T")


class PacedStream(Protocol):
    """What the ticker uses of a stream's pacer. The methods must not raise."""

    @property
    def transport(self) -> Transport:
        """The connection to which the stream's messages are written; it stays the same while the stream sends."""

    def on_source_end(self) -> None:
        """The ticker calls this when a frame is due, and the stream's iterator of messages is exhausted."""

    def on_write_error(self, error: BaseException) -> None:
        """The ticker calls this when making or writing a frame has raised `error`."""

    def check_send_buffer(self) -> None:
        """Check whether the peer reads fast enough, and pause the stream if it does not."""


class Slot:
    """A group of streams, which all send a frame at the same moment of every ptime.

    They have the same `lead`. `encode` encodes the messages of all of them; it is None if that is not needed.
    """

    __slots__ = ("_messages", "_writes", "encode", "late_ticks", "lead", "skipped_ticks", "streams", "ticks")

    def __init__(self, lead: int, encode: Encode | None = None) -> None:
        self.lead = lead  # number of frames in the streams' lead, and so the most ticks caught up after a stall
        self.encode = encode
        self.streams: list[PacedStream] = []
        self._messages: list[Iterator[bytes]] = []  # each stream's iterator, of a message for each frame
        self._writes: list[Callable[[bytes], None]] = []  # the functions that write the streams' messages
        self.ticks = 0  # number of ticks run so far; at each tick, one frame of each stream was due
        self.late_ticks = 0  # number of ticks run after their time, to catch up; `ticks` counts them, too
        self.skipped_ticks = 0  # number of ticks skipped after stalls: the schedule has moved by as many frames

    def add(self, stream: PacedStream, messages: Iterator[bytes], write: Callable[[bytes], None]) -> None:
        """From the next tick on, write a message of another stream at each tick."""
        # These lists are not changed but made anew, as a source's code may have streams leave within a tick.
        self.streams = [*self.streams, stream]
        self._messages = [*self._messages, messages]
        self._writes = [*self._writes, write]

    def replace(self, stream: PacedStream, messages: Iterator[bytes]) -> None:
        """From now on, send the messages of another iterator for a stream of this slot."""
        self._messages[self.streams.index(stream)] = messages

    def remove(self, stream: PacedStream) -> None:
        """From the next tick on, send no more messages of a stream."""
        index = self.streams.index(stream)
        self.streams = _without(self.streams, index)
        self._messages = _without(self._messages, index)
        self._writes = _without(self._writes, index)

    def fire(self) -> None:
        """Run one tick: send a frame of each stream."""
        self.ticks += 1
        streams, writes = self.streams, self._writes
        messages = self._take_messages(streams)
        if b"" in messages:
            writes = [write for write, message in zip(writes, messages, strict=True) if message]
            streams = [stream for stream, message in zip(streams, messages, strict=True) if message]
            messages = [message for message in messages if message]
        if self.encode is not None:
            messages = self._encode(streams, messages, self.encode)
        for write, message in zip(writes, messages, strict=True):
            try:
                write(message)
            except SOURCE_FAULTS as error:  # an error of one stream must not stop the other streams
                streams[writes.index(write)].on_write_error(error)

    def _take_messages(self, streams: Sequence[PacedStream]) -> Sequence[bytes]:
        """Take the next message of each stream.

        It is b"" for a stream that has none: the peer's frames are longer than 20 ms, or the source has ended or
        failed.
        """
        messages: list[bytes] = []
        following = map(next, self._messages)
        while True:
            try:
                messages.extend(following)  # until all streams were asked, or the source of the next one has ended
            except SOURCE_FAULTS as error:  # what was taken before is in `messages`
                streams[len(messages)].on_write_error(error)
            else:
                if len(messages) == len(streams):
                    return messages
                streams[len(messages)].on_source_end()
            messages.append(b"")

    @staticmethod
    def _encode(streams: Sequence[PacedStream], messages: Sequence[bytes], encode: Encode) -> Sequence[bytes]:
        """Encode messages together, or one by one if a source has given something else than a message."""
        try:
            return encode(messages)
        except SOURCE_FAULTS:
            encoded = [b""] * len(messages)
            for n, message in enumerate(messages):
                try:
                    (encoded[n],) = encode([message])
                except SOURCE_FAULTS as error:
                    streams[n].on_write_error(error)
            return encoded


def _without(these: Sequence[T], index: int) -> list[T]:
    """All of these but one."""
    return [*these[:index], *these[index + 1 :]]
