"""What every format is written from: a stack's release, its objects, and the secret they need.

No export holds a secret. All refer to one that whoever applies the export makes once, so that no
tool which renders again makes another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tabular.deploy.onprem.names import (
    CHART,
    CHART_NAME,
    KUBE_VERSION,
    secret_name,
    tls_secret_name,
)
from tabular.deploy.onprem.rendered.rendering import Object, render
from tabular.deploy.onprem.secrets.certificates import is_wanted
from tabular.deploy.onprem.secrets.secret_keys import (
    Needed,
    needed_secrets,
    operator_of,
    other_secrets,
)
from tabular.deploy.stack import Stack

VALUES = "values.yaml"
# What is no part of a chart although it may lie beside its files.
_NO_CHART = ("__pycache__", ".pyc", ".tgz")


@dataclass(frozen=True)
class Release:
    """A stack as the formats see it.

    Attributes:
        stack: what was compiled, or what runs.
        name: of the release, and of the deployment.
        namespace: where it goes.
        values: the chart's, with the name of the secret put in.
        kube_version: what the objects are rendered for, such as ``1.28``.
    """

    stack: Stack
    name: str
    namespace: str
    values: Mapping[str, Any]
    kube_version: str

    @classmethod
    def of(cls, stack: Stack) -> Release:
        """The release of a stack's template."""
        template = stack.template
        name, namespace = template["release"]["name"], template["release"]["namespace"]
        values = dict(template["values"])
        secrets = values.get("secrets", {})
        existing = secrets.get("existingSecret") or secret_name(name)
        values["secrets"] = {**secrets, "existingSecret": existing}
        return cls(stack, name, namespace, values, template.get("kubeVersion") or KUBE_VERSION)

    @property
    def environment(self) -> str:
        """The deployment's environment."""
        return self.stack.target.environment

    @property
    def runs(self) -> bool:
        """Whether it is there already, and not only described."""
        return bool(self.stack.ids)

    @property
    def runs_without_helm(self) -> bool:
        """Whether it was applied by `--method manifests`."""
        return self.runs and self.stack.template.get("method", "helm") != "helm"

    @property
    def secret(self) -> str:
        """Name of the secret that everything refers to."""
        name: str = self.values["secrets"]["existingSecret"]
        return name

    @cached_property
    def objects(self) -> tuple[Object, ...]:
        """What is applied."""
        return render(
            self.values,
            name=self.name,
            namespace=self.namespace,
            kube_version=self.kube_version,
        )

    @cached_property
    def needed(self) -> tuple[Needed, ...]:
        """The keys that the secret must have."""
        return needed_secrets(self.objects, self.secret)

    @cached_property
    def others(self) -> Mapping[str, tuple[str, ...]]:
        """Further secrets that must be there, with their keys; not the pods' certificate."""
        found = other_secrets(self.objects, self.secret)
        own = tls_secret_name(self.name) if self.needs_certificate else None
        return {name: keys for name, keys in found.items() if name != own}

    @cached_property
    def needs_certificate(self) -> bool:
        """Whether pods speak TLS with each other, and no operator makes their certificate."""
        return is_wanted(self.name, self.objects)

    @property
    def by_operator(self) -> bool:
        """Whether an operator of the cluster makes the secret, from a store of the user's."""
        return bool(operator_of(self.objects, self.secret))

    @property
    def namespace_object(self) -> Object:
        """The namespace itself, which no chart makes."""
        labels = dict(self.values.get("podSecurity", {}).get("namespaceLabels") or {})
        metadata = {"name": self.namespace, **({"labels": labels} if labels else {})}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def chart_files(folder: str = CHART_NAME) -> dict[str, bytes]:
    """The chart, to the byte, below a folder."""
    return {
        f"{folder}/{path.relative_to(CHART).as_posix()}": path.read_bytes() for path in _files()
    }


def _files() -> Iterator[Path]:
    for path in sorted(CHART.rglob("*")):
        if path.is_file() and not any(part.endswith(_NO_CHART) for part in path.parts):
            yield path
