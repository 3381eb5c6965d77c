"""Kind `handshake`: what comes to the public port in place of an upgrade, or around one."""

from collections.abc import Callable
from random import Random
from urllib.parse import quote

from tests.fuzz import answers, frames, mutate
from tests.fuzz.configs import MARK
from tests.fuzz.dialogue import Script, hold
from tests.fuzz.lab import Lab
from tests.server.process import upgrade_request

_PATHS = [
    *(
        "/silence",
        "/guarded",
        f"/guarded?token={MARK}-of-a-path",
        "/forever",
        "/echo",
        "/record",
        "/menu",
        "/analyse",
        "/tone/busy",
        "/tone/%2F",
        "/play/beep",
        "/x",
    ),
    *("/play/../beep", "/play/..%2f..%2fetc%2fpasswd", "/play/%2e%2e/%2e%2e/config.toml", "/play//beep", "/play/"),
    *(
        "/play/%00",
        "/play/\xff\xfe",
        "/\xff",
        "/play/%ff%fe",
        "/play/%C0%AE%C0%AE/x",
        "/play/%",
        "/play/%zz",
        "/play/{prompt}",
        "/play/%7Bx%7D",
    ),
    *(
        "/play/" + "a/" * 200,
        "/play/" + "%F0%9D%84%9E" * 50,
        "//silence",
        "/silence/",
        "/silence;x=y",
        "/./silence",
    ),
    *(
        "*",
        "silence",
        "http://here/silence",
        "http://u:p@here:1/silence",
        "here:443",
        "http://[::1/",
        "/%2Fsilence",
    ),
    *("/tone/1+2+3+4/5", "/tone/dtmf:", "/tone/sine:1e400", "/tone/" + "9" * 300, "/tone/480%2F" + "1," * 90),
]
_METHODS = ["GET"] * 12 + ["POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "get", "G\0T", "", "X" * 300, "PRI", "GÉT"]
_VERSIONS = ["HTTP/1.1"] * 12 + [
    "HTTP/1.0",
    "HTTP/2.0",
    "HTTP/0.9",
    "HTTP/1.2",
    "HTTP/11.1",
    "HTTP/1.",
    "",
    "http/1.1",
]
_KEYS = ["encapsulation", "framing", "rtp_payload", "repeat", "token", "expires", "sig", "Repeat", "a[]", ""]
_HOSTILE_FIELDS = [
    *("X-Forwarded-For: 1.2.3.4, ::1, unknown", "X-Forwarded-For: " + "1.2.3.4," * 500, "X-Forwarded-For: \xff"),
    *(
        "X-Forwarded-For: a\tb",
        'Forwarded: for="[::1]";proto=x',
        "X-Real-IP: ../..",
        f"Authorization: Bearer {MARK}",
    ),
    *(
        f"Cookie: token={MARK}",
        "Host: ",
        "Host: a, b",
        "Host: here:99999",
        "Host: \xe4",
        "Origin: null",
        "Origin: http://[",
    ),
    *(
        "Content-Length: 0",
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: 1e9",
        "Content-Length: " + "9" * 30,
    ),
    *(
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
        "Expect: 100-continue",
    ),
    *(
        "Connection: Upgra\xa0e",
        "Upgrade: web\xffsocket",
        "Sec-WebSocket-Version: 1\xb3",
        "Sec-WebSocket-Key: \xe9\xe9",
        "Connection: close",
        "Connection: keep-alive",
        "Connection: Upgrade, Upgrade",
        "Upgrade: h2c",
        "Upgrade: websocket, x",
    ),
    *(
        "Sec-WebSocket-Key: ",
        "Sec-WebSocket-Key: x",
        "Sec-WebSocket-Key: " + "A" * 3000,
        "Sec-WebSocket-Version: 8, 13",
    ),
    *(
        "Sec-WebSocket-Version: 999999999999",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
    ),
    *(
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Sec-WebSocket-Extensions: ;;;,",
        "Sec-WebSocket-Protocol: \x01",
    ),
    *(
        "Sec-WebSocket-Protocol: " + "a," * 500,
        "Accept-Encoding: \xff\xfe",
        "X" * 9000 + ": y",
        "X: " + "y" * 17_000,
    ),
    *(
        " folded",
        "\tfolded",
        "no colon",
        ": no name",
        "X : space",
        "X\0Y: nul",
        "X: \0",
        "X: a\rb",
        "X: a\nb: c",
        "(): x",
    ),
]
_ALIENS = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    *(
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nVia: x\r\n\r\n",
    ),
    *(
        b"\r\n" * 500,
        b"\n",
        b"\0" * 70_000,
        b"\x10\x01\x40" + bytes(320),
        b"GET / HTTP/1.1",
        b"GET " + b"/" * 70_000,
    ),
    *(
        b"GET /silence\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"X: y\r\n" * 3000,
        b"*1\r\n$4\r\nPING\r\n",
    ),
]
_BODIES = [
    *(
        b"hello",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nx",
        b"-1\r\n\r\n",
        b"5;" + b"x" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    ),
    *(
        b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
        b"5\nhello\n0\n\n",
        b"0\r\n\r\nGET /x HTTP/1.1\r\nHost: here\r\n\r\n",
        b"zz\r\n\r\n",
    ),
]


