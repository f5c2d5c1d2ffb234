"""Pods of the API and of the workers: how many, how large, where, of which image."""

from __future__ import annotations

import re

from tabular.deploy.onprem.names import secret_name
from tabular.errors import UnsupportedError, UsageError

from .existing import existing
from .overrides import placement
from .wanted import Values, Wanted, cores, said, size

HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_ANNOTATION = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def values(wanted: Wanted) -> Values:
    """Values of the service itself.

    Raises:
        UnsupportedError: no pods are asked for.
        UsageError: a label that Kubernetes does not take.
    """
    compute = wanted.spec.compute
    if compute.instances == 0:
        raise UnsupportedError(
            "a deployment has one pod of the API at least",
            where="spec.compute.instances",
            hint="to stop it use `inferloop-tabular destroy`, which keeps its data",
        )
    found: Values = {
        "environment": wanted.target.environment,
        "commonLabels": _labels(wanted),
        "secrets": {"existingSecret": secret_name(wanted.target.name)},
        "replicaCount": wanted.fewest,
        "workers": {"replicas": compute.workers},
        "topologySpread": {"keys": [ZONE, HOST]},
        **placement(wanted.overrides),
    }
    found |= said(
        commonAnnotations=_annotations(wanted) or None,
        openshift=wanted.openshift or None,
        storageClass=wanted.spec.onprem.storage_class,
        resources=_resources(wanted),
        tmpSize=None if compute.disk is None else size(compute.disk),
        autoscaling=_autoscaling(wanted),
        gpu={"enabled": True} if compute.gpu == "required" else None,
        image=_image(wanted),
        settings=_settings(wanted),
    )
    return found


def _labels(wanted: Wanted) -> dict[str, str]:
    for name, value in wanted.deployment.metadata.labels.items():
        if not _LABEL.fullmatch(value):
            raise UsageError(
                f"{value!r} is no value of a label: at most 63 letters, digits, -, _ and .",
                where=f"metadata.labels.{name}",
                hint="put longer texts into metadata.annotations",
            )
    return dict(sorted(wanted.deployment.metadata.labels.items()))


def _annotations(wanted: Wanted) -> dict[str, str]:
    for name in wanted.deployment.metadata.annotations:
        if not _ANNOTATION.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of an annotation",
                where=f"metadata.annotations.{name}",
                hint="such as owner, or example.com/owner",
            )
    return dict(sorted(wanted.deployment.metadata.annotations.items()))


def _resources(wanted: Wanted) -> Values | None:
    """Requests and limits as they are said; memory that is said without a limit is also that."""
    compute = wanted.spec.compute
    memory_limit = compute.memory_limit or compute.memory
    cpu, limit = compute.cpu, compute.cpu_limit
    requests = said(
        cpu=None if cpu is None else cores(cpu),
        memory=None if compute.memory is None else size(compute.memory),
    )
    limits = said(
        cpu=None if limit is None else cores(limit),
        memory=None if memory_limit is None else size(memory_limit),
    )
    return said(requests=requests, limits=limits) or None


def _autoscaling(wanted: Wanted) -> Values | None:
    if wanted.most <= wanted.fewest:
        return None
    scaling = wanted.spec.compute.autoscaling
    return said(
        enabled=True,
        minReplicas=wanted.fewest,
        maxReplicas=wanted.most,
        targetCPUUtilizationPercentage=scaling.cpu_target,
        targetMemoryUtilizationPercentage=scaling.memory_target,
    )


def _image(wanted: Wanted) -> Values | None:
    image = wanted.spec.image
    if image is None:
        return None
    found = said(
        repository=image.repository,
        tag=image.tag,
        digest=image.digest,
        pullPolicy=image.pull_policy,
    )
    if image.pull_secret is None:
        return found
    where = "spec.image.pull_secret"
    named = existing(image.pull_secret, where, ".dockerconfigjson")
    if named is None:
        raise UnsupportedError(
            "nodes take the credentials of a registry from a Secret of the namespace",
            where=where,
            hint="kubectl create secret docker-registry NAME …, then secretRef: k8s:NAME",
        )
    return {**found, "pullSecrets": [named[0]]}


def _settings(wanted: Wanted) -> Values | None:
    """Settings of the service that the spec has words for."""
    queue, monitoring = wanted.spec.queue, wanted.spec.monitoring
    found: Values = {}
    if queue and queue.max_attempts:
        found["job_max_attempts"] = queue.max_attempts
    if queue and queue.visibility_timeout:
        found["job_lease"] = f"{queue.visibility_timeout.total_seconds():g}"
    if monitoring.otlp_endpoint:
        at = monitoring.otlp_endpoint
        found["otlp_endpoint"] = at if "://" in at else f"http://{at}"
    elif monitoring.tracing:
        raise UnsupportedError(
            "traces need a collector, and no cluster brings one",
            where="spec.monitoring.tracing",
            hint="name it: monitoring.otlp_endpoint: otel-collector.monitoring:4318",
        )
    return found or None
