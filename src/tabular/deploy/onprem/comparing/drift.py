"""What somebody changed behind our back: the applied objects, dry-run against the live ones."""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.releases import Content, Method
from tabular.deploy.onprem.rendered.objects import id_of, type_of
from tabular.deploy.onprem.secrets.vault import Vault
from tabular.deploy.plan import Action
from tabular.deploy.provider import Drift

from .diff import compare


def drifts(cluster: Cluster, method: Method, vault: Vault, content: Content) -> Iterator[Drift]:
    """Every applied object that is gone or has other properties now.

    Fields that no release ever set are not looked at: controllers and admission write there, and
    who sets them by hand says so by that.
    """
    target = content.stack.target
    known = [one for one in content.objects if cluster.has(one["apiVersion"], one["kind"])]
    for one in content.objects:
        if one not in known:  # with the definition of its kind, which somebody took away
            yield Drift(id_of(one), type_of(one), gone=True)
    found = compare(cluster, method, target, known, (), there=True)
    for change in (vault.preview(target, content.objects), *found.changes):
        if change.action is Action.CREATE:
            yield Drift(change.resource, change.type, gone=True)
        elif change.action is not Action.NOOP:
            # A plan leads from what is there to what is wanted; drift is told the other way round.
            back = tuple(type(p)(p.path, p.after, p.before) for p in change.properties)
            yield Drift(change.resource, change.type, back)
