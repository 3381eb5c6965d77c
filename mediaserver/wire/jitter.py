"""A jitter buffer that orders packets by sequence number, and RFC 3550's interarrival jitter (6.4.1 and A.1).

The buffer serves listeners (recording, DTMF, speech recognition), not a loudspeaker: a packet in order is passed
on at once, and only packets behind a gap wait. The buffer ignores timestamps and SSRC, because those that VoIPBIN
sends carry no information: its timestamps advance by bytes, and its SSRC is 0. Callers pass the arrival times.
"""

import math
from collections import deque
from typing import NamedTuple

from mediaserver.audio import concealment
from mediaserver.audio.pcm import (
    FRAME_BYTES,
    FRAMES_PER_SECOND,
    SAMPLE_BYTES,
    SAMPLE_RATE,
    SILENCE,
    from_bytes,
    to_bytes,
)
from mediaserver.wire.events import Audio

# The longest gap, in packets. A packet that is farther ahead of the expected one may belong to a new sequence. RFC
# 3550 allows 3000 packets, which would be a minute of audio here.
MAX_DROPOUT = 2 * FRAMES_PER_SECOND
MAX_MISORDER = FRAMES_PER_SECOND  # how many packets a late packet or a duplicate may be behind the expected packet
MAX_CONCEALED = MAX_DROPOUT * FRAME_BYTES  # the most bytes of audio that conceal one gap
_HISTORY_PACKETS = 5  # number of past packets kept: concealing a loss takes 49 ms of past audio
MAX_VARIATION = 1.0  # seconds; a larger variation between two packets is a pause or another stream, not jitter
_MOD = 1 << 16  # sequence numbers are u16, and begin again at 0 after 65535


