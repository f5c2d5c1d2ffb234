"""``spec.overrides.onprem``: what the spec has no word for, in the words of the chart.

``values`` are laid over what was compiled, blocks into blocks, before anything is rendered, so
policy, plan and exports see the result. Where pods run has names of its own beside them, since
Helm values files of others have it at their top.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabular.deploy.onprem.names import PROVIDER
from tabular.errors import UsageError, nearest

WHERE = f"spec.overrides.{PROVIDER}"
VALUES = "values"
# Values that the engine and the compiler write, and nobody else.
_OURS = ("deployment", "fullnameOverride", "kubeVersion")
OPTIONS: Mapping[str, tuple[type[dict[str, Any]] | type[list[Any]], str]] = {
    VALUES: (dict, "values of the chart, laid over what the spec comes to"),
    "nodeSelector": (dict, "labels that nodes of every pod have"),
    "tolerations": (list, "taints of nodes that every pod puts up with"),
    "affinity": (dict, "affinity of API and workers, in Kubernetes' words"),
    "podAnnotations": (dict, "annotations of every pod"),
    "podLabels": (dict, "labels of every pod"),
}


def check(given: Mapping[str, Any]) -> None:
    """Look at the block without compiling anything.

    Raises:
        UsageError: a name that nothing reads, or a value of the wrong kind.
    """
    for name, value in given.items():
        where = f"{WHERE}.{name}"
        if name not in OPTIONS:
            raise UsageError(
                f"{name!r} is no override of {PROVIDER}",
                where=where,
                hint=f"{nearest(name, OPTIONS)}values of the chart belong under {WHERE}.{VALUES}; "
                f"known here: {', '.join(OPTIONS)}",
            )
        kind, words = OPTIONS[name]
        if not isinstance(value, kind):
            raise UsageError(
                f"{name} is a {'block' if kind is dict else 'list'}", where=where, hint=words
            )
    for name in _OURS:
        if name in given.get(VALUES, {}):
            raise UsageError(
                f"{name} is written by the deploy itself",
                where=f"{WHERE}.{VALUES}.{name}",
                hint="leave it out",
            )


def placement(given: Mapping[str, Any]) -> dict[str, Any]:
    """Where pods run and what they carry, as values of the chart."""
    return {name: given[name] for name in OPTIONS if name != VALUES and name in given}


def chart_values(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Values of the chart that are said as they are."""
    found: Mapping[str, Any] = given.get(VALUES, {})
    return found
