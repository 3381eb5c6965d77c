"""The platform's calls and conferences, and the media streams that are on them."""

import asyncio
import random
import uuid
from dataclasses import dataclass, field

from tests.timing import PATIENCE
from tests.twin import formats
from tests.twin.audiosocket import uuid_message
from tests.twin.buffers import LIMITS
from tests.twin.codecs import CODECS
from tests.twin.far_end import Utterance, utterance
from tests.twin.faults import Faults
from tests.twin.stream import TwinStream


@dataclass(eq=False)
class Resource:
    """A call or a conference, with its options, and the streams that are on it now."""

    id: str
    state: str = "progressing"  # or ringing, hangup
    quiet: bool = False  # sends nothing while nobody speaks, as a bridge of one channel and the client (seen)
    uuid_first: bool = False  # passes Asterisk's first message on
    codec: str = "ulaw"  # of what the client hears (seen); slin and alaw are other builds of the platform
    payload_type: int = 96  # of RTP; 0: the platform before August 2026 (read)
    media_after: float = 0.0  # seconds from the upgrade until Asterisk is attached (seen: 0.25)
    after_end: str = "refuse"  # upgrades when it is over: 404, or "silent": accepted, nothing comes (read)
    buffer: str | None = None  # at the far end: whisper, softmix, or one that loses nothing
    faults: Faults = field(default_factory=Faults)
    streams: list[TwinStream] = field(default_factory=list)
    connected: asyncio.Event = field(default_factory=asyncio.Event)  # set while a stream is on

    def __post_init__(self) -> None:
        allowed = {"codec": CODECS, "after_end": ("refuse", "silent"), "buffer": (None, *LIMITS)}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name}={getattr(self, name)!r} is none of {values}")
        self._arrivals: asyncio.Queue[TwinStream] = asyncio.Queue()
        self._dice: random.Random | None = None

    def answer(self) -> None:
        """From now on there is media."""
        self.state = "progressing"

    def hang_up(self) -> None:
        """It ends, and its streams with it: TCP ends without a close frame, or frames vanish."""
        self.state = "hangup"
        if not self.faults.vanish_after_end:
            for stream in self.streams:
                stream.finish("the call ended", self.faults.close_code)

    @property
    def accepts(self) -> bool:
        """Whether it accepts another stream."""
        return self.state == "progressing" or (self.state == "hangup" and self.after_end == "silent")

    async def stream(self) -> TwinStream:
        """The next media stream, as soon as there is one."""
        return await asyncio.wait_for(self._arrivals.get(), PATIENCE)

    def format(self, encapsulation: str) -> formats.Format:
        return formats.make(encapsulation, self.codec, self.payload_type)

    async def attach(self, stream: TwinStream, encapsulation: str) -> None:
        """One stream, to its end."""
        if self._dice is None:
            self._dice = random.Random(self.faults.seed)
        if self.faults.drop_upgrades:
            self.faults.drop_upgrades -= 1
            stream.cut("dropped at once")
        elif encapsulation == "audiosocket" and self.uuid_first:
            await stream.inject(uuid_message(uuid.UUID(self.id)))
        self.streams.append(stream)
        self.connected.set()
        self._arrivals.put_nowait(stream)
        try:
            await stream.run(self._dice)
        finally:
            self.streams.remove(stream)
            if not self.streams:
                self.connected.clear()


@dataclass(eq=False)
class Call(Resource):
    """A call with one far end."""


@dataclass(eq=False)
class Participant:
    """One of a conference. What it says is heard on the streams that are on by then."""

    conference: "Conference"

    def say(self, pcm: bytes) -> list[Utterance]:
        """Speak, behind what it is saying; one utterance per stream."""
        said = []
        for stream in self.conference.streams:
            said.append(utterance(pcm))
            stream.far_end.add(self, said[-1])
        return said


@dataclass(eq=False)
class Conference(Resource):
    """Participants, all of whom every stream hears."""

    participants: list[Participant] = field(default_factory=list)
