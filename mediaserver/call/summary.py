"""The summary of a stream: the facts that its log line, its `stream.ended` event and the admin API share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mediaserver.call.inbound.monitor import InboundProblem
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.call.stream import Stream
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.transport.closing import End
from mediaserver.wire.encapsulation import Encapsulation
from mediaserver.wire.wire import Wire


class SessionFacts(NamedTuple):
    """What only the session knows of its stream."""

    duration: float  # seconds since the stream's beginning
    texts: int  # number of text messages that were not understood
    keys: int | None  # number of digits received; None where the handler has never asked for a digit
    inbound_problems: Sequence[InboundProblem]
    reconnects: int  # number of reconnections
    lost: int  # number of frames that broken connections may have lost


def wire_facts(wire: Wire) -> dict[str, str]:
    """The wire format of sent audio, and the codec of received audio, as far as known by now, for a log line."""
    return {"wire": wire.name, "inbound": str(wire.inbound.codec)}


def _packet_facts(receiver: Receiver) -> dict[str, float]:
    """Counts of the peer's RTP packets that came while somebody listened; no facts for other encapsulations."""
    if receiver.wire.settings.encapsulation != Encapsulation.RTP:
        return {}
    packets, jitter = receiver.packets, round(receiver.jitter_ms, 1)
    return {
        "packets": packets.received,
        "lost_packets": packets.lost,
        "late_packets": packets.late,
        "jitter_ms": jitter,
    }


def _connection_facts(stream: Stream, session: SessionFacts) -> dict[str, str | int]:
    """The facts of a stream that the server has dialled, maybe several times."""
    return {"resource": stream.resource, "reconnects": session.reconnects, "lost": session.lost}


def summarise(
    stream: Stream,
    end: End | None,
    pacer: Pacer,
    receiver: Receiver,
    session: SessionFacts,
) -> dict[str, Any]:
    """The facts of a stream, in the order of its log line. `end` is None while the stream lasts."""
    return {
        "path": stream.path,
        "peer": stream.peer,
        **wire_facts(receiver.wire),
        "frames": pacer.frames,
        "duration_s": round(session.duration, 3),
        "late": pacer.late_ticks,
        "skipped": pacer.skipped_ticks,
        "underruns": pacer.underruns,
        "stalls": pacer.stalls,
        "received": receiver.received,
        "malformed": receiver.malformed,
        "texts": session.texts,
        "dropped": receiver.dropped,
        "reason": str(end.reason) if end else None,
        "code": end.code if end else None,
        **({"why": end.text} if end and end.text else {}),
        **({"malformed_why": receiver.malformed_why} if receiver.malformed_why else {}),
        **({"stalled_s": round(pacer.stalled, 1)} if pacer.stalls else {}),
        **_packet_facts(receiver),
        **({"call": stream.call} if stream.call else {}),
        **({"keys": session.keys} if session.keys is not None else {}),
        **({"inbound_problems": list(map(str, problems))} if (problems := session.inbound_problems) else {}),
        **(_connection_facts(stream, session) if stream.resource else {}),
    }
