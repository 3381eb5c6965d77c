"""Calls and conferences of the platform's twin, and our streams on them, in one process."""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediaserver.audio.pcm import to_bytes
from mediaserver.call import EndReason, Session
from tests.client.attached import Attached, Desk
from tests.sound import read_wav, speechlike, voice
from tests.timing import UNIT, eventually, lag_from_now, late
from tests.twin import PTIME, Conference, Twin, TwinStream
from tests.twin.resources import Resource

ENCAPSULATIONS = ("audiosocket", "sln", "rtp")
KINDS = ("calls", "conferences")
EVERYWHERE = tuple(itertools.product(KINDS, ENCAPSULATIONS))
FRAME_BYTES = 320
GREETING = to_bytes(speechlike(4000, 9))  # 25 frames


@dataclass
class Line:
    """One stream: the twin's side of it, and ours."""

    resource: Resource
    attached: Attached
    stream: TwinStream
    lag: Callable[[], float]  # seconds by which both may have been late since we dialled

    @property
    def session(self) -> Session:
        return self.attached.session

    def say(self, pcm: bytes) -> None:
        """Somebody on the call, or in the conference, speaks."""
        if isinstance(self.resource, Conference):
            self.resource.participants[0].say(pcm)
        else:
            self.stream.say(pcm)

    async def arrived(self) -> None:
        """Wait until all that was said has been said, and every message of it is here."""
        stream, hearing = self.stream, self.session.receiver
        await eventually(lambda: not stream.speaking)
        sent = len(stream.said_at)  # silence follows: on a busy machine some of it is always on its way
        await eventually(lambda: hearing.received >= sent)

    @property
    def skipped(self) -> int:
        """Frames that we have not sent in their time, since the machine was late by more than we catch up."""
        return int(self.session.summary()["skipped"])

    async def until_heard(self, pcm: bytes) -> None:
        """Wait until the far end has heard it, to the bit."""
        await eventually(lambda: pcm in self.stream.heard)

    async def until_quiet(self, seconds: float) -> None:
        """Wait until the far end has heard so many seconds of silence."""
        size = round(seconds * 50) * FRAME_BYTES
        await eventually(lambda: not self.stream.heard[-size:].strip(b"\0"))

    async def hang_up(self) -> None:
        """The call ends when all has arrived, as the platform ends it: for us that is an end as any other."""
        await self.arrived()
        self.resource.hang_up()
        end = await self.attached.end()
        assert (end.reason, end.normal) == (EndReason.PEER_CLOSED, True)

    def recording(self, directory: Path) -> bytes:
        """What `record` has made of it, in a file by the name of the call."""
        return to_bytes(read_wav(directory / f"{self.resource.id}.wav"))

    def assert_greeted(self, at_once: bool = True) -> None:
        """The far end heard the whole greeting and nothing else, within a frame of its own first one."""
        stream = self.stream
        assert stream.heard.strip(b"\0") == GREETING
        began = stream.heard_at[stream.heard.index(GREETING) // FRAME_BYTES]
        # Both may wait for a core: the far end until it reads, and we before that, until we have read and sent.
        assert not at_once or began - stream.said_at[0] <= PTIME + 0.1 * UNIT + late() + self.lag()


def queues(times: Sequence[float]) -> list[float]:
    """How many frames are at the far end at each one's arrival, that one and what is left of the one that is being
    played included: it plays one in 20 ms, and waits where there is none."""
    empty_at, found = 0.0, []
    for at in times:
        empty_at = max(empty_at, at) + PTIME
        found.append((empty_at - at) / PTIME)
    return found


async def dial(ours: Desk, twin: Twin, kind: str, encapsulation: str, path: str, **options: Any) -> Line:
    """A new call or conference with these options, and a stream of ours on it."""
    lag = lag_from_now(os.getpid())
    resource: Resource = twin.call(**options) if kind == "calls" else twin.conference(**options)
    attached = await ours.attach(f"{kind}/{resource.id}", path, encapsulation=encapsulation)
    return Line(resource, attached, await resource.stream(), lag)


async def everywhere(
    ours: Desk,
    twin: Twin,
    path: str,
    talk: Callable[[Line, bytes], Awaitable[None]],
    media_after: Sequence[float] = (0.0, 0.25, 0.6),
) -> None:
    """Talk on calls and conferences by all encapsulations, whose media is there so many seconds after the upgrade,
    each with another speech; nothing but silence was said while it was not."""

    async def one(number: int, kind: str, encapsulation: str, seconds: float) -> None:
        line = await dial(ours, twin, kind, encapsulation, path, media_after=seconds)
        await talk(line, to_bytes(voice(4800, 95 + 5 * number)))
        stream = line.stream
        assert stream.errors == []
        assert not stream.dropped.strip(b"\0")
        if seconds and not stream.dropped:  # a late machine has said nothing before there was media
            assert stream.first_at is not None
            assert stream.started_at is not None
            assert stream.first_at >= stream.started_at

    number = itertools.count()
    for seconds in media_after:  # six at a time: a busy machine has no time for more
        await asyncio.gather(*(one(next(number), *each, seconds) for each in EVERYWHERE))
