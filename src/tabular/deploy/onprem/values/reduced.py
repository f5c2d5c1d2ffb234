"""What a cluster gives only in part, in words, for what the user really said.

Plans show them, and `--strict` refuses them. What high availability comes to here is one of them
wherever a part of it is a restart and not a failover.
"""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.spec.quantities import format_duration
from tabular.deploy.stack import Reduction

from .database import COPIES, copies, operator
from .storage import parity, servers
from .wanted import Wanted, size

_RESTART = "one server, started again on another node where its volume can go there"


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Everything that is given only in part."""
    yield from _reach(wanted)
    yield from _compute(wanted)
    yield from _storage(wanted)
    yield from _database(wanted)
    yield from _messaging(wanted)
    yield from _kept(wanted)


def _reduced(path: str, want: str, given: str, reason: str) -> Reduction:
    return Reduction(f"spec.{path}", want, given, reason)


def _reach(wanted: Wanted) -> Iterator[Reduction]:
    if wanted.spec.networking.domain is None:
        name, namespace = wanted.target.name, wanted.target.region
        yield _reduced(
            "networking.domain",
            "an address of the service",
            f"http://{name}-api.{namespace}.svc:8000, within the cluster",
            "TLS needs a name and a certificate; to publish it set networking.domain with "
            "networking.certificate or onprem.issuer",
        )


def _compute(wanted: Wanted) -> Iterator[Reduction]:
    compute, cache = wanted.spec.compute, wanted.spec.cache
    if wanted.most > 1 and wanted.cache is None and cache is not None:
        yield _reduced(
            "cache.type",
            "one rate limit for a key",
            f"each of {wanted.most} pods counts alone, so up to that many times",
            "a cache in memory is not shared; set cache.type: redis for one count",
        )
    if compute.availability_zones is not None:
        yield _reduced(
            "compute.availability_zones",
            str(compute.availability_zones),
            "the zones that the nodes' labels tell of",
            "pods are spread over them where there is room",
        )
    if compute.disk is not None:
        yield _reduced(
            "compute.disk",
            size(compute.disk),
            "a limit of each pod's temporary files",
            "they are on the disk of its node, which is encrypted if the node's is",
        )


def _storage(wanted: Wanted) -> Iterator[Reduction]:
    storage, own = wanted.spec.storage, wanted.spec.onprem.persistence
    if storage.type == "local":
        yield _reduced(
            "storage.type",
            "local",
            "all pods of API and workers on the node of the volume",
            "a local volume is one node's: its loss stops the service, and its disk's the data",
        )
    if own is not None and own.enabled and not wanted.volume:
        yield _reduced(
            "onprem.persistence",
            f"a volume of {'10Gi' if own.size is None else size(own.size)}",
            "room for the workers' large temporary files",
            "tables and models are in the object store, which all pods share",
        )
    wants = (storage.replication or 1) > 1
    if wants and not wanted.own_store:
        yield _reduced(
            "storage.replication",
            str(storage.replication),
            "as many as the class or the store keeps",
            "its copies are not ours to say",
        )
    elif wants or (wanted.spec.ha and wanted.own_store):
        number = servers(wanted)
        lost = parity(number)
        if number == 1 or lost < (storage.replication or 2) - 1:
            yield _reduced(
                "storage.replication",
                str(storage.replication or 2),
                "one copy" if number == 1 else f"{lost} of {number} disks may be lost",
                "MinIO keeps an erasure code; storage.minio.replicas has more servers",
            )


def _database(wanted: Wanted) -> Iterator[Reduction]:
    database = wanted.spec.database
    high = database.ha or wanted.spec.ha
    if wanted.database == "mysql" and high:
        yield _reduced("database.ha", "true", _RESTART, "MySQL has no copies here; PostgreSQL has")
    elif wanted.database == "external" and high:
        yield _reduced("database.ha", "true", "what that database gives", "it is not ours")
    elif wanted.database == "postgresql" and operator(wanted) is None and high:
        number = copies(wanted)
        yield _reduced(
            "database.ha",
            "true",
            f"{number} copies that follow; the most advanced one takes over after 30 s",
            "commits wait for a majority; a cluster that runs CloudNativePG does it faster: "
            "onprem.operators",
        )
    elif 0 < copies(wanted) < COPIES and wanted.database == "postgresql" and not operator(wanted):
        yield _reduced(
            "database.read_replicas",
            str(database.read_replicas),
            "a copy that follows; none takes over",
            f"a majority needs {COPIES} copies",
        )


def _messaging(wanted: Wanted) -> Iterator[Reduction]:
    cache, queue, whole = wanted.cache, wanted.spec.queue, wanted.spec.ha
    if cache is not None and (cache.ha or whole):
        yield _reduced("cache.ha", "true", _RESTART, "it keeps nothing that may not be lost")
    if wanted.broker and queue is not None and (queue.ha or whole):
        yield _reduced("queue.ha", "true", _RESTART, "jobs are in the database; no job is lost")


def _kept(wanted: Wanted) -> Iterator[Reduction]:
    monitoring, security = wanted.spec.monitoring, wanted.spec.security
    if wanted.spec.backup.enabled and wanted.spec.backup.destination is None:
        yield _reduced(
            "backup.destination",
            "backups that outlive the cluster",
            "a volume of the release",
            "no other store is known here; backup.destination: s3://bucket/prefix names one",
        )
    if "log_retention" in monitoring.model_fields_set:
        yield _reduced(
            "monitoring.log_retention",
            format_duration(monitoring.log_retention),
            "as long as the nodes keep them",
            "nodes rotate them by size; a collector of the cluster keeps more",
        )
    if security.deletion_protection:
        yield _reduced(
            "security.deletion_protection",
            "true",
            "volumes and secrets stay unless --delete-data is said",
            "who may delete volumes with kubectl still can",
        )
