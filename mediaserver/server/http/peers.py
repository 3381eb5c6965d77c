"""Who a peer is: the address it connects from, or what a proxy that we trust says of it."""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from mediaserver.config.fields import Networks

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Peer(NamedTuple):
    """A far end."""

    address: str  # without a port
    name: str  # for logs: with the port, where that is known
    direct: bool  # it is who connected, as far as we believe
    group: str  # whose streams are counted together: the address, of IPv6 the /64 that one customer has


def peer_of(peername: object, forwarded: Iterable[str], trusted: Networks) -> Peer:
    """The peer of a connection from `peername`, with the X-Forwarded-For headers of its request.

    Proxies add to the end of the list, and a client may have begun it as it liked: the last address that is not
    a trusted proxy's is the peer's.
    """
    host, port = peername[:2] if isinstance(peername, tuple) else ("?", 0)
    name = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    peer = _address(str(host))
    if peer is None:
        return Peer(str(host), name, True, str(host))
    direct = True
    hops = [hop.strip() for header in forwarded for hop in header.split(",")] if trusted else []
    while hops and any(peer in network for network in trusted):
        further = _address(hops.pop())
        if further is None:
            break  # no address: a proxy that we trust was told nonsense
        peer, name, direct = further, str(further), False
    return Peer(str(peer), name, direct, _group(peer))


def _address(text: str) -> Address | None:
    """An address as proxies write it, perhaps with a port; one of IPv4 in IPv6's clothes as what it is."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _group(address: Address) -> str:
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
