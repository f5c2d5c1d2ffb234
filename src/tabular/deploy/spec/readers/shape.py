"""Which of the four file forms this is, told by keys that only one of them has."""

from __future__ import annotations

from tabular.deploy.spec.problems import Problem, spec_error
from tabular.deploy.spec.readers import flat, helm, multicloud, portable
from tabular.deploy.spec.readers.draft import Draft
from tabular.deploy.spec.source import Node
from tabular.errors import SpecError, nearest

MARKS = {
    "portable": frozenset({"apiVersion", "kind", "metadata", "spec"}),
    "multi-cloud": frozenset({"deployment", "providers", "data"}),
    "Helm values": frozenset(
        {"replicaCount", "resources", "persistence", "postgresql", "minio", "redis", "rabbitmq",
         "ingress", "autoscaling", "workers", "nameOverride", "fullnameOverride"}
    ),
    "flat": frozenset(
        {"provider", "region", "account", "compute", "storage", "database", "cache", "queue"}
    ),
}  # fmt: skip
READERS = {
    "portable": portable.read,
    "multi-cloud": multicloud.read,
    "Helm values": helm.read,
    "flat": flat.read,
}
SHARED_WITH_MULTICLOUD = frozenset({"database", "cache", "queue"})


def detect(root: Node, name: str) -> str:
    """The form of a file; a bare ``monitoring`` block counts as flat.

    Raises:
        SpecError: it has keys of no form, or of two.
    """
    given = set(root.entries or {})
    seen = {form: sorted(given & marks) for form, marks in MARKS.items() if given & marks}
    if "multi-cloud" in seen and set(seen.get("flat", ())) <= SHARED_WITH_MULTICLOUD:
        seen.pop("flat", None)
    if "portable" in seen and given & {"apiVersion", "spec"}:
        return "portable"
    if len(seen) == 1:
        return next(iter(seen))
    if not seen and "monitoring" in given:
        return "flat"
    if not seen and set(helm.HELM) & given:
        return "Helm values"
    raise _unclear(root, name, seen)


def _unclear(root: Node, name: str, seen: dict[str, list[str]]) -> SpecError:
    if seen:
        listed = "; ".join(f"{form}: {', '.join(found)}" for form, found in seen.items())
        message, hint = f"keys of different file forms are mixed ({listed})", "keep to one form"
    else:
        marks = sorted(set().union(*MARKS.values()))
        guess = "".join(nearest(key, marks) for key in list(root.entries or {})[:5])
        message = "this is none of the known file forms (portable, flat, multi-cloud, Helm values)"
        hint = f"{guess}begin with apiVersion, kind, metadata, spec; see `inferloop-tabular init`"
    place = f"{name}:{root.line}:{root.column}"
    return spec_error(name, [Problem(root.line, root.column, place, "", message, hint)])


def read(root: Node, name: str, form: str | None = None) -> tuple[str, Draft]:
    """Bring a file into the model's shape.

    Args:
        root: its tree.
        name: the file, for messages.
        form: the form it must be; told by its keys if None.

    Returns:
        The form and the draft, whose ``problems`` may be more than none.

    Raises:
        SpecError: it has keys of no form, or of two.
    """
    form = form or detect(root, name)
    draft = Draft(name)
    READERS[form](draft, root)
    return form, draft
