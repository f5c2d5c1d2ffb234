"""Where users, jobs and metadata are kept: servers of ours, an operator's, or another one."""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.onprem.secrets.given import GivenSecret
from tabular.errors import UnsupportedError

from . import existing as secrets
from .wanted import Values, Wanted, said, size

URL_KEY = "database-url"
PASSWORD_KEY = "database-password"  # noqa: S105 - the name of a key
# Copies that a failover needs: with the first server they are three, of which two are a majority.
COPIES = 2
OLDEST = 15  # the oldest PostgreSQL that the chart runs
OPERATORS = ("cloudnative-pg", "zalando")


def values(wanted: Wanted) -> Values:
    """Values of the database.

    Raises:
        UnsupportedError: copies of MySQL are asked for.
    """
    if wanted.database == "external":
        # The URL is a secret, so nothing reads its port; other ones are an override's.
        ports = {"externalPorts": [5432, 3306]}
        return {"database": {"urlSecretKey": URL_KEY}, "networkPolicy": ports, **_url(wanted)}
    database = wanted.spec.database
    disk = said(
        size=None if database.size is None else size(database.size),
        storageClass=database.storage_class,
    )
    found = said(
        enabled=True,
        auth=said(
            database=database.name,
            username=database.username,
            **secrets.references(database.password, "spec.database.password", "password"),
        ),
        primary=said(persistence=disk),
    )
    if wanted.database == "mysql":
        _refuse_copies(wanted)
        return {"mysql": {**found, **_image(database.version)}}
    return {"postgresql": {**found, **_version(wanted), **_copies(wanted)}}


def copies(wanted: Wanted) -> int:
    """Servers of PostgreSQL that follow the first."""
    database = wanted.spec.database
    safe = COPIES if database.ha or wanted.spec.ha else 0
    return max(database.read_replicas, safe)


def operator(wanted: Wanted) -> str | None:
    """The operator that runs PostgreSQL; None where the chart does."""
    if wanted.database != "postgresql":
        return None
    return next((name for name in OPERATORS if name in wanted.operators), None)


def given(wanted: Wanted) -> Iterator[GivenSecret]:
    """The password of our server, or the URL of another one."""
    database = wanted.spec.database
    where = "spec.database"
    if wanted.database == "external":
        yield from secrets.given(database.url, URL_KEY, f"{where}.url", replaces=True)
    else:
        yield from secrets.given(database.password, PASSWORD_KEY, f"{where}.password")


def _url(wanted: Wanted) -> Values:
    found = secrets.existing(wanted.spec.database.url, "spec.database.url", "url")
    if found is None:
        return {}
    return {"secrets": {"from": {URL_KEY: {"name": found[0], "key": found[1]}}}}


def _version(wanted: Wanted) -> Values:
    """The version as an operator is told it, or the tag of our image.

    Raises:
        UnsupportedError: one that the chart's configuration is not made for.
    """
    version = wanted.spec.database.version
    if version is None:
        return {}
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < OLDEST:
        raise UnsupportedError(
            f"PostgreSQL {version} is older than what the chart runs",
            where="spec.database.version",
            hint=f"{OLDEST} or newer (14 had its last fixes in November 2026); or an external one",
        )
    return {"version": major} if operator(wanted) else {"version": major, **_image(version)}


def _image(version: str | None) -> Values:
    return {} if version is None else {"image": {"tag": version}}


def _copies(wanted: Wanted) -> Values:
    found = said(operator=operator(wanted))
    number = copies(wanted)
    if number:
        found["replication"] = {"enabled": True, "readReplicas": number}
    return found


def _refuse_copies(wanted: Wanted) -> None:
    if wanted.spec.database.read_replicas:
        raise UnsupportedError(
            "MySQL runs as one server here",
            where="spec.database.read_replicas",
            hint="say type: postgresql, or external for a MySQL that has copies",
        )
