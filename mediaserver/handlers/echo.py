"""`echo`: what is heard comes back."""

from pydantic import Field

from mediaserver.call import Call
from mediaserver.handlers.base import Handler
from mediaserver.playout.sources.live import LiveSource
from mediaserver.wire.events import Audio, Event


class Echo(Handler):
    """Sends back what it hears, until the peer hangs up."""

    delay_ms: int = Field(60, ge=0, le=60_000, description="less than the network's jitter, and there are holes")

    async def run(self, call: Call) -> None:
        """Play what comes."""
        live = LiveSource(self.delay_ms)

        def take(event: Event) -> None:
            if isinstance(event, Audio):
                live.push_audio(event.pcm)

        with call.listen(take):
            await call.play(live)
