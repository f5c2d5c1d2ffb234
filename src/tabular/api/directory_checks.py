"""A directory as the service meets it: each server, where people and groups are, one person.

Whether it is set up right is found out before the first person is refused, and by who can mend it.
No password but the service's own is needed.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from tabular.deploy.provider import Check
from tabular.errors import ConfigError, ForbiddenError, TabularError, UnavailableError
from tabular.infra.auth.directory import Directory, DirectorySettings, plain_dn
from tabular.infra.auth.ldap_connection import LdapConnection, Link
from tabular.infra.auth.ldap_filters import everything, filled, parse_filter

SOON = timedelta(days=14)  # as the alarm TabularCertificateEnds
_SHOWN = 20  # groups of a person
_NAMED = "(cn={name})"
_HINTS = {
    "user.unknown": "TABULAR_LDAP_USER_BASE and TABULAR_LDAP_USER_FILTER say who is found",
    "user.ambiguous": "more than one is found: a narrower TABULAR_LDAP_USER_BASE or _USER_FILTER",
    "user.disabled": "the directory has this account disabled",
    "user.no-role": "TABULAR_LDAP_ROLE_MAP gives a role to none of these groups",
}

Password = Callable[[bool], str]


def directory_checks(
    settings: DirectorySettings, password: Password, user: str | None = None
) -> Iterator[Check]:
    """Ask a directory all that a sign-in would.

    Args:
        settings: where people and groups are.
        password: gives the service's own; True when the one before was refused.
        user: somebody to look up.
    """
    first: Link | None = None
    refused = False
    for link in settings.links:
        # A directory may lock an account that comes with a wrong password to each of its servers.
        answer, check = _server(link, settings.bind_dn, None if refused else password)
        refused = refused or answer is False
        first = link if first is None and answer else first
        yield check
    if first is None:
        return
    connection = LdapConnection(first)
    try:
        connection.bind(settings.bind_dn, password(False))
        yield _people(connection, settings)
        yield _groups(connection, settings)
    except UnavailableError as error:
        hint = "may TABULAR_LDAP_BIND_DN search there?"
        yield Check("directory search", False, worded(error), hint)
    finally:
        connection.close()
    if user is not None:
        yield _person(settings, password, user)


def _server(link: Link, bind_dn: str, password: Password | None) -> tuple[bool | None, Check]:
    """Whether a server knows the service (None if it cannot say), and what is to be said of it.

    Args:
        link: to it.
        bind_dn: the service's own name.
        password: of it; None if another server refused it.
    """
    name = f"directory {link.url}"
    try:
        connection = LdapConnection(link)
    except TabularError as error:
        return None, Check(name, False, error.message, _why(error))
    try:
        known = None if password is None else connection.bind(bind_dn, password(False))
        ends = connection.ends
    except TabularError as error:
        return None, Check(name, False, error.message, error.hint or "")
    finally:
        connection.close()
    if not known:
        who = "it refuses" if password is not None else "it answers; another server refuses"
        hint = (
            "TABULAR_LDAP_BIND_DN, and the secret that has its password; on Kubernetes "
            "ldap.bindDn and ldap.existingSecret"
        )
        return known, Check(name, False, f"{who} the name or password of {bind_dn}", hint)
    said = f"it knows {bind_dn}"
    if ends is None:
        return True, Check(name, True, said)
    said += f"; its certificate is trusted and ends on {ends:%Y-%m-%d}"
    lasts = ends - datetime.now(UTC) > SOON
    return True, Check(name, lasts, said, "soon: whoever runs it renews it")


def _why(error: TabularError) -> str:
    """What to do about a server that there is no talking to."""
    cause = error.__cause__
    if isinstance(error, ConfigError):
        return error.hint or ""
    if isinstance(cause, ssl.SSLCertVerificationError):
        if "expired" in cause.verify_message:
            return "whoever runs it renews its certificate"
        if "mismatch" in cause.verify_message or "not valid for" in cause.verify_message:
            return "call it in TABULAR_LDAP_URL as its certificate does"
        return (
            "its authority must be known: TABULAR_LDAP_CA_FILE; on Kubernetes "
            "spec.security.ca_bundle"
        )
    if isinstance(cause, socket.gaierror):
        return "is the name right, and known where the service runs (DNS)?"
    return (
        "is it reachable from where the service runs: firewalls; on Kubernetes network policies "
        "(networkPolicy.externalCidrs)?"
    )


def _people(connection: LdapConnection, settings: DirectorySettings) -> Check:
    name, base = "directory people", settings.user_base
    if not _is_there(connection, base):
        hint = "TABULAR_LDAP_USER_BASE; on Kubernetes ldap.userBase"
        return _unseen(name, base, settings, hint)
    return Check(name, True, f"looked for in {base} by {settings.user_filter}")


def _groups(connection: LdapConnection, settings: DirectorySettings) -> Check:
    """The base of groups, and each group that gives a role."""
    name, base = "directory groups", settings.group_base
    if not _is_there(connection, base):
        hint = "TABULAR_LDAP_GROUP_BASE; on Kubernetes ldap.groupBase"
        return _unseen(name, base, settings, hint)
    found = {group: _places(connection, base, group) for group in settings.role_map}
    gone = [group for group, places in found.items() if not places]
    many = [group for group, places in found.items() if len(places) > 1]
    if gone:
        return Check(
            name,
            False,
            f"not found in {base}: {'; '.join(gone)}",
            "TABULAR_LDAP_ROLE_MAP names groups by their DN or cn; on Kubernetes ldap.roleMap",
        )
    if many:
        return Check(
            name,
            False,
            f"several groups below {base} are called {'; '.join(many)}, and all give the role",
            "name the one by its DN in TABULAR_LDAP_ROLE_MAP; on Kubernetes ldap.roleMap",
        )
    return Check(name, True, f"in {base}; each of the {len(found)} that give a role is there")


def _is_there(connection: LdapConnection, base: str) -> bool:
    return bool(connection.search(base, everything(), ["objectClass"], base_only=True))


def _unseen(name: str, base: str, settings: DirectorySettings, hint: str) -> Check:
    return Check(name, False, f"there is no {base}, or {settings.bind_dn} may not see it", hint)


def _places(connection: LdapConnection, base: str, group: str) -> list[str]:
    """The DNs that a group of the role map means."""
    if "=" in group:
        found = connection.search(group, everything(), ["cn"], base_only=True)
        # Elsewhere it would be found here, and never be a group of anybody's.
        return [one.dn for one in found if plain_dn(one.dn).endswith(plain_dn(base))]
    wanted = filled(parse_filter(_NAMED, ("name",)), {"name": group})
    return [one.dn for one in connection.search(base, wanted, ["cn"], limit=2)]


def _person(settings: DirectorySettings, password: Password, user: str) -> Check:
    """Somebody as a sign-in would find them."""
    name = f"user {user}"
    directory = Directory(settings, password)
    try:
        person = directory.look_up(user)
    except ForbiddenError as error:
        groups = _listed(directory.memberships(user))
        return Check(name, False, f"has no role; groups: {groups}", _HINTS[str(error.reason)])
    except TabularError as error:
        reason = getattr(error, "reason", error.code)
        return Check(name, False, f"{error.message} ({reason})", _HINTS.get(str(reason), ""))
    finally:
        directory.close()
    roles = ", ".join(person.roles)
    return Check(name, True, f"would be {roles}; groups: {_listed(person.groups)}")


def _listed(groups: Sequence[str]) -> str:
    more = f" and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
    return "; ".join(groups[:_SHOWN]) + more or "none"


def worded(error: TabularError) -> str:
    """An error in one line, without its hint."""
    return f"{error.where}: {error.message}" if error.where else error.message
