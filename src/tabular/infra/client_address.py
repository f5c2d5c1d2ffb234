"""Which client a request is from: believed of our own proxies alone, and one number a network.

Whoever has IPv6 has at least a /64 of addresses, and could ask from a new one each time. So a
network of that size counts as one client.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

IPV6_PREFIX = 64
_WITH_PORT = re.compile(r"(?:\[([^\[\]]+)\]|([0-9.]+))(?::[0-9]{1,5})?\Z")


def client_address(peer: str, forwarded_for: str | None, trusted: Iterable[str]) -> str:
    """The address of the client behind proxies that we trust, and no further.

    ``X-Forwarded-For`` is read from its right end: each address was added by the one to its
    right, so the walk stops at the first that is not a trusted proxy. What a client wrote into
    the header itself stands left of that and is never believed.

    Args:
        peer: address of the connection.
        forwarded_for: the header, all its lines joined by commas.
        trusted: addresses or networks of our own proxies.
    """
    if forwarded_for is None:
        return peer
    networks = [ipaddress.ip_network(item, strict=False) for item in trusted]
    client = peer
    hops = [hop.strip() for hop in forwarded_for.split(",")]
    while hops and _inside(client, networks):
        candidate = _address(hops.pop())
        if candidate is None:
            break  # not an address: the last one that we could verify stands
        client = candidate
    return client


def counted_as(address: str) -> str:
    """What limits count an address by: itself, or the /64 that an IPv6 address is in."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), IPV6_PREFIX), strict=False))


def _address(text: str) -> str | None:
    """An address, which some proxies write with the port (Azure Application Gateway)."""
    form = _WITH_PORT.match(text)
    try:
        return str(ipaddress.ip_address(text if form is None else form[1] or form[2]))
    except ValueError:
        return None


def _inside(text: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
