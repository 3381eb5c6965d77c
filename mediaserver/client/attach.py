"""Outward: attaches our paths to calls and conferences, by dialling their media streams."""

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
from mediaserver.wire.events import Audio, Event

log = structlog.get_logger()


class AttachRequest(BaseModel):
    """What to attach to what: `calls/<id>` or `conferences/<id>`, and one of our paths, perhaps with a query."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resource: str
    path: str
    variables: dict[str, str] = Field(default_factory=dict)
    encapsulation: Encapsulation | None = None

    @field_validator("resource")
    @classmethod
    def _is_one(cls, resource: str) -> str:
        if not re.fullmatch(r"(calls|conferences)/[\w~-][\w.~-]*", resource, re.ASCII):
            raise ValueError("should be calls/<id> or conferences/<id>")
        return resource

    @field_validator("path")
    @classmethod
    def _is_ours(cls, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError("should be a path of the configuration: it begins with /")
        return path


def _in_a_body(names: Sequence[str]) -> str:
    """How a request for a stream gives values."""
    return f'give "variables": {json.dumps(dict.fromkeys(names, "…"), ensure_ascii=False)}'


def _by_options(names: Sequence[str]) -> str:
    """How the command gives values."""
    return "give " + " ".join(f"--variable {name}=…" for name in names)


class Attacher:
    """All streams that one server dials. `giving` says how values that a text needs may be given."""

    def __init__(self, engine: Engine, giving: DescribeInput = _in_a_body) -> None:
        self._engine, self._giving = engine, giving
        self._platform = Platform(lambda: engine.settings.voipbin)
        self._running: set[asyncio.Task[End]] = set()

    async def prepare(self, request: AttachRequest) -> Attachment:
        """What is asked for, not yet dialled.

        RefusedError: 404 where there is no such path or prompt, 400 where it makes no sense, 414 where the path is
        too long, 503 where there is no room.
        """
        engine = self._engine
        try:
            url = URL(request.path)
        except ValueError as error:
            raise RefusedError(RefusalReason.BAD_PATH, f"{request.path} is no path") from error
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
        return Attachment(engine, self._platform, stream, route, handler, wire)

    def start(self, attachment: Attachment) -> asyncio.Task[End]:
        """Dial in the background; the task tells how it ended."""
        task = attachment.start()
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(partial(_tell, attachment.session.stream.id))
        return task

    async def close(self) -> None:
        """Let go of what is still there."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self._platform.close()


def _tell(stream: str, task: asyncio.Task[End]) -> None:
    """Say why there is no stream, where there is none."""
    if not task.cancelled() and task.exception() is None:
        end = task.result()
        if end.text and end.reason is not EndReason.DRAINED:
            log.error("no media stream", stream=stream, why=end.text)


async def attach(
    settings: Settings,
    where: str,
    problems: Sequence[str],
    request: AttachRequest,
    progress: Progress,
    hang_up: asyncio.Event,
    heard: Callable[[bytes, float], None] | None = None,
) -> End:
    """One stream to its end, without a server around it. `hang_up` ends it; `heard` is given the peer's audio.

    ConfigError where the configuration is wrong.
    """
    engine = Engine(settings, where, problems)
    attacher = Attacher(engine, _by_options)

    def take(event: Event) -> None:
        if isinstance(event, Audio) and heard is not None:
            heard(event.pcm, time.monotonic())

    if not (settings.voipbin.token.get_secret_value() or settings.voipbin.access_key.get_secret_value()):
        log.warning(NO_CREDENTIAL)  # at once: it is dialled again and again where nobody answers
    try:
        await engine.load(progress)
        session = (attachment := await attacher.prepare(request)).session
        with session.call.listen(take) if heard is not None else contextlib.nullcontext():
            ended = attachment.start()
            asked = asyncio.create_task(hang_up.wait())
            await asyncio.wait((asked, ended), return_when=asyncio.FIRST_COMPLETED)
            session.finish(End(EndReason.HUNG_UP, CloseCode.NORMAL))
            asked.cancel()
            return await ended
    except RefusedError as error:
        return End(EndReason.REFUSED, CloseCode.ABNORMAL, str(error))
    finally:
        await attacher.close()
        await engine.close()
