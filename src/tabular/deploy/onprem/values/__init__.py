"""From the portable spec to values of the chart, one module for each part.

service      pods of API and workers      database   PostgreSQL, MySQL, another one
storage      MinIO, another store, volume messaging  cache and broker
networking   how it is reached            reduced    what is given only in part
monitoring   what is measured             security   TLS between pods, authorities
backup       regular copies
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.onprem.secrets.given import GivenSecret

from . import (
    backup,
    database,
    messaging,
    monitoring,
    networking,
    security,
    service,
    storage,
)
from .wanted import Values, Wanted

_PARTS = (service, database, storage, messaging, networking, monitoring, security, backup)


def values(wanted: Wanted) -> Values:
    """All values that the spec comes to, without those that override them.

    Raises:
        UnsupportedError: it asks for what a cluster does not give.
        UsageError: two of its keys cannot both hold.
    """
    found: Values = {}
    for part in _PARTS:
        found = lay_over(found, part.values(wanted))
    return found


def given(wanted: Wanted) -> Iterator[GivenSecret]:
    """Secrets of the spec, by their key in the deployment's Secret."""
    yield from database.given(wanted)
    yield from storage.given(wanted)
    yield from messaging.given(wanted)
    yield from monitoring.given(wanted)


def lay_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> Values:
    """Blocks into blocks; everything else replaces what was there, as Helm does it."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = lay_over(old, value) if both else value  # type: ignore[arg-type]
    return result
