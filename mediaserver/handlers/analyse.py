"""The `analyse` handler: measures the audio of a call, and detects speech (VAD), silence and digits (DTMF)."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import structlog
from pydantic import AfterValidator, Field

from mediaserver.audio.level.analysis import Analyser
from mediaserver.audio.level.stream_meter import NEVER
from mediaserver.call import Call
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler
from mediaserver.handlers.common import files
from mediaserver.support.timestamps import utc_timestamp
from mediaserver.wire.events import Audio, Event

log = structlog.get_logger()


class Analyse(files.FileModeSettings, Handler):
    """Measures the received audio until the peer hangs up. The peer hears silence."""

    own_variables: ClassVar[frozenset[str]] = files.TEMPLATE_FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"directory"})

    interval: float = Field(10.0, ge=1, le=86_400, description="Seconds between two reports.")
    silence_after: float = Field(
        10.0, ge=1, description="Seconds without speech after which `silence` is emitted."
    )
    sensitivity: int = Field(
        2, ge=0, le=3, description="How strict the voice activity detection is: 0 takes much for speech, 3 little."
    )
    directory: Path = Field(Path("reports"), description="The folder of the reports.")
    file: Annotated[str, AfterValidator(files.validate_template)] | None = None

    def folders(self) -> Iterable[Path]:
        """The folder that reports are written into; none if the setting `file` is missing."""
        return (self.directory,) if self.file is not None else ()

    async def run(self, call: Call) -> None:
        """Analyse the call, and report the figures every `interval` seconds and at the call's end."""
        analysis = _CallAnalysis(self, call)
        path = files.expand_template(self.directory, self.file, call.stream) if self.file is not None else None
        with call.listen(analysis.on_event, analysis.detector, analysis.meter):
            try:
                while True:
                    await asyncio.sleep(self.interval)
                    await self._report(call, analysis, path)
            finally:
                await self._report(call, analysis, path, final=True)

    async def _report(self, call: Call, analysis: "_CallAnalysis", path: Path | None, final: bool = False) -> None:
        report = analysis.report() | {"final": final}
        call.notify(EventKind.ANALYSIS, report)
        if path is None:
            log.info("analysis report", stream=call.stream.id, path=call.stream.path, **report)
            return
        line = {"time": utc_timestamp(), "stream": call.stream.id, "path": call.stream.path} | report
        await analysis.writer.write(path, files.append_json_lines, self.directory, path, [line], self.modes)


class _CallAnalysis:
    """The analysis of one call: emits events of speech, silence and digits, and measures the audio for reports."""

    def __init__(self, settings: Analyse, call: Call) -> None:
        self._call = call
        self._analyser = Analyser(settings.sensitivity)
        self.detector, self.meter = self._analyser.detector, self._analyser.meter
        self._silence_after = settings.silence_after
        self._silence_reported = False  # whether the event `silence` was emitted since the caller last spoke
        self._keypad = call.keypad
        self.writer = files.CallFileWriter(call, EventKind.REPORT_FAILED)
        self._packets = call.packets  # the counts of RTP packets at the time of the last report

    def on_event(self, event: Event) -> None:
        """Analyse a received event. The call's keypad has processed the event before, and detected its digits.

        Of the frames that the detector and the meter were fed, this gets those in which something happened.
        """
        if self._keypad.has_digit:
            digits = self._keypad.drain_digits()
            self._analyser.digits += digits
            self._call.notify(EventKind.DIGITS, {"digits": digits})
        if not isinstance(event, Audio):
            return
        analyser = self._analyser
        if self.detector in event.fed:
            changed = analyser.update()
        else:
            changed = analyser.feed(event.pcm, self._keypad.dtmf_active, event.power)
        if changed:
            self._on_speech_changed()
        elif not self._silence_reported and analyser.is_silent_for(self._silence_after):
            self._silence_reported = True
            self._call.notify(EventKind.SILENCE, {"at_s": analyser.seconds, "seconds": analyser.silence_s})
        awaits_silence = not (analyser.speaking or self._silence_reported)
        self.meter.set_due(analyser.silent_from(self._silence_after) if awaits_silence else NEVER)

    def _on_speech_changed(self) -> None:
        analyser = self._analyser
        if analyser.speaking:
            self._silence_reported = False
            self._call.notify(EventKind.SPEECH_STARTED, {"at_s": analyser.seconds})
        else:
            self._call.notify(
                EventKind.SPEECH_STOPPED, {"at_s": analyser.seconds, "seconds": analyser.last_talkspurt_s}
            )

    def report(self) -> dict[str, Any]:
        """The measurements since the last report, by name: of the received audio, and of its RTP packets."""
        call, before = self._call, self._packets
        self._packets = now = call.packets
        return self._analyser.report() | {
            "packets_lost": now.lost - before.lost,
            "packets_late": now.late - before.late,
            "packets_duplicate": now.duplicate - before.duplicate,
            "jitter_ms": round(call.jitter_ms, 2),
        }
