"""All kinds of input, and how many of each a round has."""

from mediaserver.server.http.descriptors import MAX_ADMIN_CONNECTIONS
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

# A busy server has not yet seen the end of a connection when the next one comes, and where there are too many, it
# evicts another.
_ADMIN_AT_ONCE = MAX_ADMIN_CONNECTIONS // 4

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
        Kind("attach", attaches.make, meet=attaches.meet, at_once=_ADMIN_AT_ONCE),
        Kind("admin", admin_headers.make, meet=admin_headers.meet, at_once=_ADMIN_AT_ONCE),
    )
}

ROUND = {
    "wire": 3000,
    "config": 2000,
    "url": 4500,
    "wav": 3000,
    "raw": 1000,
    "coded": 40,
    "handshake": 3000,
    "frame": 1200,
    "audiosocket": 1000,
    "channel": 1000,
    "attach": 1000,
    "admin": 1200,
}
