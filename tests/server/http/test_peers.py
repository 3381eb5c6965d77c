"""The peer of a connection, behind trusted proxies and behind others."""

import ipaddress

import pytest

from mediaserver.server.http.peers import Peer, resolve_peer

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.mark.parametrize(
    ("peername", "forwarded", "address", "name"),
    [
        (("203.0.113.7", 4711), [], "203.0.113.7", "203.0.113.7:4711"),
        (("2001:db8::1", 4711, 0, 0), [], "2001:db8::1", "[2001:db8::1]:4711"),
        (("::ffff:203.0.113.7", 4711, 0, 0), [], "203.0.113.7", "[::ffff:203.0.113.7]:4711"),
        (("203.0.113.7", 4711), ["198.51.100.1"], "203.0.113.7", "203.0.113.7:4711"),  # not trusted
        (("10.0.0.1", 4711), [], "10.0.0.1", "10.0.0.1:4711"),
        (("10.0.0.1", 4711), ["198.51.100.1"], "198.51.100.1", "198.51.100.1"),
        (("::ffff:10.0.0.1", 4711, 0, 0), ["198.51.100.1"], "198.51.100.1", "198.51.100.1"),
        (("10.0.0.1", 4711), ["192.0.2.9, 198.51.100.1"], "198.51.100.1", "198.51.100.1"),  # the first is a claim
        (("10.0.0.1", 4711), ["192.0.2.9", "198.51.100.1 , 10.0.0.2"], "198.51.100.1", "198.51.100.1"),
        (("10.0.0.1", 4711), ["198.51.100.1:1234"], "198.51.100.1", "198.51.100.1"),
        (("10.0.0.1", 4711), ["[2001:db8::1]:1234"], "2001:db8::1", "2001:db8::1"),
        (("10.0.0.1", 4711), ["198.51.100.1, unknown"], "10.0.0.1", "10.0.0.1:4711"),
        (("10.0.0.1", 4711), [""], "10.0.0.1", "10.0.0.1:4711"),
        (("10.0.0.1", 4711), ["10.0.0.3"], "10.0.0.3", "10.0.0.3"),
        (("::1", 4711, 0, 0), ["198.51.100.1"], "198.51.100.1", "198.51.100.1"),
        (None, ["198.51.100.1"], "?", "?:0"),
    ],
)
def test_the_peer(peername: object, forwarded: list[str], address: str, name: str) -> None:
    peer = resolve_peer(peername, forwarded, PROXIES)
    assert (peer.address, peer.name) == (address, name)


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    assert resolve_peer(("10.0.0.1", 1), ["198.51.100.1"], ()) == Peer("10.0.0.1", "10.0.0.1:1", True, "10.0.0.1")


def test_streams_are_limited_by_ipv4_address_and_by_ipv6_64() -> None:
    assert resolve_peer(("2001:db8:1:2:3::4", 1), [], ()).limit_key == "2001:db8:1:2::/64"
    assert resolve_peer(("203.0.113.7", 1), [], ()).limit_key == "203.0.113.7"
