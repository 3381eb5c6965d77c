#!/usr/bin/env bash
# A recorded call has a channel for each side. Deepgram, asked for multichannel=true, gives a transcript with words for
# each: results.channels[0] and [1]. One expects the captions of Deepgram's own libraries, for Python
# and Node.js, to have what both sides said, or to raise an error; the one for Python looks into all channels for
# "valid transcriptions", and neither README says that it takes one only.
# Both take the first channel alone: the other side's answers are missing, and a caption with words a minute apart
# stands all that minute. Where the first side says nothing both raise an error, whatever the other says.
# With utterances in the response (utterances=true, for "the best caption results") they have both sides.
# A transcript of a support call is a monologue, and looks complete.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check deepgram-captions==2.0.0
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts @deepgram/captions@1.2.0 >/dev/null
cd "$T"
cat >run.cjs <<'E'
const { srt } = require('@deepgram/captions');
const { version } = require('./node_modules/@deepgram/captions/package.json');
const { call, heard } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify([version, srt(call), srt(heard)]));
E
v/bin/python - <<'E'
import json, subprocess
from importlib.metadata import version
from deepgram_captions import DeepgramConverter, srt

def words(*said):
    return [{"word": w.strip("?.").lower(), "punctuated_word": w, "start": s, "end": s + 0.5, "confidence": 0.99} for w, s in said]

sides = [words(("Hello?", 0.5), ("Thanks.", 60.0)), words(("Support", 2.0), ("speaking.", 2.5))]
text = [" ".join(w["punctuated_word"] for w in side) for side in sides]
call = {
    "metadata": {"request_id": "1", "created": "2026-01-01T00:00:00Z", "duration": 61.0, "channels": 2},
    "results": {"channels": [{"alternatives": [{"transcript": t, "confidence": 0.99, "words": w}]} for t, w in zip(text, sides)]},
}
parts = [(0, sides[0][:1]), (1, sides[1]), (0, sides[0][1:])]
utterances = [
    {"start": w[0]["start"], "end": w[-1]["end"], "confidence": 0.99, "channel": c, "id": str(c), "words": w,
     "transcript": " ".join(x["punctuated_word"] for x in w)} for c, w in parts
]
heard = {**call, "results": {**call["results"], "utterances": utterances}}
js, *of_js = json.loads(subprocess.run(["node", "run.cjs"], input=json.dumps({"call": call, "heard": heard}), text=True,
                                       capture_output=True, check=True).stdout)
print("deepgram-captions", version("deepgram-captions"), "@deepgram/captions", js)
print("expected: captions with what both sides said")
for name, got in (("Python", [srt(DeepgramConverter(call)), srt(DeepgramConverter(heard))]), ("Node.js", of_js)):
    for what, captions in zip(("two channels", "two channels and utterances"), got):
        lines = [line for line in captions.splitlines() if line and not line.isdigit()]
        print(f"seen: {name}, {what}: {' | '.join(lines)}")
        assert ("Support" in captions) == ("utterances" in what) and "Thanks." in captions
    assert "00:00:00,500 --> 00:01:00,500" in got[0] and "Hello? Thanks." in got[0]
E
