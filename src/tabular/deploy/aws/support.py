"""What AWS can give of each field of the spec; all others are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabular.deploy.aws.infrastructure.wanted import Kind
from tabular.deploy.capability import SEVERAL_PLACES, CapabilityTable, emulated, native, unsupported

_CLUSTER = "belongs to Kubernetes; use --provider onprem, or leave it out"
_ELSEWHERE = "belongs to another cloud; leave it out"

KINDS: Mapping[str, Kind] = {
    "ecs-fargate": "ecs-fargate",
    "ec2": "ec2",
    "lambda": "lambda",
    "batch": "batch",
}
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "compute.type": (*KINDS, None),
    "storage.type": ("object", "s3"),
    "database.type": ("postgresql", "mysql", "external", None),
    "cache.type": ("redis", "valkey", "memory"),
    "queue.type": ("native", "sqs"),
    "topology": ("single",),
}

CAPABILITIES: CapabilityTable = {
    "provider": native(),
    "environment": native("a stack of its own; `production` turns termination protection on"),
    "region": native(),
    "account": native("the credentials must be of this account"),
    "ha": native("two instances and more, a NAT gateway for each zone, RDS Multi-AZ, a replica "
                 "of the cache in another zone"),
    "topology": native("single"),
    "providers": SEVERAL_PLACES,
    "data": unsupported(
        "this version copies nothing between places; `backup create` and `restore` carry data over"
    ),
    "compute.type": native("ecs-fargate, ec2, lambda or batch"),
    "compute.instances": native(),
    "compute.workers": native("a service or Auto Scaling group of their own"),
    "compute.cpu": native("a legal pair of Fargate, or the nearest instance type"),
    "compute.memory": native("a legal pair of Fargate, or the nearest instance type"),
    "compute.cpu_limit": unsupported("a task of AWS has one size; leave it out"),
    "compute.memory_limit": unsupported("a task of AWS has one size; leave it out"),
    "compute.gpu": native("on ec2: g4dn; `optional` takes none"),
    "compute.min_instances": native(),
    "compute.max_instances": native("target tracking"),
    "compute.disk": native("encrypted gp3, or ephemeral storage of a task"),
    "compute.instance_type": native(),
    "compute.availability_zones": native(),
    "compute.autoscaling": native("target tracking"),
    "compute.spot": native("Fargate Spot, or a share of the Auto Scaling group"),
    "compute.schedules": native("scheduled actions"),
    "compute.mode": unsupported(_ELSEWHERE),
    "storage.type": native("S3"),
    "storage.size": emulated("S3 has no quota; an estimate for the cost"),
    "storage.replication": emulated("S3 keeps at least three copies in three zones"),
    "storage.cross_region": native("to a bucket and with a key that exist: "
                                   "overrides.aws.replica_bucket and replica_key"),
    "storage.class": native("STANDARD, INTELLIGENT_TIERING …"),
    "storage.versioning": native(),
    "storage.lifecycle": native("STANDARD_IA, GLACIER, expiry"),
    "storage.bucket": native("an existing bucket, encrypted by S3 itself or with "
                             "security.kms_key"),
    "storage.minio": unsupported(_CLUSTER),
    "storage.redundancy": unsupported(_ELSEWHERE),
    "database.type": native("RDS for PostgreSQL (default) or MySQL; or external"),
    "database.storage_class": unsupported(_CLUSTER),
    "database": native("RDS"),
    "cache.type": native("ElastiCache for Valkey or Redis OSS, over TLS with a token"),
    "cache.password": unsupported("generated and kept in Secrets Manager; leave it out"),
    "cache": native("ElastiCache"),
    "queue.type": native("SQS with a dead-letter queue"),
    "queue.password": unsupported("SQS goes by roles; leave it out"),
    "queue.version": unsupported("SQS is no server with a version; leave it out"),
    "queue.size": unsupported("SQS is no server with a disk; leave it out"),
    "queue.ha": native("SQS always is"),
    "queue": native("SQS"),
    "monitoring.grafana": unsupported("a dashboard of CloudWatch is made; leave it out"),
    "monitoring.size": unsupported("CloudWatch has no disk; leave it out"),
    "monitoring.exporters": emulated("not made there; see `export --format prometheus`"),
    "monitoring": native("CloudWatch"),
    "networking.dns": native("Route 53"),
    "networking.cdn": unsupported("no content network is made yet; leave it out"),
    "networking": native("VPC and Application Load Balancer"),
    "backup.destination": emulated("beside the vault of AWS Backup: workers may keep there what "
                                   "`backup create` makes; an s3:// place in a bucket that exists"),
    "backup": native("AWS Backup"),
    "image.pull_policy": unsupported(_CLUSTER),
    "image.pull_secret": unsupported("tasks log in to ECR by their role; copy the image there "
                                     "(`inferloop-tabular image push`) and leave it out"),
    "image": native(),
    "security.kms_key": native("a key of this region by its ARN; its policy has to let the "
                               "account go by IAM, and logs and alarms use it"),
    "security.ca_bundle": unsupported("a task starts with what is in its image; add the "
                                      "certificates to an image of your own and name it in image"),
    "security": native("KMS, Secrets Manager, roles"),
    "policy": native("checked by the orchestrator; monthly_budget makes a budget"),
    "onprem": unsupported("use --provider onprem"),
    "overrides": native("overrides.aws: properties by type or logical id"),
}  # fmt: skip
