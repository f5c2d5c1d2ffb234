"""Events as a node or a provisioner makes them: each thing of an object is told once."""

from __future__ import annotations

from tests.testbed.kube.api import Api, Json
from tests.testbed.kube.pods import now


class Teller:
    """Makes events of pods and claims."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._told: set[tuple[str, str, str]] = set()

    def __call__(self, about: Json, kind: str, reason: str, message: str) -> None:
        """Tell something of an object, unless it was told before.

        Args:
            about: the object.
            kind: ``Normal`` or ``Warning``.
            reason: one word.
            message: the rest.
        """
        meta = about["metadata"]
        if (meta["uid"], reason, message) in self._told:
            return
        self._told.add((meta["uid"], reason, message))
        object_kind = "PersistentVolumeClaim" if "accessModes" in about["spec"] else "Pod"
        named = {field: meta[field] for field in ("namespace", "name", "uid")}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
            "involvedObject": {"apiVersion": "v1", "kind": object_kind, **named},
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "source": {"component": "kubelet", "host": about["spec"].get("nodeName", "")},
        }
        self._api("POST", f"/api/v1/namespaces/{meta['namespace']}/events", event)
