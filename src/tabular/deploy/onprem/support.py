"""What Kubernetes of one's own can give of each field of the spec; all others are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabular.deploy.capability import SEVERAL_PLACES, CapabilityTable, emulated, native, unsupported

_ELSEWHERE = "belongs to another cloud; leave it out"
_NAMESPACE = "a cluster has namespaces: onprem.namespace, or --namespace; leave it out"
_NETWORK = "the cluster's network is there already; leave it out"

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "compute.type": ("kubernetes", None),
    "storage.type": ("object", "minio", "s3", "ceph", "nfs", "local"),
    "database.type": ("postgresql", "mysql", "external", None),
    "cache.type": ("redis", "valkey", "memory"),
    "queue.type": ("native", "rabbitmq", "redis"),
    "onprem.distribution": ("kubernetes", "openshift", "rancher", None),
    "topology": ("single",),
}
_SWARM = (
    "Docker Swarm is given a stack file: `inferloop-tabular export FILE --format swarm --output "
    "swarm`, then swarm/deploy.sh where docker is"
)
# Words that are refused for a reason of their own, by field.
REASONS: Mapping[str, Mapping[str, str]] = {
    "compute.type": {"swarm": _SWARM},
    "onprem.distribution": {"swarm": _SWARM},
    "storage.type": {
        "file": "pods have no disk of their own that lasts; say nfs or local, or object for MinIO",
        "gcs": "belongs to Google; say object for MinIO, or s3 with onprem.object_store",
        "blob": "belongs to Azure; say object for MinIO, or s3 with onprem.object_store",
    },
    "database.type": {
        "sqlite": "one file cannot be shared by pods; say postgresql or mysql",
        "mongodb": "users, jobs and keys are kept in SQL, with transactions over several tables; "
        "say postgresql or mysql",
        "azure-sql": "belongs to Azure; say postgresql or mysql",
        "cosmos": "belongs to Azure; say postgresql or mysql",
        "firestore": "belongs to Google; say postgresql or mysql",
    },
    "cache.type": {
        "memcached": "it cannot carry live progress between pods; say redis or valkey",
    },
    "queue.type": {
        "filesystem": "a folder wakes no pod of another node; say rabbitmq or redis, or leave it "
        "out",
        "sqs": "belongs to AWS; say rabbitmq or redis",
        "pubsub": "belongs to Google; say rabbitmq or redis",
        "service-bus": "belongs to Azure; say rabbitmq or redis",
    },
}

CAPABILITIES: CapabilityTable = {
    "provider": native(),
    "environment": native("a namespace of its own: NAME-ENVIRONMENT, unless onprem.namespace says"),
    "region": unsupported(_NAMESPACE),
    "account": unsupported(_NAMESPACE),
    "ha": native("two API pods and more over nodes and zones, disruption budgets, a database with "
                 "copies, MinIO of four servers"),
    "topology": native("single"),
    "providers": SEVERAL_PLACES,
    "data": unsupported(
        "this version copies nothing between places; `backup create` and `restore` carry data over"
    ),
    "compute.type": native("kubernetes; Docker Swarm by `export --format swarm`"),
    "compute.instances": native("pods of the API"),
    "compute.workers": native("pods of the workers"),
    "compute.cpu": native("request"),
    "compute.memory": native("request, and limit unless memory_limit says more"),
    "compute.cpu_limit": native("limit"),
    "compute.memory_limit": native("limit"),
    "compute.gpu": native("nvidia.com/gpu for each worker if required; `optional` takes none"),
    "compute.min_instances": native("a HorizontalPodAutoscaler, with max_instances"),
    "compute.max_instances": native("a HorizontalPodAutoscaler"),
    "compute.disk": emulated("limit of the temporary files of a pod; encrypted if its node is"),
    "compute.instance_type": unsupported("nodes are there already; choose them by "
                                         "overrides.onprem.nodeSelector"),
    "compute.availability_zones": emulated("pods are spread over the zones that there are"),
    "compute.mode": unsupported(_ELSEWHERE),
    "compute.autoscaling.cpu_target": native(),
    "compute.autoscaling.memory_target": native(),
    "compute.autoscaling": unsupported("the autoscaler goes by processor and memory; leave it out"),
    "compute.spot": unsupported("nodes are yours; choose them by overrides.onprem.nodeSelector"),
    "compute.schedules": unsupported("pods follow their load: min_instances and max_instances; for "
                                     "the clock use KEDA"),
    "storage.type": native("object and minio: a MinIO; s3 and ceph: one that exists, at "
                           "onprem.object_store; nfs, local, and ceph without it: a volume"),
    "storage.size": native("disks of MinIO in sum, less what erasure coding takes; or the volume"),
    "storage.replication": emulated("erasure code of MinIO over four servers and more; of a volume "
                                    "or another store its own"),
    "storage.cross_region": unsupported("there is one place; backup.destination may be elsewhere"),
    "storage.class": unsupported(_ELSEWHERE),
    "storage.redundancy": unsupported(_ELSEWHERE),
    "storage.versioning": unsupported("objects are never changed; backups keep those of the past"),
    "storage.lifecycle": unsupported("set TABULAR_RESULT_RETENTION by "
                                     "overrides.onprem.values.settings.result_retention"),
    "storage.bucket": native("of s3 and ceph, which must exist; of MinIO, which makes it"),
    "storage.minio": native(),
    "database.type": native("postgresql (default): pods of ours, CloudNativePG or Zalando by "
                            "onprem.operators; mysql; or external"),
    "database.version": native("major version of the server"),
    "database.size": native("volume of each server"),
    "database.ha": native("copies by streaming replication and failover; of MySQL a restart"),
    "database.read_replicas": native("PostgreSQL: pods that follow the first"),
    "database.name": native(),
    "database.username": native(),
    "database.password": native("generated if unset; k8s:NAME/KEY of the same namespace is used "
                                "as it is"),
    "database.url": native("env:, file: …: read at each deploy; k8s:NAME/KEY is used as it is"),
    "database.storage_class": native(),
    "database.instance_class": unsupported("pods have no classes; see "
                                           "overrides.onprem.values.postgresql.primary.resources"),
    "database.backup_retention": unsupported("use backup.retention, which is for database and "
                                             "objects together"),
    "database.password_rotation": unsupported("change the Secret and restart; leave it out"),
    "cache.type": native("redis or valkey: a Valkey server; memory: none"),
    "cache.size": native("memory of the server"),
    "cache.version": unsupported("name the image: overrides.onprem.values.redis.image.tag"),
    "cache.ha": emulated("started again on another node; it keeps nothing that may not be lost"),
    "cache.replicas": unsupported("it keeps nothing that may not be lost; leave it out"),
    "cache.instance_class": unsupported("pods have no classes; say cache.size"),
    "cache.password": native("generated if unset"),
    "queue.type": native("native and rabbitmq: a RabbitMQ; redis: the cache's server; unset: the "
                         "database alone"),
    "queue.version": unsupported("name the image: overrides.onprem.values.rabbitmq.image.tag"),
    "queue.ha": emulated("started again on another node; a lost message loses no job"),
    "queue.size": native("volume of the server"),
    "queue.visibility_timeout": native("lease of a job"),
    "queue.max_attempts": native("tries of a job"),
    "queue.retention": unsupported("jobs are kept in the database; leave it out"),
    "queue.password": native("generated if unset"),
    "monitoring.log_retention": emulated("logs are the nodes'; they rotate by size, unless the "
                                         "cluster collects them"),
    "monitoring.detailed": native("always measured more often than every minute"),
    "monitoring.exporters": emulated("not made there; see `export --format prometheus`"),
    "monitoring.tracing": native("with otlp_endpoint"),
    "monitoring": native("Prometheus and Grafana, or objects of the Prometheus operator"),
    "networking.domain": native("Ingress, Route of OpenShift or HTTPRoute, always over TLS"),
    "networking.certificate": native("name of a Secret with a certificate; else onprem.issuer"),
    "networking.allowed_cidrs": native("of the Ingress or Route"),
    "networking": unsupported(_NETWORK),
    "backup": native("backups of the platform, and Velero where onprem.operators names it"),
    "image.pull_secret": native("k8s:NAME of the same namespace"),
    "image": native(),
    "security.ca_bundle": native("certificates that every pod trusts"),
    "security.deletion_protection": emulated("volumes and secrets stay unless --delete-data is "
                                             "said"),
    "security.kms_key": unsupported("volumes are encrypted by their storage class; leave it out"),
    "security": unsupported(_ELSEWHERE),
    "policy.monthly_budget": unsupported("own hardware has no price list; leave it out"),
    "policy": native("checked by the orchestrator"),
    "onprem": native(),
    "overrides": native("overrides.onprem: values of the chart, nodeSelector, tolerations, "
                        "affinity, podAnnotations, podLabels"),
}  # fmt: skip
