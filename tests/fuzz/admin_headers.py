"""Kind `admin`: the headers Host and Origin of a request to the admin port."""

from random import Random

from tests.fuzz import answers, mutate
from tests.fuzz.dialogue import Script, hold
from tests.fuzz.lab import Lab

_HOSTS = [
    "localhost",
    "LOCALHOST.",
    "127.0.0.1",
    "[::1]",
    "0.0.0.0",
    "10.1.2.3",
    "evil.example.com",
    "media",
    "::1",
]
_HOSTS += ["[::", "[]", "[::1", "::1]", "a b", "", ".", "-", "user@localhost", "localhost/", "127.1", "0x7f000001"]
_HOSTS += ["xn--bcher-kva.example", "bücher.example", "[fe80::1%eth0]", "[v1.x]", "a" * 300, "1" * 300, "%6c", "*"]
_PORTS = ["", ":8081", ":0", ":", ":99999", ":999999999999", ":-1", ":x", ":8081:8081", ":٣"]
_SCHEMES = ["http://", "https://", "HTTP://", "file://", "", "//", "http:", "null", "javascript:", "http://x@"]
_ENDS = ["", "/", "/x", "?x", "#x", " ", "\t", "\\", "\0", ", http://localhost"]
_SENSIBLE = {100, 200, 400, 403, 404, 405, 408, 501, 503, 505}
_PATHS = ["/healthz", "/readyz", "/metrics", "/v1/streams", "/v1/nothing"]


def make(rng: Random) -> bytes:
    """A request whose headers have this or that wrong about them."""
    host = rng.choice(_HOSTS) + rng.choice(_PORTS)
    lines = [f"GET {rng.choice(_PATHS)} HTTP/{rng.choice(('1.1', '1.1', '1.0'))}"]
    lines += [f"Host: {host}"] * rng.choice((0, 1, 1, 1, 1, 2))
    for _ in range(rng.choice((0, 1, 1, 2))):
        origin = rng.choice((host, rng.choice(_HOSTS) + rng.choice(_PORTS), mutate.word(rng)))
        lines.append(f"Origin: {rng.choice(_SCHEMES)}{origin}{rng.choice(_ENDS)}")
    rng.shuffle(headers := lines[1:])
    encoded = "\r\n".join((*headers, "Connection: close")).encode("utf-8", "surrogatepass")
    return lines[0].encode() + b"\r\n" + (encoded if rng.random() < 0.8 else mutate.mutated(rng, encoded))


async def meet(head: bytes, lab: Lab) -> None:
    """It is answered or refused in a line: never our own fault."""
    port = int(lab.server.admin.rpartition(":")[2])
    answers.read(await hold(port, Script([head + b"\r\n\r\n"])), sensible=_SENSIBLE)
