"""A release as plain objects, for `kubectl apply -k` and whatever else takes manifests.

One file for each object, so that a difference between two exports reads as what changes.
"""

from __future__ import annotations

from tabular.deploy.export.yaml_text import as_yaml
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.deploy.stack import Stack

from . import secrets
from .release import Release

KUSTOMIZATION = "kustomization.yaml"
NAMESPACE = "namespace.yaml"

_README = """\
# {id} as Kubernetes objects

For Kubernetes {version}: of objects whose version differs from server to server, the one that
{version} has. Export again with another `spec.onprem.kubernetes_version` after an upgrade.

## Secrets

{secrets}
## Apply

    kubectl diff -k .     # what would change
    kubectl apply -k .

When the spec changed, export into this folder again, and apply again. What the spec no longer has
stays in the cluster until you delete it: its file is still here, and `{kustomization}` names it no
more.

    kubectl delete --filename KIND-NAME.yaml && rm KIND-NAME.yaml

Volumes were made by their StatefulSets and stay until somebody deletes them; so does the secret.
"""


def k8s(stack: Stack) -> dict[str, bytes]:
    """The files.

    Raises:
        EngineError: the chart refuses the values.
    """
    release = Release.of(stack)
    files = {file_of(one): as_yaml(one) for one in release.objects}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [NAMESPACE, *files],
    }
    readme = _README.format(
        id=stack.target.id,
        version=release.kube_version,
        secrets=secrets.section(release),
        kustomization=KUSTOMIZATION,
    )
    return {
        "README.md": readme.encode(),
        **secrets.helpers(release),
        KUSTOMIZATION: as_yaml(kustomization),
        NAMESPACE: as_yaml(release.namespace_object),
        **files,
    }


def file_of(one: Object) -> str:
    """The file of an object: its kind and its name, which are no two objects' of one release."""
    return f"{one['kind'].lower()}-{one['metadata']['name']}.yaml"
