"""wss:// served directly: its certificate, a renewed certificate, and broken files."""

import asyncio
import contextlib
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.config.listener_settings import TlsSettings
from mediaserver.config.settings import Settings
from mediaserver.server.http import tls
from tests.server.process import ServerProcess, connected, launch, serving, write_config
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, eventually

SOUND = to_bytes(speechlike(16_000))


class Certified:
    """A folder with a certificate and its key, and a client that trusts its authority."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = trustme.CA()
        self.client = ssl.create_default_context()
        self.authority.configure_trust(self.client)
        self.issue()

    @property
    def settings(self) -> str:
        return f'[tls]\ncertificate = "{self.directory}/server.pem"\nkey = "{self.directory}/server.key"\n'

    def issue(self) -> bytes:
        """Write a new certificate in place of the last, and return it as DER."""
        issued = self.authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(str(self.directory / "server.key"))
        for n, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(str(self.directory / "server.pem"), append=n > 0)
        return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path)


@pytest.fixture
def server(certified: Certified) -> Iterator[ServerProcess]:
    paths = f'{certified.settings}[paths."/a"]\nhandler = "playback"\nprompt = "a"\nlinger_ms = 0\n'
    config = write_config(certified.directory, paths)
    write_wav(certified.directory / "prompts/a.wav", from_bytes(SOUND))
    with serving(config) as server:
        yield server


async def handshake(server: ServerProcess, client: ssl.SSLContext) -> bytes:
    """The certificate that a new connection gets."""
    plug = socket.create_connection(("127.0.0.1", server.port))
    try:
        _, writer = await asyncio.open_connection(sock=plug, ssl=client, server_hostname="127.0.0.1")
    except OSError:
        await eventually(lambda: plug.fileno() == -1)  # which nobody else waits for
        raise
    shown: Any = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    await close(writer)
    return bytes(shown)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def hear(server: ServerProcess, client: ssl.SSLContext) -> bytes:
    """All audio that a call receives."""
    async with connected(server.url("/a", "wss"), ssl=client) as websocket:
        return b"".join([message.data async for message in websocket])


async def test_every_byte_arrives_through_tls(server: ServerProcess, certified: Certified) -> None:
    assert await hear(server, certified.client) == SOUND
    assert server.events("listening")[0]["tls"] is True


async def test_tls_1_1_is_too_old_and_1_2_is_not(server: ServerProcess, certified: Certified) -> None:
    certified.client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await handshake(server, certified.client)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it says of itself that it is too old
        certified.client.minimum_version = certified.client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await handshake(server, certified.client)


async def test_a_renewed_certificate_is_loaded_while_calls_go_on(
    server: ServerProcess, certified: Certified
) -> None:
    before = await handshake(server, certified.client)
    playing = asyncio.create_task(hear(server, certified.client))
    await asyncio.sleep(0)
    renewed = certified.issue()
    await eventually(lambda: server.events("configuration reloaded"))
    assert await handshake(server, certified.client) == renewed != before
    assert await playing == SOUND


async def test_a_broken_certificate_is_not_loaded(server: ServerProcess, certified: Certified) -> None:
    before = await handshake(server, certified.client)
    (certified.directory / "server.pem").write_text("half a certificate")
    await eventually(lambda: server.events("configuration rejected"))
    assert await handshake(server, certified.client) == before
    renewed = certified.issue()
    await eventually(lambda: server.events("configuration reloaded"))
    assert await handshake(server, certified.client) == renewed


async def test_plain_http_on_the_tls_port_is_refused(server: ServerProcess, certified: Certified) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
    await close(writer)
    assert await hear(server, certified.client) == SOUND
    assert not [line for line in server.log if line["level"] in ("error", "critical")]


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        ("server.pem", "", "tls: certificate and key go together: one of them is missing"),
        ("none.pem", "server.key", "none.pem cannot be read: No such file or directory"),
        ("server.pem", "prompts", "prompts cannot be read: Is a directory"),
        ("server.key", "server.key", "are not a certificate and its key in PEM"),
        ("server.pem", "other.key", "is not the key of"),
    ],
)
def test_missing_certificate_files_are_reported_with_all_other_mistakes(
    certified: Certified, certificate: str, key: str, told: str
) -> None:
    folder = certified.directory
    certified.authority.issue_cert("other").private_key_pem.write_to_path(str(folder / "other.key"))
    files = f'certificate = "{folder / certificate}"\n' + (f'key = "{folder / key}"\n' if key else "")
    config = write_config(folder, f'[tls]\n{files}[paths."/a"]\nhandler = "playback"\nprompt = "nope"\n')
    server = launch(config, config.with_suffix(".log"))
    assert server.process.wait() == 2
    text = server.log_file.read_text()
    assert told in text
    assert 'no prompt "nope"' in text


def test_a_peer_cannot_renegotiate(certified: Certified) -> None:
    files = TlsSettings(
        certificate=str(certified.directory / "server.pem"), key=str(certified.directory / "server.key")
    )
    made, _ = tls.load(Settings(tls=files), "config.toml")
    assert made is not None
    assert made.context.options & ssl.OP_NO_RENEGOTIATION


def test_an_encrypted_key_is_a_mistake_and_no_passphrase_is_asked_for(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    issued = Certified(tmp_path).authority.issue_cert("127.0.0.1")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"pass")
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "locked.key").write_bytes(key.private_bytes(encoding, form, encryption))
    settings = TlsSettings(certificate=str(tmp_path / "server.pem"), key=str(tmp_path / "locked.key"))
    made, told = tls.load(Settings(tls=settings), "config.toml")
    assert made is None
    assert told == ["config.toml: tls: the key is encrypted: give one without a passphrase"]
