"""The portable form (`deployment.yaml`): already in the model's words."""

from __future__ import annotations

from tabular.deploy.spec.readers.draft import Draft
from tabular.deploy.spec.source import Node


def read(draft: Draft, root: Node) -> None:
    """Take every key as it is; version and kind must be said, they decide what the rest means."""
    for name, node in (root.entries or {}).items():
        draft.take((name,), node, name)
    for name, value in (("apiVersion", "synthdata.inferloop.io/v1"), ("kind", "Deployment")):
        if name not in (root.entries or {}):
            draft.problem(root, name, "missing key", f"write {name}: {value}")
