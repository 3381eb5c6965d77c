"""The `tone` handler: plays call-progress tones, DTMF digits, sine tones and cadences."""

from functools import lru_cache

from pydantic import Field, field_validator, model_validator

from mediaserver.audio import tone_plans
from mediaserver.audio.tones import Cadence
from mediaserver.call import Call
from mediaserver.errors import TooLongError
from mediaserver.handlers.base import Ending, Handler
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.tones import ToneCache

_CACHE_BYTES = 64_000_000  # the maximum size in bytes of the cache of rendered tones: hundreds of short tones

_tones = ToneCache(_CACHE_BYTES)
# Resolved tones are cached, because parsing a tone of 200 characters takes 0.5 ms.
_cadence = lru_cache(maxsize=256)(tone_plans.resolve_tone)


class Tone(Ending, Handler):
    """Plays a tone: for ever if its cadence repeats, otherwise once."""

    tone: str = Field(
        max_length=200,
        description="A call-progress tone (`dial`, `ringback`, `busy`, `congestion`, `callwaiting`, `recording`,"
        " `sit`, `milliwatt`), digits (`dtmf:123#`), a sine (`sine:440`, Hz), or a cadence as Asterisk writes it"
        " (`480+620/500,0/500`: Hz + Hz / ms).",
    )
    country: str = "us"
    level: float | None = Field(None, ge=-60, le=3, description="The level in dBm0. None is the tone's own level.")
    digit_ms: int = Field(100, ge=40, le=5000)  # receivers must accept digits of 40 ms or more (ITU-T Q.24)
    digit_gap_ms: int = Field(100, ge=40, le=5000)

    @field_validator("country")
    @classmethod
    def _has_a_plan(cls, country: str) -> str:
        tone_plans.tone_plan(country)
        return country

    @model_validator(mode="after")
    def _exists(self) -> "Tone":
        try:
            self._cadence()
        except TooLongError as error:
            raise TooLongError(f"tone: {error}") from None
        except ValueError as error:
            raise ValueError(f"tone: {error}") from None
        return self

    def _cadence(self) -> Cadence:
        return _cadence(self.tone, self.country, self.level, self.digit_ms, self.digit_gap_ms)

    async def run(self, call: Call) -> None:
        """Play the tone, then do what the setting `then` says."""
        tone = _tones.get(self._cadence())
        await call.play(Playlist(Repeated(tone.repeat, None, intro=tone.once) if tone.repeat else tone.once))
        await self.conclude(call)
