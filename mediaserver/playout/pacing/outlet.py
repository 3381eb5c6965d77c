"""Where a stream's frames leave it: its wire and its transport, and whoever watches what goes out."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat

from mediaserver.playout.pacing.slow_peer import Transport
from mediaserver.playout.sources.source import Source
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.wire import Wire

Watcher = Callable[[Encoding, bytes], None]
Recalled = Callable[[int], None]


def keep(frames: int) -> None:
    """Is told of frames that were recalled where nobody keeps any."""


def _watched(watcher: Watcher, encoding: Encoding, item: bytes) -> bytes:
    watcher(encoding, item)
    return item


class Outlet:
    """One connection's way out."""

    __slots__ = ("_silent", "_watchers", "transport", "wire")

    def __init__(self, wire: Wire, transport: Transport) -> None:
        self.wire, self.transport = wire, transport
        self._watchers: tuple[tuple[Watcher, Recalled], ...] = ()
        self._silent = True  # the last message sent was silence, or there was none

    def connect(self, wire: Wire, transport: Transport) -> None:
        """Another connection takes the place of the one before; watchers stay."""
        self.wire, self.transport, self._silent = wire, transport, True

    def add(self, watcher: Watcher, recalled: Recalled) -> None:
        """Give every item of an iterator that is asked for from now on to a watcher, with its encoding."""
        self._watchers = (*self._watchers, (watcher, recalled))

    def remove(self, watcher: Watcher) -> None:
        """Give it no more."""
        self._watchers = tuple(each for each in self._watchers if each[0] is not watcher)

    def recall(self, frames: int) -> None:
        """The far end has forgotten so many of the frames that were sent last."""
        for _, recalled in self._watchers:
            recalled(frames)

    def sending(self, source: Source | None, start: int = 0) -> Iterator[None]:
        """What writes the next message each time it is asked: a source's from frame `start`, or silence."""
        wire = self.wire
        encoding = wire.encoding
        items = repeat(encoding.silence) if source is None else source.iter_frames(encoding, start)
        for watcher, _ in self._watchers:
            items = map(partial(_watched, watcher, encoding), items)
        if wire.marks_talkspurts:
            items = chain(self._turn(silent=source is None), items)
        return map(self.transport.write, wire.messages(items))

    def fill_up(self) -> None:
        """Send what is left of the peer's last frame, where that is longer than ours."""
        if (rest := self.wire.flush()) and not self.transport.is_closing():
            self.transport.write(rest)

    def _turn(self, *, silent: bool) -> Iterator[bytes]:
        """No item, but what is to happen when the first one is asked for."""
        if silent or self._silent:
            self.wire.mark_talkspurt(begins=not silent)  # a source that had no frame leaves no mark on the silence
        self._silent = silent
        yield from ()
