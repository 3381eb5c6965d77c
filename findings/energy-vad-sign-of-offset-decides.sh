#!/usr/bin/env bash
# The DC offset of a sound card or a gateway is no sound. energy-vad takes a chunk's
# bias off before it measures the energy. One expects the offset not to matter, or at
# least its sign not to.
# What it takes off is the negative of the level: silence at +300 has the energy 0, at
# -300 it has 600, and is speech for ever. Speech at +1000 is also less than the same
# speech at -1000, by a factor of 9.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check energy-vad==1.0.0
"$T/v/bin/python" - <<'E'
import array, math
from importlib.metadata import version
from energy_vad import EnergyVad
print("energy-vad", version("energy-vad"))
print("expected: silence at an offset is no speech, whatever the sign")

def chunk(offset, amplitude=0):
    return array.array("h", (round(offset + amplitude * math.sin(n / 4)) for n in range(240))).tobytes()

def threshold(chunk):
    """The least threshold, to 1, at which a chunk is no speech."""
    return next(least for least in range(10_000) if not EnergyVad(threshold=least).process_chunk(chunk))

for offset in (0, 300, -300):
    print(f"seen: silence at {offset}: speech above a threshold of 500: {EnergyVad(threshold=500).process_chunk(chunk(offset))}")
assert not EnergyVad(threshold=500).process_chunk(chunk(300))
assert EnergyVad(threshold=500).process_chunk(chunk(-300))
above, below = threshold(chunk(1000, 300)), threshold(chunk(-1000, 300))
print(f"seen: a tone of the amplitude 300 has the energy {above} at +1000, {below} at -1000")
assert below > 8 * above
E
