"""TLS of connections that we dial: failures are told as the event loop's TLS tells them, and nothing is left."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import aiohttp
import pytest
import trustme

from mediaserver.errors import PeerError
from mediaserver.support.http_connector import Connector
from mediaserver.transport.client_tls import begin_tls
from mediaserver.transport.dialled import DialFailure, DialFailureKind, open_websocket
from mediaserver.transport.held_writes import HeldWrites
from tests.timing import PATIENCE, UNIT, eventually
from tests.transport.far_end import TlsEnd, connected

AUTHORITY = trustme.CA()
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
Act = Callable[[asyncio.StreamWriter], None]


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def certified(certificate: trustme.LeafCert, **settings: object) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def ignore(writer: asyncio.StreamWriter) -> None:
    """Say nothing."""


def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def say(answer: bytes) -> Act:
    return lambda writer: writer.write(answer)


@contextlib.asynccontextmanager
async def serving(act: Act, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that does one thing with each connection, and waits for its end."""
    handling: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.current_task())
        act(writer)
        with contextlib.suppress(OSError):
            while await reader.read(65_536):
                pass
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls) as listening:
        yield listening.sockets[0].getsockname()[1]
        await asyncio.wait_for(asyncio.gather(*filter(None, handling)), PATIENCE)


async def failure_of(port: int, *, ours: bool, timeout: float = PATIENCE) -> DialFailure:
    """Why a WebSocket cannot be opened, with our TLS or that of the event loop."""
    failures: list[DialFailure] = []

    def to_error(failure: DialFailure) -> PeerError:
        failures.append(failure)
        return PeerError(failure.text)

    connector = Connector(ssl=trusting(), begin_tls=partial(begin_tls, writes=HeldWrites()) if ours else None)
    url = f"wss://localhost:{port}/"
    async with aiohttp.ClientSession(connector=connector) as client:
        with pytest.raises(PeerError):
            await open_websocket(client, url, to_error, timeout=timeout, max_message_bytes=1000)
    assert not connector._sockets or all(each.fileno() == -1 for each in connector._sockets)
    return failures[0]


@pytest.mark.parametrize(
    ("act", "tls", "kind"),
    [
        (ignore, certified(trustme.CA().issue_cert("localhost")), DialFailureKind.UNTRUSTED),
        (ignore, certified(AUTHORITY.issue_cert("elsewhere")), DialFailureKind.UNTRUSTED),
        (ignore, certified(AUTHORITY.issue_cert("localhost", not_after=YESTERDAY)), DialFailureKind.UNTRUSTED),
        (
            ignore,
            certified(AUTHORITY.issue_cert("localhost"), verify_mode=ssl.CERT_REQUIRED),
            DialFailureKind.BROKEN,
        ),
        (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), None, DialFailureKind.NOT_TLS),
        (say(b"220 mail.example.com ESMTP\r\n"), None, DialFailureKind.NOT_TLS),
        (say(b"\x15\x03\x03\x00\x02\x02\x28"), None, DialFailureKind.TLS),  # the alert handshake_failure
        (hang_up, None, DialFailureKind.UNREACHABLE),
        (reset, None, DialFailureKind.UNREACHABLE),
        (hang_up, certified(AUTHORITY.issue_cert("localhost")), DialFailureKind.BROKEN),
    ],
    ids=[
        "another authority",
        "another name",
        "expired",
        "wants a certificate",
        "plain HTTP",
        "another protocol",
        "an alert",
        "hangs up",
        "resets",
        "hangs up behind the handshake",
    ],
)
async def test_failures_are_told_as_by_the_event_loop_s_tls(
    act: Act, tls: ssl.SSLContext | None, kind: DialFailureKind
) -> None:
    async with serving(act, tls) as port:
        found = await failure_of(port, ours=True)
        assert found.kind is kind
        assert found == await failure_of(port, ours=False)


async def test_a_server_that_never_shakes_hands_is_a_timeout() -> None:
    async with serving(ignore) as port:
        assert (await failure_of(port, ours=True, timeout=0.1 * UNIT)).kind is DialFailureKind.TIMEOUT


async def test_no_connection_is_left_behind_by_a_handshake_that_is_cancelled() -> None:
    async with serving(ignore) as port:  # which waits for the connection's end
        connecting = asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port)
        transport, _ = await connecting
        beginning = begin_tls(transport, b"", trusting(), "localhost", asyncio.Protocol, writes=HeldWrites())
        task = asyncio.create_task(beginning)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_server_is_told_why_its_handshake_failed() -> None:
    transport, near, far = await connected()
    server = TlsEnd(far, is_server=True)
    beginning = begin_tls(transport, b"", trusting(), "here", asyncio.Protocol, writes=HeldWrites())
    ours, theirs = await asyncio.gather(beginning, server.shake_hands(), return_exceptions=True)
    server.close()
    assert isinstance(ours, ssl.SSLCertVerificationError)  # it is another authority's
    assert isinstance(theirs, ssl.SSLError)
    assert theirs.reason == "TLSV1_ALERT_UNKNOWN_CA"
    await eventually(lambda: near.fileno() == -1)


async def test_what_a_server_says_before_the_handshake_is_not_lost() -> None:
    transport, near, far = await connected()
    with far:
        with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
            await begin_tls(
                transport, b"220 mail\r\n", trusting(), "localhost", asyncio.Protocol, writes=HeldWrites()
            )
        await eventually(lambda: near.fileno() == -1)


@pytest.mark.parametrize("name", ["", ".", "a" * 301])
async def test_a_name_that_tls_cannot_have_leaves_no_connection(name: str) -> None:
    transport, near, far = await connected()
    with far:
        with pytest.raises((ssl.SSLError, ValueError)):
            await begin_tls(transport, b"", trusting(), name, asyncio.Protocol, writes=HeldWrites())
        await eventually(lambda: near.fileno() == -1)


async def test_a_connection_that_is_lost_already_is_told() -> None:
    transport, near, far = await connected()
    with far:
        transport.abort()
        with pytest.raises(ConnectionResetError):
            await begin_tls(transport, b"", trusting(), "localhost", asyncio.Protocol, writes=HeldWrites())
        await eventually(lambda: near.fileno() == -1)
