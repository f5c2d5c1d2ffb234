"""Where tables and models are kept: a MinIO of ours, another store, or a volume."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from pydantic import SecretStr

from tabular.deploy.onprem.secrets.given import GivenSecret
from tabular.deploy.spec.quantities import BINARY
from tabular.deploy.spec.secret import Secret
from tabular.errors import UnsupportedError, UsageError

from . import existing as secrets
from .wanted import MINIO_SERVERS, Values, Wanted, said, size

ACCESS_KEY, SECRET_KEY = "storage-access-key", "storage-secret-key"
# Disks of one erasure set that can be written to while one is away. Source: minio/minio,
# cmd/endpoint-ellipses.go, which takes the largest that divides their number.
SIZES = range(4, 17)
_GIB = BINARY["Gi"]
USER = "tabular-service"  # the service's own at MinIO, as the chart calls it
_ROOT_PASSWORD = "root-password"  # noqa: S105 - the name of a key
_SHARED = "ReadWriteMany"


def values(wanted: Wanted) -> Values:
    """Values of the store and of the service's own volume.

    Raises:
        UnsupportedError: a number of servers that no erasure set has, or a volume that pods
            cannot share.
        UsageError: where the store is, or which class of volumes, is not said.
    """
    found: Values = {}
    if wanted.own_store:
        found["minio"] = _minio(wanted)
    elif not wanted.volume:
        found |= _other(wanted)
    persistence = _persistence(wanted)
    return {**found, "persistence": persistence} if persistence else found


def given(wanted: Wanted) -> Iterator[GivenSecret]:
    """Keys of the store."""
    store, minio = wanted.spec.onprem.object_store, wanted.spec.storage.minio
    if wanted.own_store:
        if minio is not None:
            where = "spec.storage.minio"
            if minio.root_user is not None:
                user = Secret(literal=SecretStr(minio.root_user))
                yield GivenSecret(ACCESS_KEY, f"{where}.root_user", user)
            yield from secrets.given(minio.root_password, SECRET_KEY, f"{where}.root_password")
    elif store is not None:
        where = "spec.onprem.object_store"
        yield from secrets.given(store.access_key, ACCESS_KEY, f"{where}.access_key", replaces=True)
        yield from secrets.given(store.secret_key, SECRET_KEY, f"{where}.secret_key", replaces=True)


def servers(wanted: Wanted) -> int:
    """Servers of our MinIO.

    Raises:
        UnsupportedError: no set of disks can be made of so many.
    """
    minio = wanted.spec.storage.minio
    safe = wanted.spec.ha or (wanted.spec.storage.replication or 1) > 1
    if minio is None or not minio.model_fields_set & {"mode", "replicas"}:
        return MINIO_SERVERS if safe else 1
    distributed = minio.mode == "distributed" or minio.replicas > 1
    number = minio.replicas if "replicas" in minio.model_fields_set else MINIO_SERVERS
    if not distributed:
        return 1
    if not any(number % disks == 0 for disks in SIZES):
        raise UnsupportedError(
            f"{number} servers of MinIO do not divide into erasure sets, which have 4 to 16 disks",
            where="spec.storage.minio.replicas",
            hint=f"{_nearest(number)}, for example; 4 lose no object when one is lost",
        )
    return number


def parity(number: int) -> int:
    """Disks of an erasure set that may be lost without losing an object.

    Source: MinIO's default for the storage class STANDARD.
    """
    disks = max((d for d in SIZES if number % d == 0), default=1)
    return 0 if disks == 1 else 2 if disks < 6 else 3 if disks < 8 else 4


def _nearest(number: int) -> int:
    legal = [n for n in range(4, 65) if any(n % disks == 0 for disks in SIZES)]
    return min(legal, key=lambda n: abs(n - number))


def _minio(wanted: Wanted) -> Values:
    storage, minio = wanted.spec.storage, wanted.spec.storage.minio
    number = servers(wanted)
    if minio is not None and minio.root_user == USER:
        raise UsageError(
            f"{USER} is the service's own user, which is no administrator",
            where="spec.storage.minio.root_user",
            hint="another name, or none: one is made",
        )
    disk = minio.size if minio else None
    if disk is None and storage.size is not None:
        disk = _share(storage.size, number)
    return said(
        enabled=True,
        mode="distributed" if number > 1 else "standalone",
        replicas=number,
        operator="minio" if "minio" in wanted.operators else None,
        bucket=storage.bucket,
        persistence=said(
            size=None if disk is None else size(disk),
            storageClass=minio.storage_class if minio else None,
        ),
        existingSecret=_existing(minio.root_password) if minio else None,
    )


def _existing(password: Secret | None) -> str | None:
    """A Secret with name and password of MinIO's administrator, under the keys that it has here."""
    where = "spec.storage.minio.root_password"
    found = secrets.existing(password, where, _ROOT_PASSWORD)
    if found is None:
        return None
    if found[1] != _ROOT_PASSWORD:
        raise UsageError(
            f"MinIO's Secret has the keys root-user and {_ROOT_PASSWORD}, not {found[1]}",
            where=where,
            hint=f"secretRef: k8s:{found[0]}",
        )
    return found[0]


