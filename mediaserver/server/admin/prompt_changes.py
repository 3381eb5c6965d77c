"""The admin port's requests that change prompts: to upload, speak, rename, remove and restore them."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator

from aiohttp import web

from mediaserver.audio.containers import wav
from mediaserver.config.listener_settings import Scope
from mediaserver.errors import EngineError, RefusalReason, RefusedError, error_text
from mediaserver.playout.decoding.formats import EXTENSIONS
from mediaserver.playout.prompts import report
from mediaserver.playout.prompts.editing.editor import PlacedPrompt, PromptEditor
from mediaserver.playout.prompts.editing.names import split_extension, validate_name
from mediaserver.playout.prompts.editing.uploads import Upload
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.runtime.engine import Engine
from mediaserver.server.admin.authorization import GRANT
from mediaserver.server.admin.connections import AdminConnection
from mediaserver.server.admin.schemas.answers import CheckedPrompt, Prompt, Versions
from mediaserver.server.admin.schemas.openapi import Operation
from mediaserver.server.admin.schemas.requests import AUDITED, RenameRequest, SayRequest, parse_body, parse_flag
from mediaserver.speech.engines.requirements import voice_problems
from mediaserver.support.aiohttp_adapter import protocol_of

_MAX_UPLOADS = 8  # the most files received at a time: the other connections are left for other requests
_SHOWN = 5  # the most problems that the text of an answer names


class PromptChanges:
    """Handles requests that change prompts. The setting `prompts.editable` has to allow them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._uploads = 0  # number of files that are being received

    @property
    def operations(self) -> list[Operation]:
        """The operations of the admin port that this object handles."""
        one, prompts = "/v1/prompts/{name}", Scope.PROMPTS
        return [
            Operation(
                "PUT",
                one,
                prompts,
                self.upload,
                query=("type",),
                takes_sound=True,
                answers={200: CheckedPrompt, 201: CheckedPrompt},
            ),
            Operation("DELETE", one, prompts, self.remove, query=("force",)),
            Operation(
                "POST",
                f"{one}/rename",
                prompts,
                self.rename,
                RenameRequest,
                query=("force",),
                answers={200: Prompt},
            ),
            Operation(
                "POST",
                f"{one}/say",
                prompts,
                self.say,
                SayRequest,
                answers={200: CheckedPrompt, 201: CheckedPrompt},
            ),
            Operation("GET", f"{one}/history", Scope.READ, self.list_versions, answers={200: Versions}),
            Operation(
                "POST",
                f"{one}/history/{{version}}/restore",
                prompts,
                self.restore,
                answers={200: CheckedPrompt, 201: CheckedPrompt},
            ),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        """Replace a prompt by a sound file of any kind, or make a new one (201), after the file was checked.

        The name may end in the file's extension. Without it, `type` says the kind, such as `ulaw`, or the file's
        first bytes do. A file that cannot be played is refused with 422, and changes nothing.
        """
        self._require_editable()
        name, extension = split_extension(request.match_info["name"])
        name, extension = validate_name(name), _extension(request) or extension
        with self._using_folder():
            async with self._receive(request) as upload:
                file = await upload.finish(extension)
                return self._placed(await self._editor.put(name, file, request[GRANT].caller))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a prompt. A prompt that a path needs is removed only with `force=true`."""
        self._require_editable()
        name = validate_name(request.match_info["name"])
        if not parse_flag(request.query, "force"):
            self._refuse_to_break(name, self._engine.library.snapshot.updated({name: None}, {}))
        with self._using_folder():
            await self._editor.remove(name, request[GRANT].caller)
        return web.Response(status=204)

    async def rename(self, request: web.Request) -> web.Response:
        """Rename a prompt, with its history. A prompt that a path needs is renamed only with `force=true`."""
        self._require_editable()
        asked = await parse_body(request, RenameRequest)
        name, to = validate_name(request.match_info["name"]), validate_name(asked.to)
        request[AUDITED] = {"to": to}
        snapshot = self._engine.library.snapshot
        if not parse_flag(request.query, "force"):
            moved = {name: None, to: snapshot.by_name.get(name)}
            self._refuse_to_break(name, snapshot.updated(moved, {}))
        with self._using_folder():
            prompt = await self._editor.rename(name, to)
        return web.json_response(prompt.describe() | {"warnings": [*prompt.info.warnings]})

    async def say(self, request: web.Request) -> web.Response:
        """Let TTS speak a text into a new or existing prompt, a WAV file, which is checked like an upload."""
        self._require_editable()
        name, asked = validate_name(request.match_info["name"]), await parse_body(request, SayRequest)
        pcm = await self._speak(asked)
        with self._using_folder():
            async with self._engine.uploads.receive() as upload:
                await upload.feed(wav.header(1, len(pcm)) + pcm)
                file = await upload.finish(".wav")
                return self._placed(await self._editor.put(name, file, request[GRANT].caller))

    async def list_versions(self, request: web.Request) -> web.Response:
        """List a prompt's old versions, the newest first: until when callers heard each, and who replaced it."""
        with self._using_folder("read"):
            versions = await self._editor.versions(request.match_info["name"])
        return web.json_response({"versions": [version.describe() for version in versions]})

    async def restore(self, request: web.Request) -> web.Response:
        """Restore an old version of a prompt. The version that it replaces is kept as an old version."""
        self._require_editable()
        name, version = request.match_info["name"], request.match_info["version"]
        with self._using_folder():
            return self._placed(await self._editor.restore(name, version, request[GRANT].caller))

    async def _speak(self, asked: SayRequest) -> bytes:
        """The speech of a text as PCM. RefusedError 400 if the text cannot be spoken, 502 if all engines fail."""
        speech = self._engine.speech
        voice = speech.voice(asked.engine or (), asked.voice, asked.rate, asked.language)
        unfit = voice_problems(asked.need, speech.settings)
        if len(unfit) == len(voice.in_order):
            raise RefusedError(RefusalReason.BAD_TEXT, "; ".join(unfit))
        try:
            return await speech.say(asked.say, voice).collect_pcm()
        except ValueError as error:
            raise RefusedError(RefusalReason.BAD_TEXT, str(error)) from error
        except EngineError as error:
            raise RefusedError(RefusalReason.ENGINE, str(error)) from error

    @property
    def _editor(self) -> PromptEditor:
        return self._engine.prompt_editor

    def _require_editable(self) -> None:
        if not self._engine.settings.prompts.editable:
            raise RefusedError(
                RefusalReason.NOT_EDITABLE, "prompts cannot be changed by requests: set prompts.editable = true"
            )

    @contextlib.contextmanager
    def _using_folder(self, use: str = "changed") -> Iterator[None]:
        """Turn errors of the file system, such as a full disk, into RefusedError 507 with the error's text."""
        try:
            yield
        except OSError as error:
            raise RefusedError(
                RefusalReason.STORAGE, f"the prompt folder cannot be {use}: {error_text(error)}"
            ) from error

    @contextlib.asynccontextmanager
    async def _receive(self, request: web.Request) -> AsyncIterator[Upload]:
        """Receive a request's body into a file, which is removed at the end if it has not become a prompt."""
        if self._uploads >= _MAX_UPLOADS:
            raise RefusedError(RefusalReason.CONNECTIONS, f"{_MAX_UPLOADS} files are being received: try again")
        connection = protocol_of(request)
        assert isinstance(connection, AdminConnection)  # noqa: S101 - `AdminConnections` makes no others
        self._uploads += 1
        try:
            async with self._engine.uploads.receive() as upload:
                upload.check_size(request.content_length or 0)
                try:
                    async for data in request.content.iter_any():
                        connection.extend_timeout()
                        await upload.feed(data)
                except (ConnectionError, web.RequestPayloadError) as error:
                    raise RefusedError(RefusalReason.BAD_BODY, "body: is incomplete") from error
                yield upload
        finally:
            self._uploads -= 1

    def _placed(self, placed: PlacedPrompt) -> web.Response:
        levelled = self._engine.settings.prompts.level is not None
        described = report.describe_prompt(placed.prompt, placed.measured, None, levelled=levelled)
        file = placed.prompt.path.relative_to(self._engine.library.directory).as_posix()
        return web.json_response(described | {"file": file}, status=201 if placed.is_new else 200)

    def _refuse_to_break(self, name: str, snapshot: PromptSnapshot) -> None:
        """Raise RefusedError 409 if, with `snapshot` in force, a URL path would lose a prompt that it uses."""
        configuration, library = self._engine.configuration, self._engine.library
        present = {*configuration.missing_prompts(library), *configuration.missing_default_prompts(library)}
        changed = [
            *configuration.missing_prompts(library, snapshot),
            *configuration.missing_default_prompts(library, snapshot),
        ]
        if broken := [problem for problem in changed if problem not in present]:
            raise RefusedError(
                RefusalReason.PROMPT_CONFLICT,
                f'the prompt "{name}" is needed, unless you add ?force=true: {_some(broken)}',
            )


def _extension(request: web.Request) -> str:
    """The extension that `type` in the query names, "" for none; RefusedError 400 if no sound file has it."""
    given = request.query.get("type", "").lower().removeprefix(".")
    if given and f".{given}" not in EXTENSIONS:
        raise RefusedError(RefusalReason.BAD_QUERY, "type should be the extension of a sound file, such as wav")
    return given and f".{given}"


def _some(lines: Iterable[str]) -> str:
    """Join the first of some lines to one line, which ends with the number of the others."""
    first, *others = lines
    shown, hidden = others[: _SHOWN - 1], len(others[_SHOWN - 1 :])
    return "; ".join([first, *shown, *([f"and {hidden} more"] if hidden else [])])
