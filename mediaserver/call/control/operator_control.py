"""What an operator's requests do on a live stream beside the stream's handler: play, stop sounds, and listen."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import structlog

from mediaserver.audio.level.levels import SILENCE_DB, pcm_dbfs
from mediaserver.call.call import Call
from mediaserver.call.control.marks import Marks
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.call.lifetime import Lifetime, Work
from mediaserver.call.listening.history import CallHistory
from mediaserver.call.listening.level_meter import LevelMeter
from mediaserver.call.listening.listen_in import Side
from mediaserver.call.listening.listeners import Listeners
from mediaserver.call.played_sounds import PlayedSound
from mediaserver.call.recording.operator_recordings import OperatorRecordings
from mediaserver.call.sounds import start_playback
from mediaserver.call.stream import MAX_VARIABLES
from mediaserver.errors import RefusalReason, RefusedError, error_text
from mediaserver.events.kinds import EventKind
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.prompts.report import describe_loudness
from mediaserver.playout.sources.source import PlaybackResult, Source
from mediaserver.wire.encapsulation import Encapsulation

MAX_PLAYBACKS = 20  # the most sounds of operators' requests that may play or wait on one stream
_NO_SIDES: frozenset[Side] = frozenset()

log = structlog.get_logger()


class OperatorControl:
    """Acts on one stream for the requests of operators. The stream's handler is not told of these requests."""

    def __init__(self, call: Call, lifetime: Lifetime, pacer: Pacer, receiver: Receiver) -> None:
        self.call, self._receiver = call, receiver
        self.listeners = Listeners(call, lifetime, pacer, receiver)
        self.marks, self.recordings = Marks(pacer, call.notify), OperatorRecordings(call, lifetime.recordings)
        self._lifetime, self._pacer = lifetime, pacer
        self._playing: dict[str, asyncio.Future[PlaybackResult]] = {}
        self._gain, self._muted = 0.0, _NO_SIDES
        self._began = call.now
        self._history: CallHistory | None = None  # made at the first look, as a peer may send nothing

    async def close(self) -> None:
        """Detach all listeners, and finish the operators' recordings, because the stream ends."""
        self.listeners.close()
        await self.recordings.close()

    @property
    def playing(self) -> str:
        """The name of the sound that plays now: a prompt's name, `text`, `tone`, `live`, `sound`; "" for none."""
        return self._pacer.playing

    @property
    def played(self) -> Sequence[PlayedSound]:
        """The latest sounds that have ended, in the order of their ends."""
        return list(self._lifetime.played.latest)

    @property
    def late(self) -> int:
        """How many frames were sent after their time, because the process had stalled."""
        return self._pacer.late_ticks

    @property
    def skipped(self) -> int:
        """How many frames were left out, because the process had stalled for too long."""
        return self._pacer.skipped_ticks

    @property
    def lost(self) -> int:
        """How many of the caller's RTP packets are missing, of those that came while somebody listened."""
        is_rtp = self._receiver.wire.settings.encapsulation is Encapsulation.RTP
        return self._receiver.packets.lost if is_rtp else 0

    @property
    def faults(self) -> tuple[int, ...]:
        """Counts of what may be a problem of the stream, besides `lost`. To find the problems takes longer."""
        pacer, receiver = self._pacer, self._receiver
        return (
            pacer.late_ticks * 100 // (pacer.frames + 1),
            pacer.skipped_ticks,
            pacer.stalls,
            pacer.underruns,
            receiver.malformed,
            receiver.dropped,
            self._lifetime.failures.count,
            self._history.alarms if self._history is not None else 0,
            len(self._muted) + bool(self._gain),
        )

    def look(self) -> None:
        """Remember, once a second, what is known of levels and impairments, for who has to explain the call."""
        pacer, receiver = self._pacer, self._receiver
        history = self._history = self._history or CallHistory()
        levels = self._lifetime.recordings.take_levels()
        caller, us = levels[0] if levels else None, levels[1] if len(levels) > 1 else None
        keypad = receiver.keypad
        if caller is None and keypad is not None and keypad.detector is not None:
            caller = history.measure(*keypad.detector.latest)
        if us is None and (upcoming := pacer.upcoming) is not None:
            us = pcm_dbfs(upcoming) + self._gain if upcoming and Side.US not in self._muted else SILENCE_DB
        listeners = len(receiver.listeners) - (keypad is not None) + len(receiver.pcm_listeners)
        late = pacer.late_ticks + pacer.skipped_ticks
        counters = (late, pacer.stalls, pacer.underruns, self.lost, receiver.malformed)
        wanted = listeners > receiver.expecting_none
        history.look(self.call.now - self._began, caller, us, counters, receiver.received, wanted=wanted)

    @property
    def history(self) -> Mapping[str, Any]:
        """What bears on how the call sounded: the levels and impairments that were remembered, if the peer sends
        anything, warnings of prompts, and what requests have set.
        """
        found = self._history.describe() if self._history is not None else {}
        requested = {"gain": self._gain, "muted": sorted(map(str, self._muted))}
        return {**found, "prompt_warnings": self._prompt_warnings(), **requested}

    def _prompt_warnings(self) -> list[str]:
        """A text for each prompt that plays or has played, and is too soft or too loud."""
        names = chain(*(sound.name.split(", ") for sound in self._lifetime.played.latest), (self.playing,))
        prompts, told = self.call.prompts, list[str]()
        for name in dict.fromkeys(names):
            prompt = prompts.by_name.get(name)
            if prompt is not None and (warning := describe_loudness(prompt, prompts.gain)):
                told.append(f"{name} {warning}")
        return told

    def meter_levels(self) -> LevelMeter:
        """Begin to measure how loud both directions are, until the meter is closed."""
        return LevelMeter(self._pacer, self._receiver)

    def play(self, source: Source, first: object = None, *, interrupt: bool = False) -> str:
        """Play a source after all queued sound, or at once with `interrupt`; return the playback's id.

        An interrupted sound goes on afterwards. If the `first` sound of the source is a text, the source
        interrupts what plays only when the speech is there. The event `playback.done` tells how much was played.
        RefusedError 429 where too many sounds of requests wait.
        """
        if len(self._playing) >= MAX_PLAYBACKS:
            raise RefusedError(RefusalReason.STREAM_BUSY, f"{MAX_PLAYBACKS} sounds wait on this stream already")
        self._lifetime.control.answer()
        playback, queued = secrets.token_hex(4), self._lifetime.played.now
        done = start_playback(self._pacer, source, first, interrupt=interrupt)
        self._playing[playback] = done
        done.add_done_callback(partial(self._lifetime.played.add, source, queued))
        done.add_done_callback(partial(self._report, playback))
        return playback

    def stop(self, playback: str) -> None:
        """Stop one playback, by a fade of 5 ms, or take it out of the queue.

        RefusedError 404 where the playback is over, or never existed.
        """
        done = self._playing.get(playback)
        if done is None or done.done():
            raise RefusedError(RefusalReason.UNKNOWN_PLAYBACK, f"no playback {playback} on this stream")
        self._pacer.cancel(done)

    @property
    def gain(self) -> float:
        """The gain in dB of all sound that is sent to the caller; it has no effect while `Side.US` is muted."""
        return self._gain

    @property
    def muted(self) -> frozenset[Side]:
        """The sides of the call that are muted."""
        return self._muted

    def set_gain(self, gain: float, by: str = "") -> None:
        """Amplify all sent sound by `gain` dB from the next frame on; a negative gain makes it softer.

        `by` is the name of the operator who asks, for the event.
        """
        self._gain = gain
        self._apply_gain()
        self._report_adjusted(by)

    def mute(self, side: Side, muted: bool, by: str = "") -> None:
        """Mute a side from the next frame on, or unmute it. `by`: as in `set_gain`.

        `Side.US`: silence is sent, and the sound plays on unheard. `Side.CALLER`: the handler, and all that works
        for it such as speech recognition, gets silence in place of the caller's audio. The handler still gets
        digits that come as messages. Recordings, listeners and level meters get what is sent, and the caller's
        audio even while the caller is muted.
        """
        self._muted = self._muted | {side} if muted else self._muted - {side}
        if side is Side.CALLER:
            self._receiver.mute(muted)
        else:
            self._apply_gain()
        self._report_adjusted(by)

    def _report_adjusted(self, by: str) -> None:
        muted = sorted(map(str, self._muted))
        self.call.notify(EventKind.STREAM_ADJUSTED, {"gain": self._gain, "muted": muted, "by": by})

    def _apply_gain(self) -> None:
        self._pacer.set_gain(0.0 if Side.US in self._muted else 10 ** (self._gain / 20))

    def merge_variables(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """The stream's variables with `changes` made to them; the value None removes a variable.

        RefusedError 400 where there would be more variables than a stream may have.
        """
        stream = self._lifetime.stream
        changed = {**stream.variables, **changes}
        variables = {key: value for key, value in changed.items() if value is not None}
        if len(variables) > max(MAX_VARIABLES, len(stream.variables)):
            raise RefusedError(RefusalReason.BAD_BODY, f"variables: a stream may have at most {MAX_VARIABLES}")
        return variables

    def set_variables(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Change variables as `merge_variables` does, and return all variables that the stream has from now on."""
        variables = self.merge_variables(changes)
        self.update_stream(variables=variables)
        return variables

    def update_stream(self, **facts: Any) -> None:
        """Change fields of the stream's identity, which have the names of the fields of `Stream`."""
        self._lifetime.stream = replace(self._lifetime.stream, **facts)

    @property
    def replacing(self) -> bool:
        """Whether another handler is to replace the present one, which has not ended yet."""
        return self._lifetime.replacing

    def replace_work(self, begin: Callable[[], Work]) -> None:
        """Cancel the handler's work, and then run what `begin` returns, with the same call.

        Digits that the caller typed ahead are dropped, because they were for the earlier handler. Later digits are
        for the next handler, even while the earlier one ends. Not to be called while `replacing`.
        """
        self._receiver.reset_keypad()
        self._lifetime.replace_work(begin)

    def clear(self) -> None:
        """Stop the sound that plays, by a fade of 5 ms, and all queued sound, also that of the handler.

        The handler goes on as after the end of its sound. But a handler that plays a loop, or audio as it arrives,
        would end, and the call with it. A loop therefore stays, silent, until the handler stops it or is replaced.
        Sound that is queued behind a loop is played. Audio that arrives later is heard again.
        """
        self._pacer.silence_all()

    def _report(self, playback: str, done: asyncio.Future[PlaybackResult]) -> None:
        del self._playing[playback]
        facts: dict[str, object] = {"playback": playback, "seconds": 0.0, "complete": False}
        try:
            result = done.result()
        except Exception as error:
            facts["why"] = why = error_text(error)
            log.warning("playback failed", stream=self.call.stream.id, playback=playback, why=why)
        else:
            facts |= {"seconds": round(result.seconds, 3), "complete": result.complete}
        self.call.notify(EventKind.PLAYBACK_DONE, facts)
