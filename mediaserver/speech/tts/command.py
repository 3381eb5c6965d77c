"""`command`: any program that writes WAV, such as espeak-ng or piper. It is run by processes of ours."""

import asyncio
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import ConfigError, EngineError, did_you_mean, plainly
from mediaserver.speech.engines.http import Http
from mediaserver.speech.engines.worker_pool import Workshop
from mediaserver.speech.tts.interface import Voice
from mediaserver.support.credentials import reveal

PLACEHOLDERS = ("text", "voice", "language", "rate", "file")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


def problem(settings: SpeechSettings, voice: Voice) -> str:
    """Why it cannot be used here, if so."""
    program = settings.command.program
    if not program:
        return "speech.command.program is empty: it names the program that speaks, and its arguments"
    if shutil.which(program[0]) is None:
        return f'speech.command.program: there is no program "{program[0]}" here'
    for name in (found for argument in program[1:] for found in _PLACEHOLDER.findall(argument)):
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            return f"speech.command.program: {{{name}}} is none of {known}{did_you_mean(name, PLACEHOLDERS)}"
    return ""


class Command:
    """Speaks with a program."""

    def __init__(self, settings: SpeechSettings, http: Http) -> None:
        self._settings, self._program = settings, settings.command.program
        self._workshop = Workshop(
            "mediaserver.speech.tts.command_process", (), settings.processes, settings.timeout
        )
        self._folder: str | None = None
        self._numbers = itertools.count()

    @cached_property
    def identity(self) -> str:
        """The program, as it is at first, and its arguments."""
        found = shutil.which(self._program[0]) if self._program else None
        seen = Path(found).stat() if found else None
        return f"command {self._program} {(seen.st_size, seen.st_mtime_ns) if seen else None}"

    async def speak(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        """The sound of a sentence, in one piece."""
        if why := problem(self._settings, voice):
            raise EngineError(why)
        file = await self._file()
        values = {
            "text": text,
            "voice": voice.name,
            "language": voice.language,
            "rate": f"{voice.rate:g}",
            "file": file,
        }
        arguments = [filled(argument, values) for argument in self._program]
        by_argument = any("{text}" in argument for argument in self._program)
        by_file = any("{file}" in argument for argument in self._program)
        try:
            yield await self._workshop.make(
                arguments=arguments,
                input="" if by_argument else text,
                file=file,
                by_file=by_file,
                environment=await asyncio.to_thread(self._environment),
            )
        finally:
            asyncio.get_running_loop().run_in_executor(None, _remove, file)

    def _environment(self) -> dict[str, str]:
        """The variables that are configured, read where they are kept; EngineError where one is not there."""
        try:
            return {
                name: reveal(value, f"speech.command.environment.{name}")
                for name, value in self._settings.command.environment.items()
            }
        except ConfigError as error:
            raise EngineError(str(error)) from error

    async def _file(self) -> str:
        """A name for what is to be written, in a folder that only we may use."""
        if self._folder is None:
            try:
                self._folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="mediaserver-")
            except OSError as error:
                raise EngineError(f"no temporary folder can be made: {plainly(error)}") from error
        return os.path.join(self._folder, f"{next(self._numbers)}.wav")  # noqa: PTH118 - a name, not a file yet

    def warm(self) -> None:
        """Start a process."""
        if self._program:
            self._workshop.warm()

    @property
    def why_not_ready(self) -> str:
        """Until its first process is."""
        return self._workshop.why_not_ready

    async def close(self) -> None:
        """Let the processes go, and what the programs left."""
        await self._workshop.close()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def filled(argument: str, values: dict[str, str]) -> str:
    """An argument with its placeholders filled in, none of which makes it an option."""
    made = _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), argument)
    return f" {made}" if made.startswith("-") and not argument.startswith("-") else made


def _remove(file: str) -> None:
    with suppress(OSError):
        os.unlink(file)  # noqa: PTH108
