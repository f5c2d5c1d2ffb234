"""Where a deployment goes: Kubernetes of one's own, and several clouds at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tabular.deploy.spec.model.amounts import Duration, Size
from tabular.deploy.spec.model.base import (
    AsTuple,
    Block,
    Label,
    ObjectName,
    Text,
    Word,
    contradiction,
    key,
)
from tabular.deploy.spec.model.compute import Compute
from tabular.deploy.spec.model.messaging import Cache, Queue
from tabular.deploy.spec.model.storage import Database, Storage
from tabular.deploy.spec.secret import Secret

Topology = Literal["single", "multi-cloud-active-active", "multi-cloud-active-passive"]


Operator = Literal[
    "cloudnative-pg",
    "zalando",
    "minio",
    "prometheus",
    "cert-manager",
    "external-secrets",
    "velero",
]
KubeVersion = Annotated[str, Field(pattern=r"^1\.[0-9]{1,3}$")]
# No password fits into one: it would stand in the repository itself.
_REPOSITORY = r"^(https://|ssh://([a-z]+@)?)[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._/~-]+$"
RepositoryUrl = Annotated[str, Field(pattern=_REPOSITORY, max_length=300)]
Endpoint = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$", max_length=300)]


class Persistence(Block):
    """A volume for the service itself."""

    enabled: bool = key(True, "Make one.", True)
    storage_class: ObjectName | None = key(
        None, "Kubernetes storage class; `onprem.storage_class` if unset.", "fast-ssd"
    )
    size: Size | None = key(None, "Size of the volume; 10Gi if unset.", "1Ti")
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] | None = key(
        None, "Who may mount it; by the number of instances if unset.", "ReadWriteMany"
    )


class ObjectStore(Block):
    """An object store that exists already and speaks S3, such as Ceph's gateway."""

    endpoint: Endpoint | None = key(
        None, "Where it is; AWS itself if unset.", "https://rgw.example.com"
    )
    region: Word | None = key(None, "The region it expects.", "eu-central-1")
    access_key: Secret = key(..., "Its access key.", {"secretRef": "k8s:rgw/access-key"})
    secret_key: Secret = key(..., "Its secret key.", {"secretRef": "k8s:rgw/secret-key"})


class GitOps(Block):
    """The Git repository from which a controller in the cluster deploys."""

    repository: RepositoryUrl = key(
        ..., "Where it is, as the controller reaches it.", "https://git.example.com/team/deploy.git"
    )
    branch: Word = key("main", "The branch that is deployed.", "main")


class OnPrem(Block):
    """Settings of a Kubernetes of one's own; other providers refuse the block."""

    namespace: Label | None = key(
        None, "Namespace; NAME-ENVIRONMENT of the deployment if unset.", "synthdata"
    )
    storage_class: ObjectName | None = key(
        None, "Storage class of all volumes; the cluster's default if unset.", "fast-ssd"
    )
    method: Literal["helm", "manifests"] = key(
        "helm", "How it is applied: a Helm release, or server-side apply.", "helm"
    )
    distribution: Literal["kubernetes", "openshift", "rancher", "swarm"] | None = key(
        None, "Kind of cluster; plain Kubernetes if unset.", "openshift"
    )
    kubernetes_version: KubeVersion | None = key(
        None,
        "Version that `export` writes for, in quotes; a deploy asks the cluster.",
        "1.28",
    )
    operators: Annotated[tuple[Operator, ...], AsTuple] = key(
        (),
        "Operators of the cluster that are made use of; one that is there and not named here is "
        "left alone.",
        ["cloudnative-pg", "prometheus"],
    )
    ingress_class: ObjectName | None = key(None, "Class of the ingress.", "nginx")
    issuer: Word | None = key(
        None,
        "Issuer of cert-manager for certificates: a ClusterIssuer, or Issuer/NAME.",
        "internal-ca",
    )
    object_store: ObjectStore | None = key(
        None, "Where an object store is that exists already; for `storage.type` s3 and ceph."
    )
    persistence: Persistence | None = key(None, "A volume for the service itself.")
    gitops: GitOps | None = key(
        None, "Where `export --format gitops` is kept, for a controller to deploy it."
    )
    kubeconfig: Text | None = key(
        None, "File that says how to reach the cluster.", "~/.kube/config", local=True
    )
    context: Text | None = key(None, "Context in that file.", "prod-cluster", local=True)

    @model_validator(mode="after")
    def _operators_fit(self) -> OnPrem:
        if {"cloudnative-pg", "zalando"} <= set(self.operators):
            raise contradiction(
                "operators", "cloudnative-pg and zalando both run PostgreSQL; name one of them"
            )
        if len(set(self.operators)) != len(self.operators):
            raise contradiction("operators", "an operator is named twice")
        if self.issuer is not None and "cert-manager" not in self.operators:
            raise contradiction("issuer", "is of cert-manager; name it in onprem.operators")
        return self


class Resources(Block):
    """What one provider of several runs; keys left out are those of the whole spec."""

    compute: Compute | None = key(None, "As `spec.compute`.")
    storage: Storage | None = key(None, "As `spec.storage`.")
    database: Database | None = key(None, "As `spec.database`.")
    cache: Cache | None = key(None, "As `spec.cache`.")
    queue: Queue | None = key(None, "As `spec.queue`.")


class Placement(Block):
    """One provider of a deployment over several."""

    regions: Annotated[tuple[Word, ...], AsTuple] = key(
        ..., "Regions to run in.", ["us-east-1", "eu-west-1"], min_length=1
    )
    priority: int = key(1, "Order of failover, 1 first.", 1, ge=1, le=100)
    account: Word | None = key(None, "Account, subscription or project.", "123456789012")
    resources: Resources = key(Resources(), "What differs there.")

    @model_validator(mode="after")
    def _regions_once(self) -> Placement:
        if len(set(self.regions)) != len(self.regions):
            raise contradiction("regions", "a region is named twice")
        return self


class Replication(Block):
    """How data gets from one place to the others."""

    mode: Literal["async", "sync"] = key("async", "Whether a write waits for the copies.", "async")
    consistency: Literal["eventual", "strong"] = key(
        "eventual", "What a reader elsewhere may see.", "eventual"
    )
    sync_interval: Duration = key(
        timedelta(minutes=5), "Time between two runs of an async copy.", "5m"
    )

    @model_validator(mode="after")
    def _fits(self) -> Replication:
        wanted = {"async": "eventual", "sync": "strong"}[self.mode]
        if self.consistency != wanted:
            raise contradiction(
                "consistency",
                f"mode {self.mode} gives {wanted} consistency, not {self.consistency}",
            )
        if self.mode == "sync" and "sync_interval" in self.model_fields_set:
            raise contradiction("sync_interval", "mode sync copies with each write")
        return self


class Data(Block):
    """Where data is besides where it was written."""

    replication: Replication | None = key(None, "Copies between places; none if unset.")
