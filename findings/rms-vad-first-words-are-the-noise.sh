#!/usr/bin/env bash
# A caller often speaks as the stream begins. One expects a detector of speech that adapts to the noise to report
# words after its attack of 0.2 s, if not at once then soon, and to end what it has begun.
# rms-vad begins with a threshold of half of its scale, which speech hardly reaches. At the first chunk that is
# below, it sets the threshold to just above what it has heard. So the first words set it to just above themselves: they
# are no speech for as long as they go on evenly, and it hears only what comes behind the first pause. After a second
# of silence the same words are found at once. And where min_speech_duration throws a short sound away it has
# said SPEECH_START, and never says SPEECH_END; the release, 1.5 s by default, counts as speech there, so that with a
# minimum of 1 s a click of 0.3 s is a segment of 1.6 s.
# The first sentence of a call is not transcribed, and after a short sound a recogniser waits open.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check rms-vad==0.2.0 'audioop-lts==0.2.2; python_version >= "3.13"'
"$T/v/bin/python" -W ignore - <<'E'
import struct
from importlib.metadata import version

from rms_vad import RmsVAD, VADConfig

print("rms-vad", version("rms-vad"))
SILENCE, WORDS = 30, 3000

def events(*parts, **options):
    """The events for parts of (seconds, level), as a square wave of this level at 16 kHz."""
    vad, chunk, seen = RmsVAD(VADConfig(**options)), 0, []
    for seconds, level in parts:
        for _ in range(round(seconds * 50)):
            wave = struct.pack("<320h", *[level, -level] * 160)
            seen += [f"{e.type.name} at {chunk / 50:.1f}" for e in vad.feed(wave, timestamp=chunk / 50) if e.type.name != "AUDIO"]
            chunk += 1
    return seen

def show(what, expected, seen, known):
    print(f"{what}: expected {expected}; seen {', '.join(seen) or 'nothing'}")
    assert seen == known, seen

show("1 s of silence, 3 s of words, silence", "a start at 1.2 s and an end at 5.5 s",
     events((1, SILENCE), (3, WORDS), (3, SILENCE)), ["SPEECH_START at 1.2", "SPEECH_END at 5.5"])
show("3 s of words, silence", "a start at 0.2 s and an end at 4.5 s", events((3, WORDS), (3, SILENCE)), [])
show("3 s of words, a pause, 3 s of words, silence", "a start at 0.2 s",
     events((3, WORDS), (1, SILENCE), (3, WORDS), (3, SILENCE)), ["SPEECH_START at 4.2", "SPEECH_END at 8.5"])
click = (1, SILENCE), (0.3, WORDS), (3, SILENCE)
show("a click of 0.3 s, minimum 1 s", "nothing, or a start with its end", events(*click, min_speech_duration=1.0),
     ["SPEECH_START at 1.2", "SPEECH_END at 2.8"])
show("a click of 0.3 s, minimum 3 s", "nothing, or a start with its end", events(*click, min_speech_duration=3.0),
     ["SPEECH_START at 1.2"])
E
