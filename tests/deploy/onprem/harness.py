"""A cluster under test: the provider in namespaces of its own, seen past it by the server."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabular.deploy.onprem.engine import Tuning
from tabular.deploy.onprem.names import COMPONENT, INSTANCE
from tabular.deploy.onprem.provider import OnPremKubernetesProvider
from tabular.deploy.plan import Plan
from tabular.deploy.provider import Provider, ProviderOptions
from tabular.deploy.spec import Deployment, canonical
from tests.testbed.kube.cluster import Kube

ROOT = Path(__file__).resolve().parents[3]
QUICK = Tuning(lease=3.0, pause=0.1, patience=4.0)
LONGEST = 90.0  # seconds that a release may take; it takes about two
IMAGE = "registry.example.com/tabular"

DIE_IN_THE_MIDDLE = """
import json, os, signal, sys
from tabular.deploy.spec import Deployment
from tests.deploy.onprem.harness import provider_at

provider = provider_at(sys.argv[1], sys.argv[2])
stack = provider.compile(Deployment.from_canonical(json.loads(sys.argv[3])))
for event in provider.engine.apply(provider.engine.preview(stack)):
    if event.resource.startswith("Deployment/"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def provider_at(
    kubeconfig: Path | str, namespace: str | None, tuning: Tuning = QUICK, **options: Any
) -> OnPremKubernetesProvider:
    """The provider with a cluster of tests, and little patience."""
    said = {"kubeconfig": str(kubeconfig), "namespace": namespace, "ready_timeout": LONGEST}
    return OnPremKubernetesProvider(ProviderOptions(**{**said, **options}), tuning=tuning)


def describe(
    namespace: str, name: str = "conform", method: str = "helm", **spec: Any
) -> Deployment:
    """A spec for a cluster written in a test."""
    onprem = {"namespace": namespace, "method": method, **spec.pop("onprem", {})}
    said = {"provider": "onprem", "image": {"repository": IMAGE, "tag": "1.0.0"}, "onprem": onprem}
    return Deployment.from_canonical({"metadata": {"name": name}, "spec": {**said, **spec}})


class OnPremHarness:
    """A namespace of its own, in a cluster that all checks share."""

    maker = "tests.deploy.onprem.offline:Offline"

    def __init__(self, root: Path, kube: Kube, method: str) -> None:
        self.root = root
        self.kube = kube
        self.method = method
        self.namespace = f"conform-{uuid.uuid4().hex[:8]}"

    def provider(self) -> Provider:
        return provider_at(self.kube.kubeconfig, self.namespace)

    def deployment(self, name: str = "conform") -> Deployment:
        return describe(self.namespace, name, self.method)

    def changed(self) -> Deployment:
        return describe(self.namespace, method=self.method, compute={"workers": 2})

    def failing(self) -> Deployment:
        image = {"repository": "registry.example.com/missing", "tag": "1.0.0"}
        return describe(self.namespace, method=self.method, image=image)

    def unsupported(self) -> Deployment:
        return describe(self.namespace, method=self.method, compute={"type": "swarm"})

    def observe(self) -> Mapping[str, Any]:
        if self.kube.api.get(f"/api/v1/namespaces/{self.namespace}") is None:
            return {}
        return {
            f"{one['kind']}/{one['metadata']['name']}": _stable(one)
            for one in self._everything()
            if not _born(one)
        }

    def observed(self, deployment: Deployment) -> frozenset[str]:
        name, found = deployment.metadata.name, set()
        for one in self._everything():
            kind, meta = one["kind"], one["metadata"]
            labels = meta.get("labels") or {}
            if labels.get(INSTANCE) != name or meta.get("ownerReferences"):
                continue
            if kind == "PersistentVolumeClaim":
                # The claim DISK-SET-NUMBER is the data of its StatefulSet.
                found.add(f"StatefulSet/{meta['name'].split('-', 1)[1].rpartition('-')[0]}")
            elif kind not in _ENGINES:
                found.add(f"{kind}/{meta['name']}")
        return frozenset(found)

    def serving(self, deployment: Deployment) -> str | None:
        selector = f"{INSTANCE}={deployment.metadata.name},{COMPONENT}=api"
        found = {
            variable["value"]
            for pod in self.kube.list(f"/api/v1/namespaces/{self.namespace}/pods", selector)
            if _is_ready(pod)
            for variable in pod["spec"]["containers"][0]["env"]
            if variable["name"] == "TABULAR_RELEASE"
        }
        return " and ".join(sorted(found)) or None

    def disturb(self, deployment: Deployment) -> None:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/"
        self.kube.api(
            "PATCH",
            f"{path}{deployment.metadata.name}-api?fieldManager=kubectl-edit",
            {"spec": {"replicas": 3}},
            form="application/merge-patch+json",
        )

    def add_foreign(self, deployment: Deployment) -> None:
        name = deployment.metadata.name
        labels = {INSTANCE: name, "app.kubernetes.io/name": "inferloop-tabular"}
        claim = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
        self._foreign("v1", "ConfigMap", f"{name}-notes", labels, data={"mine": "yes"})
        self._foreign("v1", "PersistentVolumeClaim", f"data-{name}-notes-0", labels, spec=claim)

    def apply_and_die(self, plan: Plan) -> None:
        spec = json.dumps(canonical(Deployment.from_canonical(plan.stack.spec)))
        arguments = [str(self.kube.kubeconfig), self.namespace, spec]
        done = subprocess.run(
            [sys.executable, "-c", DIE_IN_THE_MIDDLE, *arguments], cwd=ROOT, check=False
        )
        assert done.returncode == -9

    def close(self) -> None:
        self.kube.drop_namespace(self.namespace)

    def _everything(self) -> list[dict[str, Any]]:
        found = []
        for path, kind in _KINDS.items():
            base = "/api/v1" if "/" not in path else f"/apis/{path.rpartition('/')[0]}"
            plural = path.rpartition("/")[2]
            for one in self.kube.list(f"{base}/namespaces/{self.namespace}/{plural}"):
                found.append({"kind": kind, **one})
        return found

    def _foreign(
        self, api: str, kind: str, name: str, labels: Mapping[str, str], **rest: Any
    ) -> None:
        meta = {"name": name, "namespace": self.namespace, "labels": dict(labels)}
        one = {"apiVersion": api, "kind": kind, "metadata": meta, **rest}
        self.kube.apply(one, self.namespace, manager="somebody")


_KINDS = {
    "pods": "Pod",
    "services": "Service",
    "configmaps": "ConfigMap",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "apps/v1/deployments": "Deployment",
    "apps/v1/statefulsets": "StatefulSet",
    "apps/v1/replicasets": "ReplicaSet",
    "batch/v1/jobs": "Job",
    "batch/v1beta1/cronjobs": "CronJob",
    "networking.k8s.io/v1/networkpolicies": "NetworkPolicy",
    "networking.k8s.io/v1/ingresses": "Ingress",
    "policy/v1beta1/poddisruptionbudgets": "PodDisruptionBudget",
    "autoscaling/v2beta2/horizontalpodautoscalers": "HorizontalPodAutoscaler",
    "coordination.k8s.io/v1/leases": "Lease",
}
# What the engine keeps for itself, and what controllers make.
_ENGINES = ("Lease", "Pod", "ReplicaSet")


def _is_ready(pod: Mapping[str, Any]) -> bool:
    said = pod.get("status", {}).get("conditions") or ()
    there = not pod["metadata"].get("deletionTimestamp")
    return there and any(one["type"] == "Ready" and one["status"] == "True" for one in said)


def _stable(one: Mapping[str, Any]) -> Any:
    """What of an object must not change by itself."""
    kept = {key: value for key, value in one.items() if key not in ("metadata", "status")}
    return {**kept, "labels": one["metadata"].get("labels"), "uid": one["metadata"]["uid"]}


def _born(one: Mapping[str, Any]) -> bool:
    """Whether a namespace has it by itself."""
    token = one.get("type") == "kubernetes.io/service-account-token"
    return token or one["metadata"]["name"] in ("kube-root-ca.crt", "default")
