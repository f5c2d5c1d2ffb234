"""What a test does with a cluster: namespaces, users with few rights, waiting, looking."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.testbed import parts
from tests.testbed.kube.api import APPLY, Api, Json
from tests.testbed.kube.controlplane import (
    EXPIRED_NAME,
    ControlPlane,
    control_plane,
    given_plane,
)
from tests.testbed.kube.executing import container_file
from tests.testbed.kube.finding import GIVEN, programs
from tests.testbed.kube.keeper import shared
from tests.testbed.kube.kubeconfig import certificate_user, write_kubeconfig
from tests.testbed.kube.logs import log_file
from tests.testbed.kube.nodes import fake_nodes

WAIT_SECONDS = 60.0
RBAC = "/apis/rbac.authorization.k8s.io/v1"
_names = itertools.count(1)


@dataclass
class Kube:
    """A cluster of tests, as its administrator."""

    plane: ControlPlane
    fake: bool = True
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = self.plane.api()

    def need_fake_nodes(self) -> None:
        """Skip a test that the nodes of a cluster of somebody else's cannot serve."""
        if not self.fake:
            parts.missing(f"needs the bed's own nodes, and {GIVEN} names a cluster")

    @property
    def server(self) -> str:
        return self.plane.server

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; its context is ``test``."""
        return self.plane.kubeconfig

    def client(self, kubeconfig: Path | None = None) -> Any:
        """An ``ApiClient`` of the Python client for a kubeconfig, the administrator's if None."""
        kubernetes = parts.module("kubernetes", package="kubernetes")
        return kubernetes.config.new_client_from_config(str(kubeconfig or self.kubeconfig))

    def namespace(self, prefix: str = "test") -> str:
        """Make a namespace whose pods can start; its name is used once."""
        name = f"{prefix}-{os.getpid()}-{next(_names)}"
        meta = {"name": name}
        self.api(
            "POST",
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": meta},
        )
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        self.wait(account, lambda one: bool(one.get("secrets")))
        return name

    def drop_namespace(self, name: str) -> None:
        """Delete a namespace without waiting for it."""
        self.api.delete(f"/api/v1/namespaces/{name}")

    def apply(self, one: Json, namespace: str | None = None, *, manager: str = "test") -> Json:
        """Server-side apply an object, conflicts overruled."""
        options = f"?fieldManager={manager}&force=true"
        return self.api("PATCH", self.path_of(one, namespace) + options, one, form=APPLY)

    def path_of(self, one: Json, namespace: str | None = None) -> str:
        """The path of an object, by what the server says of its kind."""
        version, kind, meta = one["apiVersion"], one["kind"], one["metadata"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        known = self.api("GET", base)["resources"]
        found = next(r for r in known if r["kind"] == kind and "/" not in r["name"])
        inside = namespace or meta.get("namespace", "default")
        middle = f"/namespaces/{inside}" if found["namespaced"] else ""
        return f"{base}{middle}/{found['name']}/{meta['name']}"

    def wait(
        self, path: str, until: Callable[[Json], bool], *, timeout: float = WAIT_SECONDS
    ) -> Json:
        """The object of a path, once it is there and as wanted; AssertionError when it is not."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.api.get(path)
            if found is not None and until(found):
                return found
            assert time.monotonic() < deadline, f"after {timeout} s: {found}"
            time.sleep(0.1)

    def wait_gone(self, path: str, *, timeout: float = WAIT_SECONDS) -> None:
        """Return once there is no object at a path."""
        deadline = time.monotonic() + timeout
        while (found := self.api.get(path)) is not None:
            assert time.monotonic() < deadline, f"after {timeout} s: {found}"
            time.sleep(0.1)

    def list(self, path: str, selector: str = "") -> list[Json]:
        """The objects of a path, such as ``/api/v1/namespaces/x/pods``."""
        tail = f"?labelSelector={selector}" if selector else ""
        return list(self.api("GET", path + tail)["items"])

    def events(self, namespace: str) -> list[str]:
        """What happened in a namespace: ``Warning Failed Pod/name: message``."""
        return [
            f"{one['type']} {one['reason']} {one['involvedObject']['kind']}/"
            f"{one['involvedObject']['name']}: {one['message']}"
            for one in self.list(f"/api/v1/namespaces/{namespace}/events")
        ]

    def user(
        self,
        folder: Path,
        namespace: str,
        rules: Iterable[Mapping[str, Any]],
        *,
        cluster_rules: Iterable[Mapping[str, Any]] = (),
    ) -> Path:
        """A user with a token and no other rights than these.

        Args:
            folder: for the kubeconfig.
            namespace: in which `rules` hold, and that its context names.
            rules: of a Role, such as ``{"apiGroups": [""], "resources": ["pods"], "verbs":
                ["get"]}``.
            cluster_rules: of a ClusterRole.

        Returns:
            Path of the user's kubeconfig.
        """
        name = f"user-{os.getpid()}-{next(_names)}"
        base = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        meta = {"name": name, "namespace": namespace}
        self.api("POST", base, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
        self._grant("Role", name, namespace, rules)
        self._grant("ClusterRole", name, namespace, cluster_rules)
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        body = {**asked, "spec": {"expirationSeconds": 7200, "audiences": []}}
        token = self.api("POST", f"{base}/{name}/token", body)["status"]["token"]
        return self._write(folder / f"{name}.kubeconfig", {"token": token}, namespace)

    def expired_user(self, folder: Path, *, namespace: str = "default") -> Path:
        """The kubeconfig of an administrator whose certificate has expired."""
        self.need_fake_nodes()  # the bed signs certificates for its own servers only
        authority = self.plane.authority
        made = authority.client(
            f"old-{os.getpid()}-{next(_names)}", groups=("system:masters",), days=-1
        )
        user = certificate_user(made)
        return self._write(folder / "expired.kubeconfig", user, namespace)

    def expired_server(self, folder: Path, *, namespace: str = "default") -> Path:
        """A kubeconfig with which the server shows a certificate that has expired."""
        self.need_fake_nodes()
        file = folder / "expired-server.kubeconfig"
        user = {"token": self.plane.token}
        return self._write(file, user, namespace, server_name=EXPIRED_NAME)

    def kubeconfig_for(self, folder: Path, namespace: str, *, context: str = "test") -> Path:
        """The administrator's kubeconfig with another namespace or context name."""
        file = folder / f"{namespace}.kubeconfig"
        return self._write(file, self.plane.user(), namespace, context=context)

    def write_log(self, namespace: str, pod: str, container: str, text: str) -> None:
        """Say what a container on a fake node has written so far."""
        self.need_fake_nodes()
        file = log_file(self.plane.folder / "logs", namespace, pod, container)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def let_run(
        self,
        namespace: str,
        pod: str,
        container: str,
        env: Mapping[str, str],
        *,
        instead: Sequence[str] = (),
    ) -> None:
        """Let programs run "in" a container on a fake node: on this machine.

        Args:
            namespace: of the pod.
            pod: its name.
            container: of it.
            env: variables that the container has.
            instead: a program that is run whatever is asked for.
        """
        self.need_fake_nodes()
        file = container_file(self.plane.folder / "logs", namespace, pod, container)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"env": dict(env), "instead": list(instead)}))

    def node_goes(self, name: str) -> None:
        """Let a fake node be silent; only in a cluster that no other test uses."""
        (self.plane.folder / "away" / name).touch()

    def node_comes_back(self, name: str) -> None:
        """Let a node that was away be there again."""
        (self.plane.folder / "away" / name).unlink(missing_ok=True)

    def _grant(
        self, kind: str, name: str, namespace: str, rules: Iterable[Mapping[str, Any]]
    ) -> None:
        given = [dict(rule) for rule in rules]
        if not given:
            return
        base = RBAC if kind == "ClusterRole" else f"{RBAC}/namespaces/{namespace}"
        version = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
        self.api("POST", f"{base}/{kind.lower()}s", {**version, "kind": kind, "rules": given})
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        group = "rbac.authorization.k8s.io"
        bound = {"subjects": [subject], "roleRef": {"apiGroup": group, "kind": kind, "name": name}}
        path = f"{base}/{kind.lower()}bindings"
        self.api("POST", path, {**version, "kind": f"{kind}Binding", **bound})

    def _write(
        self,
        path: Path,
        user: dict[str, str],
        namespace: str,
        *,
        context: str = "test",
        server_name: str | None = None,
    ) -> Path:
        return write_kubeconfig(
            path,
            self.server,
            self.plane.authority,
            user,
            namespace=namespace,
            context=context,
            server_name=server_name,
        )


@contextlib.contextmanager
def shared_cluster(folder: Path) -> Iterator[Kube]:
    """The cluster that the processes of a test session share in this folder."""
    named = os.environ.get(GIVEN)
    if named:
        folder.mkdir(parents=True, exist_ok=True)
        yield Kube(given_plane(Path(named), folder), fake=False)
        return
    with shared(programs(), folder) as plane:
        yield Kube(plane)


@contextlib.contextmanager
def own_cluster(folder: Path, *, node_grace: int = 4) -> Iterator[Kube]:
    """A cluster of one test; a node that is silent for `node_grace` seconds is gone."""
    with control_plane(programs(), folder, node_grace=node_grace) as plane:
        beat = node_grace / 4
        with fake_nodes(plane.api(), plane.authority, folder, heartbeat=beat):
            yield Kube(plane)
