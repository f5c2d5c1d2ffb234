"""Names, versions and classes that RDS takes, so that a mistake is told before an hour of waiting.

Whether a version or a class is sold in a region is asked of the region by a preview, not here.
Source: the user guide of RDS, "Settings for DB instances" and the naming constraints there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.errors import UnsupportedError, UsageError

DEFAULT_NAME = "tabular"
_CLASS = re.compile(r"db\.[a-z]+[0-9][a-z0-9-]*\.[a-z0-9]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Those that people think of; RDS itself refuses the rest of each engine's reserved words.
_RESERVED = frozenset(
    {"all", "and", "any", "column", "create", "default", "false", "group", "into", "limit",
     "null", "order", "primary", "rdsadmin", "rdsrepladmin", "select", "table", "true", "user",
     "where", "with"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Engine:
    """What differs between the engines.

    Attributes:
        version: that is used if none is named.
        shape: of a version; group 1 is what its parameters belong to.
        family: of parameters, before that.
        longest_owner: characters of the owner's name.
        longest_name: characters of a database's name.
        reserved: names that only this engine refuses.
        tls: parameters that let nobody in without TLS.
        logs: that RDS hands on to CloudWatch.
    """

    version: str
    shape: re.Pattern[str]
    family: str
    longest_owner: int
    longest_name: int
    reserved: frozenset[str]
    tls: dict[str, str]
    logs: tuple[str, ...]


ENGINES = {
    "postgres": Engine(
        version="17",
        shape=re.compile(r"([1-9][0-9])(?:\.[0-9]{1,2})?(?:-[rR][0-9]{1,2})?"),
        family="postgres",
        longest_owner=63,
        longest_name=63,
        reserved=frozenset({"admin", "rds_superuser", "rds_replication", "public"}),
        tls={"rds.force_ssl": "1"},
        logs=("postgresql", "upgrade"),
    ),
    "mysql": Engine(
        version="8.4",
        shape=re.compile(r"([5-9]\.[0-9])(?:\.[0-9]{1,2})?"),
        family="mysql",
        longest_owner=16,
        longest_name=64,
        reserved=frozenset({"mysql", "sys", "information_schema", "performance_schema"}),
        tls={"require_secure_transport": "1"},
        logs=("error", "slowquery"),
    ),
}


def version(wanted: Wanted, engine: str) -> str:
    """The version as it is named.

    Raises:
        UsageError: the engine never has one like it.
    """
    said = wanted.spec.database.version
    if said is None:
        return ENGINES[engine].version
    if not ENGINES[engine].shape.fullmatch(said):
        raise UsageError(
            f"{said!r} is no version of {engine}",
            where="spec.database.version",
            hint=f'version: "{ENGINES[engine].version}"',
        )
    return said


def is_major(wanted: Wanted, engine: str) -> bool:
    """Whether the version leaves the last number to RDS, e.g. ``17`` or ``8.4``."""
    said = version(wanted, engine)
    found = ENGINES[engine].shape.fullmatch(said)
    return found is not None and found[1] == said


def family(wanted: Wanted, engine: str) -> str:
    """The family of parameters of the version, e.g. ``postgres17``."""
    found = ENGINES[engine].shape.fullmatch(version(wanted, engine))
    return f"{ENGINES[engine].family}{found[1] if found else ''}"


def instance_class(wanted: Wanted) -> str:
    """The machine: the one that is named, or one of the sizes that most begin with.

    Raises:
        UsageError: it is none.
    """
    said = wanted.spec.database.instance_class
    if said is None:
        return "db.m7g.large" if wanted.production else "db.t4g.medium"
    if not _CLASS.fullmatch(said):
        raise UsageError(
            f"{said!r} is no instance class of RDS",
            where="spec.database.instance_class",
            hint="such as db.r5.xlarge",
        )
    return said


def owner(wanted: Wanted) -> str:
    """Name of the owner.

    Raises:
        UnsupportedError: RDS takes no such name.
    """
    said = wanted.spec.database.username or DEFAULT_NAME
    engine = ENGINES[str(wanted.database_engine)]
    _require(said, engine, engine.longest_owner, "username")
    return said


def name(wanted: Wanted) -> str:
    """Name of the database on the server.

    Raises:
        UnsupportedError: RDS takes no such name.
    """
    said = wanted.spec.database.name or DEFAULT_NAME
    engine = ENGINES[str(wanted.database_engine)]
    _require(said, engine, engine.longest_name, "name")
    return said


def _require(said: str, engine: Engine, longest: int, field: str) -> None:
    where = f"spec.database.{field}"
    if not _WORD.fullmatch(said) or len(said) > longest:
        raise UnsupportedError(
            f"{said!r} is no name that RDS takes",
            where=where,
            hint=f"a letter, then letters, digits and _, at most {longest} in all",
        )
    low = said.lower()
    if low in _RESERVED | engine.reserved or (engine.family == "postgres" and low[:3] == "pg_"):
        raise UnsupportedError(
            f"{said!r} is a reserved word of RDS for {engine.family}",
            where=where,
            hint=f"{field}: {DEFAULT_NAME}",
        )
