"""`analyse`: what a line sounds like, and what is said on it in digits and pauses."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import structlog
from pydantic import AfterValidator, Field

from mediaserver.audio.analysis import Analyser
from mediaserver.call import Call, DiskExecutor
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler
from mediaserver.handlers.common import files
from mediaserver.wire.events import Audio, Event

log = structlog.get_logger()


class Analyse(files.Keeping, Handler):
    """Measures what it hears, until the peer hangs up; the peer hears silence."""

    own_variables: ClassVar[frozenset[str]] = files.FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"directory"})

    interval: float = Field(10.0, ge=1, le=86_400, description="seconds between reports")
    silence_after: float = Field(10.0, ge=1, description="seconds without speech that are told as an event")
    sensitivity: int = Field(
        2, ge=0, le=3, description="of the speech detector: 0 takes much for speech, 3 little"
    )
    directory: Path = Field(Path("reports"), description="of the reports' files")
    file: Annotated[str, AfterValidator(files.check)] | None = None

    def folders(self) -> Iterable[Path]:
        """Where reports are written, if they are."""
        return (self.directory,) if self.file is not None else ()

    async def run(self, call: Call) -> None:
        """Report every so often, and at the end."""
        watch = _Watch(self, call)
        path = files.place(self.directory, self.file, call.stream) if self.file is not None else None
        with call.listen(watch.take):
            try:
                while True:
                    await asyncio.sleep(self.interval)
                    await self._report(call, watch, path)
            finally:
                await self._report(call, watch, path, final=True)

    async def _report(self, call: Call, watch: "_Watch", path: Path | None, final: bool = False) -> None:
        report = watch.report() | {"final": final}
        call.notify(EventKind.ANALYSIS, report)
        if path is None:
            log.info("analysis", stream=call.stream.id, path=call.stream.path, **report)
            return
        try:
            about = {"time": files.now(), "stream": call.stream.id, "path": call.stream.path}
            await watch.disk.run_blocking(files.append, self.directory, path, [about | report], self.modes)
        except OSError as error:
            if not watch.failed:  # it is tried again with the next report, and told of once
                watch.failed = True
                files.tell_failure(call, EventKind.REPORT_FAILED, path, error)


class _Watch:
    """Listens to one stream, and tells of what happens when it happens."""

    def __init__(self, settings: Analyse, call: Call) -> None:
        self._call = call
        self._analyser = Analyser(settings.sensitivity)
        self._patience = settings.silence_after
        self._told = False  # of the present silence
        self._keypad = call.keypad
        self.disk = DiskExecutor()
        self.failed = False  # a report could not be written
        self._packets = call.packets

    def take(self, event: Event) -> None:
        """Take in what is heard; the keypad has heard it already."""
        if digits := self._keypad.drain_digits():
            self._analyser.digits += digits
            self._call.notify(EventKind.DIGITS, {"digits": digits})
        if not isinstance(event, Audio):
            return
        analyser = self._analyser
        spoke = analyser.speaking
        analyser.feed(event.pcm, self._keypad.dtmf_active)
        if analyser.speaking and not spoke:
            self._told = False
            self._call.notify(EventKind.SPEECH_STARTED, {"at_s": analyser.seconds})
        elif spoke and not analyser.speaking:
            self._call.notify(
                EventKind.SPEECH_STOPPED, {"at_s": analyser.seconds, "seconds": analyser.last_talkspurt_s}
            )
        elif not self._told and analyser.silence_s >= self._patience:
            self._told = True
            self._call.notify(EventKind.SILENCE, {"at_s": analyser.seconds, "seconds": analyser.silence_s})

    def report(self) -> dict[str, Any]:
        """What was heard since the last report, and how it arrived."""
        hearing, before = self._call, self._packets
        self._packets = now = hearing.packets
        return self._analyser.report() | {
            "packets_lost": now.lost - before.lost,
            "packets_late": now.late - before.late,
            "packets_duplicate": now.duplicate - before.duplicate,
            "jitter_ms": round(hearing.jitter_ms, 2),
        }
