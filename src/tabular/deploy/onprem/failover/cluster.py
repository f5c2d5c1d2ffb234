"""What the watcher keeps in the cluster: its Lease and ConfigMap, and the Service's selector.

The watcher makes the first two itself. They say which data are right, so they live as long as these
and not as long as a release; and who brings releases leaves kinds out (Argo CD 3: Leases).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tabular.deploy.onprem.names import (
    CHART_NAME,
    COMPONENT,
    FIELD_MANAGER,
    INSTANCE,
    MANAGED_BY,
    NAME,
)
from tabular.errors import ConfigError, UnavailableError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LEASE_SECONDS = 15
_TIMEOUT = 5.0
_PRIMARY = "inferloop.io/primary"
_TIMELINE = "inferloop.io/timeline"
_SYSTEM = "inferloop.io/system"
_WANTED = "inferloop.io/switch-to"
_POD = "statefulset.kubernetes.io/pod-name"
_MERGE = "application/merge-patch+json"
_MANAGER = f"{FIELD_MANAGER}-failover"
_MISSING, _CONFLICT = httpx.codes.NOT_FOUND, httpx.codes.CONFLICT
# No release has them, and a controller that goes by labels would take them for left over.
_NOBODYS = {
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
}


@dataclass(frozen=True)
class Record:
    """Who leads.

    Attributes:
        primary: name of the member; empty before there was one.
        timeline: by which it leads, or will when it is promoted.
        system: the database of all members, as PostgreSQL identifies it; empty before the first.
    """

    primary: str = ""
    timeline: int = 0
    system: str = ""


@dataclass(frozen=True)
class Access:
    """How the API server is reached.

    Attributes:
        server: its URL.
        authority: file with its certificate's authority.
        token: gives the token of now; a kubelet replaces it in its file.
    """

    server: str
    authority: Path
    token: Callable[[], str]

    @classmethod
    def of_pod(cls, environ: Mapping[str, str], account: Path = ACCOUNT) -> Access:
        """That of the pod's service account.

        Raises:
            ConfigError: this is no pod.
        """
        host = environ.get("KUBERNETES_SERVICE_HOST")
        if not host:
            raise ConfigError("this does not run in a pod of Kubernetes", where="failover")
        named = f"[{host}]" if ":" in host else host
        server = f"https://{named}:{environ.get('KUBERNETES_SERVICE_PORT', '443')}"
        return cls(server, account / "ca.crt", (account / "token").read_text)


class Cluster:
    """The Lease, the ConfigMap and the Service of one PostgreSQL.

    Args:
        access: of the API server.
        namespace: of all three.
        instance: whose they are, for the label of what is made.
        record: name of the Lease and of the ConfigMap.
        service: name of the Service that clients write to.
        holder: who we are; no other watcher has this name.
    """

    def __init__(
        self,
        access: Access,
        *,
        namespace: str,
        instance: str,
        record: str,
        service: str,
        holder: str,
    ) -> None:
        self._access = access
        self._metadata = _metadata(record, instance)
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._lease_path = f"{self._leases}/{record}"
        self._maps = f"/api/v1/namespaces/{namespace}/configmaps"
        self._map_path = f"{self._maps}/{record}"
        self._service_path = f"/api/v1/namespaces/{namespace}/services/{service}"
        self._holder = holder
        verify = ssl.create_default_context(cafile=str(access.authority))
        self._client = httpx.Client(base_url=access.server, verify=verify, timeout=_TIMEOUT)
        self._lease: dict[str, Any] = {}
        self._unchanged_since = 0.0

    def hold(self) -> bool:
        """Take or renew the Lease, which is made if it is not there; whether it is ours now.

        Another's is taken over when it was not renewed for as long as we watched: whose clock is
        right does not matter.

        Raises:
            UnavailableError: the API server does not answer, or refuses.
        """
        found = self._ask("GET", self._lease_path, unless=_MISSING) or self._make()
        version = found["metadata"]["resourceVersion"]
        if version != self._lease.get("metadata", {}).get("resourceVersion"):
            self._unchanged_since = time.monotonic()
        self._lease = found
        holder = (found.get("spec") or {}).get("holderIdentity")
        waited = time.monotonic() - self._unchanged_since
        if holder and holder != self._holder and waited < LEASE_SECONDS:
            return False
        return self._renew({})

    @property
    def record(self) -> Record:
        """What the Lease said when it was last asked."""
        noted = self._lease["metadata"].get("annotations") or {}
        timeline = int(noted.get(_TIMELINE, "0"))
        return Record(noted.get(_PRIMARY, ""), timeline, noted.get(_SYSTEM, ""))

    @property
    def wanted(self) -> str:
        """The member that somebody wants to lead; empty if nobody said so."""
        return str((self._lease["metadata"].get("annotations") or {}).get(_WANTED, ""))

    def fulfil(self) -> None:
        """Take the wish away.

        Raises:
            UnavailableError: the API server does not answer, or refuses.
        """
        self._renew({_WANTED: None})

    def write(self, record: Record) -> bool:
        """Record who leads; False if the Lease is no longer ours, and nothing was written.

        Raises:
            UnavailableError: the API server does not answer, or refuses.
        """
        said = {_PRIMARY: record.primary, _TIMELINE: str(record.timeline), _SYSTEM: record.system}
        return self._renew(said)

    def remember(self) -> None:
        """Tell the members which database is theirs, for when they find their volumes empty.

        Raises:
            UnavailableError: the API server does not answer, or refuses.
        """
        if self._ask("GET", self._map_path, unless=_MISSING) is None:
            data = {"system": self.record.system}
            made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self._metadata}
            self._ask("POST", self._made_by(self._maps), {**made, "data": data}, unless=_CONFLICT)

    def select(self, primary: str) -> bool:
        """Have the Service select a member; True if it did not already.

        Raises:
            UnavailableError: the API server does not answer, or refuses.
        """
        wanted = {_POD: primary}
        found = self._ask("GET", self._service_path)["spec"].get("selector")
        if found == wanted:
            return False
        patch = {"spec": {"selector": {**dict.fromkeys(found or {}), **wanted}}}
        self._ask("PATCH", self._made_by(self._service_path), patch, form=_MERGE)
        return True

    def _make(self) -> Any:
        """A Lease; of a database that is on record it knows, though somebody deleted the last."""
        told = self._ask("GET", self._map_path, unless=_MISSING)
        known = {_SYSTEM: told["data"]["system"]} if told else {}
        annotations = {**self._metadata["annotations"], **known}
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**self._metadata, "annotations": annotations},
        }
        made = self._ask("POST", self._made_by(self._leases), body, unless=_CONFLICT)
        return made or self._ask("GET", self._lease_path)

    def _renew(self, notes: Mapping[str, str | None]) -> bool:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        old, meta = self._lease.get("spec") or {}, self._lease["metadata"]
        mine = old.get("holderIdentity") == self._holder
        spec = {
            **old,
            "holderIdentity": self._holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
            "acquireTime": old.get("acquireTime", now) if mine else now,
            "leaseTransitions": old.get("leaseTransitions", 0) + (0 if mine else 1),
        }
        noted = {**(meta.get("annotations") or {}), **notes}
        annotations = {key: value for key, value in noted.items() if value is not None}
        body = {**self._lease, "spec": spec, "metadata": {**meta, "annotations": annotations}}
        # The version is in the body: a Lease that another has written since is not overwritten.
        written = self._ask("PUT", self._made_by(self._lease_path), body, unless=_CONFLICT)
        if written is None:
            return False
        self._lease, self._unchanged_since = written, time.monotonic()
        return True

    @staticmethod
    def _made_by(path: str) -> str:
        return f"{path}?fieldManager={_MANAGER}"

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        form: str = "application/json",
        unless: int | None = None,
    ) -> Any:
        """The answer; None if it is this status."""
        where = f"{method} {path}"
        headers = {"Authorization": f"Bearer {self._access.token().strip()}"}
        if body is not None:
            headers["Content-Type"] = form
        try:
            answer = self._client.request(method, path, json=body, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise UnavailableError(
                f"the API server does not answer: {type(error).__name__}", where=where
            ) from error
        if answer.status_code == unless:
            return None
        if answer.is_error:
            raise UnavailableError(
                f"the API server answers {answer.status_code}: {answer.text[:300]}", where=where
            )
        return answer.json()


def _metadata(name: str, instance: str) -> dict[str, Any]:
    labels = {
        NAME: CHART_NAME,
        INSTANCE: instance,
        COMPONENT: "postgresql-failover",
        MANAGED_BY: FIELD_MANAGER,
        # Data that Velero brings back are restored into a new database, which is another one.
        "velero.io/exclude-from-backup": "true",
    }
    return {"name": name, "labels": labels, "annotations": _NOBODYS}
