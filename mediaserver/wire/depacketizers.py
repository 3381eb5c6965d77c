"""Depacketizers turn a peer's binary messages into audio and events, and measure loss and jitter.

A depacketizer takes the messages of one encapsulation apart into payloads. The payloads of all encapsulations are
decoded by `wire.codec`.
"""

from abc import ABC, abstractmethod

from mediaserver.audio.pcm import FRAME_SAMPLES, FRAMES_PER_SECOND, PTIME, SAMPLE_BYTES
from mediaserver.audio.resample import Resampler
from mediaserver.wire import audiosocket, rtp
from mediaserver.wire.codec import Codec, CodecDetector
from mediaserver.wire.events import Audio, Event
from mediaserver.wire.frame_layout import FrameLayout, frame_layout
from mediaserver.wire.jitter import NO_PACKETS, JitterBuffer, JitterEstimator, PacketCounts, sequence_distance

_RTP_LAWS = {rtp.PayloadType.PCMU: Codec.MULAW, rtp.PayloadType.PCMA: Codec.ALAW}


class Depacketizer(ABC):
    """The inbound half of one stream's wire format.

    `frame_size` is the size in bytes of a message that holds one frame of audio and nothing else; 0 while unknown.
    While a stream has no listeners, a message of `frame_size` need not be decoded, because it holds only audio.
    `layout` says where the samples lie in such a message, so that messages of many streams can be decoded
    together; None while unknown, and where the headers of messages differ.
    """

    def __init__(self, codec: CodecDetector) -> None:
        self.codec = codec
        self.jitter = JitterEstimator()
        self.frame_size = 0
        self.layout: FrameLayout | None = None
        self._measured = 0  # number of frames received up to the last frame whose jitter was measured
        self.samples = 0  # number of samples that were decoded so far, at 8 kHz

    def reset(self) -> None:
        """Begin new statistics with the next message, so that undecoded messages do not distort the jitter."""
        self.jitter = JitterEstimator()

    @property
    def packets(self) -> PacketCounts:
        """Counts of the packets since the last reset; all 0 where messages have no sequence numbers."""
        return NO_PACKETS

    def flush(self) -> list[Audio]:
        """The audio that is still held back, in order: only packets with sequence numbers wait for others."""
        return []

    def reset_order(self) -> None:  # noqa: B027 - most messages have no sequence numbers
        """Begin a new order by sequence numbers with the next packet, and new counts. The jitter is kept."""

    @abstractmethod
    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The events that the binary message `data` completes, in order.

        `at` is the time in seconds at which the message arrived. ProtocolError if the message is not in the
        stream's wire format.
        """

    def _decode(self, payload: bytes, at: float) -> Audio:
        """Decode a payload, and count its arrival at the time `at`, in seconds.

        Only encapsulations whose messages have no sequence numbers use this method.
        """
        pcm = self.codec.decode(payload)
        if not self.frame_size:
            self._set_frame_size()
        return self._count_arrival(Audio(pcm), at)

    def _set_frame_size(self) -> None:
        if self.codec.decided and self.codec.codec is not None:
            self.frame_size = self._message_size(self.codec.codec.frame_bytes)
            self.layout = self._layout(self.codec.codec)

    def _layout(self, codec: Codec) -> FrameLayout | None:
        """Where the samples lie in a message of `frame_size` bytes; None if the headers of messages differ."""
        return frame_layout(b"", codec)

    def measure_jitter(self, at: float) -> None:
        """Update the jitter with a frame that was read by polling, up to 20 ms after it had arrived.

        `at` is the time of the poll, in seconds. Call this method before the frame is added to `samples`. The
        frames that were polled since the last call count as having arrived on time, one every 20 ms.
        """
        frames = self.samples // FRAME_SAMPLES
        self.jitter.decay(frames - self._measured)
        self._measured = frames + 1
        self.jitter.update(at, self.samples, PTIME)

    def _message_size(self, payload_bytes: int) -> int:
        """The size in bytes of a message that carries one payload, which has `payload_bytes` bytes."""
        return payload_bytes

    def _count_arrival(self, audio: Audio, at: float) -> Audio:
        self.jitter.update(at, self.samples)
        self.samples += len(audio.pcm) // SAMPLE_BYTES
        self._measured = self.samples // FRAME_SAMPLES
        return audio


class RtpDepacketizer(Depacketizer):
    """Decodes RTP packets, and puts them in order by their sequence numbers.

    A static payload type of RFC 3551 names the codec, but the payload types that VoIPBIN sends do not name theirs.
    Therefore `trust_payload_type` is False on a stream that the server dialled: payload sizes decide the codec.
    """

    def __init__(self, codec: CodecDetector, *, trust_payload_type: bool = True) -> None:
        super().__init__(codec)
        self._trust_payload_type = trust_payload_type
        self._buffer = JitterBuffer()
        self._extended_sequence = 0  # the latest packet's sequence number, continued beyond 65535

    def reset(self) -> None:
        """Begin new statistics, and a new order by sequence numbers, with the next packet."""
        super().reset()
        self.reset_order()

    def reset_order(self) -> None:
        """Begin a new order by sequence numbers with the next packet, and new counts. The jitter is kept."""
        self._buffer = JitterBuffer()

    @property
    def packets(self) -> PacketCounts:
        """Counts of the packets since the last reset."""
        return PacketCounts.from_jitter_buffer(self._buffer)

    def flush(self) -> list[Audio]:
        """The audio that the jitter buffer holds back, with its gaps concealed."""
        return self._buffer.flush()

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The audio of the packet in `data` and of packets that waited for this packet, in order.

        The list is empty if the packet must wait for an earlier packet.
        """
        packet = rtp.parse(data)
        pcm = self._decode_packet(packet)
        self.samples += len(pcm) // SAMPLE_BYTES
        self._extended_sequence += sequence_distance(packet.sequence, self._extended_sequence)
        self.jitter.update(at, self._extended_sequence * FRAME_SAMPLES)
        return [*self._buffer.put(packet.sequence, pcm, at)]

    def _decode_packet(self, packet: rtp.Packet) -> bytes:
        payload_type = rtp.payload_type(packet)
        if not packet.payload:  # an empty packet keeps the mapping of a NAT alive (RFC 6263)
            return b""
        law = _RTP_LAWS.get(payload_type)
        if law is not None and self._trust_payload_type and not self.codec.decided:
            self.codec.codec, self.frame_size = law, rtp.HEADER_BYTES + law.frame_bytes
            return law.decode(packet.payload)
        pcm = self.codec.decode(packet.payload, law or Codec.MULAW)
        self._set_frame_size()
        return pcm

    def _layout(self, codec: Codec) -> FrameLayout | None:
        return None

    def _message_size(self, payload_bytes: int) -> int:
        return rtp.HEADER_BYTES + payload_bytes


