"""One tick of a slot: all messages are made, encoded together, and then written, each to its own connection."""

from collections.abc import Callable, Iterator, Sequence

from mediaserver.playout.pacing.slot import Slot
from mediaserver.playout.pacing.transport import Encode


class Connection:
    """A transport that notes what is written."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    def write(self, data: bytes) -> None:
        self.notes.append(f"{self.name} writes {data.decode()}")

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


class Stream:
    """A stream of messages that are made by `make`."""

    def __init__(self, slot: Slot, transport: Connection, make: Iterator[bytes]) -> None:
        self.slot, self.transport = slot, transport
        slot.add(self, make, transport.write)

    def note(self, what: str) -> None:
        self.transport.notes.append(f"{self.transport.name} {what}")

    def on_source_end(self) -> None:
        self.note("ends")

    def on_write_error(self, error: BaseException) -> None:
        self.note(f"fails: {error}")

    def check_send_buffer(self) -> None:
        raise AssertionError("the ticker checks, not the slot")


def filled(
    *makes: Callable[[], Iterator[bytes]], encode: Encode | None = None
) -> tuple[Slot, list[str], list[Stream]]:
    """A slot with a stream, named 0, 1 and so on, for each function that makes messages."""
    slot, notes = Slot(lead=0, encode=encode), list[str]()
    return slot, notes, [Stream(slot, Connection(str(n), notes), make()) for n, make in enumerate(makes)]


def test_all_messages_are_made_before_the_first_is_written() -> None:
    def make() -> Iterator[bytes]:
        for name in ("a", "b"):
            notes.append(f"make {name}")
            yield name.encode()

    slot, notes, _ = filled(make, make)
    slot.fire()
    slot.fire()
    tick = ["make {0}", "make {0}", "0 writes {0}", "1 writes {0}"]
    assert notes == [line.format(name) for name in "ab" for line in tick]


def test_each_message_goes_to_its_own_connection_whatever_happens_to_other_streams() -> None:
    def fail() -> Iterator[bytes]:
        raise KeyError("no frame")
        yield b""

    slot, notes, _ = filled(
        fail,
        lambda: iter([b"one"]),
        lambda: iter([]),
        lambda: iter([]),
        lambda: iter([b"four"]),
        lambda: iter([b""]),  # the peer's frame is longer, and not complete
        lambda: iter([b"six"]),
        fail,
    )
    slot.fire()
    failed = ["0 fails: 'no frame'", "2 ends", "3 ends", "7 fails: 'no frame'"]
    assert notes == [*failed, "1 writes one", "4 writes four", "6 writes six"]
    assert slot.ticks == 1


def test_streams_that_leave_while_messages_are_made_take_nobody_elses_message() -> None:
    def make_and_end_the_call() -> Iterator[bytes]:
        for stream in streams[:2]:
            slot.remove(stream)
        yield b"last"

    slot, notes, streams = filled(make_and_end_the_call, lambda: iter([b"one"]), lambda: iter([b"two", b"more"]))
    slot.fire()
    assert notes == ["0 writes last", "1 writes one", "2 writes two"]
    slot.fire()
    assert notes[3:] == ["2 writes more"]


def test_a_connection_that_cannot_be_written_harms_no_other() -> None:
    class Broken(Connection):
        def write(self, data: bytes) -> None:
            raise ConnectionResetError("gone")

    notes: list[str] = []
    slot = Slot(lead=0)
    Stream(slot, Connection("without a message", notes), iter([b""]))
    for transport in (Connection("0", notes), Broken("1", notes), Connection("2", notes)):
        Stream(slot, transport, iter([b"frame"]))
    slot.fire()
    assert notes == ["0 writes frame", "1 fails: gone", "2 writes frame"]


def test_messages_are_encoded_together_without_those_that_are_empty() -> None:
    def in_capitals(messages: Sequence[bytes]) -> Sequence[bytes]:
        notes.append(f"encode {len(messages)}")
        return [message.upper() for message in messages]

    slot, notes, _ = filled(lambda: iter([b"a"]), lambda: iter([b""]), lambda: iter([b"c"]), encode=in_capitals)
    slot.fire()
    assert notes == ["encode 2", "0 writes A", "2 writes C"]


def test_a_message_that_cannot_be_encoded_is_the_fault_of_its_stream_alone() -> None:
    def of_letters(messages: Sequence[bytes]) -> Sequence[bytes]:
        if not all(message.isalpha() for message in messages):
            raise ValueError("no letters")
        return [message.upper() for message in messages]

    slot, notes, _ = filled(lambda: iter([b"a"]), lambda: iter([b"!"]), lambda: iter([b"c"]), encode=of_letters)
    slot.fire()
    assert notes == ["1 fails: no letters", "0 writes A", "1 writes ", "2 writes C"]


def test_other_messages_take_effect_in_the_same_tick_if_their_stream_was_not_asked_yet() -> None:
    def make_and_replace() -> Iterator[bytes]:
        slot.replace(streams[1], iter([b"other"]))
        yield b"zero"

    slot, notes, streams = filled(make_and_replace, lambda: iter([b"one"]))
    slot.fire()
    assert notes == ["0 writes zero", "1 writes other"]


def test_a_slot_without_streams_ticks() -> None:
    slot = Slot(lead=0)
    slot.fire()
    assert slot.ticks == 1
