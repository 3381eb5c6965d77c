"""A session put together and run, whoever dialled: its pacer on the engine's ticker, its handler, and its end."""

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
    """A session that keeps what its peer sends until its handler runs.

    A peer that takes nothing for `server.stall_timeout` seconds ends the session, or is left to `on_stall`.
    """

    def stalled() -> None:
        session.finish(End(EndReason.STALLED, CloseCode.ABNORMAL))

    pacer = Pacer(engine.ticker, wire, transport, on_stall or stalled, engine.settings.server.stall_timeout)
    session = Session(stream, wire, engine.library, pacer, event_sink=engine.backend, speech=engine.speech)
    session.hold_inbound()
    return session


async def run_handler(session: Session, handler: Handler) -> End:
    """Let a handler do its work on a stream; its failure is logged, and is how the stream ends."""
    try:
        return await session.run(handler.run(session.call))
    except Exception as error:
        failed = log.bind(stream=session.stream.id, path=session.stream.path)
        if isinstance(error, EngineError):  # it says all that there is to say
            failed.error("handler failed", why=str(error))
        else:
            failed.exception("handler failed")
        return End(EndReason.ERROR, CloseCode.INTERNAL_ERROR, "the handler failed")
