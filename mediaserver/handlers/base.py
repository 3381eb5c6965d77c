"""What a handler is: the settings of a path, validated, and what happens on a stream that is opened there.

    class Greeting(Handler):
        prompt: str = "welcome"

        async def run(self, call: Call) -> None:
            await call.play(self.prompt)

A config names a handler of your own by its place: `handler = "my_package.module:Greeting"`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from mediaserver.call import Call
from mediaserver.config.fields import Table
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import PromptError
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.playout.sources.source import silence
from mediaserver.speech.engines.requirements import EngineRequirement


class Handler(Table, ABC):
    """Base of all handlers. Its fields are the path's settings; one instance may serve many streams at once."""

    query_settings: ClassVar[frozenset[str]] = frozenset()  # fields that a URL's query may set; no variables

    fixed_settings: ClassVar[frozenset[str]] = frozenset()  # fields that no variable of a URL may fill

    own_variables: ClassVar[frozenset[str]] = frozenset()  # {names} in its settings that it fills in by itself

    # Keys, in whatever table of its settings, whose {variables} it fills in by itself, call by call.
    template_settings: ClassVar[frozenset[str]] = frozenset()

    globs: ClassVar[bool] = False  # whether its prompt names may be globs

    @abstractmethod
    async def run(self, call: Call) -> None:
        """Do what this path does. When it returns, the stream is closed with 1000; when it raises, with 1011."""

    def prompt_names(self) -> Iterable[str]:
        """Names and globs of the prompts it needs, so that a missing one is known before a call comes."""
        return ()

    def engines(self) -> Iterable[EngineRequirement]:
        """The engines that it needs, so that they are there before a call comes."""
        return ()

    def folders(self) -> Iterable[Path]:
        """The folders, `directory` of its settings, that it writes into: `check` tries them out."""
        return ()

    def prepare(self, speech: SpeechSettings) -> None:
        """Load what calls will need, for as long as that takes; ValueError where there can be none."""

    def check(self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings) -> None:
        """Whether it can serve a caller of these variables, whose URL has this query; ValueError says why not."""

    def said_of_url(self, variables: Mapping[str, str], query: Mapping[str, str]) -> str:
        """What of a URL an engine has to speak, "" for nothing: for another, another sound has to be made."""
        return ""

    def problems(self, snapshot: PromptSnapshot, known: Callable[[str], bool] = lambda name: True) -> list[str]:
        """What is missing in the snapshot, of the names that are `known` already."""
        found = []
        for name in filter(known, self.prompt_names()):
            try:
                snapshot.match([name]) if self.globs else snapshot.get(name)
            except PromptError as error:
                found.append(str(error))
        return found


class Ending(BaseModel):
    """Settings of handlers whose media ends."""

    then: Literal["close", "silence", "hangup"] = Field("close", description="what follows the media")
    linger_ms: int = Field(
        200, ge=0, le=60_000, description="silence before the close, so that nothing is clipped"
    )

    async def conclude(self, call: Call) -> None:
        """Do what follows the media."""
        if self.then == "silence":
            await call.silence()
        if self.then == "hangup":
            call.hang_up()
        if self.linger_ms:
            await call.play(silence(self.linger_ms))
