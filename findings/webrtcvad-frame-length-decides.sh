#!/usr/bin/env bash
# One expects webrtcvad's frame length (10, 20 or 30 ms) to set only how often
# a decision comes, and the mode (0 to 3) how strict it is: the same steady
# tone gets the same answer.
# Near the threshold the frame length decides all or nothing. A steady 425 Hz
# call-progress tone at -20 dBm0 is speech in every 20 ms frame but in almost no
# 10 ms frame (mode 0); 440 Hz at -18 dBm0 is speech in every 30 ms frame
# but in almost no 10 or 20 ms frame, even in the strictest mode 3; 425 Hz at
# -26 dBm0 is speech at 20 ms only, not at 10 or 30 ms.
# So changing the ptime of a call can turn busy or ringback tone into speech and
# back, and a threshold tuned on 30 ms frames does not hold for 20 ms frames.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check webrtcvad-wheels==2.0.14.post1 numpy==2.2.6
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
import numpy as np, webrtcvad
print("webrtcvad-wheels", version("webrtcvad-wheels"))
print("expected: about the same share of speech for 10, 20 and 30 ms frames")
t = np.arange(4 * 8000) / 8000

def share(x, mode, ms):
    vad, n = webrtcvad.Vad(mode), 8 * ms
    r = [vad.is_speech(x[i:i + n].tobytes(), 8000) for i in range(0, len(x) - n + 1, n)]
    return sum(r) / len(r)

for hz, dbm0, mode, speech in ((425, -20, 0, (False, True, True)), (425, -26, 0, (False, True, False)),
                               (440, -18, 3, (False, False, True))):
    # a full-scale G.711 sine, 32124 at its peak, is +3.14 dBm0
    x = np.round(32124 * 10 ** ((dbm0 - 3.14) / 20) * np.sin(2 * np.pi * hz * t)).astype("<i2")
    s = [share(x, mode, ms) for ms in (10, 20, 30)]
    print(f"seen: {hz} Hz {dbm0} dBm0 mode {mode}: speech in 10/20/30 ms frames:",
          " / ".join(f"{v:.0%}" for v in s))
    for v, is_speech in zip(s, speech):
        assert v > 0.95 if is_speech else v < 0.1, s
E
