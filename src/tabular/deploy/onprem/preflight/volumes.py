"""Whether the cluster makes the volumes that a stack asks for: class, access mode, room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.rendered.objects import CLUSTERS, claims_of
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.errors import ForbiddenError, PreflightError, nearest

from .amounts import amount, pods, shown
from .kinds import minor

STORAGE = "storage.k8s.io/v1"
_DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
# Of several default classes the youngest counts; before, a claim without a class is refused.
_YOUNGEST_COUNTS = "1.26"
LOCAL = "kubernetes.io/no-provisioner"
SHARED, _ONE_NODE_MODE = "ReadWriteMany", "ReadWriteOnce"
# Provisioners of disks that one node mounts at a time. Source: their own documentation, as of
# November 2026; of one that is not here nothing is known, and the cluster finds out.
_ONE_NODE = frozenset(
    {
        "disk.csi.azure.com", "driver.longhorn.io/strict-local", "ebs.csi.aws.com",
        "kubernetes.io/aws-ebs", "kubernetes.io/azure-disk", "kubernetes.io/gce-pd",
        "kubernetes.io/vsphere-volume", "linstor.csi.linbit.com", "openebs.io/local",
        "pd.csi.storage.gke.io", "rancher.io/local-path", "topolvm.io", "topolvm.cybozu.com",
        "cinder.csi.openstack.org", LOCAL,
    }
)  # fmt: skip
_BLOCK_SUFFIXES = (".rbd.csi.ceph.com", "rbd.csi.ceph.com")


@dataclass(frozen=True, slots=True)
class Claim:
    """Volumes of one kind that a stack asks for.

    Attributes:
        owner: whose, e.g. ``StatefulSet/demo-minio``.
        names: of the claims.
        class_: storage class; None for the cluster's default, "" for none.
        modes: access modes.
        size: of each, as it is written.
    """

    owner: str
    names: tuple[str, ...]
    class_: str | None
    modes: tuple[str, ...]
    size: str


def claims(objects: Iterable[Object]) -> Iterator[Claim]:
    """All volumes that the objects ask for."""
    for one in objects:
        name = one["metadata"]["name"]
        if one["kind"] == "PersistentVolumeClaim":
            yield _claim(f"{one['kind']}/{name}", (name,), one["spec"])
        elif one["kind"] == "StatefulSet":
            count = int(one["spec"].get("replicas", 1))
            for template in one["spec"].get("volumeClaimTemplates") or ():
                first = f"{template['metadata']['name']}-{name}"
                names = tuple(f"{first}-{number}" for number in range(count))
                yield _claim(f"{one['kind']}/{name}", names, template["spec"])


def require_volumes(cluster: Cluster, namespace: str, objects: Iterable[Object]) -> None:
    """Refuse volumes that the cluster does not make. Claims that are there are left alone.

    Raises:
        PreflightError: no such class, no default one, a class that cannot be shared, no room, or
            no claim of a name that is mounted.
    """
    made = tuple(objects)
    _require_named_claims(cluster, namespace, made)
    wanted = (*claims(made), *_claims_of_operators(cluster, namespace, made))
    if not wanted:
        return
    try:
        classes = {one["metadata"]["name"]: one for one in cluster.list(STORAGE, "StorageClass")}
    except ForbiddenError:
        return  # a deployer who may not look at classes is told by the claims themselves
    there, by_hand = _there(cluster, namespace), dict[str, list[Claim]]()
    for claim in wanted:
        missing = replace(claim, names=tuple(name for name in claim.names if name not in there))
        if not missing.names:
            continue
        if claim.class_ == "":
            by_hand.setdefault("", []).append(missing)
            continue
        found = _class_of(cluster, claim, classes)
        _require_mode(claim, found)
        if found["provisioner"] == LOCAL:
            by_hand.setdefault(found["metadata"]["name"], []).append(missing)
        else:
            _require_room(cluster, claim, found)
    for class_, asked in by_hand.items():
        _require_volumes_by_hand(cluster, namespace, class_, asked)


def default_class(classes: Iterable[Object]) -> Object | None:
    """The class of claims that name none: of several the youngest, as from Kubernetes 1.26."""
    found = _defaults(classes)
    return found[0] if found else None


def _defaults(classes: Iterable[Object]) -> list[Object]:
    """Classes that are marked as the default one, the one that counts first."""
    marked = [
        one
        for one in classes
        if any((one["metadata"].get("annotations") or {}).get(name) == "true" for name in _DEFAULT)
    ]
    by_name = sorted(marked, key=lambda one: str(one["metadata"]["name"]))
    return sorted(
        by_name, key=lambda one: str(one["metadata"].get("creationTimestamp") or ""), reverse=True
    )


def _claims_of_operators(
    cluster: Cluster, namespace: str, objects: Iterable[Object]
) -> Iterator[Claim]:
    """What operators will claim for those of their kinds that are not there yet."""
    for one in objects:
        name, spec = one["metadata"]["name"], one["spec"] if one["kind"] in CLUSTERS else {}
        if not spec or cluster.get(one["apiVersion"], one["kind"], name, namespace) is not None:
            continue
        owner = f"{one['kind']}/{name}"
        if one["kind"] == "Tenant":
            servers, bases = int(spec["pools"][0]["servers"]), claims_of(one)
            names = tuple(f"{base}-{number}" for base in bases for number in range(servers))
            yield _claim(owner, names, spec["pools"][0]["volumeClaimTemplate"]["spec"])
        else:
            disk = spec.get("storage") or spec["volume"]
            count = int(spec.get("instances") or spec["numberOfInstances"])
            names = tuple(f"{name}-{number}" for number in range(count))
            yield Claim(owner, names, disk.get("storageClass"), (_ONE_NODE_MODE,), disk["size"])


def _claim(owner: str, names: tuple[str, ...], spec: Mapping[str, Any]) -> Claim:
    size = str(spec["resources"]["requests"]["storage"])
    return Claim(owner, names, spec.get("storageClassName"), tuple(spec["accessModes"]), size)


def _require_named_claims(cluster: Cluster, namespace: str, objects: tuple[Object, ...]) -> None:
    """A claim that pods mount and nobody makes has to be there."""
    made = {one["metadata"]["name"] for one in objects if one["kind"] == "PersistentVolumeClaim"}
    for one in pods(objects):
        for volume in one.spec.get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if name is None or name in made:
                continue
            try:
                found = cluster.get("v1", "PersistentVolumeClaim", name, namespace)
            except ForbiddenError:
                return
            if found is None:
                raise PreflightError(
                    f"pods of {one.owner} mount the claim {name!r}, and the namespace has none of "
                    "that name",
                    where="spec.overrides.onprem.values.persistence.existingClaim",
                    hint=f"kubectl get pvc -n {namespace}; or leave it out, and a claim is made",
                    code="preflight.claim",
                )


def _there(cluster: Cluster, namespace: str) -> frozenset[str]:
    try:
        found = cluster.list("v1", "PersistentVolumeClaim", namespace)
    except ForbiddenError:
        return frozenset()
    return frozenset(one["metadata"]["name"] for one in found)


def _class_of(cluster: Cluster, claim: Claim, classes: Mapping[str, Object]) -> Object:
    known = ", ".join(sorted(classes)) or "none"
    if claim.class_ is None:
        found = _defaults(classes.values())
        if not found:
            raise PreflightError(
                f"{claim.owner} names no storage class, and the cluster has no default one",
                where="spec.onprem.storage_class",
                hint=f"--storage-class NAME; classes of this cluster: {known}",
                code="preflight.storage-class",
            )
        if len(found) > 1 and minor(cluster.version) < minor(_YOUNGEST_COUNTS):
            names = " and ".join(sorted(one["metadata"]["name"] for one in found))
            raise PreflightError(
                f"{claim.owner} names no storage class, and {names} are both the cluster's "
                f"default: a server of {cluster.version} then makes no claim",
                where="spec.onprem.storage_class",
                hint=f"--storage-class NAME; or have one default: kubectl annotate storageclass "
                f"{found[-1]['metadata']['name']} {_DEFAULT[0]}-",
                code="preflight.storage-class",
            )
        return found[0]
    if claim.class_ not in classes:
        raise PreflightError(
            f"the cluster has no storage class {claim.class_!r}, which {claim.owner} asks for",
            where="spec.onprem.storage_class",
            hint=f"{nearest(claim.class_, classes)}classes of this cluster: {known}",
            code="preflight.storage-class",
        )
    return classes[claim.class_]


def _require_mode(claim: Claim, class_: Object) -> None:
    provisioner = str(class_["provisioner"])
    one_node = provisioner in _ONE_NODE or provisioner.endswith(_BLOCK_SUFFIXES)
    if SHARED in claim.modes and one_node:
        name = class_["metadata"]["name"]
        raise PreflightError(
            f"{claim.owner} is shared by several pods ({SHARED}), and volumes of {name} "
            f"({provisioner}) are mounted by one node at a time",
            where="spec.onprem.persistence",
            hint="a class of a file system (NFS, CephFS, Longhorn): "
            "onprem.persistence.storage_class; or keep objects in MinIO (storage.type: object) and "
            "leave onprem.persistence out",
            code="preflight.access-mode",
        )


def _require_volumes_by_hand(
    cluster: Cluster, namespace: str, class_: str, wanted: Iterable[Claim]
) -> None:
    """Each claim has a volume of its own among those that somebody made; the smallest that fits."""
    free = _free_volumes(cluster, class_)
    if free is None:
        return
    for claim in sorted(wanted, key=lambda one: amount(one.size), reverse=True):
        fitting = [one for one in free if _fits(one, claim, namespace)]
        if len(fitting) < len(claim.names):
            raise PreflightError(
                f"{claim.owner} needs {len(claim.names)} local volumes of {claim.size}, and "
                f"{class_ or 'no class'} has {len(fitting)} that are free",
                where="spec.onprem.storage_class",
                hint="kubectl get pv; make more PersistentVolumes with storageClassName: "
                f"{class_ or chr(34) * 2} and accessModes: [{', '.join(claim.modes)}]",
                code="preflight.capacity",
            )
        fitting.sort(key=lambda one: amount(one["spec"]["capacity"]["storage"]))
        for one in fitting[: len(claim.names)]:
            free.remove(one)


def _fits(volume: Object, claim: Claim, namespace: str) -> bool:
    """Whether a volume may become a claim's: large enough, mounted so, kept for no other."""
    spec = volume["spec"]
    kept = spec.get("claimRef") or {}
    if kept and (kept.get("namespace") != namespace or kept.get("name") not in claim.names):
        return False
    large = amount(spec["capacity"]["storage"]) >= amount(claim.size)
    return large and set(claim.modes) <= set(spec.get("accessModes") or ())