class RawDepacketizer(Depacketizer):
    """Decodes messages that consist of a payload without a header."""

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The audio of one message."""
        return [self._decode(data, at)]


class AudioSocketDepacketizer(Depacketizer):
    """Decodes AudioSocket messages if `framed`, or payloads without a header if not.

    If `framed` is None, the first message decides whether messages are framed.
    """

    def __init__(self, codec: CodecDetector, framed: bool | None) -> None:
        super().__init__(codec)
        self.framed = framed
        self._resamplers: dict[int, Resampler] = {}  # resamplers of wideband audio, by AudioSocket kind

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The events in one binary message of the peer."""
        # Only the first message decides the framing, because some raw payloads look like a message by chance.
        if self.framed is None:
            self.framed = audiosocket.is_message(data)
        if not self.framed:
            return [self._decode(data, at)]
        # Tested first, because nearly every message holds audio.
        if (payload := audiosocket.single_audio_payload(data)) is not None:
            return [self._decode(payload, at)]
        return [event for message in audiosocket.parse(data) for event in self._events(message, at)]

    def _events(self, message: audiosocket.Message, at: float) -> list[Event]:
        if message.kind == audiosocket.Kind.SLIN:
            return [self._decode(message.payload, at)]
        if (rate := audiosocket.RATES.get(message.kind)) is not None:
            if message.kind not in self._resamplers:
                self._resamplers[message.kind] = Resampler(rate)
            pcm = self._resamplers[message.kind].feed(Codec.SLIN.decode(message.payload))
            self.codec.codec = Codec.SLIN
            if len(message.payload) == rate // FRAMES_PER_SECOND * SAMPLE_BYTES:
                self.frame_size, self.layout = self._message_size(len(message.payload)), None
            return [self._count_arrival(Audio(pcm), at)] if pcm else []
        return [audiosocket.to_event(message)]

    def _layout(self, codec: Codec) -> FrameLayout | None:
        return frame_layout(
            audiosocket.header(audiosocket.Kind.SLIN, codec.frame_bytes) if self.framed else b"", codec
        )

    def _message_size(self, payload_bytes: int) -> int:
        return payload_bytes + audiosocket.HEADER_BYTES if self.framed else payload_bytes


class ResamplingDepacketizer(Depacketizer):
    """Decodes payloads without a header in a format that the peer has named, such as `slin16`, to 8 kHz.

    The peer has named `codec` and `rate`, the sample rate in Hz.
    """

    def __init__(self, codec: Codec, rate: int) -> None:
        detector = CodecDetector()
        detector.decide(codec)
        super().__init__(detector)
        self._resampler = Resampler(rate)
        self._frame_bytes = rate // FRAMES_PER_SECOND * codec.sample_bytes

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The audio at 8 kHz that one message completes; an empty list if the message completes no 20 ms frame."""
        pcm = self._resampler.feed(self.codec.decode(data))
        if len(data) == self._frame_bytes:
            self.frame_size = len(data)
        return [self._count_arrival(Audio(pcm), at)] if pcm else []
