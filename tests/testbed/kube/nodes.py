"""Three nodes without a kubelet, one a zone: they take pods and say that these run.

Pods get a kubelet's statuses and events (`pods`), need the config maps and secrets that they refer
to (`references`), and their logs can be read; what a test lets run is executed (`executing`). No
address of a pod answers. A node goes away when a file of its name lies in the folder ``away``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.testbed.kube import volumes
from tests.testbed.kube.api import MERGE, Api, Json, Refused
from tests.testbed.kube.events import Teller
from tests.testbed.kube.logs import log_server
from tests.testbed.kube.pki import Authority
from tests.testbed.kube.pods import Event, fate, now
from tests.testbed.kube.references import lacking

NAMES = ("node-a", "node-b", "node-c")
ROUND_SECONDS = 0.15
_OVER = ("Succeeded", "Failed")


@dataclass
class _Pod:
    """What a node remembers of a pod."""

    since: float
    address: str
    written: str = ""
    told: set[Event] = field(default_factory=set)


class Nodes:
    """The nodes and the provisioner of their volumes."""

    def __init__(self, api: Api, folder: Path, *, port: int, heartbeat: float = 10.0) -> None:
        self._api, self._port, self._heartbeat = api, port, heartbeat
        self._away = folder / "away"
        self._away.mkdir(exist_ok=True)
        self._numbers = itertools.count(2)
        self._pods: dict[str, _Pod] = {}
        self._tell = Teller(api)
        self._beaten = dict.fromkeys(NAMES, float("-inf"))

    def register(self) -> None:
        """Make the nodes and the storage classes."""
        for name in NAMES:
            zone = name.replace("node", "zone")
            labels = {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": zone,
                "topology.kubernetes.io/region": "test",
            }
            meta = {"name": name, "labels": labels}
            self._api(
                "POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": meta}
            )
        volumes.make_classes(self._api)
        self._beat()

    def run(self, stop: threading.Event) -> None:
        """Be the nodes until told to stop. What one round could not do, the next one does."""
        while not stop.wait(ROUND_SECONDS):
            with contextlib.suppress(OSError, Refused, ValueError):
                self._beat()
                self._serve_pods()
                volumes.serve(self._api, self._tell)

    def _beat(self) -> None:
        for name in self._here():
            if time.monotonic() - self._beaten[name] >= self._heartbeat:
                self._api("PATCH", f"/api/v1/nodes/{name}/status", self._status(name), form=MERGE)
                self._beaten[name] = time.monotonic()

    def _here(self) -> list[str]:
        return [name for name in NAMES if not (self._away / name).exists()]

    def _status(self, name: str) -> Json:
        has = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "500Gi"}
        if name == "node-c":
            has["nvidia.com/gpu"] = "8"
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "fake"}
        return {
            "status": {
                "capacity": has,
                "allocatable": has,
                "conditions": [{**ready, "lastHeartbeatTime": now(), "lastTransitionTime": now()}],
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
                "nodeInfo": {
                    "kubeletVersion": "v1.20.2",
                    "operatingSystem": "linux",
                    "architecture": "amd64",
                },
            }
        }

    def _serve_pods(self) -> None:
        here, seen = set(self._here()), set()
        for pod in self._api("GET", "/api/v1/pods?resourceVersion=0")["items"]:
            seen.add(pod["metadata"]["uid"])
            if pod["spec"].get("nodeName") in here:
                with contextlib.suppress(Refused):  # it changed or went meanwhile
                    self._serve_pod(pod)
        for uid in self._pods.keys() - seen:
            del self._pods[uid]

    def _serve_pod(self, pod: Json) -> None:
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if "deletionTimestamp" in meta:
            self._api.delete(path, gracePeriodSeconds=0, preconditions={"uid": meta["uid"]})
            return
        if pod["status"].get("phase") in _OVER:
            return
        known = self._pods.get(meta["uid"])
        if known is None:
            number = next(self._numbers)
            known = _Pod(time.monotonic(), f"10.244.{number // 250 % 250}.{number % 250 + 1}")
            self._pods[meta["uid"]] = known
        running = pod["status"].get("phase") == "Running"
        missing = {} if running else lacking(self._api, pod)
        if missing:
            known.since = time.monotonic()  # its containers start when all of it is there
        made = fate(pod, time.monotonic() - known.since, known.address, missing)
        shape = json.dumps(_timeless(made.status), sort_keys=True)
        # The node controller too writes here, when it takes the node for gone.
        if shape != known.written or _ready(made.status) != _ready(pod["status"]):
            self._api("PATCH", f"{path}/status", {"status": made.status}, form=MERGE)
            known.written = shape
        for event in made.events:
            if event not in known.told:
                known.told.add(event)
                self._tell(pod, event.kind, event.reason, event.message)


def _ready(status: Json) -> bool:
    wanted = ("Ready", "True")
    return any((one["type"], one["status"]) == wanted for one in status.get("conditions", ()))


def _timeless(value: object) -> object:
    """A status without its times, which differ each time it is made."""
    if isinstance(value, dict):
        return {name: _timeless(one) for name, one in value.items() if not name.endswith("At")}
    if isinstance(value, list):
        return [_timeless(one) for one in value]
    return value


@contextlib.contextmanager
def fake_nodes(
    api: Api, authority: Authority, folder: Path, *, heartbeat: float = 10.0
) -> Iterator[None]:
    """Run the nodes beside the block, in a thread."""
    stop = threading.Event()
    with log_server(authority, folder / "logs") as port:
        nodes = Nodes(api, folder, port=port, heartbeat=heartbeat)
        nodes.register()
        thread = threading.Thread(target=nodes.run, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=30)
