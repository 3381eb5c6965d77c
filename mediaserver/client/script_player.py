"""The outbound audio of the command `call`: silence, and in the caller's turn the user's keys and sound file.

A key is 100 ms of its two tones (ITU-T Q.23) and 100 ms of silence (Q.24 asks for 40 ms). Where the wire format
has messages for keys, a key is an AudioSocket message instead, sent at the pace of tones. A comma is a pause of
2 s, as in a modem's dial string (ITU-T V.250, S8).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mediaserver.audio import tones
from mediaserver.audio.level import levels
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.playout.pacing.alarm import system_alarm
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.pacing.transport import Transport
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip, Source, silence
from mediaserver.wire import audiosocket, websocket
from mediaserver.wire.audiosocket import Kind, Message
from mediaserver.wire.encapsulation import MESSAGE, TCP
from mediaserver.wire.wire import Wire

PAUSE = ","
QUIET = 1.0  # the seconds of silence that end the peer's turn: longer than the pause between two sentences
FIRST_SOUND_TIMEOUT = 2.0  # the seconds without any sound after which the peer counts as waiting for the caller
LOUD_DBFS = -45.0  # the level in dBFS below which a frame counts as silence or line noise
_ON_MS, _OFF_MS, _PAUSE_MS = 100, 100, 2000


@dataclass(frozen=True, slots=True)
class Script:
    """What a simulated caller sends: keys, then audio, `after` seconds from the answer, or once the peer is quiet.

    If there is a `voice`, it is sent from the answer on, in place of keys and audio.
    """

    keys: str = ""
    pcm: bytes = b""
    after: float | None = None
    voice: Source | None = None

    def __bool__(self) -> bool:
        return bool(self.keys or self.pcm or self.voice)


class TurnDetector:
    """Finds, by the level of the peer's audio, when the peer has finished speaking and the caller may speak."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._loud_at: float | None = None
        self._began = clock()

    def push_audio(self, pcm: bytes, at: float) -> None:
        """Add a frame of the peer's 16-bit PCM, which arrived at the clock's time `at`."""
        if levels.rms_dbfs(from_bytes(pcm)) > LOUD_DBFS:
            self._loud_at = at

    def restart(self) -> None:
        """Begin to detect a new turn of the peer: after the answer of the call, or after keys were sent."""
        self._began, self._loud_at = self._clock(), None

    @property
    def was_never_quiet(self) -> bool:
        """Whether the peer has made a sound in its turn, and has not been quiet since."""
        return self._loud_at is not None and self._clock() < self._due()

    async def wait_for_turn(self) -> None:
        """Wait until the peer has been quiet for a second after a sound, or has made no sound for two seconds."""
        while (left := self._due() - self._clock()) > 0:  # noqa: ASYNC110 - each loud frame delays our turn
            await asyncio.sleep(left)

    def _due(self) -> float:
        return self._began + FIRST_SOUND_TIMEOUT if self._loud_at is None else self._loud_at + QUIET


class ScriptPlayer:
    """Sends the outbound frames of a simulated caller, from `start` on. `stop` must be called in the end."""

    def __init__(
        self,
        wire: Wire,
        transport: Transport,
        script: Script,
        turn_detector: TurnDetector,
        ticker: Ticker | None = None,
    ) -> None:
        self._wire, self._transport, self._script, self._turn_detector = wire, transport, script, turn_detector
        self._ticker = ticker or Ticker(partial(system_alarm, asyncio.get_running_loop()))
        self._pacer = Pacer(self._ticker, wire, transport)
        self._playing: asyncio.Task[None] | None = None
        self._begun = self._stopped = self._never_quiet = False
        self._sent_keys = 0

    def start(self) -> None:
        """Begin to send frames, once the call is answered."""
        self._turn_detector.restart()
        self._pacer.start()
        # The event loop starts this task before the first frame is due.
        self._playing = asyncio.create_task(self._play_script())

    async def stop(self) -> None:
        """Stop sending, because the call is over. Stopping again does nothing."""
        if self._stopped:
            return
        self._stopped, self._never_quiet = True, self._turn_detector.was_never_quiet
        if self._playing is not None:
            self._playing.cancel()
        self._pacer.stop()
        self._ticker.close()
        if self._playing is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._playing

    @property
    def unsent(self) -> str:
        """A line that says which part of the script was not sent; "" if sending of every part has begun."""
        keys = len(self._script.keys.replace(PAUSE, ""))
        if self._script and not self._begun:
            if self._script.after is not None:
                return f"nothing was sent: the call was over within {self._script.after:g} s"
            if not self._never_quiet:
                return "nothing was sent: the stream ended before it could be"
            return (
                f"nothing was sent: the far end was never quiet for {QUIET:g} s (--after 0 does not wait for that)"
            )
        if self._sent_keys < keys:
            return f"{self._sent_keys} of {keys} keys were sent before the call was over"
        return ""

    async def _play_script(self) -> None:
        script = self._script
        if script.voice is not None:
            self._begun = True
            self._pacer.play(script.voice)
            return
        if script.after is None:
            await self._turn_detector.wait_for_turn()
        elif script.after:
            await asyncio.sleep(script.after)
        self._begun = True
        if script.keys:
            await self._send_keys()
        if script.keys and script.pcm and script.after is None:
            # The peer may answer the keys with a prompt, so the caller waits again until the peer has finished.
            self._turn_detector.restart()
            await self._turn_detector.wait_for_turn()
        if script.pcm:
            self._pacer.play(Playlist([Clip(script.pcm)]))

    async def _send_keys(self) -> None:
        """Send all keys one after another, as tones in the audio or as messages."""
        if self._wire.encoding in (MESSAGE, TCP):
            await self._send_key_messages()
            return
        playing = [self._pacer.play(Playlist([_key_sound(key)])) for key in self._script.keys]
        for key, done in zip(self._script.keys, playing, strict=True):
            played = await done
            self._sent_keys += key != PAUSE and played.complete

    async def _send_key_messages(self) -> None:
        await press_keys(self._script.keys, self._send_key_message)

    def _send_key_message(self, key: str) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._key_message(key))
            self._sent_keys += 1

    def _key_message(self, key: str) -> bytes:
        """The AudioSocket message of a key, as the bytes that are written to the transport."""
        message = audiosocket.serialize(Message(Kind.DTMF, key.encode()))
        if self._wire.encoding is MESSAGE:
            message = websocket.binary(message)
        return next(self._wire.messages([message]))


async def press_keys(keys: str, press: Callable[[str], None]) -> None:
    """Call `press` with one key after another, at the pace of tones. A comma is a pause of 2 s."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    for key in keys:
        if key != PAUSE:
            press(key)
        due += (_PAUSE_MS if key == PAUSE else _ON_MS + _OFF_MS) / 1000
        await asyncio.sleep(due - loop.time())


def _key_sound(key: str) -> Clip:
    """The sound of a key: its two tones and the silence after them. A comma is a pause of 2 s."""
    if key == PAUSE:
        return silence(_PAUSE_MS)
    return Clip(to_bytes(tones.render(tones.dtmf(key, _ON_MS, _OFF_MS)).once))
