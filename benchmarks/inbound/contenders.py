"""The servers of two-way streams: yardsticks, and the media server with its handlers."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contest.contender import Contender
from benchmarks.listeners.speech import MULAW, PCM, RTP, SAID_BYTES
from benchmarks.yardsticks.golang import FIRST_TRY

FORMATS = {"audiosocket": PCM, "rtp": RTP}  # what peers say and are sent, by encapsulation
_QUERIES = {"audiosocket": "", "rtp": "?encapsulation=rtp&rtp_payload=l16"}


@dataclass(frozen=True)
class Contest:
    """All contenders of one encapsulation. `all` is in the order of the table."""

    reader: Contender
    two_way: Contender
    go: Contender
    go_echo: Contender
    go_tls: Contender
    prompt: Contender
    echo: Contender
    all: Sequence[Contender]

    @property
    def swept(self) -> list[Contender]:
        """Those that the plot shows."""
        others = ("record", "menu", "analyse")
        return [self.go, self.go_echo, self.prompt, self.echo, *(each for each in self.all if each.name in others)]

    def go_beside(self, contender: Contender) -> Contender:
        """Go that does the same as a contender: it echoes, or else reads and drops, by TLS or without."""
        if contender.tls:
            return self.go_tls
        return self.go_echo if contender in (self.echo, self.go_echo) else self.go


def contest(encapsulation: str) -> Contest:
    """The contenders that speak an encapsulation. The platform that the server dials always says µ-law."""
    says, query = FORMATS[encapsulation], _QUERIES[encapsulation]
    size = SAID_BYTES[says]

    def media(name: str, path: str, *, tls: bool = False) -> Contender:
        return Contender(name, path=f"{path}{query}", payload=size, says=says, tls=tls)

    def first_try(name: str, path: str, *, tls: bool = False) -> Contender:
        return Contender(name, FIRST_TRY, (f"--bytes={size}",), path, size, says, tls)

    reader = Contender("reader", "aiohttp_reader", path="/", payload=0, says=says)
    two_way = Contender("two-way", "aiohttp_reader", (f"--speak={size}",), "/", size, says)
    go, go_echo = first_try("Go, reads and drops", "/"), first_try("Go, echo", "/echo")
    go_tls = first_try("Go, TLS", "/", tls=True)
    prompt, echo = media("prompt", "/minute"), media("echo", "/echo")
    everybody = (
        reader,
        two_way,
        Contender("bare loop", "bare_loop", path="/", says=says),
        Contender("naive aiohttp", "naive_aiohttp", path="/", says=says),
        go,
        go_echo,
        go_tls,
        prompt,
        media("prompt, TLS", "/minute", tls=True),
        Contender("prompt, dialled by it", says=MULAW, dialled=True),
        Contender("prompt, dialled, TLS", says=MULAW, tls=True, dialled=True),
        media("silence", "/silence"),
        echo,
        *(media(name, f"/{name}") for name in ("record", "menu", "analyse")),
    )
    return Contest(reader, two_way, go, go_echo, go_tls, prompt, echo, everybody)
