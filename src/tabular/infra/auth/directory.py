"""People of an LDAP directory or Active Directory: are they who they say, and in which groups.

The service looks a person up under its own name, then binds as that person with the password
given. Groups are followed through groups: by Active Directory itself, where it is one, and
level by level elsewhere, up to a bound and never round in a circle.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tabular.errors import ForbiddenError, UnauthenticatedError
from tabular.infra.auth.ldap_connection import (
    REFUSED_PERSON,
    Entry,
    LdapConnection,
    Link,
    check_link,
)
from tabular.infra.auth.ldap_filters import (
    any_of,
    everything,
    filled,
    member_in_chain,
    parse_filter,
)
from tabular.infra.auth.ldap_pool import LdapPool
from tabular.infra.auth.oidc import mapped
from tabular.infra.auth.principal import Principal, person

MAX_USERNAME = 200
MAX_PASSWORD = 1024
MAX_DEPTH = 10
MAX_GROUPS = 500
ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"
DISABLED_BIT = 0x2  # userAccountControl: ADS_UF_ACCOUNTDISABLE
LOCKED_FOR_EVER = "000001010000Z"  # pwdAccountLockedTime, draft-behera-ldap-password-policy

_BETWEEN = re.compile(r"(?<!\\)\s*(?<!\\)([,;=+])\s*")  # none that is escaped
_OF_USER = ("cn", "displayName", "uid", "sAMAccountName", "entryUUID", "objectGUID")
_OF_STATE = ("userAccountControl", "pwdAccountLockedTime", "nsAccountLock")


@dataclass(frozen=True)
class DirectorySettings:
    """Where people and groups are.

    Attributes:
        links: the servers, the first is preferred.
        bind_dn: the service's own name.
        user_base, user_filter: where and how a ``{username}`` is found.
        group_base, group_filter: the same of the groups of a ``{dn}`` or ``{username}``; no
            base for no groups.
        role_map: our role for a group's DN or cn, by `str.casefold`.
    """

    links: tuple[Link, ...]
    bind_dn: str
    user_base: str
    user_filter: str = "(uid={username})"
    group_base: str = ""
    group_filter: str = "(|(member={dn})(uniqueMember={dn}))"
    role_map: Mapping[str, str] = field(default_factory=dict)


class Directory:
    """Checks passwords. Safe to use from several threads.

    Args:
        settings: where people and groups are.
        password: gives the service's own password; True when the one before was refused.

    Raises:
        ConfigError: a URL, a filter, or the ``ldap`` extra that is not installed.
    """

    def __init__(self, settings: DirectorySettings, password: Callable[[bool], str]) -> None:
        self._settings = settings
        self._user_filter = parse_filter(settings.user_filter, ("username",))
        self._group_filter = parse_filter(settings.group_filter, ("dn", "username"))
        self._roles = {plain_dn(name): role for name, role in settings.role_map.items()}
        links = [check_link(link) for link in settings.links]
        self._pool = LdapPool(links, settings.bind_dn, password)
        self._is_active_directory: bool | None = None
        self._lock = threading.Lock()

    def authenticate(
        self,
        username: str,
        password: str,
        found: Callable[[str], None] = lambda lasting_id: None,
    ) -> Principal:
        """Who this is.

        Args:
            username: as typed.
            password: as typed.
            found: called before the password is tried, with what the account is called for
                ever; what it raises ends the sign-in. For a name that nobody has, with that.

        Raises:
            UnauthenticatedError: unknown, disabled, or another password; the answer does not
                say which.
            ForbiddenError: it is that person, and none of the groups gives a role.
            UnavailableError: no server answers.
        """
        if not password or len(password) > MAX_PASSWORD:
            raise _wrong("password.empty" if not password else "password.long")
        entries = self._found(username)
        entry = entries[0] if len(entries) == 1 else None
        # The same questions are asked for a name that nobody has, and take as long.
        found(f"name:{username}" if entry is None else _lasting_id(entry))
        dn = self._nobody() if entry is None else entry.dn
        right = self._is_password(dn, secrets.token_hex(16) if entry is None else password)
        if entry is None:
            raise _wrong("user.ambiguous" if entries else "user.unknown")
        if not right:
            raise _wrong("user.disabled" if _is_disabled(entry) else "password.wrong")
        return self._principal(entry, username)

    def look_up(self, username: str) -> Principal:
        """Who has this name, without a password: to try the settings.

        Raises:
            UnauthenticatedError: nobody, more than one, or disabled.
            ForbiddenError: no role.
            UnavailableError: no server answers.
        """
        return self._principal(self._only(username), username)

    def memberships(self, username: str) -> list[str]:
        """The groups of who has this name, through groups too, whether they give a role or not.

        Raises:
            UnauthenticatedError: nobody, or more than one.
            UnavailableError: no server answers.
        """
        return [group.dn for group in self._groups(self._only(username).dn, username)]

    def close(self) -> None:
        """Hang up."""
        self._pool.close()

    def _found(self, username: str) -> list[Entry]:
        if not 0 < len(username) <= MAX_USERNAME or not username.isprintable():
            raise _wrong("user.malformed")
        wanted = filled(self._user_filter, {"username": username})
        base, attributes = self._settings.user_base, (*_OF_USER, *_OF_STATE)
        return self._pool.ask(lambda to: to.search(base, wanted, attributes, limit=2))

    def _only(self, username: str) -> Entry:
        found = self._found(username)
        if len(found) != 1:
            raise _wrong("user.ambiguous" if found else "user.unknown")
        return found[0]

    def _nobody(self) -> str:
        return f"cn={secrets.token_hex(16)},{self._settings.user_base}"

    def _is_password(self, dn: str, password: str) -> bool:
        connection = self._pool.connect()
        try:
            return connection.bind(dn, password, refused=REFUSED_PERSON)
        finally:
            connection.close()

    def _principal(self, entry: Entry, username: str) -> Principal:
        if _is_disabled(entry):
            raise _wrong("user.disabled")
        groups = self._groups(entry.dn, username)
        names = [group.dn for group in groups]
        names += [name for group in groups for name in group.texts("cn")]
        roles = mapped([plain_dn(name) for name in names], self._roles)
        if not roles:
            raise ForbiddenError(
                "no group of yours gives you a role here",
                hint="ask an administrator: TABULAR_LDAP_ROLE_MAP names the groups",
                reason="user.no-role",
            )
        shown = entry.texts("uid") or entry.texts("sAMAccountName") or [username]
        return person(
            "directory",
            _lasting_id(entry),
            shown[0][:200],
            roles=roles,
            groups=[group.dn for group in groups],
            via="session",
        )

    def _groups(self, dn: str, username: str) -> list[Entry]:
        if not self._settings.group_base:
            return []

        def ask(connection: LdapConnection) -> list[Entry]:
            if self._active_directory(connection):
                wanted = member_in_chain(dn)
                return connection.search(
                    self._settings.group_base, wanted, ["cn"], limit=MAX_GROUPS
                )
            return self._followed(connection, dn, username)

        return self._pool.ask(ask)

    def _followed(self, connection: LdapConnection, dn: str, username: str) -> list[Entry]:
        """Groups of a person, groups of those groups, and so on."""
        known: dict[str, Entry] = {}
        wanted = [filled(self._group_filter, {"dn": dn, "username": username})]
        for _ in range(MAX_DEPTH):
            level = connection.search(
                self._settings.group_base, any_of(wanted), ["cn"], limit=MAX_GROUPS
            )
            new = [entry for entry in level if entry.dn.casefold() not in known]
            known.update((entry.dn.casefold(), entry) for entry in new)
            if not new or len(known) >= MAX_GROUPS:
                break
            # A group is a member by its DN alone: its name may be that of a person.
            wanted = [filled(self._group_filter, {"dn": g.dn, "username": ""}) for g in new]
        return list(known.values())[:MAX_GROUPS]

    def _active_directory(self, connection: LdapConnection) -> bool:
        with self._lock:
            known = self._is_active_directory
        if known is None:
            root = connection.search("", everything(), ["supportedCapabilities"], base_only=True)
            known = any(ACTIVE_DIRECTORY in entry.texts("supportedCapabilities") for entry in root)
            with self._lock:
                self._is_active_directory = known
        return known


def plain_dn(name: str) -> str:
    """A DN without what means nothing in it, so that two ways to write it are equal.

    That is the case, and spaces beside the signs between its parts (RFC 4514, RFC 2253).
    """
    return _BETWEEN.sub(r"\1", name.strip()).casefold()


def _is_disabled(entry: Entry) -> bool:
    flags = [int(text) for text in entry.texts("userAccountControl") if text.lstrip("-").isdigit()]
    return (
        any(flag & DISABLED_BIT for flag in flags)
        or LOCKED_FOR_EVER in entry.texts("pwdAccountLockedTime")
        or "true" in [text.lower() for text in entry.texts("nsAccountLock")]
    )


def _lasting_id(entry: Entry) -> str:
    """What stays when the person is renamed or moved; the DN where the server has no such id."""
    for name in ("entryuuid", "objectguid"):
        for value in entry.attributes.get(name, ()):
            return f"{name}:{value.hex()}"
    return f"dn:{entry.dn.casefold()}"


def _wrong(reason: str) -> UnauthenticatedError:
    return UnauthenticatedError("the name or the password is not right", reason=reason)
