"""A namespace of a test's own: deploys there, and looks at it as the cluster itself sees it."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tabular.deploy.events import Event
from tabular.deploy.onprem.engine import ClusterEngine, Tuning
from tabular.deploy.onprem.names import INSTANCE
from tabular.deploy.onprem.provider import OnPremKubernetesProvider
from tabular.deploy.plan import Action, Plan
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target
from tests.deploy.onprem.harness import QUICK, describe, provider_at
from tests.testbed.kube.cluster import Kube

NAME = "demo"


class Place:
    """A namespace of a test's own."""

    def __init__(self, kube: Kube, method: str) -> None:
        self.kube = kube
        self.method = method
        self.namespace = f"place-{uuid.uuid4().hex[:8]}"
        self.target = Target("onprem", NAME, "development", self.namespace)

    def provider(
        self, kubeconfig: Path | None = None, tuning: Tuning = QUICK, **options: Any
    ) -> OnPremKubernetesProvider:
        """A new client, as another person's process would make one."""
        config = kubeconfig or self.kube.kubeconfig
        return provider_at(config, self.namespace, tuning, **options)

    def engine(self, **options: Any) -> ClusterEngine:
        """The engine of a new client."""
        return self.provider(**options).engine

    def stack(self, **spec: Any) -> Stack:
        """A stack for here."""
        return self.provider().compile(describe(self.namespace, NAME, self.method, **spec))

    def plan(self, **spec: Any) -> Plan:
        """A plan of a spec."""
        return self.engine().preview(self.stack(**spec))

    def deploy(self, **spec: Any) -> list[Event]:
        """Deploy a spec to the end."""
        engine = self.engine()
        return list(engine.apply(engine.preview(self.stack(**spec))))

    def path(self, kind: str, name: str = "", api: str = "v1") -> str:
        """Of an object, or of all of a kind, e.g. ``deployments``."""
        base = f"/api/{api}" if "/" not in api else f"/apis/{api}"
        return f"{base}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def get(self, kind: str, name: str, api: str = "v1") -> dict[str, Any] | None:
        """An object, None if it is not there."""
        return self.kube.api.get(self.path(kind, name, api))

    def api(self) -> dict[str, Any]:
        """The Deployment of the API."""
        found = self.get("deployments", f"{NAME}-api", "apps/v1")
        assert found is not None
        return found

    def release(self) -> str:
        """The release that the Deployment of the API is of."""
        (said,) = [
            one["value"]
            for one in self.api()["spec"]["template"]["spec"]["containers"][0]["env"]
            if one["name"] == "TABULAR_RELEASE"
        ]
        return str(said)

    def secret(self) -> Mapping[str, str]:
        """What is in the deployment's Secret."""
        found = self.get("secrets", f"{NAME}-secrets")
        data = (found or {}).get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def claims(self) -> set[str]:
        """Names of the volumes' claims."""
        return {
            one["metadata"]["name"] for one in self.kube.list(self.path("persistentvolumeclaims"))
        }

    def exists(self) -> bool:
        """Whether the namespace is there, and not on its way out."""
        found = self.kube.api.get(f"/api/v1/namespaces/{self.namespace}")
        return found is not None and found["status"]["phase"] == "Active"

    def make(self) -> None:
        """Make the namespace, as an administrator would beforehand."""
        meta = {"name": self.namespace}
        one = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        self.kube.api("POST", "/api/v1/namespaces", one)
        account = self.path("serviceaccounts", "default")
        self.kube.wait(account, lambda found: bool(found.get("secrets")))

    def put(self, kind: str, name: str, api: str = "v1", **rest: Any) -> None:
        """Put an object of somebody else's there."""
        meta = {"name": name, "namespace": self.namespace, **rest.pop("metadata", {})}
        one = {"apiVersion": api, "kind": kind, "metadata": meta, **rest}
        self.kube.apply(one, self.namespace, manager="somebody")

    def warn(self, about: Mapping[str, str], reason: str, message: str, ago: float = 0.0) -> None:
        """Put a warning there, as a node or a driver makes it, that was told seconds ago."""
        when = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"told.{uuid.uuid4().hex}", "namespace": self.namespace},
            "involvedObject": {"namespace": self.namespace, **about},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "firstTimestamp": when,
            "lastTimestamp": when,
            "count": 1,
        }
        self.kube.api("POST", self.path("events"), event)

    def edit(self, kind: str, name: str, patch: Mapping[str, Any], api: str = "apps/v1") -> None:
        """Change an object as `kubectl edit` does."""
        path = f"{self.path(kind, name, api)}?fieldManager=kubectl-edit"
        self.kube.api("PATCH", path, patch, form="application/merge-patch+json")

    def pods(self) -> list[dict[str, Any]]:
        """The pods of the deployment."""
        return self.kube.list(self.path("pods"), f"{INSTANCE}={NAME}")

    def pods_of(self, component: str) -> list[str]:
        """The names of one component's pods."""
        label = "app.kubernetes.io/component"
        found = [one["metadata"] for one in self.pods()]
        return [one["name"] for one in found if one["labels"].get(label) == component]

    def close(self) -> None:
        """Let the namespace go."""
        self.kube.drop_namespace(self.namespace)


def touched(plan: Plan) -> dict[str, Action]:
    """What a plan changes."""
    return {one.resource: one.action for one in plan.changes if one.action is not Action.NOOP}


def image(name: str) -> dict[str, str]:
    """An image whose name decides what becomes of its pods."""
    return {"repository": f"registry.example.com/{name}", "tag": "1.0.0"}
