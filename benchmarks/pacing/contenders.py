"""The servers whose pacing is measured: yardsticks, and the media server in its encapsulations and framings."""

from benchmarks.contest.contender import Contender
from benchmarks.yardsticks.golang import FIRST_TRY

BARE = Contender("bare loop", "bare_loop", path="/")
NAIVE = Contender("naive aiohttp", "naive_aiohttp", path="/")
GO = Contender("Go", FIRST_TRY, path="/")
GO_TLS = Contender("Go, TLS", FIRST_TRY, path="/", tls=True)
MEDIA = Contender("media server, audiosocket/pcm")
MEDIA_TLS = Contender("media server, audiosocket/pcm, TLS", tls=True)
DIALLED = Contender("media server, sln, dialled by it", dialled=True)
YARDSTICKS = (BARE, NAIVE, GO, GO_TLS)
CONTENDERS = (
    *YARDSTICKS,
    MEDIA,
    Contender("media server, audiosocket/message", path="/minute?framing=message", payload=323),
    Contender("media server, rtp", path="/minute?encapsulation=rtp", payload=172),
    Contender("media server, audiosocket/pcm, background", path="/over"),
    Contender("media server, rtp, background", path="/over?encapsulation=rtp", payload=172),
    MEDIA_TLS,
    DIALLED,
)
SWEPT = (BARE, NAIVE, GO, MEDIA)
