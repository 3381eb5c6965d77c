"""`mediaserver say`: has TTS speak a text, and writes the sound into a prompt file."""

from pathlib import Path
from typing import Annotated

import typer

from mediaserver import config
from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.cli import options, terminal
from mediaserver.cli.terminal import EXIT_WRONG_STREAM
from mediaserver.config.speech_settings import SpeechEngine
from mediaserver.errors import ConfigError, MediaServerError, error_text
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement, voice_problems
from mediaserver.speech.tts import prompt_file
from mediaserver.speech.tts.interface import resolve_voice
from mediaserver.support import log


def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text to speak.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.wav", help="The prompt file to write.")],
    voice: Annotated[str, typer.Option(metavar="NAME", help="The voice, by the engine's name for it.")] = "",
    rate: Annotated[
        float | None, typer.Option(metavar="N", min=0.5, max=2.0, help="The speed. 1 is the engine's own.")
    ] = None,
    language: Annotated[str, typer.Option(metavar="TAG", help="The language of the text, such as en-GB.")] = "",
    engine: Annotated[SpeechEngine | None, typer.Option(help="The TTS engine. Default: that of [speech].")] = None,
    file: options.ConfigOption = None,
) -> None:
    """Let the TTS engine speak a text into a prompt file (WAV, 8 kHz, 16 bit)."""
    with terminal.config_errors():
        settings, problems = config.load(file)
        log.configure("error", settings.log.format)
        engines = (engine,) if engine is not None else settings.speech.engine
        how = resolve_voice(settings.speech, engines, voice, rate, language)
        unfit = voice_problems(EngineRequirement(EngineKind.TTS, engines, language, voice), settings.speech)
        if problems or len(unfit) == len(engines):
            raise ConfigError(problems or [f"{terminal.name_of(file)}: {problem}" for problem in unfit])
    try:
        prompt_file.validate_prompt_file(output)
        pcm = terminal.run(prompt_file.synthesise_text(text, settings.speech, how))
        prompt_file.write_prompt_file(output, pcm)
    except (MediaServerError, OSError, ValueError) as error:
        terminal.print_errors([f"{output}: {error_text(error)}"])
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    typer.echo(f"{output}: {len(pcm) / SAMPLE_BYTES / SAMPLE_RATE:.2f} s")
