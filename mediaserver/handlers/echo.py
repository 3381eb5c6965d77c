"""The `echo` handler: sends the caller's audio back."""

from pydantic import Field

from mediaserver.call import Call
from mediaserver.handlers.base import Handler
from mediaserver.playout.sources.live import LiveSource


class Echo(Handler):
    """Sends the received audio back until the peer hangs up."""

    delay_ms: int = Field(60, ge=0, le=60_000, description="The delay in milliseconds.")

    async def run(self, call: Call) -> None:
        """Play the received audio to the peer, `delay_ms` milliseconds later."""
        live = LiveSource(self.delay_ms)
        with call.listen_pcm(live.push_audio):
            await call.play(live)
