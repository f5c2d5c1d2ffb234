"""The one model of a deployment; every reader ends here and every provider starts here."""

from __future__ import annotations

from tabular.deploy.spec.model.compute import Autoscaling, Compute, Schedule, Spot
from tabular.deploy.spec.model.deployment import (
    API_VERSION,
    DEFAULT_NAME,
    Deployment,
    Metadata,
    Spec,
)
from tabular.deploy.spec.model.messaging import Cache, Queue
from tabular.deploy.spec.model.monitoring import (
    Dashboard,
    Exporter,
    Grafana,
    Monitoring,
    Panel,
)
from tabular.deploy.spec.model.networking import Cdn, Dns, Networking
from tabular.deploy.spec.model.operations import Backup, Image, Policy, Security, Waiver
from tabular.deploy.spec.model.placement import (
    Data,
    ObjectStore,
    OnPrem,
    Persistence,
    Placement,
    Replication,
    Resources,
)
from tabular.deploy.spec.model.storage import Database, Lifecycle, Minio, Storage

__all__ = [
    "API_VERSION",
    "DEFAULT_NAME",
    "Autoscaling",
    "Backup",
    "Cache",
    "Cdn",
    "Compute",
    "Dashboard",
    "Data",
    "Database",
    "Deployment",
    "Dns",
    "Exporter",
    "Grafana",
    "Image",
    "Lifecycle",
    "Metadata",
    "Minio",
    "Monitoring",
    "Networking",
    "ObjectStore",
    "OnPrem",
    "Panel",
    "Persistence",
    "Placement",
    "Policy",
    "Queue",
    "Replication",
    "Resources",
    "Schedule",
    "Security",
    "Spec",
    "Spot",
    "Storage",
    "Waiver",
]
