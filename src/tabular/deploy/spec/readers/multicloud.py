"""The form for several clouds (`multi-cloud-ha.yaml`): one block for each provider."""

from __future__ import annotations

from tabular.deploy.spec.readers.draft import Draft
from tabular.deploy.spec.readers.flat import COMMON
from tabular.deploy.spec.readers.sections import compute, database, storage
from tabular.deploy.spec.readers.table import Table, translate
from tabular.deploy.spec.source import Node
from tabular.deploy.spec.walk import Path

TOPOLOGY = "multi-cloud-active-active"
PLACEMENT: Table = {
    "regions": "regions",
    "priority": "priority",
    "account": "account",
    "resources.compute": ("resources.compute", compute),
    "resources.storage": ("resources.storage", storage),
    "resources.database": ("resources.database", database),
    "resources.cache": "resources.cache",
    "resources.queue": "resources.queue",
}


def _providers(draft: Draft, node: Node, key: str, path: Path) -> None:
    if node.entries is None:
        draft.take(path, node, key)
        return
    for name, child in node.entries.items():
        draft.origins[(*path, name)] = draft.origin(child, f"{key}.{name}")
        if child.entries is None:
            draft.take((*path, name), child, f"{key}.{name}")
        else:
            translate(draft, child, PLACEMENT, key=f"{key}.{name}", base=(*path, name))


MULTICLOUD: Table = {
    **COMMON,
    "deployment.name": "metadata.name",
    "deployment.labels": "metadata.labels",
    "deployment.type": "spec.topology",
    "providers": ("spec.providers", _providers),
    "data": "spec.data",
}


def read(draft: Draft, root: Node) -> None:
    """Translate a multi-cloud file."""
    translate(draft, root, MULTICLOUD)
    if root.entries and "deployment" not in root.entries:
        draft.problem(root, "deployment", "missing block with name and type")
        draft.put(("spec", "topology"), TOPOLOGY, draft.origin(root, "deployment.type"))
