"""Makes and runs sessions, for served and for dialled streams alike: pacer, handler, and the handler's failure."""

from collections.abc import Callable

import structlog

from mediaserver.call import CloseCode, End, EndReason, Session, Stream
from mediaserver.errors import EngineError
from mediaserver.handlers.base import Handler
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.slow_peer import Transport
from mediaserver.runtime.engine import Engine
from mediaserver.wire.wire import Wire

log = structlog.get_logger()


def open_session(
    engine: Engine,
    stream: Stream,
    wire: Wire,
    transport: Transport,
    on_stall: Callable[[], None] | None = None,
) -> Session:
    """Make a session. It buffers what its peer sends until its handler runs.

    Where the peer reads nothing for `server.stall_timeout` seconds, `on_stall` is called; by default the session
    ends.
    """

    def stalled() -> None:
        session.finish(End(EndReason.STALLED, CloseCode.ABNORMAL))

    pacer = Pacer(engine.ticker, wire, transport, on_stall or stalled, engine.settings.server.stall_timeout)
    session = Session(stream, wire, engine.library, pacer, event_sink=engine.event_sink, speech=engine.speech)
    session.hold_inbound()
    return session


async def run_handler(session: Session, handler: Handler) -> End:
    """Run a handler on its call, to the end of the stream. An exception of the handler is logged, and ends the
    stream.
    """
    try:
        return await session.run(handler.run(session.call))
    except Exception as error:
        failed = log.bind(stream=session.stream.id, path=session.stream.path)
        if isinstance(error, EngineError):  # its message says enough, so no traceback is logged
            failed.error("handler failed", why=str(error))
        else:
            failed.exception("handler failed")
        return End(EndReason.ERROR, CloseCode.INTERNAL_ERROR, "the handler failed")
