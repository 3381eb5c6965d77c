#!/usr/bin/env bash
# WebVTT has comments: a block that begins with NOTE is never shown (WebVTT 4.1). The text of its captions has escapes
# as HTML has: "&amp;" is "&", "&lt;" is "<". One expects pysubs2, which reads WebVTT and writes SRT, to leave
# comments out, and to write "AT&T" into SRT, where there are no such escapes.
# It takes a comment behind a caption for the end of that caption's text, and keeps the escapes, in SRT and in plaintext
# alike; from SRT to WebVTT it does not escape. Comments before the first caption are left out. webvtt-py leaves all
# comments out, but its text, "with tags removed", has the escapes, too.
# Recognisers and editors leave confidence, model or remarks in comments: viewers read them beneath the picture, and a
# voice that speaks the captions, or a search in them, finds "AT and amp T".
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check pysubs2==1.8.1 webvtt-py==0.6.0
"$T/v/bin/python" - <<'E'
import io
from importlib.metadata import version
import pysubs2, webvtt
print("pysubs2", version("pysubs2"), "webvtt-py", version("webvtt-py"))
print("expected: 'Welcome to AT&T' and '5 < 6'")
vtt = """WEBVTT

NOTE recogniser v2

00:00:01.000 --> 00:00:02.000
Welcome to AT&amp;T

NOTE confidence 0.4,
not checked yet

00:00:03.000 --> 00:00:04.000
5 &lt; 6
"""
captions = pysubs2.SSAFile.from_string(vtt, format_="vtt")
got, other = [c.plaintext for c in captions], [c.text for c in webvtt.from_buffer(io.StringIO(vtt))]
srt = captions.to_string("srt")
print("seen: pysubs2", got, "and as SRT", srt.replace("\n", "|"))
print("seen: webvtt-py", other)
assert got == ["Welcome to AT&amp;T\n\nNOTE confidence 0.4,\nnot checked yet", "5 &lt; 6"]
assert "NOTE confidence 0.4,\nnot checked yet" in srt and "AT&amp;T" in srt
assert other == ["Welcome to AT&amp;T", "5 &lt; 6"]
back = pysubs2.SSAFile.from_string("1\n00:00:01,000 --> 00:00:02,000\nAT&T: 5 < 6\n", format_="srt").to_string("vtt")
print("seen: 'AT&T: 5 < 6' of SRT in WebVTT:", repr(back.splitlines()[4]))
assert back.splitlines()[4] == "AT&T: 5 < 6"
E
