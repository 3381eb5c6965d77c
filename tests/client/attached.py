"""A stream that this process dials, to the twin of VoIPBIN."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediaserver import config
from mediaserver.call import End, Session
from mediaserver.client.attach import Attacher, AttachRequest
from mediaserver.client.attachment import Attachment
from mediaserver.runtime.engine import Engine
from tests.timing import PATIENCE
from tests.twin import Twin


@dataclass
class Attached:
    """A stream that is dialled: its session, and the task that returns how it ended."""

    attachment: Attachment
    ending: asyncio.Task[End]

    @property
    def session(self) -> Session:
        return self.attachment.session

    async def end(self) -> End:
        return await asyncio.wait_for(asyncio.shield(self.ending), PATIENCE)


class Desk:
    """An engine, and what attaches its paths to calls."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.attacher = Attacher(engine)

    async def attach(self, resource: str, path: str, **more: object) -> Attached:
        request = AttachRequest.model_validate({"resource": resource, "path": path, **more})
        attachment = await self.attacher.prepare(request)
        return Attached(attachment, self.attacher.start(attachment))


@contextlib.asynccontextmanager
async def desk(
    directory: Path, twin: Twin | Any, paths: str, token: str = "t0ken", more: str = ""
) -> AsyncIterator[Desk]:
    """An engine with these paths, its prompts in `prompts/` of the directory."""
    (directory / "prompts").mkdir(exist_ok=True)
    file = directory / "config.toml"
    file.write_text(f'[voipbin]\napi = "{twin.api}"\ntoken = "{token}"\n{more}\n{paths}\n')
    settings, problems = config.load(file)
    engine = Engine(settings, str(file), problems)
    desk = Desk(engine)
    try:
        await engine.load()
        yield desk
    finally:
        await desk.attacher.close()
        await engine.close()
