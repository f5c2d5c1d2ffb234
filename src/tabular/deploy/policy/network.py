"""Who is let in where, read from any vendor's properties.

A compiler says it in `Stack.openings`. Properties are read as well, because a user's own override
can open what no compiler meant to. Vendors write a rule in many shapes (one address, a list, the
ports beside it or around it), so this goes by the words of the keys, and where no port is said it
takes the rule for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

from tabular.deploy.stack import Opening, Resource

EVERYBODY = frozenset({"*", "any", "internet"})
_PEER = frozenset({"address", "cidr", "from", "peer", "source"})
_NO_PEER = frozenset({"port", "protocol"})
_OUT = frozenset({"destination", "egress", "outbound", "route"})
_SETTLES = ("direction", "access", "action")  # what makes a rule none that lets somebody in
_LETS_NOBODY_IN = frozenset({"egress", "outbound", "deny", "block"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True, slots=True)
class Found:
    """An opening in the properties of a resource, and the key where it stands."""

    path: str
    opening: Opening


def is_world(peers: Collection[str]) -> bool:
    """Whether these peers together are everybody: also written as two halves of it."""
    if any(peer.lower() in EVERYBODY for peer in peers):
        return True
    blocks = [block for peer in peers if (block := _block(peer)) is not None]
    old = collapse_addresses(block for block in blocks if isinstance(block, IPv4Network))
    new = collapse_addresses(block for block in blocks if isinstance(block, IPv6Network))
    return any(block.prefixlen == 0 for block in old) or any(b.prefixlen == 0 for b in new)


def port_numbers(ports: Iterable[str]) -> frozenset[int] | None:
    """The ports; None for all of them, for ranges, and for what cannot be read."""
    found: set[int] = set()
    for port in ports:
        first, _, last = str(port).partition("-")
        if not first.strip().isdecimal() or (last or first).strip() != first.strip():
            return None
        found.add(int(first))
    return frozenset(found) if found else None


def openings(resource: Resource) -> Iterator[Found]:
    """What a resource's properties let in."""
    kind = _words(resource.type)
    if "ingress" in kind or not kind & _OUT:
        yield from _read(resource.id, resource.properties, "", ())


def _read(
    resource: str, value: Mapping[str, Any], path: str, ports: tuple[str, ...]
) -> Iterator[Found]:
    """Openings below a block; ``ports`` are those said around it."""
    if any(str(value.get(key, "")).lower() in _LETS_NOBODY_IN for key in _keys(value, _SETTLES)):
        return
    said = _ports(value)
    here = said or ports
    for key, item in value.items():
        words, below = _words(str(key)), f"{path}.{key}".lstrip(".")
        if words & _OUT:
            continue
        peers = [leaf for leaf in _leaves(item) if isinstance(leaf, str)]
        of_peers = bool(words & _PEER) and not words & _NO_PEER
        named = peers if of_peers else [peer for peer in peers if _block(peer) is not None]
        if named and not isinstance(item, Mapping):
            yield Found(below, Opening(resource, tuple(named), here))
        if isinstance(item, Mapping):
            yield from _read(resource, item, below, here if not _is_rule_list(item) else ())
        elif isinstance(item, list | tuple):
            for index, one in enumerate(item):
                if isinstance(one, Mapping):
                    # Ports around a list of peers are theirs; around a list of rules they are not.
                    around = here if of_peers else ()
                    yield from _read(resource, one, f"{below}[{index}]", around)


def _is_rule_list(value: Mapping[str, Any]) -> bool:
    """Whether a block is held by names of rules and not by keys: then nothing is inherited."""
    return bool(value) and all(isinstance(item, Mapping) for item in value.values())


def _leaves(value: Any) -> Iterator[Any]:
    """A scalar, or the scalars of a list."""
    if isinstance(value, list | tuple):
        yield from (item for item in value if not isinstance(item, Mapping | list | tuple))
    elif not isinstance(value, Mapping):
        yield value


def _ports(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Ports said in a block, also in a list of protocols beside the addresses."""
    found: list[str] = []
    for key, item in value.items():
        words = _words(str(key))
        if "port" in words and "source" not in words:
            found += [str(leaf) for leaf in _leaves(item)]
        if isinstance(item, list | tuple) and not words & _PEER:
            blocks = [one for one in item if isinstance(one, Mapping)]
            if "port" in words or words & {"allowed", "allow", "rule"}:
                found += [port for one in blocks for port in _ports(one) or ("*",)]
    return tuple(found)


def _keys(value: Mapping[str, Any], wanted: Iterable[str]) -> list[str]:
    return [key for key in value if str(key).lower() in wanted]


def _block(text: str) -> IPv4Network | IPv6Network | None:
    if "/" not in text:
        return None
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _words(key: str) -> set[str]:
    """The words of a key in any style, in the singular: ``sourceRanges`` is source and range."""
    found = {word.lower() for word in _WORD.findall(key)}
    return (
        found | {word.removesuffix("es") for word in found} | {w.removesuffix("s") for w in found}
    )
