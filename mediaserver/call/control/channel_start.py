"""The beginning of a stream: buffers the messages that the peer sends before the handler can listen.

A peer that is Asterisk's WebSocket channel (`chan_websocket`) names its media format first, in a MEDIA_START.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import structlog

from mediaserver.call.control.asterisk_channel import AsteriskChannel
from mediaserver.call.inbound.event_queue import MAX_EVENTS
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.call.stream import Stream, peer_variables
from mediaserver.errors import ProtocolError
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.wire import chan_websocket

_MEDIA_START_TIMEOUT = 2.0  # seconds to wait for a MEDIA_START that the handshake has promised
# The most bytes of buffered messages; beyond them, the oldest are dropped. MAX_EVENTS frames at 48 kHz fit.
_MAX_BUFFERED = 512 * 1024

log = structlog.get_logger()


class ChannelStart:
    """Buffers a peer's first messages, and recognises whether the peer is Asterisk's WebSocket channel.

    `channel` is Asterisk's channel, None for another peer. Messages are buffered until the handler can listen. If
    the handshake has promised a MEDIA_START, messages are also buffered until MEDIA_START comes.
    """

    __slots__ = ("_buffered", "_buffered_size", "_media_start", "_pacer", "_receiver", "channel")

    def __init__(self, receiver: Receiver, pacer: Pacer) -> None:
        self._receiver, self._pacer = receiver, pacer
        self.channel: AsteriskChannel | None = None
        self._buffered: deque[bytes | str] | None = None
        self._buffered_size = 0  # size of what is buffered: bytes of binary messages, plus characters of texts
        self._media_start: asyncio.Future[None] | None = None

    def start_buffering(self) -> None:
        """Buffer the peer's messages from now on."""
        self._buffered = deque()

    def expect_media_start(self) -> None:
        """Note that the handshake has promised a MEDIA_START."""
        self._media_start = asyncio.get_running_loop().create_future()

    @property
    def buffering(self) -> bool:
        """Whether the peer's messages are being buffered."""
        return self._buffered is not None

    def buffer(self, message: bytes | str) -> bool:
        """Buffer a message and return True; return False if messages are not being buffered."""
        buffered = self._buffered
        if buffered is None:
            return False
        buffered.append(message)
        self._buffered_size += len(message)
        while len(buffered) > MAX_EVENTS or self._buffered_size > _MAX_BUFFERED:
            self._buffered_size -= len(buffered.popleft())
            self._receiver.dropped += 1
        return True

    def buffer_text(self, text: str) -> bool:
        """Buffer a text message in its order among the messages, if the peer is Asterisk's channel.

        Returns whether the text was buffered. If not, the calling code processes the text at once.
        """
        return (self._media_start is not None or self.channel is not None) and self.buffer(text)

    def take_buffered(self) -> deque[bytes | str]:
        """Return the buffered messages, and stop buffering."""
        buffered, self._buffered = self._buffered, None
        return buffered if buffered is not None else deque()

    def is_start(self, text: str) -> bool:
        """Whether a text message is the MEDIA_START of a channel that has not started yet."""
        return self.channel is None and chan_websocket.is_media_start(text)

    def start_channel(
        self, text: str, stream: Stream, write_text: Callable[[str], None]
    ) -> tuple[AsteriskChannel, Stream]:
        """Set both directions to the media format that a MEDIA_START names.

        Returns the channel, and the stream with the channel's ids and variables. ProtocolError where the format is
        not supported.
        """
        start = chan_websocket.parse(text)
        try:
            self._set_media_format(start.media_format())
        except ProtocolError:  # keep the name of the unsupported format for the stream's log line
            self._receiver.wire.unsupported_format = start.fields.get("format", "")[:20]
            raise
        self.channel = AsteriskChannel(start, stream.id, self._pacer, write_text, self._receiver.push_event)
        self._pacer.flush_peer = self.channel.flush
        if self._media_start is not None and not self._media_start.done():
            self._media_start.set_result(None)
        names = {key: start.fields[key] for key in ("connection_id", "channel") if key in start.fields}
        known = replace(
            stream,
            call=stream.call or start.fields.get("channel_id", ""),
            variables={**peer_variables(start.variables, stream.id, stream.path), **names, **stream.variables},
        )
        return self.channel, known

    async def wait_for_media_start(self, stream: str, over: asyncio.Future[None]) -> None:
        """Wait for a promised MEDIA_START, until 2 s are over or the stream ends. After 2 s, guess the format."""
        if self._media_start is None:
            return
        either = (self._media_start, over)
        await asyncio.wait(either, timeout=_MEDIA_START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not self._media_start.done() and not over.done():
            self._guess_format(stream)

    def _guess_format(self, stream: str) -> None:
        """Set the media format that fits the first buffered message; if none fits, keep the path's wire format."""
        first = next((message for message in self._buffered or () if isinstance(message, bytes)), b"")
        looks_like = chan_websocket.guess_format(first)
        if looks_like is not None:
            self._set_media_format(looks_like)
        log.warning("Asterisk MEDIA_START missing", stream=stream, taken_for=self._receiver.wire.name)

    def _set_media_format(self, media_format: chan_websocket.MediaFormat) -> None:
        self._receiver.wire.set_media_format(media_format)
        self._receiver.on_wire_changed()
        self._pacer.on_wire_changed()
