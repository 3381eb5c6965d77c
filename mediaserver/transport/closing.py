"""How a stream ends: why, and the close code that says so."""

from dataclasses import dataclass
from enum import StrEnum

_CLOSE_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame holds 125


class CloseCode:
    """WebSocket close codes (RFC 6455, section 7.4.1) and when we send or see them."""

    NORMAL = 1000  # the media ended
    GOING_AWAY = 1001  # we shut down
    NO_STATUS = 1005  # never sent: the peer's close frame named no code
    ABNORMAL = 1006  # never sent: the connection broke without a close
    UNSUPPORTED = 1003  # the peer asks for a format that we do not speak
    POLICY = 1008  # it lasted longer than it may
    TOO_BIG = 1009  # a message larger than any may be
    INTERNAL_ERROR = 1011  # our fault


class EndReason(StrEnum):
    """Why a stream ended."""

    FINISHED = "finished"  # its handler was done
    HUNG_UP = "hung-up"  # ended by the operator
    PEER_HUNG_UP = "peer-hung-up"  # the peer said that the call is over
    PEER_CLOSED = "peer-closed"  # the peer closed the connection
    PEER_VANISHED = "peer-vanished"  # the connection broke without a close
    REFUSED = "refused"  # we dialled, and were turned down
    UNREACHABLE = "unreachable"  # we dialled, and nobody answered in time
    PROTOCOL_ERROR = "protocol-error"  # the peer broke the WebSocket protocol
    OVERSIZE = "oversize"  # the peer sent a message larger than any may be, or one without an end
    FLOOD = "flood"  # the peer sent far more than a stream has to say
    STALLED = "stalled"  # the peer took nothing for too long
    UNANSWERED = "unanswered"  # the peer answers no pings, and seems to be gone
    TIME_LIMIT = "time-limit"  # it lasted as long as a stream may
    DRAINED = "drained"  # we shut down
    ERROR = "error"  # its handler failed


@dataclass(frozen=True, slots=True)
class End:
    """How a stream ended, and the close code to say so with."""

    reason: EndReason
    code: int
    text: str = ""

    @property
    def normal(self) -> bool:
        """Whether it was meant to end."""
        if self.reason is EndReason.PEER_CLOSED:
            return self.code in (CloseCode.NORMAL, CloseCode.NO_STATUS)
        return self.reason in (EndReason.FINISHED, EndReason.HUNG_UP, EndReason.PEER_HUNG_UP)

    @property
    def message(self) -> bytes:
        """The close frame's text, cut to what it may hold."""
        return self.text.encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore").encode()
