"""All kinds of input, and how many of each a round has."""

from tests.fuzz import (
    admin_headers,
    attaches,
    byte_streams,
    channels,
    configs,
    frames,
    handshakes,
    sounds,
    urls,
    wires,
)
from tests.fuzz.kinds import Kind

KINDS = {
    kind.name: kind
    for kind in (
        Kind("wire", wires.make, check=wires.check),
        Kind("config", configs.make, check=configs.check),
        Kind("url", urls.make, check=urls.check),
        Kind("wav", sounds.make_wav, check=sounds.check),
        Kind("raw", sounds.make_raw, check=sounds.check),
        Kind("coded", sounds.make_coded, meet=sounds.meet, at_once=2, needs_ffmpeg=True),
        Kind("handshake", handshakes.make, meet=handshakes.meet),
        Kind("frame", frames.make, meet=frames.meet, at_once=8),
        Kind("audiosocket", byte_streams.make, meet=byte_streams.meet, at_once=8),
        Kind("channel", channels.make, meet=channels.meet, at_once=8),
        Kind("attach", attaches.make, meet=attaches.meet),
        Kind("admin", admin_headers.make, meet=admin_headers.meet),
    )
}

ROUND = {
    "wire": 6000,
    "config": 3000,
    "url": 3000,
    "wav": 3500,
    "raw": 1000,
    "coded": 60,
    "handshake": 4000,
    "frame": 2000,
    "audiosocket": 1500,
    "channel": 1500,
    "attach": 1000,
    "admin": 1500,
}
