"""Packets put back in order by their sequence numbers, and how unevenly they arrive (RFC 3550, 6.4.1 and A.1).

For listeners (recording, digits, speech), not for a loudspeaker: a packet in order is passed on at once, and only
packets behind a gap wait. Timestamps and SSRC are not looked at, since VoIPBIN's say nothing (it
steps timestamps by bytes, under SSRC 0). There is no clock here: whoever receives a packet says when it came.
"""

import math

from mediaserver.audio.pcm import FRAME_BYTES, FRAMES_PER_SECOND, SAMPLE_RATE, SILENCE
from mediaserver.wire.events import Audio

MAX_DROPOUT = 2 * FRAMES_PER_SECOND  # packets ahead that are still a gap; RFC 3550's 3000 would be a minute
MAX_MISORDER = FRAMES_PER_SECOND  # packets behind that are late, not another run: all that one just behind costs
MAX_CONCEALED = MAX_DROPOUT * FRAME_BYTES  # bytes of silence for one gap, however long its packets are
MAX_VARIATION = 1.0  # seconds; more between two packets is a pause or another stream, not jitter
_MOD = 1 << 16  # sequence numbers are u16


def distance(sequence: int, place: int) -> int:
    """How far a sequence number is ahead of a place, -32768…32767: the shorter way round."""
    return (sequence - place + _MOD // 2) % _MOD - _MOD // 2


class JitterBuffer:
    """One stream's packets in order; what is missing becomes silence once it is given up.

    A gap is given up when more than `depth` packets wait behind it, or the first of them to arrive has waited
    `patience` seconds at a later arrival that does not fill it. A packet too far off to be part of the stream is
    kept in doubt: where the very next arrival is far off too, the peer has begun anew, and the stream goes on from
    there without filling anything, for nobody knows how much was lost. After `flush`, the packets passed on are
    `received - late - duplicates + lost` (fewer only where a gap of longer packets exceeds MAX_CONCEALED).
    """

    def __init__(self, depth: int = 3, patience: float = 0.060) -> None:
        self._depth = depth  # packets
        self._patience = patience  # seconds
        # Places are sequence numbers that go on past 65535, from the first one of the peer's current run.
        self._first = self._next = 0
        self._before = SILENCE  # the last packet passed on: a missing one is as long
        self._held: dict[int, tuple[bytes, float]] = {}  # by place: PCM and arrival, in order of arrival
        self._given_up: set[int] = set()  # places not far behind
        self._stray: tuple[int, bytes, float, int] | None = None  # sequence, PCM, arrival, `received` by then
        self.received = 0
        self.lost = 0  # given up. RFC 3550, A.3, takes late ones off again; here their sound stays missing
        self.late = 0  # thrown away: given up by then, before the first, or a lone packet far off
        self.duplicates = 0
        self.reordered = 0  # put right
        self.restarts = 0

    def put(self, sequence: int, pcm: bytes, at: float) -> list[Audio]:
        """The audio, in order, that a packet completes: u16 sequence number, decoded PCM, arrival in seconds."""
        self.received += 1
        if sequence == self._next % _MOD and not self._held:
            self._next += 1
            self._before = pcm
            return [Audio(pcm)]
        return self._put_in_place(sequence, pcm, at)

    def flush(self) -> list[Audio]:
        """Whatever is still held, with its gaps concealed, at the end of a stream."""
        self.late += self._stray is not None
        self._stray = None
        return self._release(math.inf)

    def _put_in_place(self, sequence: int, pcm: bytes, at: float) -> list[Audio]:
        if self._next == self._first:  # the very first packet
            self._first = self._next = sequence
        ahead = distance(sequence, self._next)
        place = self._next + ahead
        if not -MAX_MISORDER <= ahead <= MAX_DROPOUT:
            return self._doubt(sequence, pcm, at)
        if place in self._given_up or place < self._first:
            self._given_up.discard(place)
            self.late += 1
        elif ahead < 0 or place in self._held:
            self.duplicates += 1
        else:
            self.reordered += any(place < held for held in self._held)
            self._held[place] = pcm, at
        return self._release(at)

    def _doubt(self, sequence: int, pcm: bytes, at: float) -> list[Audio]:
        """A packet far off: thrown away in the end, unless the one that arrives next is far off too."""
        stray, self._stray = self._stray, None
        if stray is None or self.received - stray[-1] > 1:
            self.late += stray is not None
            self._stray = sequence, pcm, at, self.received
            return self._release(at)
        passed_on = self.flush()
        self.restarts += 1
        self._given_up.clear()
        first, first_pcm, first_at, _ = stray
        if 0 < (ahead := distance(sequence, first)) <= MAX_DROPOUT:
            self._first = self._next = first
            self._held = {first: (first_pcm, first_at), first + ahead: (pcm, at)}
        else:
            self.late += 1
            self._first = self._next = sequence
            self._held = {sequence: (pcm, at)}
        return passed_on + self._release(at)

    def _release(self, at: float) -> list[Audio]:
        """The held packets whose turn it is, past every gap that is to be given up by now."""
        passed_on: list[Audio] = []
        held = self._held
        while held:
            if (packet := held.pop(self._next, None)) is not None:
                self._next += 1
                self._before = packet[0]
                passed_on.append(Audio(packet[0]))
            elif len(held) > self._depth or at - next(iter(held.values()))[1] >= self._patience:
                passed_on += self._give_up(min(held))
            else:
                break
        return passed_on

    def _give_up(self, end: int) -> list[Audio]:
        """Silence in place of the packets up to the place `end`."""
        missing, width = range(self._next, end), len(self._before) or FRAME_BYTES
        self._given_up = {place for place in (*self._given_up, *missing) if place >= end - MAX_MISORDER}
        self.lost += len(missing)
        self._next = end
        return [Audio(bytes(width), concealed=True)] * min(len(missing), MAX_CONCEALED // width)


class Jitter:
    """RFC 3550's interarrival jitter (section 6.4.1) of any encapsulation: media time is a count of samples.

    A variation over MAX_VARIATION between two packets is left out and measuring goes on from the later one, as a
    pause, a reconnect or a restart say nothing about the network.
    """

    def __init__(self) -> None:
        self._jitter = 0.0  # seconds
        self._transit = math.inf

    def arrived(self, at: float, media_samples: int) -> None:
        """Sound arrived at `at` seconds, whose first sample is number `media_samples` of the stream."""
        transit = at - media_samples / SAMPLE_RATE
        variation = abs(transit - self._transit)
        self._transit = transit
        if variation <= MAX_VARIATION:
            self._jitter += (variation - self._jitter) / 16

    @property
    def ms(self) -> float:
        """The estimate now, in milliseconds."""
        return self._jitter * 1000
