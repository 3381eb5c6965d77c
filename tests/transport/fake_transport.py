"""A transport for tests of protocols."""

import asyncio
from typing import Any


class FakeTransport(asyncio.Transport):
    """A transport without a socket: the test calls its protocol, and looks at what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closing, self.aborted, self.reading = b"", False, False, True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        pass

    def write(self, data: Any) -> None:
        self.written += data

    def write_eof(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
