"""What a spec comes to in a cluster, worked out once, before any value of the chart is written.

The modules of `values` read this and nothing of the world; what the spec leaves open is filled in
here, so that no two of them fill it in differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tabular.deploy.spec import Deployment
from tabular.deploy.spec.model import Cache, Spec
from tabular.deploy.spec.quantities import format_cores, format_size
from tabular.deploy.target import Target

# Of MinIO with one disk for each server: fewer make no erasure set that survives a loss.
MINIO_SERVERS = 4
OPENSHIFT = "openshift"
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One deployment in a cluster.

    Attributes:
        deployment: the spec as read.
        target: where; its region is the namespace.
        overrides: ``spec.overrides.onprem``, as it is.
    """

    deployment: Deployment
    target: Target
    overrides: Mapping[str, Any]

    @property
    def spec(self) -> Spec:
        """The spec itself."""
        return self.deployment.spec

    @property
    def operators(self) -> frozenset[str]:
        """Operators of the cluster that are made use of."""
        return frozenset(self.spec.onprem.operators)

    @property
    def openshift(self) -> bool:
        """Whether pods get their user ids from OpenShift, and a host its Route."""
        return self.spec.onprem.distribution == OPENSHIFT

    @property
    def fewest(self) -> int:
        """Pods of the API that are always there."""
        compute = self.spec.compute
        return max(2 if self.spec.ha else 1, compute.min_instances or compute.instances)

    @property
    def most(self) -> int:
        """Pods of the API that there may be."""
        return max(self.fewest, self.spec.compute.max_instances or 0)

    @property
    def pods(self) -> int:
        """Pods that read and write tables, at most."""
        return self.most + self.spec.compute.workers

    @property
    def volume(self) -> bool:
        """Whether tables and models are files of a volume that the pods share."""
        storage = self.spec.storage.type
        store = self.spec.onprem.object_store
        return storage in ("nfs", "local") or (storage == "ceph" and store is None)

    @property
    def own_store(self) -> bool:
        """Whether a MinIO of the deployment's own is made."""
        return self.spec.storage.type in ("object", "minio")

    @property
    def database(self) -> str:
        """``postgresql``, ``mysql`` or ``external``."""
        return self.spec.database.type or "postgresql"

    @property
    def cache(self) -> Cache | None:
        """The cache server: the one that is said, or a small one where several pods share it."""
        said, queue = self.spec.cache, self.spec.queue
        if said is not None and said.type != "memory":
            return said
        if queue is not None and queue.type == "redis":
            return said.model_copy(update={"type": "redis"}) if said else Cache()
        return Cache() if said is None and self.most > 1 else None

    @property
    def broker(self) -> bool:
        """Whether a RabbitMQ is made."""
        queue = self.spec.queue
        return queue is not None and queue.type in ("native", "rabbitmq")


def size(amount: int) -> str:
    """Bytes as Kubernetes writes them."""
    return format_size(amount).removesuffix("B")


def cores(amount: Decimal) -> str:
    """Cores as Kubernetes writes them."""
    return str(format_cores(amount))


def said(**given: Any) -> Values:
    """The values that say something; the chart's own hold where none is given."""
    return {name: value for name, value in given.items() if value is not None and value != {}}