def _share(whole: int, number: int) -> int:
    """Disk of each server so that ``whole`` bytes fit beside the parity, in whole GiB."""
    disks = max((d for d in SIZES if number % d == 0), default=1)
    useful = number * (disks - parity(number)) // disks
    return -(-whole // useful // _GIB) * _GIB


def _other(wanted: Wanted) -> Values:
    """A store that exists: by its URL, with keys of the Secret."""
    storage, store = wanted.spec.storage, wanted.spec.onprem.object_store
    if store is None:
        raise UsageError(
            f"type: {storage.type} is a store that exists, and its keys are not said",
            where="spec.storage.type",
            hint="say onprem.object_store: {endpoint, access_key, secret_key}; or type: object "
            "for a MinIO of the deployment's own",
        )
    if storage.bucket is None:
        raise UsageError(
            f"type: {storage.type} is a store that exists, and its bucket is not said",
            where="spec.storage.type",
            hint="storage.bucket: NAME",
        )
    options = said(endpoint=store.endpoint, region=store.region)
    words = "&".join(f"{name}={quote(value, safe=':/')}" for name, value in options.items())
    url = f"s3://{storage.bucket}/tabular" + (f"?{words}" if words else "")
    return {"storage": {"url": url}, **_references(wanted)}


def _references(wanted: Wanted) -> Values:
    store = wanted.spec.onprem.object_store
    if store is None:
        return {}
    pairs = ((ACCESS_KEY, store.access_key), (SECRET_KEY, store.secret_key))
    found = {
        key: {"name": named[0], "key": named[1]}
        for key, secret in pairs
        if (named := secrets.existing(secret, f"spec.onprem.object_store.{key[8:]}", key))
    }
    return {"secrets": {"from": found}} if found else {}


def _persistence(wanted: Wanted) -> Values | None:
    """The volume of API and workers: what the objects are in, or for large temporary files."""
    own, storage = wanted.spec.onprem.persistence, wanted.spec.storage
    if not wanted.volume:
        if own is None or not own.enabled:
            return None
    elif own is not None and not own.enabled:
        raise UsageError(
            f"type: {storage.type} keeps objects in the volume that is turned off",
            where="spec.onprem.persistence.enabled",
            hint="leave it out, or say storage.type: object for a MinIO",
        )
    class_ = (own.storage_class if own else None) or wanted.spec.onprem.storage_class
    if wanted.volume and class_ is None:
        raise UsageError(
            f"type: {storage.type} needs the class of its volume",
            where="spec.storage.type",
            hint="onprem.persistence.storage_class: NAME (`kubectl get storageclass` lists them), "
            "or --storage-class for all volumes",
        )
    amount = (own.size if own else None) or (storage.size if wanted.volume else None)
    return said(
        enabled=True,
        storageClass=own.storage_class if own else None,
        size=None if amount is None else size(amount),
        accessMode=_access_mode(wanted),
        sameNode=True if storage.type == "local" else None,
    )


def _access_mode(wanted: Wanted) -> str | None:
    """How the service's volume is mounted; by who shares it where the spec says nothing."""
    own = wanted.spec.onprem.persistence
    sharing = sharers(wanted)
    if own is None or own.access_mode is None:
        return None
    if own.access_mode != _SHARED and sharing > 1 and wanted.spec.storage.type != "local":
        who = "API and workers" if wanted.volume else "workers"
        raise UnsupportedError(
            f"{sharing} pods ({who}) cannot share a volume that is ReadWriteOnce: one node may "
            "mount it, and pods on others would wait for ever",
            where="spec.onprem.persistence.access_mode",
            hint="ReadWriteMany with a class that has it (NFS, CephFS), or keep objects in MinIO "
            "(storage.type: object) and leave onprem.persistence out, or storage.type: local for "
            "one node",
        )
    return own.access_mode


def sharers(wanted: Wanted) -> int:
    """Pods that mount the service's volume: all where objects are in it, else the workers."""
    return wanted.pods if wanted.volume else wanted.spec.compute.workers
