"""How a stream ends: the reason, and the close code of the WebSocket for it."""

from dataclasses import dataclass
from enum import StrEnum

_CLOSE_REASON_BYTES = 123  # a control frame holds 125 bytes, of which the code takes 2 (RFC 6455, section 5.5)


class CloseCode:
    """WebSocket close codes (RFC 6455, section 7.4.1) and when this server sends or sees them."""

    NORMAL = 1000  # the stream's media ended
    GOING_AWAY = 1001  # this server shuts down
    PROTOCOL_ERROR = 1002  # the peer broke the WebSocket protocol
    NO_STATUS = 1005  # never sent; it stands for a close frame of the peer without a code
    ABNORMAL = 1006  # never sent; it stands for a connection that ended without a close frame
    UNSUPPORTED = 1003  # the peer asks for an audio format that this server does not have
    POLICY = 1008  # the stream lasted longer than its time limit
    TOO_BIG = 1009  # the peer sent a message larger than the limit
    INTERNAL_ERROR = 1011  # the stream's handler failed


class EndReason(StrEnum):
    """Why a stream ended."""

    FINISHED = "finished"  # the stream's handler returned
    HUNG_UP = "hung-up"  # the operator ended the stream
    PEER_HUNG_UP = "peer-hung-up"  # the peer said that the call is over
    PEER_CLOSED = "peer-closed"  # the peer closed the connection
    PEER_VANISHED = "peer-vanished"  # the connection broke without a close frame
    REFUSED = "refused"  # the server dialled, and the peer refused the upgrade
    UNREACHABLE = "unreachable"  # the server dialled, and the peer did not answer in time
    PROTOCOL_ERROR = "protocol-error"  # the peer broke the WebSocket protocol
    OVERSIZE = "oversize"  # the peer sent a message larger than the limit, or a message without an end
    FLOOD = "flood"  # the peer sent far more messages or bytes a second than audio needs
    STALLED = "stalled"  # the peer read nothing for too long
    UNANSWERED = "unanswered"  # the peer answered neither pings nor TCP keepalive, and seems to be gone
    TIME_LIMIT = "time-limit"  # the stream lasted as long as its time limit
    DRAINED = "drained"  # this server shut down
    ERROR = "error"  # the stream's handler raised an exception


@dataclass(frozen=True, slots=True)
class End:
    """How a stream ended: the reason, and the code and text of the WebSocket close frame."""

    reason: EndReason
    code: int
    text: str = ""

    @property
    def normal(self) -> bool:
        """Whether one side ended the stream on purpose, and nothing failed."""
        if self.reason is EndReason.PEER_CLOSED:
            return self.code in (CloseCode.NORMAL, CloseCode.NO_STATUS)
        return self.reason in (EndReason.FINISHED, EndReason.HUNG_UP, EndReason.PEER_HUNG_UP)

    @property
    def message(self) -> bytes:
        """The text of the close frame in UTF-8, cut to 123 bytes."""
        return self.text.encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore").encode()
