#!/usr/bin/env bash
# One expects a WAV reader to skip a chunk that it does not know, with the pad
# byte that follows where its size is odd ("Multimedia Programming Interface and
# Data Specifications 1.0", RIFF: chunks are padded to a whole word).
# The Reader of the npm package wav forgets the pad byte: with a chunk of 7
# bytes before "data" it tells the format and ends without one byte of audio
# and without an error. With a chunk of 8 bytes it is right. FFmpeg and
# Python's wave read all samples of both.
# Files with a bext, JUNK or ID3 chunk of an odd size, as editors write them, are
# silence to a call, depending on the length of a title.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts wav@1.0.2 >/dev/null
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check av==18.1.0
cd "$T"
"$T/v/bin/python" - <<'E'
import struct, wave
import av
print("av", av.__version__)
for size in (8, 7):
    chunk = b"JUNK" + struct.pack("<I", size) + b"\1" * size + b"\0" * (size % 2)
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    body = b"WAVE" + fmt + chunk + b"data" + struct.pack("<I", 16000) + b"\x10\0" * 8000
    with open(f"{size}.wav", "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", len(body)) + body)
    frames = wave.open(f"{size}.wav").getnframes()
    ff = sum(f.samples for f in av.open(f"{size}.wav").decode(audio=0))
    assert frames == ff == 8000, (frames, ff)
E
node - <<'E'
const assert = require('assert');
const fs = require('fs');
const wav = require('wav');
console.log('wav', require('./node_modules/wav/package.json').version);
console.log('expected: 16000 bytes of audio each, or an error');
const read = path => new Promise((told, failed) => {
  let bytes = 0, format = '';
  const reader = new wav.Reader();
  reader.on('format', f => { format = `${f.sampleRate} Hz, ${f.bitDepth} bits`; });
  reader.on('data', data => { bytes += data.length; }).on('end', () => told([format, bytes])).on('error', failed);
  fs.createReadStream(path).pipe(reader);
});
(async () => {
  for (const [size, heard] of [[8, 16000], [7, 0]]) {
    const [format, bytes] = await read(`${size}.wav`);
    console.log(`seen: chunk of ${size} bytes: ${format}, ${bytes} bytes of audio, no error`);
    assert.strictEqual(format, '8000 Hz, 16 bits');
    assert.strictEqual(bytes, heard);
  }
})().catch(error => { console.error(error); process.exit(1); });
E