def sequence_distance(sequence: int, extended: int) -> int:
    """How many packets a u16 sequence number is ahead of an extended sequence number: -32768 to 32767.

    A u16 number wraps around after 65535; the shorter way round counts. An extended number does not wrap around.
    """
    return (sequence - extended + _MOD // 2) % _MOD - _MOD // 2


class PacketCounts(NamedTuple):
    """Counts of RTP packets, as the jitter buffer keeps them."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0

    @classmethod
    def from_jitter_buffer(cls, buffer: "JitterBuffer") -> "PacketCounts":
        """The counts of one jitter buffer."""
        return cls(buffer.received, buffer.lost, buffer.late, buffer.duplicates)

    def plus(self, other: "PacketCounts") -> "PacketCounts":
        """The sum of these counts and `other`, count by count."""
        received, lost, late, duplicate = other
        return PacketCounts(
            self.received + received, self.lost + lost, self.late + late, self.duplicate + duplicate
        )


NO_PACKETS = PacketCounts()


class JitterBuffer:
    """Puts the packets of one stream in order, and conceals lost packets as `audio.concealment` does.

    A gap is given up when more than `depth` packets wait behind it, or when the first of these packets has waited
    for `max_wait` seconds. Both are checked when a packet arrives that does not fill the gap. A packet farther
    ahead than MAX_DROPOUT or farther behind than MAX_MISORDER is on probation: if the very next packet is out of
    this range as well, the peer has begun a new sequence. The stream then continues with the new sequence. Nothing
    is concealed between both sequences, because the number of lost packets is unknown. After `flush`, the number
    of packets passed on is `received - late - duplicates + lost`, or less if a gap of longer packets exceeded
    MAX_CONCEALED.
    """

    def __init__(self, depth: int = 3, max_wait: float = 0.060) -> None:
        self._depth = depth  # the most packets that wait behind a gap
        self._max_wait = max_wait  # the most seconds for which a packet waits behind a gap
        # Extended sequence numbers of the first packet and of the expected packet: they begin with the peer's
        # first number, and continue beyond 65535.
        self._first = self._next = 0
        # PCM of the last packets passed on. The audio that conceals a lost packet is as long as the last packet.
        self._history = deque((SILENCE,), _HISTORY_PACKETS)
        # PCM and arrival time of the packets that wait behind a gap, by extended sequence number.
        self._waiting: dict[int, tuple[bytes, float]] = {}
        # Extended sequence numbers of packets that were given up, among the last MAX_MISORDER packets.
        self._given_up: set[int] = set()
        # The packet on probation: its sequence number, its PCM, its arrival time, and the number of packets that
        # had been received when it arrived.
        self._probation: tuple[int, bytes, float, int] | None = None
        self.received = 0
        # Number of packets given up. A packet that arrives late still counts as lost, unlike in RFC 3550, A.3,
        # because its audio is missing from what was passed on.
        self.lost = 0
        # Number of packets dropped, because they came after they had been given up, or belong before the first
        # packet, or were out of range without beginning a new sequence.
        self.late = 0
        self.duplicates = 0
        self.reordered = 0
        self.restarts = 0

    def put(self, sequence: int, pcm: bytes, at: float) -> list[Audio]:
        """The audio of a packet and of packets that waited for it, in order; empty if the packet must wait.

        `sequence` is the packet's u16 sequence number, `pcm` its decoded audio in whole 16-bit samples, and `at`
        its arrival in seconds.
        """
        self.received += 1
        if sequence == self._next % _MOD and not self._waiting:
            self._next += 1
            self._history.append(pcm)
            return [Audio(pcm)]
        return self._put_in_order(sequence, pcm, at)

    def flush(self) -> list[Audio]:
        """Give up all gaps at the end of a stream. Returns the waiting packets, with the gaps concealed."""
        self.late += self._probation is not None
        self._probation = None
        return self._release(math.inf)

    def _put_in_order(self, sequence: int, pcm: bytes, at: float) -> list[Audio]:
        if self._next == self._first:  # this is the first packet of the stream
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
        """Keep a packet that is out of range; begin a new sequence if the previous packet was out of range too."""
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
        """Conceal each gap that has lasted too long at the time `at`; return the audio that follows, in order."""
        passed_on: list[Audio] = []
        waiting = self._waiting
        while waiting:
            if (packet := waiting.pop(self._next, None)) is not None:
                self._next += 1
                self._history.append(packet[0])
                passed_on.append(Audio(packet[0]))
            elif len(waiting) > self._depth or at - next(iter(waiting.values()))[1] >= self._max_wait:
                passed_on += self._conceal(min(waiting))
            else:
                break
        return passed_on

    def _conceal(self, end: int) -> list[Audio]:
        """Give up the missing packets before the waiting packet `end`, an extended sequence number.

        Returns the audio that conceals the missing packets. The waiting packet is cross-faded with the
        continuation of this audio.
        """
        lost, width = range(self._next, end), len(self._history[-1]) or FRAME_BYTES
        self._given_up = {sequence for sequence in (*self._given_up, *lost) if sequence >= end - MAX_MISORDER}
        self.lost += len(lost)
        self._next = end
        size = min(len(lost), MAX_CONCEALED // width) * width
        if not size:
            return []
        following, at = self._waiting[end]
        history = b"".join(self._history)[-concealment.HISTORY * SAMPLE_BYTES :]
        samples = concealment.conceal(from_bytes(history), size // SAMPLE_BYTES, from_bytes(following))
        replacement, following = map(to_bytes, samples)
        self._waiting[end] = following, at
        packets = [replacement[start : start + width] for start in range(0, size, width)]
        self._history += packets
        return [Audio(pcm, concealed=True) for pcm in packets]


class JitterEstimator:
    """Estimates the interarrival jitter of RFC 3550, section 6.4.1, for any encapsulation.

    The number of samples received takes the place of RTP's timestamps. A variation over MAX_VARIATION between two
    packets is ignored, because a pause, a reconnection or a new sequence shows nothing about the network.
    Measuring then continues from the later packet.
    """

    def __init__(self) -> None:
        self._jitter = 0.0  # the estimated jitter, in seconds
        self._transit = math.inf  # the latest packet's arrival time minus its media time, in seconds

    def update(self, at: float, media_samples: int, within: float = 0.0) -> None:
        """Count audio that arrived at `at` seconds, after `media_samples` earlier samples of the stream.

        Audio that may have arrived up to `within` seconds earlier counts with the least variation possible.
        """
        transit = at - media_samples / SAMPLE_RATE
        if transit - within <= self._transit <= transit:
            self._jitter -= self._jitter / 16
            return
        transit -= within if self._transit < transit else 0.0
        variation = abs(transit - self._transit)
        self._transit = transit
        if variation <= MAX_VARIATION:
            self._jitter += (variation - self._jitter) / 16

    def decay(self, frames: int) -> None:
        """Lower the estimate as though so many `frames` had arrived exactly on schedule."""
        self._jitter *= (15 / 16) ** max(0, frames)

    @property
    def ms(self) -> float:
        """The jitter estimated so far, in milliseconds."""
        return self._jitter * 1000
