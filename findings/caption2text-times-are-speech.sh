#!/usr/bin/env bash
# One expects a package that makes a plain transcript of captions to leave the times out, and to keep what was said.
# In WebVTT hours may be left out ("00:01.000", as Whisper writes it), a cue may have an identifier, and NOTE
# begins a comment. caption2text knows only times with hours: it leaves the others in the transcript as if they had been
# said, with identifiers and comments. Of SRT it drops each line that is only a number, wherever it is: the
# answer "42", a year, or the digits that a caller has spelt out on a line of their own. In both, "{...}" and
# what is between "<" and the next ">" is gone, and "&amp;" stays.
# A summary or a search over calls has times for words, and has lost account numbers.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check caption2text==0.1.2
cd "$T"
v/bin/python - 2>/dev/null <<'E'
import pathlib
from importlib.metadata import version

from caption2text import srt_to_transcript, vtt_to_transcript

print("caption2text", version("caption2text"))

def show(convert, text, expected, known):
    pathlib.Path("captions").write_text(text)
    seen = convert("captions").split("\n")
    print(f"expected: {expected}\nseen:     {seen}")
    assert seen == known, seen

said = ["Hello", "world"]
show(vtt_to_transcript, "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHello\n\n00:00:02.000 --> 00:00:03.000\nworld\n", said, said)
show(vtt_to_transcript, "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n\n00:02.000 --> 00:03.000\nworld\n",
     said, ["00:01.000 --> 00:02.000", "Hello", "00:02.000 --> 00:03.000", "world"])
show(vtt_to_transcript, "WEBVTT\n\nNOTE checked\n\nintro\n00:00:01.000 --> 00:00:02.000\nHello\n",
     said[:1], ["NOTE checked", "intro", "Hello"])
show(srt_to_transcript,
     "1\n00:00:01,000 --> 00:00:02,000\nYour account number?\n\n2\n00:00:02,000 --> 00:00:04,000\n4711\n",
     ["Your account number?", "4711"], ["Your account number?"])
E
