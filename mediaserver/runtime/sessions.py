"""Makes a stream's session with its pacer, and runs the stream's handler, whose errors are logged.

Streams that peers dial and streams that the server dials use the same functions.
"""

from collections.abc import Callable
from functools import partial

import structlog

from mediaserver.call import CloseCode, End, EndReason, Session, Stream, ToneListener, wire_facts
from mediaserver.errors import CallControlError, EngineError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.transport import Transport
from mediaserver.runtime.engine import Engine
from mediaserver.support.log import HANDLED_STREAM
from mediaserver.wire.wire import Wire

_STALLED = End(EndReason.STALLED, CloseCode.ABNORMAL)

log = structlog.get_logger()


def open_session(
    engine: Engine,
    stream: Stream,
    wire: Wire,
    transport: Transport,
    on_stall: Callable[[], None] | None = None,
) -> Session:
    """Make the session of a stream. Until the stream's handler runs, the session buffers what the peer sends.

    `on_stall` is called when a slow peer has not read all that was sent within `server.stall_timeout` seconds. By
    default, the session then ends.
    """
    pacer = Pacer(engine.ticker, wire, transport, stall_timeout=engine.settings.server.stall_timeout)
    session = Session(
        stream,
        wire,
        engine.library,
        pacer,
        event_sink=engine.event_sink,
        speech=engine.speech,
        call_soon=engine.handler_ends.call_soon,
        timers=engine.timers,
    )
    pacer.on_stalled = on_stall or partial(session.finish, _STALLED)
    session.receiver.gatherer = engine.frame_gatherer
    session.hold_inbound()
    return session


def notify_started(session: Session) -> None:
    """Emit the event `stream.started`, with the wire format as far as it is known by now."""
    session.call.notify(EventKind.STREAM_STARTED, wire_facts(session.receiver.wire))


async def serve(handler: Handler, session: Session) -> None:
    """Run a handler with the features that any handler's settings may have: the gain and the language of prompts,
    a background, and tone detection.
    """
    call, receiver = session.call, session.receiver
    call.prompts = call.prompts.view(gain=handler.prompt_gain, language=handler.prompt_language)
    call.set_background(handler.background, handler.background_level, handler.background_ducking)
    handled = HANDLED_STREAM.set(session.stream.id)
    try:
        if handler.tones:
            listener = ToneListener(receiver.push_event, call.notify)
            with receiver.listen_pcm(listener.on_pcm):
                await handler.run(call)
        else:
            await handler.run(call)
    finally:
        HANDLED_STREAM.reset(handled)


async def run_handler(session: Session, handler: Handler) -> End:
    """Run a handler, and any that replaces it, until the stream ends; return how the stream ended.

    An exception of the handler is logged, and ends the stream.
    """
    try:
        return await session.run(serve(handler, session))
    except Exception as error:
        failed = log.bind(stream=session.stream.id, path=session.stream.path)
        if isinstance(error, EngineError | CallControlError):  # an expected error: no traceback is logged
            failed.error("handler failed", why=str(error))
        else:
            failed.exception("handler failed")
        return End(EndReason.ERROR, CloseCode.INTERNAL_ERROR, "the handler failed")
