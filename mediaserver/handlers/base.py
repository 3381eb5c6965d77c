"""The base class of all handlers. A handler has one URL path's validated settings, and serves its calls.

    class Greeting(Handler):
        prompt: str = "welcome"

        async def run(self, call: Call) -> None:
            await call.play(self.prompt)

A configuration names a handler of your own by its module and class: `handler = "my_package.module:Greeting"`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from mediaserver.call import Call
from mediaserver.config.fields import OptionalLanguageTag, Table
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import PromptError
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.playout.sources.source import silence
from mediaserver.speech.engines.requirements import EngineRequirement

LEAST_GAIN, MOST_GAIN = -40, 20  # the lowest and the highest gain in dB at which audio may be played


class Handler(Table, ABC):
    """Base class of all handlers. Fields are a URL path's settings; one instance may serve many calls at once."""

    # The names of the fields that the query of a call's URL may set.
    query_settings: ClassVar[frozenset[str]] = frozenset()

    # The names of the fields whose values may not contain a {variable} of the URL.
    fixed_settings: ClassVar[frozenset[str]] = frozenset()

    # The names of the {variables} in settings whose values come from the handler, not from the URL.
    own_variables: ClassVar[frozenset[str]] = frozenset()

    # The keys of settings, in any table, that are templates, whose {variables} the handler fills in for each call.
    template_settings: ClassVar[frozenset[str]] = frozenset()

    globs: ClassVar[bool] = False  # whether prompts in the settings may be named by globs, such as `music/*`

    background: str | None = Field(
        None, min_length=1, description="A prompt that is repeated under all other sound."
    )
    background_level: float = Field(
        -26.0, ge=-60, le=-10, description="The active speech level of the background in dBov (ITU-T P.56)."
    )
    background_ducking: float = Field(
        10.0, ge=0, le=60, description="By how many dB the background is lowered under other sound."
    )

    tones: bool = Field(False, description="Whether call-progress and fax tones are reported.")

    @property
    def prompt_gain(self) -> float:
        """The gain in dB at which the prompts of `call.prompts` are played."""
        return 0.0

    @property
    def prompt_language(self) -> str:
        """The language, a BCP 47 tag, in which `call.prompts` looks for prompts first; "" for none."""
        return ""

    @abstractmethod
    async def run(self, call: Call) -> None:
        """Serve one call. When `run` returns, the stream is closed with code 1000; when it raises, with 1011."""

    def prompt_names(self) -> Iterable[str]:
        """The names or globs of the prompts that the handler plays, to find missing prompts before a call."""
        return ()

    @property
    def needed_prompts(self) -> list[str]:
        """The names or globs of all prompts that calls need: those of `prompt_names`, and the background."""
        names = self.prompt_names()
        if isinstance(names, str):  # the mistake of a user's handler, whose letters would be taken for prompts
            raise TypeError("prompt_names() should return a list")
        return list(dict.fromkeys([*names, *filter(None, [self.background])]))

    def looped_prompts(self) -> Iterable[str]:
        """The names or globs of prompts that play in a loop. `mediaserver check` warns of loops that click."""
        return ()

    def engines(self) -> Iterable[EngineRequirement]:
        """The TTS, STT and LLM engines that the handler needs, so that they are ready before a call comes."""
        return ()

    def folders(self) -> Iterable[Path]:
        """The folders that the handler writes into. `mediaserver check` reports folders that cannot be written."""
        return ()

    def flow_needs(self) -> Iterable[str]:
        """The settings keys that send a call elsewhere (a transfer). They require the setting `flow`, too."""
        return ()

    def prepare(self, speech: SpeechSettings) -> None:
        """Load the data that calls will need, which may block for long. ValueError if no call could be served."""

    def validate_request(
        self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings
    ) -> None:
        """Raise ValueError, with the reason, if a call with these variables and this query cannot be served."""

    def spoken_url_text(self, variables: Mapping[str, str], query: Mapping[str, str]) -> str:
        """The text in a URL that TTS has to speak; "" for none. The number of such texts per peer is limited."""
        return ""

    def missing_prompts(
        self, snapshot: PromptSnapshot, known: Callable[[str], bool] = lambda name: True
    ) -> list[str]:
        """One line for each prompt that `snapshot` lacks, both in the handler's language and without a language.

        Prompt names for which `known` returns False are skipped.
        """
        missing, snapshot = [], snapshot.view(language=self.prompt_language)
        for name in filter(known, self.needed_prompts):
            try:
                snapshot.match([name]) if self.globs else snapshot.get(name)
            except PromptError as error:
                missing.append(str(error))
        return missing


class PlaybackSettings(BaseModel):
    """Settings of handlers that play recorded prompts. A handler class names this base class before `Handler`."""

    query_settings: ClassVar[frozenset[str]] = frozenset({"language"})

    gain: float = Field(
        0.0,
        ge=LEAST_GAIN,
        le=MOST_GAIN,
        description="By how many dB recorded prompts are louder or softer. Where peaks would clip, it is less.",
    )
    language: OptionalLanguageTag = Field(
        "",
        description="The language in which prompts are preferred, a BCP 47 tag: with de, welcome.de is played in"
        " place of welcome.",
    )

    @property
    def prompt_gain(self) -> float:
        """The gain in dB at which the prompts of `call.prompts` are played."""
        return self.gain

    @property
    def prompt_language(self) -> str:
        """The language, a BCP 47 tag, in which `call.prompts` looks for prompts first; "" for none."""
        return self.language or ""  # `language` is None if a {variable} sets it, and there is no URL yet


class Ending(BaseModel):
    """Settings that say what happens to a call when the media of its handler has been played to the end."""

    then: Literal["close", "silence", "hangup"] = Field(
        "close", description="What follows at the end, as in playback."
    )
    linger_ms: int = Field(
        200,
        ge=0,
        le=60_000,
        description="Milliseconds of silence before the close, so that the peer does not clip the end.",
    )

    async def conclude(self, call: Call) -> None:
        """Do what `then` says once the media is over: let the stream close, send silence, or hang up."""
        if self.then == "silence":
            await call.silence()
        if self.then == "hangup":
            call.hang_up()
        if self.linger_ms:
            await call.play(silence(self.linger_ms))
