"""The `bridge` handler: connects a call to the user's own application, over the application's WebSocket."""

from collections.abc import Callable, Iterable
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from mediaserver.bridge import ApplicationBridge, ApplicationEndpoint
from mediaserver.call import Call, CloseCode
from mediaserver.config.fields import WebSocketUrl
from mediaserver.errors import PeerError
from mediaserver.handlers.base import Ending, Handler, PlaybackSettings
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.playout.sources.source import Source, silence
from mediaserver.wire.dialects.dialect import CallFacts, Dialect
from mediaserver.wire.dialects.plain import PlainDialect
from mediaserver.wire.dialects.twilio import TwilioDialect

_PROTOCOLS: dict[str, Callable[[CallFacts], Dialect]] = {"pcm": PlainDialect, "twilio": TwilioDialect}

_HOLD_DELAY_MS = 1000  # milliseconds of silence before the hold prompt; most connections are made in this time


class Bridge(Ending, PlaybackSettings, Handler):
    """Bridges the call to an application until the application hangs up, or cannot be reached any more."""

    fixed_settings: ClassVar[frozenset[str]] = frozenset({"token"})

    url: WebSocketUrl
    protocol: Literal["twilio", "pcm"] = "twilio"
    token: SecretStr = SecretStr("")
    connect_timeout: float = Field(5.0, gt=0, le=60, description="Seconds that one attempt may take.")
    reconnect_timeout: float = Field(
        10.0, ge=0, le=600, description="Seconds without a connection after which the bridge gives up."
    )
    delay_ms: int = Field(60, ge=0, le=1000, description="The jitter buffer, in milliseconds.")
    hold: str | None = Field(None, description="A prompt that is played while there is no connection.")
    fallback: str | None = Field(None, description="A prompt that is played when the bridge gives up.")

    @model_validator(mode="after")
    def _one_authorization(self) -> "Bridge":
        if self.token.get_secret_value() and "@" in urlsplit(self.url).netloc:
            raise ValueError("the url names a user and there is a token: only one of them can be sent")
        return self

    def prompt_names(self) -> Iterable[str]:
        """The names of the hold prompt and of the fallback prompt."""
        return [name for name in (self.hold, self.fallback) if name]

    def looped_prompts(self) -> Iterable[str]:
        """The name of the hold prompt."""
        return [self.hold] if self.hold else []

    async def run(self, call: Call) -> None:
        """Bridge the call to the application; if the application cannot be reached, play the fallback prompt."""
        endpoint = ApplicationEndpoint(
            self.url, self.token.get_secret_value(), self.connect_timeout, self.reconnect_timeout
        )
        bridge = ApplicationBridge(
            call, endpoint, _PROTOCOLS[self.protocol], PlayoutBuffer(self.delay_ms), self._hold_of(call)
        )
        try:
            await bridge.run()
        except PeerError:  # `ApplicationBridge` has logged the error
            if self.fallback is None:
                call.close(CloseCode.INTERNAL_ERROR, "the application cannot be reached")
                return
            await call.play(self.fallback)
        await self.conclude(call)

    def _hold_of(self, call: Call) -> Callable[[], Source] | None:
        if self.hold is None:
            return None
        prompt = call.prompts.get(self.hold)
        return lambda: Playlist(Repeated([prompt], None, intro=[silence(_HOLD_DELAY_MS)]))
