"""How a stream begins: what the peer sends before its handler can listen is kept for that.

Asterisk's WebSocket channel names its format first.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import structlog

from mediaserver.call.asterisk_channel import AsteriskChannel
from mediaserver.call.receiver import MAX_EVENTS, Receiver
from mediaserver.call.stream import Stream, peer_variables
from mediaserver.errors import ProtocolError
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.wire import chan_websocket

_TIMEOUT = 2.0  # seconds for its MEDIA_START, where the handshake promised one
_MOST_HELD = 512 * 1024  # bytes, beside MAX_EVENTS messages, which are so many at 48 kHz; the oldest give way

log = structlog.get_logger()


class StreamStart:
    """Of a peer that is, or may yet turn out to be, such a channel; with `channel` it is one.

    What the peer sends waits, where it may come before the handler can listen, and where the handshake promised a
    MEDIA_START.
    """

    __slots__ = ("_held", "_named", "_pacer", "_receiver", "_size", "channel")

    def __init__(self, receiver: Receiver, pacer: Pacer) -> None:
        self._receiver, self._pacer = receiver, pacer
        self.channel: AsteriskChannel | None = None
        self._held: deque[bytes | str] | None = None
        self._size = 0  # of what is held: bytes, and characters
        self._named: asyncio.Future[None] | None = None

    def wait(self) -> None:
        """Keep what comes, from now on."""
        self._held = deque()

    def expect(self) -> None:
        """The handshake promised a MEDIA_START."""
        self._named = asyncio.get_running_loop().create_future()

    @property
    def holding(self) -> bool:
        """Whether what comes waits."""
        return self._held is not None

    def hold(self, message: bytes | str) -> bool:
        """Keep a message for later; False where there is no need to."""
        held = self._held
        if held is None:
            return False
        held.append(message)
        self._size += len(message)
        while len(held) > MAX_EVENTS or self._size > _MOST_HELD:
            self._size -= len(held.popleft())
            self._receiver.dropped += 1
        return True

    def hold_text(self, text: str) -> bool:
        """Keep a text of Asterisk's channel in its place among the messages; nobody else's says anything."""
        return (self._named is not None or self.channel is not None) and self.hold(text)

    def release(self) -> deque[bytes | str]:
        """All that waited. From now on nothing is kept."""
        held, self._held = self._held, None
        return held if held is not None else deque()

    def is_first(self, text: str) -> bool:
        """Whether a text is the one that a channel begins with."""
        return self.channel is None and chan_websocket.is_media_start(text)

    def begin(self, text: str, stream: Stream, write_text: Callable[[str], None]) -> Stream:
        """The format is named, and holds for both directions. The stream, with what the channel says of itself.

        ProtocolError where we do not speak that format.
        """
        start = chan_websocket.parse(text)
        try:
            self._use(start.media_format())
        except ProtocolError:  # it is no stream of ours, and told of as what it would be
            self._receiver.wire.unsupported_format = start.fields.get("format", "")[:20]
            raise
        self.channel = AsteriskChannel(start, stream.id, self._pacer, write_text, self._receiver.push)
        self._pacer.flush_peer = self.channel.flush
        if self._named is not None and not self._named.done():
            self._named.set_result(None)
        named = {key: start.fields[key] for key in ("connection_id", "channel") if key in start.fields}
        return replace(
            stream,
            call=stream.call or start.fields.get("channel_id", ""),
            variables={**peer_variables(start.variables, stream.id, stream.path), **named, **stream.variables},
        )

    async def named(self, stream: str, over: asyncio.Future[None]) -> None:
        """Wait until the format is named, where it is to be, or the stream is over; after 2 s go on without."""
        if self._named is None:
            return
        either = (self._named, over)
        await asyncio.wait(either, timeout=_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not self._named.done() and not over.done():
            self._go_on_unnamed(stream)

    def _go_on_unnamed(self, stream: str) -> None:
        """Speak as what came looks, or else as the path says."""
        first = next((message for message in self._held or () if isinstance(message, bytes)), b"")
        looks_like = chan_websocket.guess_format(first)
        if looks_like is not None:
            self._use(looks_like)
        log.warning("Asterisk sends no MEDIA_START", stream=stream, taken_for=self._receiver.wire.name)

    def _use(self, media_format: chan_websocket.MediaFormat) -> None:
        self._receiver.wire.set_media_format(media_format)
        self._pacer.on_wire_changed()
