"""The `record` handler: records a call to a WAV file."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from mediaserver.audio import tones
from mediaserver.audio.pcm import to_bytes
from mediaserver.call import DEFAULT_MODES, Call, FileModes, Recording
from mediaserver.config.fields import Table
from mediaserver.handlers.base import Ending, Handler, PlaybackSettings
from mediaserver.handlers.common import files
from mediaserver.playout.sources.source import Clip

_WEEK = 7 * 86_400
_BEEP = Clip(to_bytes(tones.render(tones.parse("!1000/300", -13.0)).once), name="tone")


class RecordSettings(Table):
    """Settings of a recording, in a URL path or a menu's step. Only the URL path sets the file's folder."""

    file: Annotated[str, AfterValidator(files.validate_template)] = Field(
        "{resource}-{id}-{time}.wav", description="The template of the file's name."
    )
    stereo: bool = Field(
        False,
        description="Whether there are two channels: the peer on the left, what the server sends on the right.",
    )
    beep: bool | str = Field(
        False, description="What is played before the recording: true for a tone, or a prompt."
    )
    max_duration: float | None = Field(None, gt=0, le=_WEEK, description="Seconds after which the recording ends.")
    max_silence: float | None = Field(
        None, gt=0, le=_WEEK, description="Seconds without speech after which it ends."
    )
    finish_on: str = Field("", pattern=r"^[0-9A-D*#]*$", description="Digits of which each ends the recording.")
    trim_silence: bool = Field(False, description="Whether silence at the end is cut off.")

    @property
    def beep_prompt(self) -> str | None:
        """The name of the prompt that is played as the beep; None for the built-in tone, or for no beep."""
        return self.beep if isinstance(self.beep, str) else None

    async def record(
        self, call: Call, directory: Path, prompt: str | None = None, modes: FileModes = DEFAULT_MODES
    ) -> Recording:
        """Play the beep, if set, then record into a file in `directory` until a limit of the settings is reached.

        `prompt` is played during the recording. `modes` are the permissions of the file, and of new folders.
        """
        if self.beep:
            await call.play(self.beep_prompt or _BEEP)
        playing = asyncio.ensure_future(call.play(prompt)) if prompt is not None else None
        try:
            return await call.record(
                files.expand_template(directory, self.file, call.stream),
                within=directory,
                stereo=self.stereo,
                max_duration=self.max_duration,
                max_silence=self.max_silence,
                finish_on=self.finish_on,
                trim_silence=self.trim_silence,
                modes=modes,
            )
        finally:
            if playing is not None:
                playing.cancel()
                await asyncio.wait((playing,))


class Record(files.FileModeSettings, RecordSettings, Ending, PlaybackSettings, Handler):
    """Records a stream to a WAV file."""

    own_variables: ClassVar[frozenset[str]] = files.TEMPLATE_FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"directory"})

    directory: Path = Path("recordings")
    prompt: str | None = Field(None, description="A prompt that is played during the recording.")

    def prompt_names(self) -> Iterable[str]:
        """The names of the prompts: the beep, unless it is a tone, and the prompt played during the recording."""
        return [name for name in (self.beep_prompt, self.prompt) if name]

    def folders(self) -> Iterable[Path]:
        """The folder that recordings are written into."""
        return (self.directory,)

    async def run(self, call: Call) -> None:
        """Record the call, then do what `then` says. A disk failure ends the recording, but not the call."""
        await self.record(call, self.directory, self.prompt, self.modes)
        await self.conclude(call)
