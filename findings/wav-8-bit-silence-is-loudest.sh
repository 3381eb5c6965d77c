#!/usr/bin/env bash
# Samples of 8 bits in WAV are unsigned, with silence at 128. Two libraries that tell sound from silence list 8 bit among
# what they take: auditok (PyPI), which cuts speech out of recordings ("8/16-bit PCM"), and x-law
# (npm), with G.711, WAV headers and utils.calculateLoudness(buffer, bitDepth) for 8 to 48 bits. One expects silence
# to be their lowest level, as with 16 bits.
# Neither takes the offset away. auditok reads 128 as -128 of a signed byte: silence is an energy of 42 dB, the
# most there can be, and at a threshold of 40 it gives the pauses as events and drops the sound. At its own default,
# 50, nothing is ever found. For x-law silence is +0.1 dB, and a tone at full scale -6.1.
# Silence is never detected, and what is cut out of a call is its pauses.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check auditok==0.5.2 numpy==2.2.6
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts x-law@0.3.1 >/dev/null
cd "$T"
v/bin/python - <<'E'
import wave
import auditok, numpy as np
print("auditok", auditok.__version__)
print("expected: one event, from 1 s to 2 s and a little more, with 8 bits as with 16")
sound = np.concatenate([np.zeros(8000), np.sin(2 * np.pi * 400 * np.arange(8000) / 8000), np.zeros(8000)])
for bits, samples in ((16, np.round(32000 * sound).astype("<i2")), (8, np.round(128 + 127 * sound).astype(np.uint8))):
    with wave.open("a.wav", "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(bits // 8)
        w.setframerate(8000)
        w.writeframes(samples.tobytes())
    for threshold in (40, 50):
        events = [(round(e.start, 1), round(e.end, 1)) for e in auditok.split("a.wav", energy_threshold=threshold)]
        print(f"seen: auditok, {bits} bit, threshold {threshold}: {events}")
        if bits == 16:
            assert len(events) == 1 and events[0][0] == 1.0 and 2.0 <= events[0][1] <= 2.5
        elif threshold == 50:
            assert not events
        else:
            assert len(events) == 2 and events[0][0] == 0.0 and events[1] == (2.0, 3.0)
E
cat >run.cjs <<'E'
const assert = require('assert');
const { utils } = require('x-law');
console.log('x-law', require('./node_modules/x-law/package.json').version);
console.log('expected: the same levels with 8 and 16 bits');
const level = {};
for (const [what, amplitude] of [['silence', 0], ['tone at full scale', 1]]) {
  const wide = Buffer.alloc(16000), narrow = Buffer.alloc(8000);
  for (let i = 0; i < 8000; i++) {
    const value = amplitude * Math.sin(2 * Math.PI * 400 * i / 8000);
    wide.writeInt16LE(Math.round(32767 * value), 2 * i);
    narrow[i] = 128 + Math.round(127 * value);
  }
  level[what] = [utils.calculateLoudness(narrow, 8), utils.calculateLoudness(wide, 16)];
  console.log(`seen: x-law, ${what}: ${level[what][0].toFixed(1)} dB with 8 bits, ${level[what][1].toFixed(1)} dB with 16`);
}
assert(utils.createWavHeader(8000, 8000, 1, 8).readUInt16LE(34) === 8); // the header for such samples
assert(level.silence[0] > level['tone at full scale'][0] + 5);
assert(level.silence[1] <= -90 && Math.abs(level['tone at full scale'][1] + 3) < 0.2);
E
node run.cjs
