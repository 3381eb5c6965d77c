"""The console script. Exit codes: 0 well, 1 wrong stream, 2 wrong config."""

import asyncio
import contextlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mediaserver import __version__, config, options, samples, tables
from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.client import command, simulator
from mediaserver.client.attach import AttachRequest
from mediaserver.config import mistakes
from mediaserver.config.settings import Settings
from mediaserver.config.speech_settings import SpeechEngine
from mediaserver.errors import ConfigError, MediaServerError, PromptError, plainly, printable
from mediaserver.routing.configuration import Configuration
from mediaserver.server import check as checking
from mediaserver.server import first_steps, server
from mediaserver.server.reload import Source
from mediaserver.speech.engines.available import Need, lacking
from mediaserver.speech.tts import author
from mediaserver.speech.tts.interface import voice_of
from mediaserver.support import log
from mediaserver.support.credentials import shown_url, without_secrets, without_user
from mediaserver.wire.encapsulation import Encapsulation, Framing

EXIT_WRONG_STREAM, EXIT_BAD_CONFIG = 1, 2

app = typer.Typer(
    name="mediaserver",
    help="The media server that VoIPBIN calls.",
    cls=options.Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)

T = TypeVar("T")
_AUDIO_STREAM = "ws://127.0.0.1:8080/audio-stream"


