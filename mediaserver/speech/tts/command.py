"""The TTS engine `command`: any program that writes WAV, such as espeak-ng or piper.

Worker processes, whose module is `command_process`, run the program. The serving process does not.
"""

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
from mediaserver.errors import ConfigError, EngineError, RejectedError, did_you_mean, error_text
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.engines.worker_pool import WorkerPool
from mediaserver.speech.tts.interface import Voice
from mediaserver.support.credentials import resolve_secret

# The placeholders in braces in the program's arguments. `CommandTts.synthesise` replaces them with values.
PLACEHOLDERS = ("text", "voice", "language", "rate", "file")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_MODULE = "mediaserver.speech.tts.command_process"


def config_problem(settings: SpeechSettings, voice: Voice) -> str:
    """Why the configured program cannot be used on this machine; "" if it can."""
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


class CommandTts:
    """Synthesises speech with the configured program, which worker processes run."""

    def __init__(self, settings: SpeechSettings, http: EngineHttpClient) -> None:
        self._settings, self._program = settings, settings.command.program
        self._workers = WorkerPool(_MODULE, (), settings.processes, settings.timeout)
        self._folder: str | None = None
        self._numbers = itertools.count()

    @cached_property
    def identity(self) -> str:
        """The program, its arguments, and its file's size and date, as a part of the TTS cache's key."""
        found = shutil.which(self._program[0]) if self._program else None
        stat = Path(found).stat() if found else None
        return f"command {self._program} {(stat.st_size, stat.st_mtime_ns) if stat else None}"

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        """Yield the speech of a sentence in one piece: 16-bit PCM, 8 kHz, mono."""
        if why := config_problem(self._settings, voice):
            raise RejectedError(why)
        file = await self._temporary_file()
        values = {
            "text": text,
            "voice": voice.name,
            "language": voice.language,
            "rate": f"{voice.rate:g}",
            "file": file,
        }
        arguments = [fill_placeholders(argument, values) for argument in self._program]
        by_argument = any("{text}" in argument for argument in self._program)
        by_file = any("{file}" in argument for argument in self._program)
        try:
            yield await self._workers.run_job(
                arguments=arguments,
                input="" if by_argument else text,
                file=file,
                by_file=by_file,
                environment=await asyncio.to_thread(self._environment),
            )
        finally:
            asyncio.get_running_loop().run_in_executor(None, _remove, file)

    def _environment(self) -> dict[str, str]:
        """The environment variables configured for the program. Raises EngineError if one cannot be read."""
        try:
            return {
                name: resolve_secret(value, f"speech.command.environment.{name}")
                for name, value in self._settings.command.environment.items()
            }
        except ConfigError as error:
            raise EngineError(str(error)) from error

    async def _temporary_file(self) -> str:
        """The path of a new file for the program's output, in a folder that only the server's user may read."""
        if self._folder is None:
            try:
                self._folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="mediaserver-")
            except OSError as error:
                raise EngineError(f"no temporary folder can be made: {error_text(error)}") from error
        return os.path.join(self._folder, f"{next(self._numbers)}.wav")  # noqa: PTH118 - a name, not a file yet

    def preload(self) -> None:
        """Start a worker process ahead of the first sentence."""
        if self._program:
            self._workers.preload()

    @property
    def not_ready_reason(self) -> str:
        """Why no worker process has become ready yet; "" once a worker process is ready."""
        return self._workers.not_ready_reason

    async def close(self) -> None:
        """Stop the worker processes, and remove the files that programs left behind."""
        await self._workers.close()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def fill_placeholders(argument: str, values: dict[str, str]) -> str:
    """A program's argument with values in place of its placeholders.

    If a value makes the argument begin with a dash, a space is put before the dash, so that the program does
    not take the argument for an option.
    """
    filled = _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), argument)
    return f" {filled}" if filled.startswith("-") and not argument.startswith("-") else filled


def _remove(file: str) -> None:
    with suppress(OSError):
        os.unlink(file)  # noqa: PTH108
