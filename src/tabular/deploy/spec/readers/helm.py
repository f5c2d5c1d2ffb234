"""Helm values (`helm-values-prod.yaml`): Kubernetes' words, camel case, charts inside charts."""

from __future__ import annotations

from tabular.deploy.spec.readers.draft import Draft
from tabular.deploy.spec.readers.table import Table, translate
from tabular.deploy.spec.source import Node
from tabular.deploy.spec.walk import Path

GPU_RESOURCE = "nvidia.com/gpu"


def _switch(draft: Draft, node: Node, key: str, path: Path, on: str) -> None:
    """``enabled: true`` of a chart inside the chart picks the type of a part."""
    part = key.partition(".")[0]
    if node.value is True:
        draft.put(path, on, draft.origin(node, key, f"the chart's own {part}"))
    elif node.value is False:
        draft.notes.append(f"{draft.name}:{node.line}: {key}: false leaves {part} out")
    else:
        draft.problem(node, key, f"expected true or false, got {node.kind}")


def _postgresql(draft: Draft, node: Node, key: str, path: Path) -> None:
    _switch(draft, node, key, path, "postgresql")


def _minio(draft: Draft, node: Node, key: str, path: Path) -> None:
    _switch(draft, node, key, path, "minio")


def _redis(draft: Draft, node: Node, key: str, path: Path) -> None:
    _switch(draft, node, key, path, "redis")


def _rabbitmq(draft: Draft, node: Node, key: str, path: Path) -> None:
    _switch(draft, node, key, path, "rabbitmq")


def _replication(draft: Draft, node: Node, key: str, path: Path) -> None:
    """Replicas count only while replication is on."""
    entries = node.entries or {}
    table: Table = {"enabled": "ha", "readReplicas": "read_replicas"}
    if node.entries is not None and "enabled" in entries and entries["enabled"].value is False:
        kept = {name: item for name, item in entries.items() if name != "readReplicas"}
        if len(kept) != len(entries):
            draft.notes.append(f"{draft.name}:{node.line}: {key}.readReplicas: replication is off")
        node = Node(node.line, node.column, entries=kept)
    if node.entries is None:
        draft.problem(node, key, f"expected a block of keys, got {node.kind}")
    else:
        translate(draft, node, table, key=key, base=path)


def _gpu(draft: Draft, node: Node, key: str, path: Path) -> None:
    draft.put(path, "required", draft.origin(node, key, "a graphics processor is asked for"))


def _existing(draft: Draft, node: Node, key: str, path: Path) -> None:
    """The name of a Kubernetes secret is a reference."""
    reference = {"secretRef": f"k8s:{node.value}"}
    draft.put(path, reference, draft.origin(node, key, "a secret of the namespace"))


def _autoscaling(draft: Draft, node: Node, key: str, path: Path) -> None:
    entries = node.entries or {}
    table: Table = {
        "minReplicas": "min_instances",
        "maxReplicas": "max_instances",
        "targetCPUUtilizationPercentage": "autoscaling.cpu_target",
        "targetMemoryUtilizationPercentage": "autoscaling.memory_target",
    }
    switch = entries.get("enabled")
    if switch is not None and switch.value is False:
        draft.notes.append(f"{draft.name}:{node.line}: {key}: false, nothing in it counts")
    elif node.entries is None or (switch is not None and switch.value is not True):
        draft.problem(node, key, "expected a block of keys with enabled: true or false")
    else:
        rest = {name: item for name, item in entries.items() if name != "enabled"}
        translate(draft, Node(node.line, node.column, entries=rest), table, key=key, base=path)


def _mysql(draft: Draft, node: Node, key: str, path: Path) -> None:
    _switch(draft, node, key, path, "mysql")


# Values of the chart that the spec has no word for: they go to the chart as they are.
_OVER = "spec.overrides.onprem.values"
CHART_ONLY = (
    "imageRegistry", "workers.resources", "settings", "priorityClassName", "topologySpread",
    "podDisruptionBudget", "serviceAccount", "service", "ingress.annotations", "gateway",
    "networkPolicy", "gpu",
    "postgresql.image", "postgresql.operatorImage", "postgresql.settings",
    "postgresql.primary.resources",
    "mysql.image", "mysql.settings", "mysql.primary.resources",
    "minio.image", "minio.resources", "minio.drivesPerNode",
    "redis.image", "redis.resources", "rabbitmq.image", "rabbitmq.resources",
    "monitoring.prometheus.image", "monitoring.prometheus.resources",
    "monitoring.prometheus.retentionSize", "monitoring.grafana.image",
    "monitoring.grafana.resources", "monitoring.alertmanager",
    "backup.logical", "backup.velero", "tls", "ca", "ldap", "externalSecrets",
)  # fmt: skip

