"""What may be done, as scopes, and the four roles that stand for sets of them.

Routes ask for scopes and for nothing else, so a new role never changes a route. Roles exist
because directories and identity providers know groups of people, not our routes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tabular.errors import ConfigError, InputError, nearest

ADMIN = "admin"
SCOPES = {
    ADMIN: "everything, keys included",
    "datasets:read": "list, preview and profile datasets",
    "datasets:write": "upload and delete datasets",
    "models:read": "list models",
    "models:write": "fit and delete models",
    "generate": "generate rows and download them",
    "evaluate": "evaluate generated rows and read reports",
    "jobs:read": "list and follow jobs",
    "jobs:write": "cancel jobs",
}
_WORK = ("datasets:write", "models:write", "generate", "evaluate")
ROLES: Mapping[str, tuple[str, ...]] = {
    "admin": (ADMIN,),
    "operator": (*_WORK, "jobs:write"),
    "user": (*_WORK, "jobs:read"),
    "viewer": ("datasets:read", "models:read", "jobs:read"),
}


def holds(held: Collection[str], scope: str) -> bool:
    """Whether `scope` is among `held`; ``admin`` holds all, ``x:write`` holds ``x:read``."""
    resource, _, action = scope.partition(":")
    return scope in held or ADMIN in held or (action == "read" and f"{resource}:write" in held)


def scopes_of(roles: Iterable[str]) -> frozenset[str]:
    """The scopes of all these roles together."""
    return frozenset(scope for role in roles for scope in ROLES[role])


def check_scopes(scopes: Collection[str]) -> tuple[str, ...]:
    """The scopes in the order they are documented, each once.

    Raises:
        InputError: none, or an unknown one.
    """
    known = ", ".join(SCOPES)
    for scope in scopes:
        if scope not in SCOPES:
            raise InputError(
                f"unknown scope {scope[:40]!r}", hint=nearest(scope, SCOPES) + "known: " + known
            )
    if not scopes:
        raise InputError("a key needs at least one scope, or a role", hint="known: " + known)
    return tuple(scope for scope in SCOPES if scope in scopes)


def check_role(role: str) -> str:
    """The role.

    Raises:
        InputError: unknown.
    """
    if role not in ROLES:
        raise InputError(
            f"unknown role {role[:40]!r}",
            hint=nearest(role, ROLES) + "known: " + ", ".join(ROLES),
        )
    return role


def parse_role_map(text: str, separator: str) -> dict[str, str]:
    """Which role each group or claim value gives, from ``VALUE=ROLE`` entries.

    Args:
        text: the entries; a value may hold ``=`` (names of directories do), a role does not.
        separator: what stands between entries.

    Raises:
        ConfigError: an entry without a role, an unknown role, or one value twice.
    """
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(separator))):
        value, equals, role = entry.rpartition("=")
        value, role = value.strip(), role.strip()
        if not equals or not value:
            raise ConfigError(f"{entry!r} is not VALUE=ROLE")
        try:
            check_role(role)
        except InputError as error:
            raise ConfigError(error.message, hint=error.hint) from error
        if value.casefold() in found:
            raise ConfigError(f"{value!r} is given a role twice")
        found[value.casefold()] = role
    return found
