"""`spec.storage` and `spec.database`: what must outlive every instance."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Literal

from pydantic import model_validator

from tabular.deploy.spec.model.amounts import Days, Size
from tabular.deploy.spec.model.base import Block, ObjectName, Version, Word, contradiction, key
from tabular.deploy.spec.secret import Secret

StorageType = Literal["object", "s3", "gcs", "blob", "minio", "ceph", "nfs", "local", "file"]
DatabaseType = Literal[
    "postgresql", "mysql", "sqlite", "mongodb", "azure-sql", "cosmos", "firestore", "external"
]


class Lifecycle(Block):
    """What happens to objects as they grow old."""

    transition_to_ia: Days | None = key(
        None, "Move to the infrequent-access class at this age; a bare number means days.", 30
    )
    transition_to_glacier: Days | None = key(None, "Move to the archive class at this age.", 90)
    expire: Days | None = key(None, "Delete at this age.", "365d")

    @model_validator(mode="after")
    def _order(self) -> Lifecycle:
        names = ("transition_to_ia", "transition_to_glacier", "expire")
        said = [(name, getattr(self, name)) for name in names if getattr(self, name) is not None]
        for (before, early), (name, late) in pairwise(said):
            if late <= early:
                raise contradiction(name, f"must come later than {before} ({early.days} days)")
        return self


class Minio(Block):
    """A MinIO of the deployment's own, where the platform has no object store."""

    mode: Literal["standalone", "distributed"] = key(
        "standalone", "One server, or an erasure-coded set.", "distributed"
    )
    replicas: int = key(1, "Servers of a distributed set.", 4, ge=1, le=64)
    size: Size | None = key(None, "Disk of each server.", "250Gi")
    storage_class: ObjectName | None = key(
        None, "Kubernetes storage class of the disks.", "fast-ssd"
    )
    root_user: Word | None = key(None, "Name of the administrator.", "admin")
    root_password: Secret | None = key(None, "Generated if unset.", {"secretRef": "env:MINIO"})


class Storage(Block):
    """Where datasets, models and results are kept."""

    type: StorageType = key("object", "`object` is the provider's own object store.", "object")
    size: Size | None = key(
        None,
        "Space to plan for: a quota where the provider has one, an estimate for the cost "
        "elsewhere.",
        "1Ti",
    )
    replication: int | None = key(
        None, "Copies of each object; the provider's own durability if unset.", 3, ge=1, le=16
    )
    cross_region: bool = key(False, "Keep a copy in a second region.", True)
    class_: Word | None = key(None, "The vendor's storage class.", "multi-regional", alias="class")
    redundancy: Literal["lrs", "zrs", "grs", "ragrs", "gzrs", "ragzrs"] | None = key(
        None, "Azure's redundancy.", "grs"
    )
    versioning: bool = key(False, "Keep old versions of changed objects.", True)
    lifecycle: Lifecycle = key(Lifecycle(), "What happens to old objects.")
    bucket: Word | None = key(None, "Use this existing bucket or container.", "my-bucket")
    minio: Minio | None = key(None, "Settings of the deployment's own MinIO.")


class Database(Block):
    """Where users, jobs and metadata are kept."""

    type: DatabaseType | None = key(
        None,
        "Which database; if unset SQLite on one machine and PostgreSQL elsewhere. `external` is "
        "one that exists already, at `url`.",
        "postgresql",
    )
    version: Version | None = key(
        None, "Version, in quotes; the provider's current one if unset.", "14"
    )
    size: Size | None = key(None, "Disk of the database.", "100Gi")
    ha: bool = key(False, "Survive the loss of one database server.", True)
    instance_class: Word | None = key(None, "The vendor's name of the machine.", "db.r5.xlarge")
    backup_retention: Days | None = key(
        None, "Keep the database's own backups for this long; a bare number means days.", 30
    )
    read_replicas: int = key(0, "Copies to read from.", 2, ge=0, le=15)
    name: Word | None = key(None, "Name of the database on the server.", "synthdata")
    username: Word | None = key(None, "Name of the owner.", "synthdata")
    password: Secret | None = key(
        None, "Generated and kept by the platform if unset.", {"secretRef": "env:DB_PASSWORD"}
    )
    password_rotation: Days | None = key(
        None, "Have the platform change the password this often; never if unset.", "30d"
    )
    url: Secret | None = key(
        None, "Where an `external` database is.", {"secretRef": "env:DATABASE_URL"}
    )
    storage_class: ObjectName | None = key(
        None, "Kubernetes storage class of the disk.", "fast-ssd"
    )

    @property
    def backup_retention_days(self) -> int | None:
        """`backup_retention` in whole days, at least one; None when unset."""
        kept = self.backup_retention
        return None if kept is None else max(1, -(-kept // timedelta(days=1)))

    @model_validator(mode="after")
    def _external(self) -> Database:
        if (self.type == "external") != (self.url is not None):
            place = "type" if self.url is None else "url"
            raise contradiction(place, "type: external and url go together")
        return self
