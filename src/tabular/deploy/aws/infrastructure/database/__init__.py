"""The database: RDS in private subnets, encrypted, over TLS only, with a password nobody knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.infrastructure.database import password, server
from tabular.deploy.aws.infrastructure.unmade import nothing_of, said_in_vain
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Part, att
from tabular.deploy.spec.quantities import format_size
from tabular.deploy.stack import Reduction


def resources(wanted: Wanted) -> Part:
    """Server, copies to read from, subnets, parameters and password; nothing where none is made.

    Raises:
        UsageError: a name, a version or a class that is none.
        UnsupportedError: sizes or times that RDS does not have, or a password kept elsewhere.
    """
    engine = wanted.database_engine
    if engine is None:
        return {}
    return {**password.resources(wanted), **server.resources(wanted, engine)}


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What is said of a database that is not made, or given in another way."""
    database = wanted.spec.database
    if not wanted.served:
        yield from nothing_of("database", _unless_external(wanted), wanted.kind)
    elif wanted.database_engine is None:
        yield from said_in_vain(
            "database",
            database,
            given="what the database at spec.database.url has",
            reason="an external database is used as it is",
            read=("type", "url"),
        )
    else:
        yield from _of_server(wanted)


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """Where the database is, and its copies to read from."""
    if wanted.database_engine is None:
        return {}
    found = {"database": (att("Database", "Endpoint.Address"), "Host of the database.")}
    for name in server.replica_names(wanted):
        host = att(name, "Endpoint.Address")
        found[name[0].lower() + name[1:]] = (host, "Host of a copy to read from.")
    return found


def _unless_external(wanted: Wanted) -> Any:
    """An external database is of use without an API too: the service is told its URL."""
    database = wanted.spec.database
    return None if database.type == "external" else database


def _of_server(wanted: Wanted) -> Iterator[Reduction]:
    database = wanted.spec.database
    if database.size is not None and server.gib(database.size) < server.SMALLEST:
        yield Reduction(
            "spec.database.size",
            format_size(database.size),
            f"{server.SMALLEST}Gi",
            "RDS has no smaller disk of gp3",
        )
    if database.read_replicas:
        yield Reduction(
            "spec.database.read_replicas",
            str(database.read_replicas),
            "copies that others may read from; see the outputs of the stack",
            "the service itself reads from the database that it writes to",
        )
    monitoring = wanted.spec.monitoring
    if server.logs(wanted) and "log_retention" in monitoring.model_fields_set:
        yield Reduction(
            "spec.monitoring.log_retention",
            "the database's logs too",
            "those are kept until they are deleted",
            "RDS makes their groups itself, with no end",
        )
