"""A call under virtual time: a handler at one end, and at the other a caller who speaks and presses keys."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

import numpy as np

from mediaserver.audio import tones
from mediaserver.audio.pcm import FRAME_BYTES, SILENCE, Samples, from_bytes, to_bytes
from mediaserver.call import Call, End, EndReason, Session, Stream
from mediaserver.errors import PeerError
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.wire.encapsulation import Framing, WireSettings
from tests.virtual import VirtualLoop, VirtualStream


class Backend:
    """An event sink that keeps every event, and answers questions from a list, `wait` seconds later."""

    wait = 0.0

    def __init__(self, *answers: Any, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.times: list[float] = []  # of the events, in seconds
        self._clock = clock
        self.questions: list[tuple[str, dict[str, Any]]] = []
        self.timeouts: list[float | None] = []  # for an answer
        self._answers = list(answers)

    def emit(self, stream: Stream, kind: str, data: Mapping[str, Any]) -> None:
        self.events.append((kind, dict(data)))
        self.times.append(self._clock())

    def forget(self, stream: Stream) -> None:
        pass

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        self.questions.append((url, dict(body)))
        self.timeouts.append(timeout)
        if self.wait:
            await asyncio.sleep(self.wait)
        answer = self._answers.pop(0)
        if isinstance(answer, PeerError):
            raise answer
        return answer

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == kind]


def digits(keys: str, on_ms: int = 100, gap_ms: int = 100) -> bytes:
    """The DTMF tones of some keys, as PCM."""
    parts = []
    for key in keys:
        low, high = tones.DTMF[key]
        parts += [f"!{low}+{high}/{on_ms}", f"!0/{gap_ms}"]
    return to_bytes(tones.render(tones.parse(",".join(parts), -6.0)).once)


class Caller:
    """Sends a frame every 20 ms: of what it was given to say, or of silence."""

    def __init__(
        self,
        loop: VirtualLoop,
        library: PromptLibrary,
        settings: WireSettings | None = None,
        *answers: Any,
        stream: Stream | None = None,
    ) -> None:
        self.loop = loop
        self.backend = Backend(*answers, clock=loop.time)
        self.stage = VirtualStream(loop, settings or WireSettings(framing=Framing.PCM))
        stream = stream or Stream("id", "/path", "peer", variables={"name": "value"})
        self.session = Session(
            stream, self.stage.wire, library, self.stage.pacer, loop.time, event_sink=self.backend
        )
        self.quiet = False  # sends nothing
        self._saying = b""

    def say(self, pcm: bytes) -> None:
        """Send some PCM, from the next frame on."""
        self._saying += pcm

    async def call(
        self,
        run: Callable[[Call], Coroutine[Any, Any, object]],
        ms: float,
        *acts: tuple[float, Callable[[], object]],
    ) -> End | None:
        """Run a handler for `ms`, with each of `acts` at its time in ms. Returns how the stream ended, or None."""
        work = cast("Coroutine[Any, Any, None]", run(self.session.call))  # what it returns is nobody's
        running = asyncio.create_task(self.session.run(work))
        pending = sorted(acts, key=lambda act: act[0])
        try:
            for n in range(round(ms / 20)):
                await self.stage.until(n * 20 + 10)
                while pending and pending[0][0] <= n * 20 + 10:
                    pending.pop(0)[1]()
                if self.session.end is None:
                    self._send()
            await self.stage.until(ms)
            end = self.session.end
            self.session.finish(End(EndReason.PEER_CLOSED, 1000))
        finally:
            await running
        return end

    def _send(self) -> None:
        frame, self._saying = self._saying[:FRAME_BYTES], self._saying[FRAME_BYTES:]
        if frame or not self.quiet:
            self.session.receive_binary(frame.ljust(FRAME_BYTES, b"\0") if frame else SILENCE)

    @property
    def heard(self) -> Samples:
        """All audio that the caller was sent."""
        return from_bytes(b"".join(message[4:] for message in self.stage.transport.messages))

    def sounding(self) -> np.ndarray:
        """For each frame that the caller was sent, whether it has sound in it."""
        return np.any(self.heard.reshape(-1, 160), axis=1)