def make(rng: Random) -> Script:
    """One connection's worth of it, in a few pieces."""
    data = rng.choices(_WAYS, _WEIGHTS)[0](rng)
    return Script(mutate.pieces(rng, data), rng.choices(("answer", "half-close", "reset"), (8, 2, 1))[0])


async def meet(script: Script, lab: Lab) -> None:
    """Say it to the server, which answers something sensible, or closes."""
    answers.read(await hold(lab.server.port, script))


def _target(rng: Random) -> str:
    path = rng.choice(_PATHS)
    query = [f"{rng.choice(_KEYS)}={_value(rng)}" for _ in range(rng.choice((0, 0, 1, 1, 2, 5, 200)))]
    query += [f"token={MARK}"] * rng.randrange(2)
    rng.shuffle(query)
    return path + (rng.choice("?????#") + rng.choice("&&&&;").join(query) if query else "")


def _value(rng: Random) -> str:
    word = mutate.word(rng)
    return quote(word, safe="") if rng.random() < 0.8 else "".join(c for c in word if c not in "\r\n")


def _request(rng: Random) -> bytes:
    """An upgrade with this or that wrong about it."""
    method, version = rng.choice(_METHODS), rng.choice(_VERSIONS)
    fields = upgrade_request("/").decode().split("\r\n")[1:-2]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        dice, at = rng.random(), rng.randrange(len(fields))
        if dice < 0.2:
            del fields[at]
        elif dice < 0.4:
            fields.insert(at, rng.choice(fields).swapcase())
        else:
            hostile = rng.choice(_HOSTILE_FIELDS)
            if rng.random() < 0.5:  # in place of the good one
                fields = [field for field in fields if field.partition(":")[0] != hostile.partition(":")[0]]
            fields.insert(at, hostile)
        fields = fields or ["X: y"]
    end = rng.choice(("\r\n",) * 12 + ("\n", "\r"))
    head = end.join((f"{method} {_target(rng)} {version}", *fields, "", ""))
    return head.encode("latin-1" if max(head) <= "\xff" else "utf-8")  # no UTF-8, where that is possible


def _cut(rng: Random) -> bytes:
    request = _request(rng)
    return request[: rng.randrange(len(request))]


def _mutated(rng: Random) -> bytes:
    """Without a secret in it, which might come to stand where there is nothing secret."""
    return mutate.mutated(rng, _request(rng).replace(MARK.encode(), b"x"), 6)


def _pipelined(rng: Random) -> bytes:
    return b"".join(_request(rng) for _ in range(rng.randint(2, 6)))


def _with_body(rng: Random) -> bytes:
    """Two opinions of where a request ends."""
    lengths = [f"Content-Length: {rng.choice((0, 5, 6, 44, 10**6))}", "Transfer-Encoding: chunked"]
    fields = rng.sample(lengths * 2, rng.randint(1, 3))
    head = f"{rng.choice(('GET', 'POST'))} /silence HTTP/1.1\r\nHost: here\r\n" + "".join(
        f"{f}\r\n" for f in fields
    )
    return head.encode() + b"\r\n" + rng.choice(_BODIES) + rng.choice((b"", _request(rng)))


def _followed(rng: Random) -> bytes:
    """A good upgrade, and what did not wait for the answer."""
    after = rng.choice((_request, frames.stream, lambda rng: mutate.noise(rng, 20_000)))
    return upgrade_request(rng.choice(("/silence", "/echo", "/forever", "/analyse?encapsulation=rtp"))) + after(
        rng
    )


def _huge(rng: Random) -> bytes:
    size = rng.choice((4000, 8190, 8191, 16_000, 16_384, 16_385, 70_000, 190_000))
    fields = {
        "many": lambda: b"X: y\r\n" * (size // 6),
        "long": lambda: b"X: " + b"y" * size + b"\r\n",
        "name": lambda: b"X" * size + b": y\r\n",
        "folded": lambda: b"X: y\r\n" + b" y\r\n" * (size // 4),
        "target": lambda: b"",
    }
    way = rng.choice(list(fields))
    target = "/silence?" + "x" * size if way == "target" else "/silence"
    return upgrade_request(target)[:-2] + fields[way]() + b"\r\n"


def _alien(rng: Random) -> bytes:
    return rng.choice(_ALIENS)


def _noise(rng: Random) -> bytes:
    return mutate.noise(rng, 30_000)


_WAYS: list[Callable[[Random], bytes]] = [
    *(_request, _mutated, _pipelined, _with_body, _followed, _huge, _cut, _alien, _noise)
]
_WEIGHTS = [40, 20, 8, 8, 8, 4, 4, 2, 4]
