"""Which addresses a server listens on: a machine may have those of IPv4, of IPv6, or of both.

Pods of a cluster have addresses of the cluster's kind, and what probes them uses these. Its image
and settings are the same everywhere, so "every address" is worked out where the process runs.
"""

from __future__ import annotations

import socket

EVERYWHERE = "*"
IPV4, IPV6 = "0.0.0.0", "::"  # noqa: S104 - asked for by its own name


def addresses(host: str) -> tuple[str, ...]:
    """The addresses that a setting means, to be listened on one by one.

    Args:
        host: an address or a name, which stays as it is, or ``*``.
    """
    if host != EVERYWHERE:
        return (host,)
    # Also of a kernel without IPv6, which makes no such socket at all.
    return (IPV4, IPV6) if socket.has_dualstack_ipv6() else (IPV4,)
