"""The way to a cluster: one kubeconfig and context, and plain objects in and out.

Objects travel as the JSON that they are, since the chart decides which kinds there are, and an
operator's are in no library.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tabular.deploy.onprem.names import FIELD_MANAGER
from tabular.errors import NotFoundError

from .connecting import Link, connected
from .executing import Ran
from .transport import CONNECT, TIMEOUT, Transport

Object = dict[str, Any]
PAGE = 500  # objects in one answer, as kubectl asks for
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind is addressed.

    Attributes:
        api: group and version, e.g. ``apps/v1``; ``v1`` for the core.
        kind: e.g. ``Deployment``.
        plural: e.g. ``deployments``.
        namespaced: whether it lives in a namespace.
        subresources: e.g. ``status``, ``log``.
        verbs: what may be done with it, e.g. ``list``.
    """

    api: str
    kind: str
    plural: str
    namespaced: bool
    subresources: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()

    def path(self, namespace: str | None, name: str = "", sub: str = "") -> str:
        """Path of one object, or of all of them."""
        root = f"/api/{self.api}" if "/" not in self.api else f"/apis/{self.api}"
        within = f"/namespaces/{quote(namespace)}" if self.namespaced and namespace else ""
        tail = "".join(f"/{quote(part)}" for part in (name, sub) if part)
        return f"{root}{within}/{self.plural}{tail}"