def _command(*examples: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose help ends with examples of it."""
    lines = [f"Example: mediaserver {example}" for example in examples]
    return app.command(cls=options.Command, epilog="\n\n".join(lines))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Tell the version.")
]


def main() -> None:
    """Entry point of the console script."""
    if "" not in sys.path:
        sys.path.insert(0, "")  # handlers of the user's own may lie in the working directory
    app()


@app.callback()
def _options(
    version: VersionOption = False,
) -> None:
    pass


@_command("serve --config config.toml --port 8080")
def serve(
    file: options.ConfigOption = None,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = None,
    port: Annotated[int | None, options.port("Port that VoIPBIN dials.")] = None,
    admin_port: Annotated[int | None, options.port("Port of health, metrics and streams.")] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Take in handlers of your own as you edit them; calls go on.")
    ] = False,
) -> None:
    """Serve the prompts."""
    file = file or config.default_file()  # a server that began with one does not go on without

    def load() -> tuple[Settings, list[str]]:
        settings, problems = config.load(file)
        return settings.override("server", host=host, port=port).override("admin", port=admin_port), problems

    with _config_errors():
        settings, problems = load()
        log.configure(settings.log.level, settings.log.format)
        source = Source(str(file or "defaults"), load, file)
        with _progress() as progress:

            def listening(running: server.Server) -> None:
                _show_first_steps(running, file)

            _run(server.serve(settings, problems, source, progress, listening, follow_handlers=reload))


@_command("init", "init my-server")
def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to; default: here.", show_default=False)
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Write files anew that are there already.")] = False,
) -> None:
    """Write a configuration to begin with, which explains each setting, and sample prompts.

    What is there already is kept.
    """
    try:
        written = samples.write(directory, force=force)
    except OSError as error:
        _complain([f"{error.filename or directory}: cannot be written: {plainly(error)}"])
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    for file in written.files:
        typer.echo(f"wrote {file}")
    for file, why in written.kept.items():
        typer.echo(f"kept {file}: {why}")
    config_file = shlex.quote(str(directory / config.DEFAULT_FILE))
    typer.echo(
        "next: mediaserver serve" + (f" --config {config_file}" if directory.resolve() != Path.cwd() else "")
    )


@_command("check --config config.toml")
def check(
    file: options.ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Load the configuration and every prompt as `serve` would, and show what there is and what is wrong."""
    with _config_errors(as_json):
        settings, problems = config.load(file)
        log.configure("error", settings.log.format)
        with _progress() as progress:
            findings = _run(checking.check(settings, _where(file), problems, progress))
    if as_json:
        typer.echo(json.dumps(asdict(findings), indent=2, default=str))
    else:
        tables.show_findings(findings, out, err)
    if not findings.all_is_well:
        raise typer.Exit(EXIT_BAD_CONFIG)


@_command(f"call {_AUDIO_STREAM} --record heard.wav", 'call ws://127.0.0.1:8080/menu --digits "1,,4711#"')
def call(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="ws:// or wss:// URL, dialled as it stands; or tcp://host:port.")
    ],
    seconds: Annotated[float | None, typer.Option(metavar="N", min=0.1, help="Hang up after so long.")] = None,
    encapsulation: Annotated[
        Encapsulation | None,
        typer.Option(help="What to expect and to speak; default: as the URL says, or what comes."),
    ] = None,
    framing: Annotated[Framing, typer.Option(help="audiosocket: what to expect and to speak.")] = Framing.AUTO,
    send: options.SendOption = None,
    digits: options.DigitsOption = "",
    after: options.AfterOption = None,
    record: Annotated[Path | None, typer.Option(metavar="OUT.wav", help="A WAV file for what is heard.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Play VoIPBIN's side against any server: listen, perhaps speak or press keys, and report.

    What there is to send waits until the far end has been quiet for a second after its greeting, or has said
    nothing for two.

    With tcp://host:port, play Asterisk's side of AudioSocket: a random UUID first, then a frame every 20 ms, of
    the file to send or of silence. The report's framing is tcp, and its close code 1000 where the server said by
    00 00 00 that it is over, 1006 where the connection just ended.
    """
    plan = simulator.Call(url, seconds, encapsulation, framing, send, digits, after, record)
    shown = shown_url(url)
    log.configure("error", "console")
    try:
        report = _run(command.call(plan, None if as_json else err, shown))
    except (MediaServerError, OSError, ValueError) as error:
        if as_json:
            told = without_secrets(str(error))
            typer.echo(json.dumps({"error": told, "status": getattr(error, "status", None)}))
        _complain([str(error) if isinstance(error, PromptError) else f"{shown}: {error}"])
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        tables.show_report(report, out)
    _complain(report.problems)
    if report.problems:
        raise typer.Exit(EXIT_WRONG_STREAM)


@_command("attach call 652af662-eb45-11ee-b1a5-6fde165f9226 --path /record")
def attach(
    kind: Annotated[options.Kind, typer.Argument(metavar="call|conference", help="What to attach to.")],
    subject: Annotated[str, typer.Argument(metavar="ID", help="Its id at VoIPBIN.")],
    path: Annotated[str, typer.Option(metavar="/PATH", help="What happens on the stream: a path of the config.")],
    encapsulation: Annotated[
        Encapsulation | None, typer.Option(help="How to speak; default: as the path says.")
    ] = None,
    variable: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Of the stream, over those of the path; repeatable."),
    ] = None,
    file: options.ConfigOption = None,
) -> None:
    """Dial the media stream of a call or a conference, and do there what a path says."""
    variables = dict(options.variable(text) for text in variable or ())
    try:
        request = AttachRequest(
            resource=f"{kind}s/{subject}", path=path, variables=variables, encapsulation=encapsulation
        )
    except ValidationError as error:
        _complain(mistakes.problems("attach", error, AttachRequest))
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    with _config_errors():
        settings, problems = config.load(file)
        log.configure(settings.log.level, settings.log.format)
        with _progress() as progress:
            end = _run(command.attach(settings, _where(file), problems, request, progress, err))
    _complain([end.text] if end.text else [])
    if not end.normal:
        raise typer.Exit(EXIT_WRONG_STREAM)


@_command('say "Thank you for calling." --rate 0.9 -o prompts/thanks.wav')
def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be said.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.wav", help="The prompt file to write.")],
    voice: Annotated[str, typer.Option(metavar="NAME", help="As the engine has it.")] = "",
    rate: Annotated[
        float | None, typer.Option(metavar="N", min=0.5, max=2.0, help="Times the engine's own pace.")
    ] = None,
    language: Annotated[str, typer.Option(metavar="TAG", help="Such as en-GB.")] = "",
    engine: Annotated[SpeechEngine | None, typer.Option(help="What speaks; default: as the config says.")] = None,
    file: options.ConfigOption = None,
) -> None:
    """Say a text into a prompt file: WAV, 8 kHz, 16 bit."""
    with _config_errors():
        settings, problems = config.load(file)
        log.configure("error", settings.log.format)
        how = voice_of(settings.speech, engine or "", voice, rate, language)
        need = Need("speech", how.engine, how.language, how.name)
        problem = lacking(need, settings.speech, settings.recognition, settings.chat)
        if problems or problem:
            raise ConfigError(problems or [f"{_where(file)}: {problem}"])
    try:
        author.check(output)
        pcm = _run(author.say(text, settings.speech, how))
        author.write(output, pcm)
    except (MediaServerError, OSError, ValueError) as error:
        _complain([f"{output}: {plainly(error)}"])
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    typer.echo(f"{output}: {len(pcm) / SAMPLE_BYTES / SAMPLE_RATE:.2f} s")


@_command("sign 'wss://media.example.com/play/welcome?repeat=2' --ttl 1h")
def sign(
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="ws://, wss://, http:// or https:// URL of a path that has tokens."),
    ],
    ttl: Annotated[str, typer.Option(metavar="TIME", help="How long it is good: 90s, 15m, 1h, 7d.")] = "1h",
    file: options.ConfigOption = None,
) -> None:
    """Print a link that opens one path for a time, without the token: for a flow to carry."""
    with _config_errors():
        settings, problems = config.load(file)
        log.configure("error", settings.log.format)
        configuration = Configuration.of(settings, _where(file), problems)
        if configuration.problems:
            raise ConfigError(configuration.problems)
    try:
        query = _run(configuration.sign(url, int(time.time()) + options.seconds(ttl)))
    except (MediaServerError, ValueError) as error:
        _complain([f"{shown_url(url)}: {error}"])
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    typer.echo(f"{without_user(url)}{'&' if '?' in url else '?'}{query}")


def _show_first_steps(running: server.Server, file: Path | None) -> None:
    """For who has just started it by hand."""
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):  # it may be gone by now
            for line in ("", *first_steps.lines(running.engine, running.port, file), ""):
                typer.echo(line, err=True)


def _run(work: Coroutine[None, None, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _where(file: Path | None) -> str:
    """The name of the configuration in messages."""
    return str(file or config.default_file() or "defaults")


@contextlib.contextmanager
def _config_errors(as_json: bool = False) -> Iterator[None]:
    """A wrong configuration is shown, all of it, and is exit code 2."""
    try:
        yield
    except ConfigError as error:
        if as_json:
            typer.echo(json.dumps({"problems": error.problems}, indent=2))
        _complain(error.problems)
        raise typer.Exit(EXIT_BAD_CONFIG) from error


def _complain(problems: list[str]) -> None:
    for problem in problems:
        typer.secho(printable(without_secrets(problem)), fg=typer.colors.RED, err=True)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal while prompts are decoded, gone when they are."""
    columns = TextColumn("decoding prompts"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if done == total:
                bar.stop()

        yield show
