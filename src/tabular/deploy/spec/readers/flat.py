"""The flat form (`aws-prod.yaml`): one provider, its own words, no envelope."""

from __future__ import annotations

from tabular.deploy.spec.readers.draft import Draft
from tabular.deploy.spec.readers.sections import compute, database, monitoring, storage
from tabular.deploy.spec.readers.table import Table, translate
from tabular.deploy.spec.source import Node

COMMON: Table = {
    "environment": "spec.environment",
    "database": ("spec.database", database),
    "monitoring": ("spec.monitoring", monitoring),
    "cache": "spec.cache",
    "queue": "spec.queue",
    "networking": "spec.networking",
    "backup": "spec.backup",
    "image": "spec.image",
    "security": "spec.security",
    "policy": "spec.policy",
    "onprem": "spec.onprem",
    "overrides": "spec.overrides",
    "ha": "spec.ha",
}
FLAT: Table = {
    **COMMON,
    "name": "metadata.name",
    "labels": "metadata.labels",
    "provider": "spec.provider",
    "region": "spec.region",
    "account": "spec.account",
    "compute": ("spec.compute", compute),
    "storage": ("spec.storage", storage),
}


def read(draft: Draft, root: Node) -> None:
    """Translate a flat file."""
    translate(draft, root, FLAT)
