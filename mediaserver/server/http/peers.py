"""The peer of a connection: the address that connects, or the address that a trusted proxy names instead."""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from mediaserver.config.fields import Networks

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Peer(NamedTuple):
    """The far end of a connection."""

    address: str  # the peer's IP address, without a port
    name: str  # the address for logs, with the port if it is known
    is_direct: bool  # False if a trusted proxy connected for the peer
    limit_key: str  # limits of streams per peer count streams by this: an IPv4 address, or a customer's IPv6 /64


def resolve_peer(peername: object, forwarded: Iterable[str], trusted: Networks) -> Peer:
    """The peer of a connection, from asyncio's `peername` and the request's X-Forwarded-For headers (`forwarded`).

    Each proxy appends the address that connected to it, but the client itself may have sent a list of any
    addresses. Therefore, the peer is the last address that is not a trusted proxy's.
    """
    host, port = peername[:2] if isinstance(peername, tuple) else ("?", 0)
    name = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    address = _parse_address(str(host))
    if address is None:
        return Peer(str(host), name, True, str(host))
    is_direct = True
    hops = [hop.strip() for header in forwarded for hop in header.split(",")] if trusted else []
    while hops and any(address in network for network in trusted):
        further = _parse_address(hops.pop())
        if further is None:
            break  # a trusted proxy passed on text that is no address
        address, name, is_direct = further, str(further), False
    return Peer(str(address), name, is_direct, _limit_key(address))


def _parse_address(text: str) -> Address | None:
    """An IP address as proxies write it, perhaps with a port. IPv4-mapped IPv6 addresses become IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _limit_key(address: Address) -> str:
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
