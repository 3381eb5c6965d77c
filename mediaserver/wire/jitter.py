"""A jitter buffer that orders packets by sequence number, and RFC 3550's interarrival jitter (6.4.1 and A.1).

The buffer serves listeners (recording, DTMF, speech recognition), not a loudspeaker: it passes a packet in order
on at once, and only packets behind a gap wait. It ignores timestamps and SSRC, because VoIPBIN's carry no
information (it advances timestamps by bytes, under SSRC 0). Arrival times are arguments.
"""

import math

from mediaserver.audio.pcm import FRAME_BYTES, FRAMES_PER_SECOND, SAMPLE_RATE, SILENCE
from mediaserver.wire.events import Audio

MAX_DROPOUT = 2 * FRAMES_PER_SECOND  # packets ahead that still count as a gap; RFC 3550's 3000 would be a minute
MAX_MISORDER = FRAMES_PER_SECOND  # packets behind that count as late; packets farther behind begin a new sequence
MAX_CONCEALED = MAX_DROPOUT * FRAME_BYTES  # bytes of silence in place of one gap, however long its packets are
MAX_VARIATION = 1.0  # seconds; a larger variation between two packets is a pause or another stream, not jitter
_MOD = 1 << 16  # sequence numbers are u16


def sequence_distance(sequence: int, extended: int) -> int:
    """How far a u16 sequence number is ahead of an extended one, -32768…32767: the shorter way round."""
    return (sequence - extended + _MOD // 2) % _MOD - _MOD // 2


class JitterBuffer:
    """Puts the packets of one stream in order, and conceals lost packets by silence.

    A gap is given up when more than `depth` packets wait behind it, or when the first of those to arrive has
    waited `max_wait` seconds at a later arrival that does not fill the gap. A packet outside MAX_DROPOUT and
    MAX_MISORDER is on probation: if the very next packet is outside as well, the peer has begun a new sequence.
    The stream then continues with that sequence, and nothing is concealed, because how much was lost is unknown.
    After `flush`, the packets passed on are `received - late - duplicates + lost`, or fewer if a gap of longer
    packets exceeded MAX_CONCEALED.
    """

    def __init__(self, depth: int = 3, max_wait: float = 0.060) -> None:
        self._depth = depth  # packets
        self._max_wait = max_wait  # seconds
        # Sequence numbers are extended here: they continue beyond 65535, from the first of the peer's sequence on.
        self._first = self._next = 0
        self._last_pcm = SILENCE  # PCM of the last packet passed on: a lost packet is concealed by as many bytes
        self._waiting: dict[int, tuple[bytes, float]] = {}  # PCM and arrival by sequence number, as they arrived
        self._given_up: set[int] = set()  # sequence numbers of packets given up, within MAX_MISORDER
        self._probation: tuple[int, bytes, float, int] | None = None  # sequence, PCM, arrival, `received` by then
        self.received = 0
        # Packets given up; a late packet is not subtracted as in RFC 3550, A.3, since its audio is missing.
        self.lost = 0
        # Packets dropped: given up before they came, ordered before the first packet, or single ones out of range.
        self.late = 0
        self.duplicates = 0
        self.reordered = 0
        self.restarts = 0

    def put(self, sequence: int, pcm: bytes, at: float) -> list[Audio]:
        """The audio that a packet completes, in order.

        `sequence` is its u16 sequence number, `pcm` its decoded audio, and `at` its arrival in seconds.
        """
        self.received += 1
        if sequence == self._next % _MOD and not self._waiting:
            self._next += 1
            self._last_pcm = pcm
            return [Audio(pcm)]
        return self._put_in_order(sequence, pcm, at)

    def flush(self) -> list[Audio]:
        """All waiting packets, with the gaps between them concealed, at the end of a stream."""
        self.late += self._probation is not None
        self._probation = None
        return self._release(math.inf)

    def _put_in_order(self, sequence: int, pcm: bytes, at: float) -> list[Audio]:
        if self._next == self._first:  # the very first packet
            self._first = self._next = sequence
        ahead = sequence_distance(sequence, self._next)
        extended = self._next + ahead
        if not -MAX_MISORDER <= ahead <= MAX_DROPOUT:
            return self._put_on_probation(sequence, pcm, at)
        if extended in self._given_up or extended < self._first:
            self._given_up.discard(extended)
            self.late += 1
        elif ahead < 0 or extended in self._waiting:
            self.duplicates += 1
        else:
            self.reordered += any(extended < waiting for waiting in self._waiting)
            self._waiting[extended] = pcm, at
        return self._release(at)

    def _put_on_probation(self, sequence: int, pcm: bytes, at: float) -> list[Audio]:
        """Keep a packet that is out of range, or begin a new sequence if the previous packet was, too."""
        before, self._probation = self._probation, None
        if before is None or self.received - before[-1] > 1:
            self.late += before is not None
            self._probation = sequence, pcm, at, self.received
            return self._release(at)
        passed_on = self.flush()
        self.restarts += 1
        self._given_up.clear()
        first, first_pcm, first_at, _ = before
        if 0 < (ahead := sequence_distance(sequence, first)) <= MAX_DROPOUT:
            self._first = self._next = first
            self._waiting = {first: (first_pcm, first_at), first + ahead: (pcm, at)}
        else:
            self.late += 1
            self._first = self._next = sequence
            self._waiting = {sequence: (pcm, at)}
        return passed_on + self._release(at)

    def _release(self, at: float) -> list[Audio]:
        """The waiting packets that are in order, beyond every gap that must be given up by now."""
        passed_on: list[Audio] = []
        waiting = self._waiting
        while waiting:
            if (packet := waiting.pop(self._next, None)) is not None:
                self._next += 1
                self._last_pcm = packet[0]
                passed_on.append(Audio(packet[0]))
            elif len(waiting) > self._depth or at - next(iter(waiting.values()))[1] >= self._max_wait:
                passed_on += self._conceal(min(waiting))
            else:
                break
        return passed_on

    def _conceal(self, end: int) -> list[Audio]:
        """Silence in place of the lost packets before the sequence number `end`."""
        lost, width = range(self._next, end), len(self._last_pcm) or FRAME_BYTES
        self._given_up = {sequence for sequence in (*self._given_up, *lost) if sequence >= end - MAX_MISORDER}
        self.lost += len(lost)
        self._next = end
        return [Audio(bytes(width), concealed=True)] * min(len(lost), MAX_CONCEALED // width)


class JitterEstimator:
    """RFC 3550's interarrival jitter (section 6.4.1), for any encapsulation: media time is a count of samples.

    A variation over MAX_VARIATION between two packets is ignored, and measuring continues from the later one,
    because a pause, a reconnection or a new sequence shows nothing about the network.
    """

    def __init__(self) -> None:
        self._jitter = 0.0  # seconds
        self._transit = math.inf

    def update(self, at: float, media_samples: int) -> None:
        """Count audio that arrived at `at` seconds; its first sample is number `media_samples` of the stream."""
        transit = at - media_samples / SAMPLE_RATE
        variation = abs(transit - self._transit)
        self._transit = transit
        if variation <= MAX_VARIATION:
            self._jitter += (variation - self._jitter) / 16

    @property
    def ms(self) -> float:
        """The jitter estimated so far, in milliseconds."""
        return self._jitter * 1000
