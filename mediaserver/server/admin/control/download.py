"""Downloads sound files from the servers that the configuration lists, within limits of time, size and place.

A client of the admin port can thus make this server ask the listed servers, and no others: neither by a redirect,
nor by a name that stands for a private address. An error names only the host, because the rest of a URL may hold a
token.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from mediaserver import __version__
from mediaserver.config.fields import Network
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.webhook_client import describe_http_error
from mediaserver.support.http_connector import Connector
from mediaserver.support.urls import is_unsafe_segment

MAX_BYTES = 16 * 1024 * 1024
TIMEOUT = 10.0  # the most seconds that the download of a file may take, with all redirects
_MAX_REDIRECTS = 3
_AT_ONCE = 4  # the most downloads at the same time; others wait, for at most `TIMEOUT`


class _Resolver(AbstractResolver):
    """Resolves host names, but only to public addresses, and to those in `networks`."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks, self._resolver = networks, aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host; OSError if it has none to which a connection may be made."""
        found = await self._resolver.resolve(host, port, family)
        admitted = [each for each in found if self._admits(each["host"])]
        if not admitted:
            address = found[0]["host"] if found else "none"
            raise OSError(None, f"its address is {address}: admin.play_from_networks has to list private ones")
        return admitted

    def _admits(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address.partition("%")[0])
        return parsed.is_global or any(parsed in network for network in self._networks)

    async def close(self) -> None:
        """Release the resolver."""
        await self._resolver.close()


class Downloader:
    """Downloads files of at most `max_bytes` within `timeout` seconds."""

    def __init__(self, max_bytes: int = MAX_BYTES, timeout: float = TIMEOUT) -> None:
        self._max_bytes, self._timeout = max_bytes, timeout
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def download(self, text: str, prefixes: Sequence[str], networks: Sequence[Network]) -> bytes:
        """Download the file at a URL that begins with one of `prefixes`.

        If the URL has the host's IP address, any address is allowed. If it has the host's name, this must stand
        for a public address, or one in `networks`. RefusedError: 403 for another URL, 502 if the file does not
        come, is too large, or takes too long.
        """
        url, status = _listed(text, prefixes), None
        try:
            async with asyncio.timeout(self._timeout), self._slots, _client(networks) as client:
                for _ in range(_MAX_REDIRECTS + 1):
                    async with client.get(url, allow_redirects=False) as answer:
                        status = answer.status
                        location = answer.headers.get("Location")
                        if answer.status not in (301, 302, 303, 307, 308) or location is None:
                            return await self._read(answer)
                    url = _listed(str(url.join(URL(location))), prefixes)
        except TimeoutError:
            raise _failed(url, f"no file within {self._timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The cause is left out, because its message has the whole URL.
            raise _failed(url, describe_http_error(error, status)) from None
        raise _failed(url, f"more than {_MAX_REDIRECTS} redirects")

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        if answer.status != 200:
            raise _failed(answer.url, f"HTTP status {answer.status}")
        body = bytearray()
        async for chunk in answer.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > self._max_bytes:
                raise _failed(answer.url, f"the file is larger than {self._max_bytes / 1024 / 1024:g} MB")
        return bytes(body)


def is_listed(url: URL, prefix: URL) -> bool:
    """Whether a URL begins with another one: the same server, and a path within its path."""
    return (
        (url.scheme, url.raw_host, url.port) == (prefix.scheme, prefix.raw_host, prefix.port)
        and url.raw_path.startswith(prefix.raw_path)
        and url.user is None
        and not any(map(is_unsafe_segment, url.raw_path[1:].split("/")))
    )


def _listed(text: str, prefixes: Sequence[str]) -> URL:
    """Parse a URL that begins with one of `prefixes`; RefusedError 403 for any other URL."""
    try:
        url = URL(text)
        if any(is_listed(url, URL(prefix)) for prefix in prefixes):
            return url
    except ValueError:
        url = URL()
    raise RefusedError(
        RefusalReason.UNLISTED_URL, f"{url.host or 'url'}: no entry of admin.play_from has this URL"
    )


def _client(networks: Sequence[Network]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=Connector(resolver=_Resolver(networks), use_dns_cache=False, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        # No compression: a small file could unpack to gigabytes.
        headers={"User-Agent": f"mediaserver/{__version__}", "Accept-Encoding": "identity"},
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )


def _failed(url: URL, why: str) -> RefusedError:
    return RefusedError(RefusalReason.NO_SOUND, f"{url.host}: {why}")