HELM: Table = {
    "nameOverride": "metadata.name",
    "fullnameOverride": "metadata.name",
    "environment": "spec.environment",
    "replicaCount": "spec.compute.instances",
    "workers.replicas": "spec.compute.workers",
    "image.repository": "spec.image.repository",
    "image.tag": "spec.image.tag",
    "image.digest": "spec.image.digest",
    "image.pullPolicy": "spec.image.pull_policy",
    "resources.requests.cpu": "spec.compute.cpu",
    "resources.requests.memory": "spec.compute.memory",
    "resources.limits.cpu": "spec.compute.cpu_limit",
    "resources.limits.memory": "spec.compute.memory_limit",
    f"resources.limits.{GPU_RESOURCE}": ("spec.compute.gpu", _gpu),
    "autoscaling": ("spec.compute", _autoscaling),
    "persistence.enabled": "spec.onprem.persistence.enabled",
    "persistence.storageClass": "spec.onprem.persistence.storage_class",
    "persistence.size": "spec.onprem.persistence.size",
    "persistence.accessMode": "spec.onprem.persistence.access_mode",
    "postgresql.enabled": ("spec.database.type", _postgresql),
    "postgresql.auth.database": "spec.database.name",
    "postgresql.auth.username": "spec.database.username",
    "postgresql.auth.password": "spec.database.password",
    "postgresql.auth.existingSecret": ("spec.database.password", _existing),
    "postgresql.primary.persistence.size": "spec.database.size",
    "postgresql.primary.persistence.storageClass": "spec.database.storage_class",
    "postgresql.replication": ("spec.database", _replication),
    "mysql.enabled": ("spec.database.type", _mysql),
    "mysql.auth.database": "spec.database.name",
    "mysql.auth.username": "spec.database.username",
    "mysql.auth.existingSecret": ("spec.database.password", _existing),
    "mysql.primary.persistence.size": "spec.database.size",
    "mysql.primary.persistence.storageClass": "spec.database.storage_class",
    "minio.enabled": ("spec.storage.type", _minio),
    "minio.bucket": "spec.storage.bucket",
    "minio.mode": "spec.storage.minio.mode",
    "minio.replicas": "spec.storage.minio.replicas",
    "minio.rootUser": "spec.storage.minio.root_user",
    "minio.rootPassword": "spec.storage.minio.root_password",
    "minio.existingSecret": ("spec.storage.minio.root_password", _existing),
    "minio.persistence.size": "spec.storage.minio.size",
    "minio.persistence.storageClass": "spec.storage.minio.storage_class",
    "redis.enabled": ("spec.cache.type", _redis),
    "redis.auth.password": "spec.cache.password",
    "redis.auth.existingSecret": ("spec.cache.password", _existing),
    "rabbitmq.enabled": ("spec.queue.type", _rabbitmq),
    "rabbitmq.auth.password": "spec.queue.password",
    "rabbitmq.auth.existingSecret": ("spec.queue.password", _existing),
    "rabbitmq.persistence.size": "spec.queue.size",
    "monitoring.enabled": "spec.monitoring.enabled",
    "monitoring.prometheus.retention": "spec.monitoring.retention",
    "monitoring.prometheus.persistence.size": "spec.monitoring.size",
    "monitoring.grafana.enabled": "spec.monitoring.grafana.enabled",
    "monitoring.grafana.adminUser": "spec.monitoring.grafana.admin_user",
    "monitoring.grafana.adminPassword": "spec.monitoring.grafana.admin_password",
    "monitoring.grafana.existingSecret": ("spec.monitoring.grafana.admin_password", _existing),
    "monitoring.grafana.persistence.size": "spec.monitoring.grafana.size",
    "ingress.className": "spec.onprem.ingress_class",
    "ingress.host": "spec.networking.domain",
    "ingress.tls.secretName": "spec.networking.certificate",
    "ingress.allowedCidrs": "spec.networking.allowed_cidrs",
    "storageClass": "spec.onprem.storage_class",
    "backup.enabled": "spec.backup.enabled",
    "backup.schedule": "spec.backup.schedule",
    "backup.retention": "spec.backup.retention",
    "backup.destination": "spec.backup.destination",
    "nodeSelector": "spec.overrides.onprem.nodeSelector",
    "tolerations": "spec.overrides.onprem.tolerations",
    "affinity": "spec.overrides.onprem.affinity",
    "podAnnotations": "spec.overrides.onprem.podAnnotations",
    "podLabels": "spec.overrides.onprem.podLabels",
    **{name: f"{_OVER}.{name}" for name in CHART_ONLY},
}


def read(draft: Draft, root: Node) -> None:
    """Translate Helm values; they are for Kubernetes by nature."""
    translate(draft, root, HELM)
    note = "Helm values are for Kubernetes"
    draft.put(("spec", "provider"), "onprem", draft.origin(root, "", note))
