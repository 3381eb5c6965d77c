#!/usr/bin/env bash
# One expects G.722 at 48 kbit/s to need 120 bytes for 20 ms, and an octet of
# any mode to be decodable by any G.722 decoder, since the lower modes only give
# up the least significant bits of each octet.
# The G722 package gives 160 bytes per 20 ms at 64, 56 and 48 kbit/s alike, and
# puts the shorter codes in the LOW bits of the octet. A 64 kbit/s decoder (its
# own or FFmpeg's, as every RTP peer has) makes loud noise of them.
# So a lower mode saves no bandwidth in RTP and cannot be sent to a peer.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check G722==1.2.8 numpy==2.2.6 av==18.1.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
import av, G722, numpy as np
print("G722", version("G722"), "av", av.__version__)
print("expected: 160/140/120 bytes per 20 ms, and intelligible audio from a 64 kbit/s decoder")
x = (8000 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)).astype(np.int16)

def snr(y):
    """dB of what in y is the input (best lag, best gain) over what is not."""
    a, best = x[1000:12000].astype(float), -200.0
    for lag in range(40):
        b = np.asarray(y)[1000 + lag:12000 + lag].astype(float)
        g = (a @ b) / (a @ a)
        best = max(best, 10 * np.log10(g * g * (a @ a) / ((b - g * a) ** 2).sum() + 1e-20))
    return best

def ffmpeg(data):
    c = av.CodecContext.create("g722", "r")
    c.sample_rate, c.layout = 16000, "mono"
    return np.concatenate([f.to_ndarray().ravel() for f in c.decode(av.Packet(data))])

for rate, top in ((64000, 255), (56000, 127), (48000, 63)):
    data = bytes(G722.G722(16000, rate).encode(x))
    same = snr(G722.G722(16000, rate).decode(data))
    other = snr(G722.G722(16000, 64000).decode(data))
    ff = snr(ffmpeg(data))
    print(f"seen: {rate}: {len(data) // 50} bytes per 20 ms, highest octet {max(data)}; SNR in its own "
          f"mode {same:.0f} dB, in 64 kbit/s mode {other:.0f} dB, in FFmpeg {ff:.0f} dB")
    assert len(data) == 8000 and max(data) == top and same > 30
    assert (other > 30 and ff > 30) if rate == 64000 else (other < -10 and ff < -10)
E
