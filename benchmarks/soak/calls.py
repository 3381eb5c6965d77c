"""Calls of all kinds: each one's path, speech and keys, the audio that it must hear, and how it must end."""

import asyncio
import contextlib
import random
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mediaserver.audio import tone_plans, tones
from mediaserver.audio.pcm import FRAME_BYTES, PTIME, to_bytes
from mediaserver.transport.dialled import OpenWebSocket
from mediaserver.wire.encapsulation import Encoding

from .formats import FORMATS, MESSAGE, Format, Wire, digit, noise
from .prompts import CHANGING, FRAGILE, MENU, PASSING, STEADY, Music, Prompts
from .script import Check, Exactly, Returned, Script, Sections, Silence

_TONES = ("dial", "ringback", "busy", "sit", "dtmf:0123456789*#", "480+620/500,0/500")
_SPOKEN = 250  # different frames of speech that callers send in turn
_EARLY = 50  # the most frames that a caller may send before the recording has begun
_WRITTEN = 60.0  # seconds within which the server must finish a recording's file
Act = Callable[[OpenWebSocket, Wire], Awaitable[None]]
_WEIGHTS = {"playback": 50, "hold": 14, "tone": 10, "echo": 10, "record": 8, "menu": 8}


async def _listen_only(websocket: OpenWebSocket, wire: Wire) -> None:
    """Send nothing, as most callers do."""


@dataclass
class Call:
    """A call that is to be made."""

    kind: str
    path: str
    form: Format
    check: Check
    seconds: float  # seconds after which the caller hangs up
    act: Act = _listen_only
    ends: bool = False  # whether the server closes the call if the caller does not hang up before
    may_be_missing: bool = False  # whether the prompt may be missing, so that status 404 is no failure
    afterwards: Callable[[], Awaitable[int]] | None = None  # run after the call; returns the number of frames lost


class Caller:
    """Makes up random calls. `longest` is the most seconds that a call lasts."""

    def __init__(self, prompts: Prompts, recordings: Path, rng: random.Random, longest: float) -> None:
        self._prompts, self._recordings, self._rng, self._longest = prompts, recordings, rng, longest
        self._music = Music(prompts)
        self._spoken = [noise(rng, 1) for _ in range(_SPOKEN)]
        self._number = 0

    def next(self) -> Call:
        """Make up a call of a random kind."""
        kind = self._rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        form, seconds = self._rng.choice(FORMATS), self._rng.uniform(1, self._longest)
        match kind:
            case "playback":
                return self.playback(form, seconds)
            case "hold":
                return self._endless("hold", "/hold", form, seconds, self._music.scripts)
            case "tone":
                return self._tone(form, seconds)
            case "echo":
                return self._echo(form, seconds)
            case "record":
                return self._record(form, seconds)
        return self._menu(seconds)

    def playback(self, form: Format, seconds: float) -> Call:
        """A call that hears a prompt repeated for about `seconds`. Three in ten callers hang up before the end."""
        name = self._rng.choice((*STEADY, *STEADY, *CHANGING, *CHANGING, *FRAGILE, *PASSING))
        times = max(1, round(seconds / self._prompts.size(name)))
        check = Exactly(form.encoding, lambda first: self._prompts.scripts(name, times))
        patience = seconds if self._rng.random() < 0.3 else 10 * self._longest + 60
        missing = name in (*FRAGILE, *PASSING)
        path = f"/play/{name}?repeat={times}&{form.query}"
        return Call("playback", path, form, check, patience, ends=True, may_be_missing=missing)

    def _tone(self, form: Format, seconds: float) -> Call:
        name = self._rng.choice(_TONES)
        tone = tones.render(tone_plans.resolve_tone(name))
        loop = to_bytes(tone.repeat)
        script = Script(to_bytes(tone.once), loop, None if loop else 0)
        path = f"/tone/{quote(name, safe='')}"
        call = self._endless("tone", path, form, seconds, lambda first, encoding: [script])
        call.ends = not loop
        return call

    def _endless(
        self,
        kind: str,
        path: str,
        form: Format,
        seconds: float,
        scripts: Callable[[bytes, Encoding], list[Script]],
    ) -> Call:
        check = Exactly(form.encoding, lambda first: scripts(first, form.encoding))
        return Call(kind, f"{path}?{form.query}", form, check, seconds)

    def _echo(self, form: Format, seconds: float) -> Call:
        check = Returned(form.encoding)

        async def speak(websocket: OpenWebSocket, wire: Wire) -> None:
            await self._speak(websocket, wire, form.encoding, check.say)

        return Call("echo", f"/echo?{form.query}", form, check, seconds, speak)

    def _record(self, form: Format, seconds: float) -> Call:
        self._number += 1
        file = self._recordings / f"record-{self._number}.wav"
        said: list[bytes] = []

        async def speak(websocket: OpenWebSocket, wire: Wire) -> None:
            await self._speak(websocket, wire, form.encoding, said.append)

        async def afterwards() -> int:
            expected = b"".join(map(form.encoding.expand, said))
            if len(said) <= _EARLY:
                return 0  # the call was so short that its recording may not have begun
            recorded = await _recorded(file)
            early = len(expected) - len(recorded)
            if recorded and expected.endswith(recorded) and early <= _EARLY * FRAME_BYTES:
                return 0
            return max(1, early // FRAME_BYTES)

        path = f"/record/{self._number}?{form.query}"
        return Call("record", path, form, Silence(form.encoding), seconds, speak, afterwards=afterwards)

    def _menu(self, seconds: float) -> Call:
        main, thanks, bye = (self._prompts.scripts(name, 1)[0] for name in MENU)
        again = self._rng.random() < 0.5
        check = Sections(MESSAGE.encoding, [main, thanks, main, bye] if again else [main, bye])
        waits = [self._rng.uniform(0.2, 2) + 2 * number for number in range(1 + again)]

        async def press(websocket: OpenWebSocket, wire: Wire) -> None:
            with contextlib.suppress(ConnectionError, RuntimeError):
                for key, wait in zip("10" if again else "0", waits, strict=True):
                    await asyncio.sleep(wait)
                    websocket.transport.write(digit(key))

        patience = sum(waits) + 60
        return Call("menu", f"/menu?{MESSAGE.query}", MESSAGE, check, patience, press, ends=True)

    async def _speak(
        self, websocket: OpenWebSocket, wire: Wire, encoding: Encoding, said: Callable[[bytes], None]
    ) -> None:
        """Send a frame every 20 ms until this task is cancelled or the connection is closed."""
        loop = asyncio.get_running_loop()
        due, at = loop.time(), self._rng.randrange(_SPOKEN)
        with contextlib.suppress(ConnectionError, RuntimeError):  # uvloop raises it for a closed transport
            while not websocket.closed:
                payload = encoding.compand(self._spoken[at % _SPOKEN])
                said(payload)
                websocket.transport.write(wire.message(payload))
                at, due = at + 1, due + PTIME
                await asyncio.sleep(max(0.0, due - loop.time()))


async def _recorded(file: Path) -> bytes:
    """Wait until a recording is finished, and return its PCM; b"" without one. The file is removed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WRITTEN):
            while not file.exists():  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.1)
    try:
        with wave.open(str(file)) as recording:
            sound: bytes = recording.readframes(recording.getnframes())
        file.unlink()  # noqa: ASYNC240
    except (OSError, EOFError, wave.Error):
        return b""
    return sound
