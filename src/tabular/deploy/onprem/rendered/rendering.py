"""The chart's templates with values put in, without a cluster; Helm itself does it, in process.

What `deploy` applies, what `export` writes and what policy judges is rendered here and nowhere
else.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tabular.deploy.onprem.names import CHART
from tabular.errors import EngineError

from .library import helm

# Helm's order of installation, as far as the chart has these kinds; others come after them.
_ORDER = (
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Role",
    "RoleBinding",
    "Service",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "Ingress",
)
_BORDER = re.compile(r"^---[ \t]*$", re.MULTILINE)
Object = dict[str, Any]


def render(
    values: Mapping[str, Any],
    *,
    name: str,
    namespace: str,
    kube_version: str | None = None,
    chart: Path = CHART,
) -> tuple[Object, ...]:
    """The objects of a release, in the order in which they are made.

    Args:
        values: laid over the chart's own.
        name: of the release.
        namespace: of the release; written into every object, all of which are namespaced.
        kube_version: of the server they are for, such as ``1.25``; the newest known one if None.
        chart: its folder.

    Raises:
        EngineError: the values break the chart's schema, or a template refuses them.
    """
    given = dict(values) if kube_version is None else {**values, "kubeVersion": kube_version}
    try:
        files = loaded(chart).render(given, name=name, namespace=namespace)
    except helm().HelmError as error:
        raise EngineError(f"the chart refuses these values: {error}", where="values") from error
    manifests = [files[file] for file in sorted(files) if not file.endswith("NOTES.txt")]
    found = [one for text in manifests for one in objects_of(text) if not is_hook(one)]
    return tuple(sorted((placed(one, namespace) for one in found), key=_rank))


def documents(text: str) -> list[str]:
    """The documents of a file; joined by ``---`` they are the file again."""
    return _BORDER.split(text)


def objects_of(text: str) -> Iterator[Object]:
    """The objects of a file with several documents, as Helm itself reads them."""
    for document in documents(text):
        if found := helm().values_from_yaml(document):
            yield found


def is_hook(one: Object) -> bool:
    """Whether Helm runs it at an occasion, as the pod of ``helm test``, and keeps it nowhere."""
    return "helm.sh/hook" in one["metadata"].get("annotations", {})


@functools.cache
def loaded(chart: Path) -> Any:
    """A chart as Helm has it, read once."""
    return helm().Chart.load(chart)


def placed(one: Object, namespace: str) -> Object:
    """An object in the namespace of its release, unless it names another one."""
    return {**one, "metadata": {"namespace": namespace, **one["metadata"]}}


def _rank(one: Object) -> tuple[int, str, str]:
    kind = one["kind"]
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), kind, one["metadata"]["name"])
