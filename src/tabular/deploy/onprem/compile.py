"""From the portable spec to a release of the chart: what is asked, given, refused.

A plain function of the spec and the chart: it looks neither at a cluster nor at the clock, so the
same spec gives the same bytes everywhere. Whether the cluster has a class, an operator or room is
asked by the engine's preview; see `preflight`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tabular.deploy.capability import require_choices, require_supported, without_noes
from tabular.deploy.image.code import files_in
from tabular.deploy.spec import Deployment, asked, canonical
from tabular.deploy.stack import Reduction, Stack, fingerprint
from tabular.deploy.target import Target
from tabular.errors import ConfigError, EngineError, UnsupportedError, UsageError

from .names import (
    CHART,
    CHART_NAME,
    KUBE_VERSION,
    OLDEST_KUBE_VERSION,
    PROVIDER,
    default_namespace,
)
from .rendered.openings import openings
from .rendered.rendering import Object, objects_of, render
from .secrets.given import GivenSecret
from .secrets.owned import index
from .support import CAPABILITIES, CHOICES, REASONS
from .values import given, lay_over, overrides, values
from .values.faults import explained
from .values.reduced import reductions
from .values.wanted import Values, Wanted

API_VERSION = "inferloop-tabular/onprem.v1"
MISSING_EXTRA = "config.missing-extra"


def target_of(deployment: Deployment) -> Target:
    """Where the deployment goes: its region is the namespace."""
    spec, name = deployment.spec, deployment.metadata.name
    namespace = spec.onprem.namespace or default_namespace(name, spec.environment)
    return Target(PROVIDER, name, spec.environment, namespace)


def compile_stack(deployment: Deployment) -> Stack:
    """Compile a spec for a cluster.

    Raises:
        UnsupportedError: it asks for what a cluster, or this provider, does not give.
        UsageError: keys that cannot both hold, or an override that the chart refuses.
    """
    wanted = _wanted(deployment)
    spec, target = deployment.spec, wanted.target
    less = tuple(reductions(wanted))
    compiled = lay_over(values(wanted), overrides.chart_values(wanted.overrides))
    described = _described(wanted, compiled, less)
    template = {
        "apiVersion": API_VERSION,
        "method": spec.onprem.method,
        "chart": {"name": CHART_NAME, "version": chart_version(), "digest": chart_digest()},
        "release": {"name": target.name, "namespace": target.region},
        "kubeVersion": spec.onprem.kubernetes_version,
        "distribution": spec.onprem.distribution,
        "operators": sorted(spec.onprem.operators),
        "values": described,
    }
    objects = _rendered(wanted, described)
    return Stack(
        target=target,
        template=template,
        resources=index(objects, target.name),
        spec=described["deployment"]["spec"],
        tags=described["deployment"]["tags"],
        reductions=less,
        openings=tuple(openings(objects)),
    )


def given_secrets(deployment: Deployment) -> tuple[GivenSecret, ...]:
    """Secrets of the spec by their key in the deployment's Secret; in memory only.

    Raises:
        UnsupportedError: a reference that can be read neither here nor in the cluster.
    """
    return tuple(given(_wanted(deployment)))


def check_overrides(given: Mapping[str, Any]) -> None:
    """Look at ``spec.overrides.onprem`` before any plan: its names, and values by the schema.

    What a template refuses depends on the rest of the spec, and is told by the plan.

    Raises:
        UsageError: a name that nothing reads, or a value that the schema does not take.
    """
    overrides.check(given)
    if not overrides.chart_values(given):
        return
    bare = {"metadata": {"name": "check"}, "spec": {"overrides": {PROVIDER: given}}}
    try:
        compile_stack(Deployment.from_canonical(bare))
    except UsageError as error:
        if error.where != f"{overrides.WHERE}.{overrides.VALUES}":
            raise
    except ConfigError as error:
        if error.code != MISSING_EXTRA:  # a file can be looked at without Helm
            raise


@functools.cache
def chart_digest() -> str:
    """SHA-256 over the names and bytes of the chart's files, in hex.

    The same for a checkout and for what is installed from it.
    """
    found = hashlib.sha256()
    for name, content in files_in(CHART):
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


@functools.cache
def chart_values() -> Values:
    """The chart's own values, in its ``values.yaml``."""
    (found,) = objects_of((CHART / "values.yaml").read_text(encoding="utf-8"))
    return found


@functools.cache
def chart_version() -> str:
    """Of ``Chart.yaml``."""
    (chart,) = objects_of((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    return str(chart["version"])


def _wanted(deployment: Deployment) -> Wanted:
    spec = deployment.spec
    require_supported(PROVIDER, CAPABILITIES, without_noes(asked(deployment)))
    _require_words(deployment)
    require_choices(PROVIDER, spec, CHOICES)
    own = asked(deployment).get("overrides", {}).get(PROVIDER, {})
    overrides.check(own)
    version = spec.onprem.kubernetes_version
    if version is not None and _minor(version) < _minor(OLDEST_KUBE_VERSION):
        raise UnsupportedError(
            f"Kubernetes {version} is older than what the chart knows",
            where="spec.onprem.kubernetes_version",
            hint=f"{OLDEST_KUBE_VERSION} or newer",
        )
    return Wanted(deployment, target_of(deployment), own)


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def _require_words(deployment: Deployment) -> None:
    """Refuse a word with the reason of its own that it has, before the list of the others."""
    for path, reasons in REASONS.items():
        block, _, name = path.partition(".")
        value = str(getattr(getattr(deployment.spec, block), name, None))
        if value in reasons:
            raise UnsupportedError(
                f"{PROVIDER} cannot give {path}: {value}: {reasons[value]}",
                where=f"spec.{path}",
                hint=f"choose one of: {', '.join(str(w) for w in CHOICES[path] if w)}",
            )


def _described(wanted: Wanted, compiled: Values, less: tuple[Reduction, ...]) -> Values:
    """The values, with what the deployment tells of itself and the name of this release."""
    about: dict[str, Any] = {
        "spec": canonical(wanted.deployment),
        "target": asdict(wanted.target),
        "tags": dict(sorted(wanted.deployment.metadata.labels.items())),
        "reductions": [asdict(one) for one in less],
        "chart": chart_digest(),
    }
    about["release"] = fingerprint({"values": compiled, "about": about})[:12]
    return {**compiled, "deployment": about}


def _rendered(wanted: Wanted, described: Values) -> tuple[Object, ...]:
    target = wanted.target
    try:
        return render(
            described,
            name=target.name,
            namespace=target.region or "",
            kube_version=wanted.spec.onprem.kubernetes_version or KUBE_VERSION,
        )
    except EngineError as error:
        over = overrides.chart_values(wanted.overrides)
        raise explained(error, over, chart_values()) from error
