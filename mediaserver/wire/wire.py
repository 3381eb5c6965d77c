"""The wire format of one stream: encapsulation, framing and payload, in both directions."""

from collections.abc import Iterable, Iterator

from mediaserver.audio.pcm import FRAME_BYTES, FRAMES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.errors import ProtocolError
from mediaserver.wire import audiosocket, depacketizers, rtp
from mediaserver.wire.chan_websocket import MediaFormat
from mediaserver.wire.codec import Codec, CodecDetector
from mediaserver.wire.encapsulation import (
    L16,
    MESSAGE,
    MESSAGE_ENCODINGS,
    PAYLOAD_ENCODINGS,
    PCM,
    RTP_ENCODINGS,
    TCP,
    Carrier,
    Encapsulation,
    Encoding,
    Framing,
    RtpPayload,
    WireSettings,
    first_encoding,
)
from mediaserver.wire.repacketizer import Repacketizer

_RTP_PAYLOAD_TYPES = {encoding.name: payload_type for payload_type, encoding in RTP_ENCODINGS.items()}
# The most frames that may be sent before they are due, because a conference drops audio that is further ahead.
# Asterisk's WebSocket channel (`chan_websocket`) is exempt, because it has a queue of its own.
_MAX_LEAD = 3


class Wire:
    """The wire format of one stream: its encapsulation, framing and payload, and the state of both directions.

    At first the format is as the settings say. Where a setting is `auto`, `negotiate` decides by what the peer
    sends. `encoding` is the present encoding of sent frames, and `inbound` decodes what is received.

    `dialled` says that the server dialled the WebSocket: a framing of `auto` then means `message` until the peer's
    first message, and the peer is assumed to be the platform (VoIPBIN), which sends µ-law.
    """

    def __init__(
        self,
        settings: WireSettings,
        carrier: Carrier = Carrier.WEBSOCKET,
        *,
        dialled: bool = False,
    ) -> None:
        self.settings = settings
        # The audio format that Asterisk's WebSocket channel has named.
        self.media_format: MediaFormat | None = None
        # Name of an audio format that Asterisk asks for, and this server does not support.
        self.unsupported_format = ""
        self._carrier, self._dialled = carrier, dialled
        self._repacketizer: Repacketizer | None = None
        self._wideband = ""  # the suffix of `name` for AudioSocket on TCP at another sample rate than 8 kHz
        self._rtp: rtp.Packetizer | None = None
        self._audiosocket: depacketizers.AudioSocketDepacketizer | None = None
        self._negotiating = self._is_auto()
        self.encoding = self._first_encoding()
        if settings.encapsulation == Encapsulation.RTP:
            self._rtp = rtp.Packetizer(_RTP_PAYLOAD_TYPES[self.encoding.name])
        detector = CodecDetector(settings.inbound, Codec.MULAW if self._dialled else None)
        self.inbound = self._depacketizer(detector)

    def _is_auto(self) -> bool:
        match self.settings.encapsulation:
            case Encapsulation.AUDIOSOCKET:
                return self.settings.framing == Framing.AUTO or self._carrier is Carrier.TCP
            case Encapsulation.RTP:
                return self.settings.rtp_payload == RtpPayload.AUTO
        return False

    def _first_encoding(self) -> Encoding:
        if self._carrier is Carrier.TCP:
            return TCP
        if self._dialled and self._negotiating:
            return L16 if self.settings.encapsulation == Encapsulation.RTP else MESSAGE
        return first_encoding(self.settings)

    def _depacketizer(self, codec: CodecDetector) -> depacketizers.Depacketizer:
        match self.settings.encapsulation:
            case Encapsulation.RTP:
                return depacketizers.RtpDepacketizer(codec, trust_payload_type=not self._dialled)
            case Encapsulation.SLN:
                return depacketizers.RawDepacketizer(codec)
        framed = {Framing.MESSAGE: True, Framing.PCM: False}.get(self.settings.framing)
        if self._carrier is Carrier.TCP:
            framed = True
        self._audiosocket = depacketizers.AudioSocketDepacketizer(codec, framed)
        return self._audiosocket

    @property
    def name(self) -> str:
        """The wire format's name in logs and events, such as `audiosocket/message` or `chan_websocket/ulaw`."""
        if self.media_format is not None or self.unsupported_format:
            name = self.media_format.name if self.media_format else self.unsupported_format
            return f"chan_websocket/{name}"
        if self._carrier is Carrier.TCP:
            return f"{self.settings.encapsulation}/{TCP.name}{self._wideband}"
        return f"{self.settings.encapsulation}/{self.encoding.name}"

    @property
    def lead(self) -> int:
        """The number of frames to send before they are due."""
        return self.settings.lead if self.media_format is not None else min(self.settings.lead, _MAX_LEAD)

    # -- messages to the peer ------------------------------------------------------------------------------------

    def messages(self, encoded_frames: Iterable[bytes]) -> Iterator[bytes]:
        """The messages that carry these encoded frames: one message for each frame, made on demand.

        If the peer's frames are longer than 20 ms, the message is b"" for an encoded frame that completes none.
        """
        items = encoded_frames
        if self._rtp is not None:
            items = self._rtp.packets(items)
        elif self._repacketizer is not None:
            items = map(self._repacketizer.pack, items)
        return iter(items)

    def flush(self) -> bytes:
        """A last message with the peer's incomplete frame, padded with silence; b"" if no frame is incomplete."""
        return self._repacketizer.flush(self.encoding.silence) if self._repacketizer is not None else b""

    @property
    def marks_talkspurts(self) -> bool:
        """Whether sent messages can mark where sound follows silence. Only RTP packets can."""
        return self._rtp is not None

    def mark_talkspurt(self, *, begins: bool = True) -> None:
        """Mark the next RTP packet as the first of a talkspurt; with `begins=False`, remove the mark again."""
        if self._rtp is not None:
            self._rtp.mark_talkspurt(begins=begins)

    # -- negotiation of the wire format --------------------------------------------------------------------------

    @property
    def negotiating(self) -> bool:
        """Whether a message of the peer may still change the wire format of sent audio."""
        return self._negotiating

    @property
    def awaits_first_message(self) -> bool:
        """Whether the first sent frame should wait for the peer's first message, which decides its framing."""
        return self._negotiating and self._rtp is None and not self._dialled and self._carrier is not Carrier.TCP

    def fix_framing(self) -> None:
        """Keep the present framing although the peer has not decided it, because the first sent frame is due.

        This method does nothing for RTP, for TCP, and for streams that the server dialled: the peer's first audio
        decides their format even if it comes later. On a stream that the server dialled, only silence is sent
        before the peer's first audio.
        """
        if self._rtp is None and not self._dialled and self._carrier is not Carrier.TCP:
            self._negotiating = False

    def negotiate(self, data: bytes) -> bool:
        """Decide settings that are still `auto` by a binary message of the peer.

        Returns whether that changes the wire format of sent audio.
        """
        if not self._negotiating:
            return False
        if self._rtp is not None:
            return self._follow_payload_type(data, self._rtp)
        if self._carrier is Carrier.TCP:
            return self._follow_rate(data[0])
        before = self.encoding
        self._negotiating = False
        framed = audiosocket.is_message(data)
        self.encoding = MESSAGE if framed else PCM
        if self._audiosocket is not None:
            self._audiosocket.framed = framed
        return self.encoding is not before

    def _follow_rate(self, kind: int) -> bool:
        """Send AudioSocket at the sample rate of the peer's message; True if that rate is not 8 kHz.

        `kind` is the kind of the peer's AudioSocket message.
        """
        rate = audiosocket.RATES.get(kind)
        self._negotiating = kind != audiosocket.Kind.SLIN and rate is None
        if rate is None:
            return False
        size = rate // FRAMES_PER_SECOND * SAMPLE_BYTES
        header = audiosocket.header(kind, size)
        self.encoding, self._repacketizer = L16, Repacketizer(rate, size, lambda frame: header + frame)
        self._wideband = f"/slin{rate // 1000}"
        return True

    def _follow_payload_type(self, data: bytes, packetizer: rtp.Packetizer) -> bool:
        """Send RTP in the payload type of the peer's packet; True if that changes the sent messages."""
        try:
            payload_type = rtp.payload_type(rtp.parse(data))
        except ProtocolError:
            return False  # this packet has an unsupported payload type; the next packet may have another
        self._negotiating = False
        if self._dialled:  # VoIPBIN sends µ-law under this payload type, and accepts L16 under it
            packetizer.set_payload_type(payload_type, FRAME_BYTES)
            return payload_type != rtp.PayloadType.L16
        before, self.encoding = self.encoding, RTP_ENCODINGS[payload_type]
        packetizer.set_payload_type(payload_type)
        return self.encoding is not before

    def set_media_format(self, media_format: MediaFormat) -> None:
        """Send and receive the media format that Asterisk's WebSocket channel has named.

        Afterwards, callers call `messages` anew for a source that is being played: older iterators keep the old
        format.
        """
        self.media_format, self._negotiating, self._rtp, self._audiosocket = media_format, False, None, None
        codec, at_8_khz = media_format.codec, media_format.rate == SAMPLE_RATE
        if at_8_khz:
            detector = CodecDetector()
            detector.decide(codec)
            self.inbound = depacketizers.RawDepacketizer(detector)
        else:
            self.inbound = depacketizers.ResamplingDepacketizer(codec, media_format.rate)
        if at_8_khz and media_format.frame_bytes == media_format.ptime_bytes:
            self.encoding, self._repacketizer = MESSAGE_ENCODINGS[codec], None
        else:
            self.encoding = PAYLOAD_ENCODINGS[codec]
            self._repacketizer = Repacketizer(media_format.rate, media_format.frame_bytes)
