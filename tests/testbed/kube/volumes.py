"""Storage of the fake nodes: what a provisioner and a resizer would do for claims.

Classes: ``standard`` (the default; binds when a pod wants it, can grow), ``fast`` (binds at once),
``shared`` (also ReadWriteMany), ``keep`` (volumes stay when their claims go), ``offline`` (its
volumes grow, and their file systems wait for a pod that no test starts), ``never`` (nobody
provisions it). All but ``shared`` refuse any access mode but ReadWriteOnce, and all refuse more
than 10Ti, with the event that a provisioner gives.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from tests.testbed.kube.api import MERGE, Api, Json, Refused

PROVISIONER = "disks.kube.test"
NOBODY = "nobody.kube.test"
LIMIT_GI = 10 * 1024
_UNITS = {"Ki": 1 / 1024**2, "Mi": 1 / 1024, "Gi": 1, "Ti": 1024, "Pi": 1024**2}
_SELECTED = "volume.kubernetes.io/selected-node"
_PROVISIONERS = (
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
)
ROUND_SECONDS = 0.2
Tell = Callable[[Json, str, str, str], None]
Source = Callable[[str], Json]


def nowhere(name: str) -> Json:
    """Where a volume lies that no container ever sees."""
    return {"hostPath": {"path": f"/nowhere/{name}"}}


def make_classes(api: Api) -> None:
    """Make the storage classes."""
    for name, provisioner, late, keep in (
        ("standard", PROVISIONER, True, False),
        ("fast", PROVISIONER, False, False),
        ("shared", PROVISIONER, False, False),
        ("keep", PROVISIONER, True, True),
        ("offline", PROVISIONER, False, False),
        ("never", NOBODY, False, False),
    ):
        default = {"storageclass.kubernetes.io/is-default-class": str(name == "standard").lower()}
        one = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name, "annotations": default},
            "provisioner": provisioner,
            "volumeBindingMode": "WaitForFirstConsumer" if late else "Immediate",
            "reclaimPolicy": "Retain" if keep else "Delete",
            "allowVolumeExpansion": name != "fast",
        }
        api("POST", "/apis/storage.k8s.io/v1/storageclasses", one)


def run(api: Api, tell: Tell, source: Source) -> None:
    """Serve for ever. What one round could not do, the next one does."""
    while True:
        with contextlib.suppress(OSError, Refused, ValueError):
            serve(api, tell, source)
        time.sleep(ROUND_SECONDS)


def serve(api: Api, tell: Tell, source: Source = nowhere) -> None:
    """Look once at all claims and volumes and do what is to be done.

    Args:
        api: with rights on volumes.
        tell: makes an event of an object: kind, reason, message.
        source: the part of a volume's spec that says where it lies, by its name.
    """
    for claim in api("GET", "/api/v1/persistentvolumeclaims?resourceVersion=0")["items"]:
        if "deletionTimestamp" in claim["metadata"]:
            continue
        if claim["status"].get("phase") == "Pending":
            _provision(api, claim, tell, source)
        elif claim["status"].get("phase") == "Bound":
            _grow(api, claim)
    for volume in api("GET", "/api/v1/persistentvolumes?resourceVersion=0")["items"]:
        ours = volume["metadata"].get("annotations", {}).get("made-by") == PROVISIONER
        dropped = volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        if ours and dropped and volume["status"].get("phase") == "Released":
            api.delete(f"/api/v1/persistentvolumes/{volume['metadata']['name']}")


def _provision(api: Api, claim: Json, tell: Tell, source: Source) -> None:
    notes, spec = claim["metadata"].get("annotations", {}), claim["spec"]
    if PROVISIONER not in [notes.get(name) for name in _PROVISIONERS] or spec.get("volumeName"):
        return
    kind = api.get(f"/apis/storage.k8s.io/v1/storageclasses/{spec['storageClassName']}")
    if kind is None or (kind["volumeBindingMode"] != "Immediate" and _SELECTED not in notes):
        return
    name = f"pvc-{claim['metadata']['uid']}"
    if refusal := _refusal(claim):
        tell(claim, "Warning", "ProvisioningFailed", refusal)
        return
    if api.get(f"/api/v1/persistentvolumes/{name}") is not None:
        return
    tell(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")
    fields = ("namespace", "name", "uid", "resourceVersion")
    owner = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    owner |= {field: claim["metadata"][field] for field in fields}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {"made-by": PROVISIONER, "pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": kind["reclaimPolicy"],
            "storageClassName": kind["metadata"]["name"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "claimRef": owner,
            **source(name),
        },
    }
    api("POST", "/api/v1/persistentvolumes", volume)


def _refusal(claim: Json) -> str:
    spec = claim["spec"]
    shared = spec["storageClassName"] == "shared"
    if not shared and spec["accessModes"] != ["ReadWriteOnce"]:
        return f"rpc error: code = InvalidArgument desc = no {','.join(spec['accessModes'])} here"
    if gibibytes(spec["resources"]["requests"]["storage"]) > LIMIT_GI:
        return f"rpc error: code = OutOfRange desc = a volume has at most {LIMIT_GI}Gi"
    return ""


def _grow(api: Api, claim: Json) -> None:
    """A claim that asks for more than it has gets it; the API server asked the class."""
    wanted = claim["spec"]["resources"]["requests"]["storage"]
    if gibibytes(wanted) <= gibibytes(claim["status"]["capacity"]["storage"]):
        return
    capacity: Json = {"capacity": {"storage": wanted}}
    path, meta = f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}", claim["metadata"]
    api("PATCH", path, {"spec": capacity}, form=MERGE)
    path = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{meta['name']}/status"
    if claim["spec"]["storageClassName"] == "offline":
        capacity = {"conditions": [{"type": "FileSystemResizePending", "status": "True"}]}
    api("PATCH", path, {"status": capacity}, form=MERGE)


def gibibytes(quantity: str) -> float:
    """A size in GiB; decimal units and fractions do not occur here."""
    for unit, factor in _UNITS.items():
        if quantity.endswith(unit):
            return float(quantity.removesuffix(unit)) * factor
    return float(quantity) / 1024**3