class Cluster:
    """A cluster, connected when it is first asked.

    Safe to use from several threads.

    Args:
        kubeconfig: file; ``KUBECONFIG``, ``~/.kube/config`` or the pod's own account if None.
        context: within it; the current one if None.
        namespace: that `list` of deployments keeps to; every one that may be seen if None.
        sleep: waits between tries, seconds.
        timeout: seconds for one answer.
    """

    def __init__(
        self,
        kubeconfig: str | Path | None = None,
        context: str | None = None,
        namespace: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        timeout: float = TIMEOUT,
    ) -> None:
        self.kubeconfig = None if kubeconfig is None else str(Path(kubeconfig).expanduser())
        self.context = context
        self.namespace = namespace
        self._sleep = sleep
        self._timeout = timeout
        self._kinds: dict[str, Mapping[str, Kind]] = {}
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """URL of the server."""
        return self._link.host

    def require(self) -> None:
        """Be sure that the kubeconfig, its context and the server's answer are right.

        Raises:
            UsageError: there is no such file or context.
            PreflightError: the credentials or certificates are not right.
            UnavailableError: nothing answers there.
        """
        _ = self._told

    @property
    def merged_kubeconfig(self) -> str | None:
        """What several kubeconfigs say together, with secrets; None where one is named or none."""
        return self._link.kubeconfig

    @property
    def default_namespace(self) -> str:
        """The namespace that the context names; ``default`` if none."""
        return self._link.namespace

    def now(self) -> datetime:
        """The time by the server's clock, to about a second; ours before it answered once."""
        return datetime.now(UTC) + timedelta(seconds=self._link.ahead or 0.0)

    @property
    def version(self) -> str:
        """Of the server, e.g. ``1.20``."""
        return f"{self._told['major']}.{str(self._told['minor']).rstrip('+')}"

    @property
    def git_version(self) -> str:
        """Of the server, as its maker says it, e.g. ``v1.28.3+k3s1``."""
        return str(self._told["gitVersion"])

    def has(self, api: str, kind: str | None = None) -> bool:
        """Whether the cluster knows a group and version, and a kind in it.

        Args:
            api: e.g. ``monitoring.coreos.com/v1``, ``v1``.
            kind: e.g. ``ServiceMonitor``; any if None.
        """
        known = self._discovered(api)
        return bool(known) if kind is None else kind in known

    def kind(self, api: str, kind: str) -> Kind:
        """How a kind is addressed here.

        Raises:
            NotFoundError: the cluster does not know it.
        """
        found = self._discovered(api).get(kind)
        if found is None:
            raise NotFoundError(
                f"this cluster ({self.version}) knows no {kind} of {api}",
                where=self.address,
                hint="install what brings it (an operator's custom resource definitions), or do "
                "not name it under spec.onprem.operators",
                code="not-found.kind",
            )
        return found

    def kinds(self) -> tuple[Kind, ...]:
        """All kinds that the cluster knows, each in the version that it prefers."""
        told = self._transport.json("GET", "/apis", doing="get /apis")
        groups = ["v1", *(one["preferredVersion"]["groupVersion"] for one in told["groups"])]
        return tuple(kind for api in groups for kind in self._discovered(api).values())

    def get(self, api: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object; None if it is not there, or its kind is not known."""
        if not self.has(api, kind):
            return None
        known = self.kind(api, kind)
        try:
            return self._transport.json(
                "GET", known.path(namespace, name), doing=_doing("get", known, name)
            )
        except NotFoundError:
            return None

    def list(
        self,
        api: str,
        kind: str,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
    ) -> tuple[Object, ...]:
        """All objects of a kind, none if it is not known here.

        Args:
            api: group and version.
            kind: which.
            namespace: only there; everywhere if None.
            labels: selector.
            fields: selector.
        """
        if not self.has(api, kind):
            return ()
        known, found, more = self.kind(api, kind), list[Object](), ""
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(PAGE)}
        while True:
            told = self._transport.json(
                "GET",
                known.path(namespace),
                {**query, "continue": more},
                doing=_doing("list", known, namespace or ""),
            )
            # Members of a list do not say what they are.
            found += [{"apiVersion": api, "kind": kind, **one} for one in told["items"] or ()]
            more = told["metadata"].get("continue", "")
            if not more:
                return tuple(found)

    def apply(
        self,
        one: Mapping[str, Any],
        *,
        manager: str = FIELD_MANAGER,
        dry_run: bool = False,
        force: bool = False,
    ) -> Object:
        """Apply an object on the server's side.

        Args:
            one: whole, with its namespace.
            manager: of its fields.
            dry_run: only say what it would be then.
            force: take fields over from other managers.

        Raises:
            OwnedElsewhereError: others own fields, and ``force`` is off.
            UnprocessableError: the server refuses it as it is written.
        """
        known, meta = self.kind(one["apiVersion"], one["kind"]), one["metadata"]
        query = {
            "fieldManager": manager,
            "force": "true" if force else "",
            "dryRun": "All" if dry_run else "",
        }
        return self._transport.json(
            "PATCH",
            known.path(meta.get("namespace"), meta["name"]),
            query,
            doing=_doing("patch", known, meta["name"]),
            body=one,
            content=_APPLY,
        )

    def create(self, one: Mapping[str, Any]) -> Object:
        """Make an object.

        Raises:
            ConflictError: it is there, code ``conflict.exists``.
        """
        known = self.kind(one["apiVersion"], one["kind"])
        meta = one.get("metadata") or {}  # a review has none
        namespace, name = meta.get("namespace"), meta.get("name", "")
        return self._transport.json(
            "POST",
            known.path(namespace),
            {"fieldManager": FIELD_MANAGER},
            doing=_doing("create", known, name),
            body=one,
            own=known.path(namespace, name) if name else None,
        )

    def replace(self, one: Mapping[str, Any]) -> Object:
        """Put an object in the place of the one it was read from.

        Raises:
            ConflictError: that one was changed meanwhile, code ``conflict.changed``.
        """
        known, meta = self.kind(one["apiVersion"], one["kind"]), one["metadata"]
        path = known.path(meta.get("namespace"), meta["name"])
        query = {"fieldManager": FIELD_MANAGER}
        doing = _doing("update", known, meta["name"])
        return self._transport.json("PUT", path, query, doing=doing, body=one)

    def merge(
        self,
        api: str,
        kind: str,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any],
        *,
        dry_run: bool = False,
    ) -> Object:
        """Change parts of an object; entries that are None go.

        Args:
            api: group and version.
            kind: which.
            name: which.
            namespace: where.
            patch: the parts.
            dry_run: only ask whether that is let.

        Raises:
            NotFoundError: it is not there.
        """
        known = self.kind(api, kind)
        return self._transport.json(
            "PATCH",
            known.path(namespace, name),
            {"fieldManager": FIELD_MANAGER, "dryRun": "All" if dry_run else ""},
            doing=_doing("patch", known, name),
            body=patch,
            content=_MERGE,
        )

    def delete(
        self,
        api: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        uid: str | None = None,
    ) -> bool:
        """Delete an object.

        Args:
            api: group and version.
            kind: which.
            name: which.
            namespace: where.
            propagation: ``Background``, ``Foreground``, or ``Orphan`` to leave what hangs on it.
            uid: only the one that was seen.

        Returns:
            False if it was gone already.
        """
        if not self.has(api, kind):
            return False
        known = self.kind(api, kind)
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            path, doing = known.path(namespace, name), _doing("delete", known, name)
            self._transport.json("DELETE", path, doing=doing, body=body)
        except NotFoundError:
            return False
        return True

    def watch(
        self,
        api: str,
        kind: str,
        namespace: str | None = None,
        *,
        labels: str = "",
        seconds: float = 60.0,
    ) -> Iterator[tuple[str, Object]]:
        """Objects as they are and as they change: ``ADDED``, ``MODIFIED`` or ``DELETED`` with each.

        Ends after the time, or when the cluster ends it.

        Args:
            api: group and version.
            kind: which.
            namespace: only there.
            labels: selector.
            seconds: how long at most.
        """
        known = self.kind(api, kind)
        query = {
            "watch": "true",
            "labelSelector": labels,
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        doing = _doing("watch", known, namespace or "")
        path, limit = known.path(namespace), seconds + CONNECT
        for line in self._transport.lines(path, query, doing=doing, seconds=limit):
            told = json.loads(line)
            if told["type"] in ("ADDED", "MODIFIED", "DELETED"):
                yield told["type"], told["object"]

    def log(
        self,
        pod: str,
        namespace: str,
        container: str,
        *,
        tail: int | None = None,
        follow: bool = False,
        previous: bool = False,
        seconds: float = 3600.0,
    ) -> Iterator[str]:
        """Lines of a container's log, each with the time it was written first.

        Args:
            pod: its name.
            namespace: where.
            container: its name.
            tail: at most so many lines that are there.
            follow: then new ones.
            previous: of the container's last run, which ended.
            seconds: how long at most.
        """
        known = self.kind("v1", "Pod")
        query = {
            "container": container,
            "timestamps": "true",
            "tailLines": "" if tail is None else str(tail),
            "follow": "true" if follow else "",
            "previous": "true" if previous else "",
        }
        path, doing = known.path(namespace, pod, "log"), _doing("get", known, f"{pod}/log")
        limit = seconds if follow else self._timeout
        for line in self._transport.lines(path, query, doing=doing, seconds=limit):
            yield line.decode(errors="replace")

    def execute(
        self,
        pod: str,
        namespace: str,
        container: str,
        program: Sequence[str],
        *,
        seconds: float = 60.0,
    ) -> Ran:
        """Run a program in a container that runs, to its end; it is told nothing.

        Args:
            pod: its name.
            namespace: where.
            container: its name.
            program: with its arguments.
            seconds: how long it may take.

        Raises:
            ForbiddenError: these credentials may not; ``get`` and ``create`` of ``pods/exec``.
            NotFoundError: the pod is gone.
            EngineError: the container cannot run it.
            UnavailableError: it was cut off, or did not end in time.
        """
        known = self.kind("v1", "Pod")
        query = [("command", word) for word in program]
        query += [("container", container), ("stdout", "true"), ("stderr", "true")]
        path, doing = known.path(namespace, pod, "exec"), _doing("create", known, f"{pod}/exec")
        return self._transport.execute(path, query, doing=doing, seconds=seconds)

    def may(
        self, verb: str, api: str, plural: str, namespace: str | None = None, sub: str = ""
    ) -> bool:
        """Whether these credentials may do something; asked of the cluster.

        Args:
            verb: e.g. ``create``.
            api: group and version.
            plural: e.g. ``deployments``.
            namespace: where; everywhere if None.
            sub: subresource.
        """
        group = api.rpartition("/")[0]
        asked = {"verb": verb, "group": group, "resource": plural, "subresource": sub}
        if namespace is not None:
            asked["namespace"] = namespace
        told = self._transport.json(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            doing="create selfsubjectaccessreviews",
            body={
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": asked},
            },
        )
        return bool(told["status"]["allowed"])

    @functools.cached_property
    def _link(self) -> Link:
        return connected(self.kubeconfig, self.context)

    @functools.cached_property
    def _transport(self) -> Transport:
        return Transport(self._link, sleep=self._sleep, timeout=self._timeout)

    @functools.cached_property
    def _told(self) -> Object:
        return self._transport.json("GET", "/version", doing="get version")

    def _discovered(self, api: str) -> Mapping[str, Kind]:
        with self._lock:
            if api in self._kinds:
                return self._kinds[api]
        root = f"/api/{api}" if "/" not in api else f"/apis/{api}"
        try:
            told = self._transport.json("GET", root, doing=f"get {root}")
        except NotFoundError:
            told = {"resources": ()}
        found = _kinds(api, told["resources"])
        with self._lock:
            if found:  # what is not there may be installed while we wait
                self._kinds[api] = found
        return found


def _kinds(api: str, resources: Sequence[Mapping[str, Any]]) -> Mapping[str, Kind]:
    subs: dict[str, set[str]] = {}
    for one in resources:
        plural, _, sub = one["name"].partition("/")
        subs.setdefault(plural, set()).update({sub} if sub else ())
    return {
        one["kind"]: Kind(
            api,
            one["kind"],
            one["name"],
            one["namespaced"],
            frozenset(subs[one["name"]]),
            frozenset(one.get("verbs") or ()),
        )
        for one in resources
        if "/" not in one["name"]
    }


def _doing(verb: str, kind: Kind, name: str) -> str:
    return f"{verb} {kind.plural} {name}".rstrip()
