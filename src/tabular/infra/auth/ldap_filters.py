"""Search filters from settings, with names put into the parsed tree and never into the text.

``(uid={username})`` is parsed first; then the value of each comparison that holds the
placeholder gets the name, bracket, star, backslash and all. There is nothing to escape, and
so nothing to forget.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tabular.errors import ConfigError
from tabular.infra.auth.ldap_connection import library

if TYPE_CHECKING:
    import sansldap

IN_CHAIN = "1.2.840.113556.1.4.1941"  # Active Directory: members of members as well


def parse_filter(text: str, placeholders: Collection[str]) -> sansldap.LDAPFilter:
    """A filter of RFC 4515 that has at least one of the placeholders.

    Raises:
        ConfigError: it cannot be read, or would find the same for everybody.
    """
    try:
        parsed: sansldap.LDAPFilter = library().LDAPFilter.from_string(text)
    except ValueError as error:
        raise ConfigError(
            f"not a search filter: {text!r}", hint="write such as (uid={username})"
        ) from error
    if not any(_mentions(parsed, f"{{{name}}}".encode()) for name in placeholders):
        names = " or ".join(f"{{{name}}}" for name in placeholders)
        raise ConfigError(f"the search filter {text!r} names nobody", hint=f"put {names} into it")
    return parsed


def filled(template: sansldap.LDAPFilter, values: Mapping[str, str]) -> sansldap.LDAPFilter:
    """The filter with each placeholder replaced by a value, taken as it is."""
    known = {f"{{{name}}}".encode(): value.encode() for name, value in values.items()}
    result: sansldap.LDAPFilter = _filled(template, known)
    return result


def any_of(filters: Sequence[sansldap.LDAPFilter]) -> sansldap.LDAPFilter:
    """One filter that finds what any of these does."""
    result: sansldap.LDAPFilter = library().FilterOr(filters=list(filters))
    return filters[0] if len(filters) == 1 else result


def everything() -> sansldap.LDAPFilter:
    """What every object fulfils."""
    result: sansldap.LDAPFilter = library().FilterPresent(attribute="objectClass")
    return result


def member_in_chain(dn: str) -> sansldap.LDAPFilter:
    """Groups that `dn` is in, through other groups too, as Active Directory finds them."""
    result: sansldap.LDAPFilter = library().FilterExtensibleMatch(
        rule=IN_CHAIN, attribute="member", value=dn.encode(), dn_attributes=False
    )
    return result


def _filled(part: Any, values: Mapping[bytes, bytes]) -> Any:
    if isinstance(part, bytes):
        pieces = [part]
        for placeholder, value in values.items():  # a value is not searched for placeholders
            pieces = _spliced(pieces, placeholder, value)
        return b"".join(pieces)
    if isinstance(part, list):
        return [_filled(item, values) for item in part]
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        changed = {
            field.name: _filled(getattr(part, field.name), values)
            for field in dataclasses.fields(part)
            if field.init
        }
        return dataclasses.replace(part, **changed)
    return part


class _Done(bytes):
    """A part of a value that has been put in."""


def _spliced(pieces: Sequence[bytes], placeholder: bytes, value: bytes) -> list[bytes]:
    found: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, _Done):
            found.append(piece)
            continue
        head, *tails = piece.split(placeholder)
        found.append(head)
        for tail in tails:
            found += [_Done(value), tail]
    return found


def _mentions(part: Any, placeholder: bytes) -> bool:
    if isinstance(part, bytes):
        return placeholder in part
    if isinstance(part, list):
        return any(_mentions(item, placeholder) for item in part)
    if dataclasses.is_dataclass(part):
        return any(_mentions(getattr(part, f.name), placeholder) for f in dataclasses.fields(part))
    return False
