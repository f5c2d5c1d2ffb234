"""The published examples mean what they say, each in its own form."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tabular.deploy.spec import Deployment, canonical, load
from tests.deploy.spec.files import EXAMPLES, NAMES

Gi = 2**30


def read(name: str) -> Deployment:
    return load(EXAMPLES / name).deployment


def test_portable() -> None:
    made = read("deployment.yaml")
    assert made.metadata.name == "tabular-production"
    spec = made.spec
    assert (spec.compute.instances, spec.compute.cpu, spec.compute.memory) == (3, 4, 16 * Gi)
    assert spec.compute.gpu == "optional"
    assert (spec.storage.type, spec.storage.size, spec.storage.replication) == (
        "object",
        1024 * Gi,
        3,
    )
    assert (spec.database.type, spec.database.size, spec.database.ha) == (
        "postgresql",
        100 * Gi,
        True,
    )
    assert spec.monitoring.enabled
    assert spec.monitoring.retention == timedelta(days=30)
    assert spec.provider is None
    assert spec.cache is None
    assert spec.queue is None


def test_flat() -> None:
    spec = read("aws-prod.yaml").spec
    assert (spec.provider, spec.environment) == ("aws", "production")
    compute = spec.compute
    assert (compute.instance_type, compute.min_instances, compute.max_instances) == (
        "m5.2xlarge",
        3,
        10,
    )
    assert compute.instances == 3, "starts with the least"
    assert compute.availability_zones == 3
    assert spec.storage.type == "s3"
    assert spec.storage.versioning
    assert spec.storage.lifecycle.transition_to_ia == timedelta(days=30)
    assert spec.storage.lifecycle.transition_to_glacier == timedelta(days=90)
    database = spec.database
    assert (database.type, database.version, database.instance_class, database.ha) == (
        "postgresql",
        "14",
        "db.r5.xlarge",
        True,
    )
    assert database.backup_retention_days == 30
    assert spec.monitoring.enabled
    assert spec.monitoring.detailed
    assert spec.monitoring.log_retention == timedelta(days=90)
    assert spec.monitoring.alarms == ("high_cpu", "low_memory", "api_errors")


def test_multi_cloud() -> None:
    made = read("multi-cloud-ha.yaml")
    spec = made.spec
    assert made.metadata.name == "tabular-global"
    assert spec.topology == "multi-cloud-active-active"
    assert {name: (p.regions, p.priority) for name, p in spec.providers.items()} == {
        "aws": (("us-east-1", "eu-west-1"), 1),
        "gcp": (("us-central1", "europe-west1"), 2),
        "azure": (("eastus", "westeurope"), 3),
    }
    computes = {name: p.resources.compute for name, p in spec.providers.items()}
    stores = {name: p.resources.storage for name, p in spec.providers.items()}
    assert {n: (c.type, c.cpu, c.memory) for n, c in computes.items() if c} == {
        "aws": ("ecs-fargate", 4, 16 * Gi),
        "gcp": ("cloud-run", 4, 16 * Gi),
        "azure": ("container-instances", 4, 16 * 10**9),
    }
    assert {n: s.type for n, s in stores.items() if s} == {
        "aws": "s3",
        "gcp": "gcs",
        "azure": "blob",
    }
    assert stores["aws"] is not None
    assert stores["aws"].cross_region
    assert stores["gcp"] is not None
    assert stores["gcp"].class_ == "multi-regional"
    assert stores["azure"] is not None
    assert stores["azure"].redundancy == "grs"
    assert spec.networking.dns is not None
    assert (spec.networking.dns.provider, spec.networking.dns.failover) == ("route53", "automatic")
    assert spec.networking.dns.health_checks
    assert spec.networking.cdn is not None
    assert (spec.networking.cdn.provider, spec.networking.cdn.cache_rules) == (
        "cloudflare",
        "standard",
    )
    replication = spec.data.replication
    assert replication is not None
    assert (replication.mode, replication.consistency) == ("async", "eventual")
    assert replication.sync_interval == timedelta(minutes=5)


def test_helm_values() -> None:
    spec = read("helm-values-prod.yaml").spec
    assert spec.provider == "onprem"
    compute = spec.compute
    assert (compute.instances, compute.cpu, compute.memory) == (3, 4, 16 * Gi)
    assert (compute.cpu_limit, compute.memory_limit) == (8, 32 * Gi)
    assert spec.image is not None
    assert (spec.image.repository, spec.image.tag, spec.image.pull_policy) == (
        "inferloop/tabular",
        "1.0.0",
        "IfNotPresent",
    )
    volume = spec.onprem.persistence
    assert volume is not None
    assert (volume.enabled, volume.storage_class, volume.size) == (True, "fast-ssd", 1024 * Gi)
    database = spec.database
    assert (database.type, database.name, database.username) == (
        "postgresql",
        "synthdata",
        "synthdata",
    )
    assert (database.size, database.ha, database.read_replicas) == (100 * Gi, True, 2)
    assert spec.storage.type == "minio"
    assert spec.storage.minio is not None
    assert (spec.storage.minio.mode, spec.storage.minio.replicas, spec.storage.minio.size) == (
        "distributed",
        4,
        250 * Gi,
    )
    assert spec.monitoring.enabled
    assert spec.monitoring.retention == timedelta(days=30)
    assert spec.monitoring.grafana is not None
    secrets = {path: s.get_secret_value() for path, s in read(NAMES[3]).secret_literals()}
    assert secrets == {"spec.monitoring.grafana.admin_password": "changeme"}


def test_monitoring_block() -> None:
    monitoring = read("monitoring.yaml").spec.monitoring
    assert monitoring.enabled
    (exporter,) = monitoring.exporters
    assert exporter.type == "prometheus"
    assert set(exporter.endpoints) == {"aws", "gcp", "azure", "onprem"}
    (dashboard,) = monitoring.dashboards
    assert dashboard.name == "Global Synthetic Data Metrics"
    (panel,) = dashboard.panels
    assert (panel.metric, panel.aggregation, panel.group_by) == (
        "synthdata_generation_rate",
        "sum",
        ("provider", "region"),
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_value_of_a_file_is_traced_to_its_line(name: str) -> None:
    loaded = load(EXAMPLES / name)
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    for path, origin in loaded.origins.items():
        assert origin.node is not None, path
        line = lines[origin.node.line - 1]
        if origin.node.raw:
            assert line[origin.node.column - 1 :].lstrip("\"'").startswith(origin.node.raw), path


@pytest.mark.parametrize("name", NAMES)
def test_the_canonical_form_reads_back(name: str) -> None:
    data = canonical(read(name))
    again = Deployment.from_canonical(data)
    assert canonical(again) == data
    assert canonical(load(EXAMPLES / name).deployment) == data
