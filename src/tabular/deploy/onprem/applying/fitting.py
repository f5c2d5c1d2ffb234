"""What an earlier release was, for the cluster as it is now.

A release remembers objects as they were written then. Since then disks may have grown, which
nothing takes back.
"""

from __future__ import annotations

from dataclasses import replace

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.preflight.growing import as_large_as, volumes_of
from tabular.deploy.onprem.releases import Content
from tabular.deploy.target import Target


def fitting(cluster: Cluster, target: Target, content: Content) -> Content:
    """The contents of an earlier release, with claims as large as they are now."""
    there = volumes_of(cluster, target.region or "", target.name)
    return replace(content, objects=as_large_as(there, content.objects))
