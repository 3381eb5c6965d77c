"""Attaches URL paths in the settings to calls and conferences of VoIPBIN, by dialling their media streams."""

import asyncio
import contextlib
import json
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator
from yarl import URL

from mediaserver.call import CloseCode, End, EndReason, Stream
from mediaserver.client.advice import NO_CREDENTIAL
from mediaserver.client.attachment import Attachment
from mediaserver.client.voipbin import Platform
from mediaserver.config.settings import Settings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.playout.prompts.library import Progress
from mediaserver.routing.route import DescribeInput
from mediaserver.runtime.engine import Engine
from mediaserver.wire.encapsulation import Encapsulation

log = structlog.get_logger()


class AttachRequest(BaseModel):
    """A request to attach a URL path, perhaps with a query, to a resource: `calls/<id>` or `conferences/<id>`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resource: str
    path: str
    variables: dict[str, str] = Field(default_factory=dict)
    encapsulation: Encapsulation | None = None

    @field_validator("resource")
    @classmethod
    def _validate_resource(cls, resource: str) -> str:
        if not re.fullmatch(r"(calls|conferences)/[\w~-][\w.~-]*", resource, re.ASCII):
            raise ValueError("should be calls/<id> or conferences/<id>")
        return resource

    @field_validator("path")
    @classmethod
    def _validate_path(cls, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError("should be a path of the configuration: it begins with /")
        return path


def _give_in_body(names: Sequence[str]) -> str:
    """The text that tells a user how to give missing variables in a request to the admin port."""
    return f'give "variables": {json.dumps(dict.fromkeys(names, "…"), ensure_ascii=False)}'


def _give_by_options(names: Sequence[str]) -> str:
    """The text that tells a user how to give missing variables to the command `attach`."""
    return "give " + " ".join(f"--variable {name}=…" for name in names)


class Attacher:
    """Dials the media streams of all calls and conferences to which URL paths of one server are attached.

    `giving` returns the text that tells a user how to give the values of missing variables.
    """

    def __init__(self, engine: Engine, giving: DescribeInput = _give_in_body) -> None:
        self._engine, self._giving = engine, giving
        self.platform = Platform(lambda: engine.settings.voipbin, engine.held_writes)
        self._running: set[asyncio.Task[End]] = set()

    async def prepare(self, request: AttachRequest) -> Attachment:
        """Validate a request, and return its attachment, which is not dialled yet.

        RefusedError with an HTTP status: 404 if there is no such URL path or prompt, 400 if the request is wrong,
        414 if its URL path is too long, 503 if a limit of streams is reached.
        """
        engine = self._engine
        try:
            url = URL(request.path)
        except ValueError as error:
            raise RefusedError(RefusalReason.BAD_PATH, f"{request.path} is not a valid path") from error
        route, variables = await engine.table.match_route(url)
        variables |= request.variables
        handler = route.build_handler(variables, url.query, engine.library.snapshot, self._giving)
        wire = route.wire_settings(url.query)
        if request.encapsulation is not None:
            wire = replace(wire, encapsulation=request.encapsulation)
        engine.streams.admit(route)
        stream = Stream(
            id=secrets.token_hex(6),
            path=url.path,
            peer=URL(engine.settings.voipbin.api).host_port_subcomponent or "?",
            query=dict(url.query),
            variables=route.stream_variables(url.query, variables),
            resource=request.resource,
            route=route.pattern,
        )
        return Attachment(engine, self.platform, stream, route, handler, wire)

    def start(self, attachment: Attachment) -> asyncio.Task[End]:
        """Dial an attachment's stream in a task. The result of the returned task is how the stream ended."""
        task = attachment.start()
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(partial(_log_failure, attachment.session.stream.id))
        return task

    async def close(self) -> None:
        """Cancel all attachments, and close the HTTP client."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self.platform.close()


def _log_failure(stream: str, task: asyncio.Task[End]) -> None:
    """Log why an attachment failed, if it did."""
    if not task.cancelled() and task.exception() is None:
        end = task.result()
        if end.text and end.reason is not EndReason.DRAINED:
            log.error("attach failed", stream=stream, why=end.text)


async def attach(
    settings: Settings,
    where: str,
    problems: Sequence[str],
    request: AttachRequest,
    progress: Progress,
    hang_up: asyncio.Event,
    on_audio: Callable[[bytes, float], None] | None = None,
) -> End:
    """Attach one stream without running a server, and return how it ended. Setting `hang_up` ends the stream.

    `on_audio` is called with the peer's audio (16-bit PCM at 8 kHz) and its arrival in monotonic seconds.
    ConfigError if the configuration is wrong, RefusedError as of `Attacher.prepare`.
    """
    engine = Engine(settings, where, problems)
    attacher = Attacher(engine, _give_by_options)

    if not (settings.voipbin.token.get_secret_value() or settings.voipbin.access_key.get_secret_value()):
        # The warning comes first, because dialling may take a while to fail.
        log.warning("VoIPBIN credential not set", why=NO_CREDENTIAL)
    try:
        await engine.load(progress)
        session = (attachment := await attacher.prepare(request)).session
        with contextlib.ExitStack() as stack:
            if on_audio is not None:
                stack.enter_context(session.call.listen_pcm(lambda pcm: on_audio(pcm, time.monotonic())))
            running = attachment.start()
            hanging_up = asyncio.create_task(hang_up.wait())
            await asyncio.wait((hanging_up, running), return_when=asyncio.FIRST_COMPLETED)
            session.finish(End(EndReason.HUNG_UP, CloseCode.NORMAL))
            hanging_up.cancel()
            return await running
    finally:
        await attacher.close()
        await engine.close()
