"""A call at the simulated platform: runs a flow with real HTTP requests and real media, for one caller."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from mediaserver.audio.pcm import SILENCE
from mediaserver.client import simulator
from mediaserver.client.flows import fetch
from mediaserver.client.flows.actions import Action
from mediaserver.client.flows.earpiece import Earpiece
from mediaserver.client.flows.engine import Command, ExecutedAction, Fetch, FlowEngine
from mediaserver.client.flows.media import MediaRequest
from mediaserver.client.flows.report import FlowReport, MediaReport
from mediaserver.client.script_player import PAUSE, TurnDetector, press_keys
from mediaserver.client.simulator import OnFrame, SimulatedCall
from mediaserver.client.sound_files import decode_speech, open_recorder
from mediaserver.errors import PeerError
from mediaserver.playout.sources.live import LiveSource

_DELAY_MS = 40  # milliseconds for which a microphone's sound is buffered, so that its jitter is not heard
_FILE_SLACK_MS = 24 * 3600 * 1000  # milliseconds of sound that may wait to be sent: a day, more than any file


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """The options of a simulated call: its flow, and what the caller does."""

    actions: Sequence[Action]
    variables: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None  # seconds after which the caller hangs up; None: the call ends with the flow
    digits: str = ""  # the DTMF keys that the caller presses, `0-9 A-D * #`; a comma is a pause
    send: Path | None = None  # the sound file that the caller speaks after the keys, if any
    after: float | None = None  # seconds from the first media to the keys; None: until it is the caller's turn
    record: Path | None = None  # the WAV file into which the audio that the caller hears is written, if any
    bridged: float = 2.0  # seconds for which the caller talks with another party whom the flow connects
    microphone: bool = False  # whether `FlowCall.speak` will be called with the sound of a microphone


@dataclass(frozen=True, slots=True)
class Observer:
    """Functions that are called for each action that begins, each key, and each frame that the caller hears."""

    on_action: Callable[[ExecutedAction], None] = lambda entry: None
    on_key: Callable[[str], None] = lambda key: None
    on_frame: OnFrame = lambda pcm, at: None


class FlowCall:
    """One simulated call, which `run` makes. Meanwhile, the caller may `press` keys and `speak`."""

    def __init__(self, plan: FlowPlan, observer: Observer | None = None) -> None:
        self._plan, self._observer = plan, observer or Observer()
        self._ids = uuid4(), uuid4()  # the ids of the activeflow and of the call
        self._engine = FlowEngine(plan.actions, *self._ids, plan.variables, plan.bridged)
        self._began = time.monotonic()  # the time at which the call began, in monotonic seconds
        self._turn_detector = TurnDetector()
        self._over = asyncio.Event()  # set when the call is over
        self._heard = asyncio.Event()  # set when the first media stream that receives the caller's audio begins
        self._media: dict[int, asyncio.Event] = {}  # the event that ends each media stream, by the stream's number
        self._media_tasks: list[asyncio.Task[MediaReport]] = []
        self._voices: dict[int, LiveSource] = {}  # the sources of the caller's audio, by the media stream's number
        self._timer: asyncio.TimerHandle | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._script: asyncio.Task[None] | None = None
        self._told = 0  # the number of actions in the log that were reported to the observer
        self._pressed = 0  # the number of the plan's keys that were pressed
        self._sent = False  # whether the plan's sound file was sent

    async def run(self, hang_up: asyncio.Event | None = None) -> FlowReport:
        """Make the call, and report on it. When `hang_up` is set, the caller hangs up.

        PromptError if the file to send cannot be decoded, or the file to record cannot be written.
        """
        self._pcm = await asyncio.to_thread(decode_speech, self._plan.send) if self._plan.send else b""
        with open_recorder(self._plan.record) as record:

            def hear(pcm: bytes) -> None:
                record(pcm)
                self._observer.on_frame(pcm, time.monotonic())

            self._earpiece = Earpiece(hear, lambda frames: record(SILENCE * frames))
            async with fetch.client_session() as self._http:
                self._began = time.monotonic()
                try:
                    self._obey(self._engine.start())
                    await self._until_over(hang_up or asyncio.Event())
                finally:
                    duration, media = self._now(), await self._end()
            self._earpiece.finish(duration)
        return FlowReport(
            self._engine.ended,
            duration,
            self._engine.log,
            media,
            self._unsent(),
            self._engine.variables,
        )

    @property
    def log(self) -> Sequence[ExecutedAction]:
        """The actions that were executed so far. The last one may still hold the flow."""
        return self._engine.log

    def press(self, key: str) -> None:
        """Have the caller press a DTMF key."""
        self._observer.on_key(key)
        self._obey(self._engine.press(key, self._now()))

    def speak(self, pcm: bytes) -> None:
        """Send audio of the caller, PCM of any length, to each media stream that receives the caller's audio."""
        for voice in self._voices.values():
            voice.push_audio(pcm)

    # -- running the flow ----------------------------------------------------------------------------------------

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _obey(self, commands: list[Command]) -> None:
        """Execute the engine's commands, and set a timer for the time at which the engine has to advance."""
        engine = self._engine
        for command in commands:
            match command:
                case Fetch():
                    self._fetching = asyncio.create_task(self._fetch(command))
                case MediaRequest():
                    self._start_media(command)
                case _:
                    self._hang_up_media()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if engine.due is not None:
            left = max(0.0, engine.due - self._now())
            self._timer = asyncio.get_running_loop().call_later(left, self._advance)
        for entry in engine.log[self._told :]:
            self._observer.on_action(entry)
            if entry.action.type == "digits_receive":
                self._start_script()
        self._told = len(engine.log)
        if engine.ended:
            self._over.set()

    def _advance(self) -> None:
        due = self._engine.due
        self._obey(self._engine.advance(max(self._now(), due if due is not None else 0.0)))
        if self._fetching is not None and not self._engine.fetching:
            self._fetching.cancel()

    async def _fetch(self, command: Fetch) -> None:
        answer = await fetch.fetch_actions(self._http, command, *self._ids)
        self._obey(self._engine.fetched(answer, self._now()))

    async def _until_over(self, hang_up: asyncio.Event) -> None:
        """Wait until the flow ends, or the caller hangs up."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._over, hang_up)]
        await asyncio.wait(waiting, timeout=self._plan.seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        self._engine.hang_up(self._now())  # has no effect if the flow has ended the phone call already

    async def _end(self) -> list[MediaReport]:
        """Hang up all media streams, end all tasks, and return the report of each media stream."""
        if self._timer is not None:
            self._timer.cancel()
        for task in (self._fetching, self._script):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._hang_up_media()
        return list(await asyncio.gather(*self._media_tasks))

    # -- external media ------------------------------------------------------------------------------------------

    def _start_media(self, request: MediaRequest) -> None:
        hang_up = self._media[request.number] = asyncio.Event()
        self._media_tasks.append(asyncio.create_task(self._run_media(request, hang_up)))
        self._start_script()

    def _hang_up_media(self) -> None:
        for hang_up in self._media.values():
            hang_up.set()

    async def _run_media(self, request: MediaRequest, hang_up: asyncio.Event) -> MediaReport:
        """Run one external media stream from its beginning to its end, and report on it."""
        number, began = request.number, self._now()
        voice = None
        if request.hears_caller:
            live = self._plan.microphone
            voice = self._voices[number] = LiveSource(
                _DELAY_MS if live else 0, *(() if live else (_FILE_SLACK_MS,))
            )
            self._heard.set()
        call = SimulatedCall(request.url, encapsulation=request.encapsulation, voice=voice, codec=request.codec)
        report, problem = None, ""
        try:
            on_frame = self._hear(number) if request.heard_by_caller else _drop
            report = await simulator.simulate(call, on_frame, hang_up)
        except (PeerError, ValueError) as error:  # ValueError is raised for an invalid URL
            problem = str(error) if not hang_up.is_set() else ""
        finally:
            self._voices.pop(number, None)
            self._media.pop(number, None)
            self._engine.media_ended(number)
            self._earpiece.media_ended(number)
        return MediaReport(request, began, self._now(), report, problem)

    def _hear(self, number: int) -> OnFrame:
        def hear(pcm: bytes, at: float) -> None:
            self._turn_detector.push_audio(pcm, at)
            self._earpiece.push(number, pcm, at - self._began)

        return hear

    # -- what the caller does ------------------------------------------------------------------------------------

    def _start_script(self) -> None:
        """Begin to send the caller's keys and sound, because media has started, or the flow waits for keys."""
        if self._script is None and (self._plan.digits or self._pcm):
            self._turn_detector.restart()
            self._script = asyncio.create_task(self._play_script())

    async def _play_script(self) -> None:
        plan, turn = self._plan, self._turn_detector
        await (turn.wait_for_turn() if plan.after is None else asyncio.sleep(plan.after))
        await press_keys(plan.digits, self._press_planned)
        if not self._pcm:
            return
        if plan.digits and plan.after is None:
            turn.restart()  # a prompt may answer the keys, so the caller waits until the prompt is over
            await turn.wait_for_turn()
        await self._heard.wait()
        self.speak(self._pcm)
        self._sent = True

    def _press_planned(self, key: str) -> None:
        if not self._engine.ended:
            self._pressed += 1
            self.press(key)

    def _unsent(self) -> list[str]:
        """A line for each part of the caller's script that was not sent."""
        keys, unsent = len(self._plan.digits.replace(PAUSE, "")), []
        if self._pressed < keys:
            unsent.append(f"{self._pressed} of {keys} keys were pressed before the call was over")
        if self._pcm and not self._sent:
            why = "the call was over before" if self._heard.is_set() else "no media heard the caller"
            unsent.append(f"the sound file was not sent: {why}")
        return unsent


def _drop(pcm: bytes, at: float) -> None:
    """Drop a frame of a media stream that the caller does not hear."""