def _require_room(cluster: Cluster, claim: Claim, class_: Object) -> None:
    name, asked = class_["metadata"]["name"], amount(claim.size)
    told = [one for one in _capacities(cluster) if one["storageClassName"] == name]
    most = max(
        (amount(one.get("maximumVolumeSize") or one.get("capacity") or 0) for one in told),
        default=None,
    )
    if most is not None and most < asked:
        raise PreflightError(
            f"{claim.owner} asks for {claim.size}, and {name} has room for "
            f"{shown('storage', most)} in one place at most",
            where="spec.onprem.storage_class",
            hint="a smaller size, another class, or more disks",
            code="preflight.capacity",
        )


def _free_volumes(cluster: Cluster, class_: str) -> list[Object] | None:
    try:
        found = cluster.list("v1", "PersistentVolume")
    except ForbiddenError:
        return None
    return [
        one
        for one in found
        if (one["spec"].get("storageClassName") or "") == class_
        and (one.get("status") or {}).get("phase") == "Available"
    ]


def _capacities(cluster: Cluster) -> tuple[Object, ...]:
    for version in ("v1", "v1beta1", "v1alpha1"):
        api = f"storage.k8s.io/{version}"
        if cluster.has(api, "CSIStorageCapacity"):
            try:
                return cluster.list(api, "CSIStorageCapacity")
            except ForbiddenError:
                return ()
    return ()
