"""A TTS engine for tests, in a process that can be killed: a sentence is a tone.

`tone_speaker.py serve HZ` prints its port, and answers `POST` as OpenAI's `/audio/speech` does, somewhat faster
than it is spoken. `tone_speaker.py write HZ FILE LOG` writes a WAV file, and then the time on the monotonic clock
into a line of LOG. Only the standard library is used, to start quickly.
"""

import array
import http.server
import math
import sys
import time
import wave
from pathlib import Path

SERVED, WRITTEN = 4.0, 1.5  # seconds of a sentence
_RATE = 24_000  # Hz
_PIECE, _PAUSE = 0.1, 0.08  # seconds of sound that the server sends at a time, and from one time to the next


def tone(hz: float, seconds: float) -> bytes:
    """16-bit PCM, 24 kHz."""
    samples = (round(9000 * math.sin(2 * math.pi * hz * n / _RATE)) for n in range(round(seconds * _RATE)))
    return array.array("h", samples).tobytes()


def serve(hz: float) -> None:
    pcm = tone(hz, SERVED)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "audio/pcm")
            self.send_header("Content-Length", str(len(pcm)))
            self.end_headers()
            due, size = time.monotonic(), round(_PIECE * _RATE) * 2
            for at in range(0, len(pcm), size):
                self.wfile.write(pcm[at : at + size])
                due += _PAUSE
                time.sleep(max(0.0, due - time.monotonic()))

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)  # noqa: T201
    server.serve_forever()


def write(hz: float, file: Path, log: Path) -> None:
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(tone(hz, WRITTEN))
    with log.open("a") as lines:
        lines.write(f"{time.monotonic()}\n")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(float(sys.argv[2]))
    else:
        write(float(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
