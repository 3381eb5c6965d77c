"""What `call` sends: silence, and in it the keys and the sound file of its user, in their turn.

A key is 100 ms of its two tones (ITU-T Q.23) and 100 ms of silence, where Q.24 asks for 40; or, where the
wire has messages for keys, an AudioSocket message at the same pace. A comma is a pause of 2 s, as in a modem's
dial string (ITU-T V.250, S8).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mediaserver.audio import levels, tones
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.playout.pacing.alarm import system_alarm
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.slow_peer import Transport
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.sources.source import Clip, Playlist, silence
from mediaserver.wire import audiosocket, websocket
from mediaserver.wire.audiosocket import Kind, Message
from mediaserver.wire.encapsulation import MESSAGE, TCP
from mediaserver.wire.wire import Wire

PAUSE = ","
QUIET = 1.0  # seconds without sound after which the far end has finished: longer than the pause between sentences
PATIENCE = 2.0  # seconds for its first sound; who has said nothing by then waits for us
LOUD_DBFS = -45.0  # quieter frames are silence or a line's noise
_ON_MS, _OFF_MS, _PAUSE_MS = 100, 100, 2000


@dataclass(frozen=True, slots=True)
class Script:
    """What there is to send: keys first, then a sound file. `after` seconds from the answer on; None: in turn."""

    keys: str = ""
    pcm: bytes = b""
    after: float | None = None

    def __bool__(self) -> bool:
        return bool(self.keys or self.pcm)


class Turn:
    """Knows whose turn it is: give it every frame that is heard."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._loud_at: float | None = None
        self._began = clock()

    def heard(self, pcm: bytes, at: float) -> None:
        """One frame of PCM that came at `at` seconds of the clock."""
        if levels.rms_dbfs(from_bytes(pcm)) > LOUD_DBFS:
            self._loud_at = at

    def begin(self) -> None:
        """From now on it is listened for: the far end has answered, or a key was pressed that it answers to."""
        self._began, self._loud_at = self._clock(), None

    @property
    def was_never_quiet(self) -> bool:
        """Whether the far end has been heard since it was listened for, and not been quiet after it."""
        return self._loud_at is not None and self._clock() < self._due()

    async def wait(self) -> None:
        """Wait until the far end has been quiet for a second after its sound, or has made none for two."""
        while (left := self._due() - self._clock()) > 0:  # noqa: ASYNC110 - each loud frame puts it off
            await asyncio.sleep(left)

    def _due(self) -> float:
        return self._began + PATIENCE if self._loud_at is None else self._loud_at + QUIET


class Speaker:
    """The outbound half of one call. It sends from `start` on, and must be stopped."""

    def __init__(
        self, wire: Wire, transport: Transport, script: Script, turn: Turn, ticker: Ticker | None = None
    ) -> None:
        self._wire, self._transport, self._script, self._turn = wire, transport, script, turn
        self._ticker = ticker or Ticker(partial(system_alarm, asyncio.get_running_loop()))
        self._pacer = Pacer(self._ticker, wire, transport)
        self._speaking: asyncio.Task[None] | None = None
        self._begun = self._stopped = self._never_quiet = False
        self._pressed = 0

    def start(self) -> None:
        """The call is answered."""
        self._turn.begin()
        self._pacer.start()
        self._speaking = asyncio.create_task(self._speak())  # at work before the first frame is due

    async def stop(self) -> None:
        """The call is over; once is enough."""
        if self._stopped:
            return
        self._stopped, self._never_quiet = True, self._turn.was_never_quiet
        if self._speaking is not None:
            self._speaking.cancel()
        self._pacer.stop()
        self._ticker.close()
        if self._speaking is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._speaking

    @property
    def unsent(self) -> str:
        """What was to be sent and was not, for people; "" where all was begun."""
        keys = len(self._script.keys.replace(PAUSE, ""))
        if self._script and not self._begun:
            if self._script.after is not None:
                return f"nothing was sent: the call was over within {self._script.after:g} s"
            if not self._never_quiet:
                return "nothing was sent: the stream ended before it could be"
            return (
                f"nothing was sent: the far end was never quiet for {QUIET:g} s (--after 0 does not wait for that)"
            )
        if self._pressed < keys:
            return f"{self._pressed} of {keys} keys were sent before the call was over"
        return ""

    async def _speak(self) -> None:
        script = self._script
        if script.after is None:
            await self._turn.wait()
        elif script.after:
            await asyncio.sleep(script.after)
        self._begun = True
        if script.keys:
            await self._press()
        if script.keys and script.pcm and script.after is None:  # the far end answers to keys
            self._turn.begin()
            await self._turn.wait()
        if script.pcm:
            self._pacer.play(Playlist([Clip(script.pcm)]))

    async def _press(self) -> None:
        """All keys, in their time."""
        if self._wire.encoding in (MESSAGE, TCP):
            await self._press_by_messages()
            return
        playing = [self._pacer.play(Playlist([_sound_of(key)])) for key in self._script.keys]
        for key, done in zip(self._script.keys, playing, strict=True):
            heard = await done
            self._pressed += key != PAUSE and heard.complete

    async def _press_by_messages(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for key in self._script.keys:
            if key != PAUSE and not self._transport.is_closing():
                self._transport.write(self._message_of(key))
                self._pressed += 1
            due += (_PAUSE_MS if key == PAUSE else _ON_MS + _OFF_MS) / 1000
            await asyncio.sleep(due - loop.time())

    def _message_of(self, key: str) -> bytes:
        """An AudioSocket message of a key, as it goes over this wire."""
        message = audiosocket.serialize(Message(Kind.DTMF, key.encode()))
        if self._wire.encoding is MESSAGE:
            message = websocket.binary(message)
        return next(self._wire.messages([message]))


def _sound_of(key: str) -> Clip:
    """A key's tones and the silence behind them, or a pause."""
    if key == PAUSE:
        return silence(_PAUSE_MS)
    return Clip(to_bytes(tones.render(tones.dtmf(key, _ON_MS, _OFF_MS)).once))
