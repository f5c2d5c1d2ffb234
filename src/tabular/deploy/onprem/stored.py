"""A stack from what a release keeps: its values, which tell of the deployment, and its objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Reduction, Stack
from tabular.deploy.target import Target
from tabular.errors import ConflictError, SpecError

from .compile import API_VERSION
from .names import CHART_NAME
from .rendered.openings import openings
from .rendered.rendering import Object
from .secrets.owned import index


def stack_of(
    values: Mapping[str, Any], objects: Sequence[Object], *, method: str, version: str
) -> Stack:
    """The stack that a release was made of.

    Args:
        values: of the chart, as they were given.
        objects: as they were applied.
        method: by which.
        version: of the chart.

    Raises:
        ConflictError: somebody released the chart past us: the values tell of no deployment.
    """
    about = values.get("deployment") or {}
    if "target" not in about or "spec" not in about:
        raise ConflictError(
            "this release of the chart was made without this tool, and tells of no spec",
            hint="go on with `helm` there, or deploy under another --name",
            code="conflict.foreign",
        )
    target = Target(**about["target"])
    template = {
        "apiVersion": API_VERSION,
        "method": method,
        "chart": {"name": CHART_NAME, "version": version, "digest": about.get("chart", "")},
        "release": {"name": target.name, "namespace": target.region},
        "kubeVersion": None,
        **_placement(about["spec"]),
        "values": dict(values),
    }
    return Stack(
        target=target,
        template=template,
        resources=index(objects, target.name),
        spec=about["spec"],
        tags=about.get("tags", {}),
        reductions=tuple(Reduction(**one) for one in about.get("reductions", ())),
        openings=tuple(openings(objects)),
    )


def _placement(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a template says of the spec besides its values; nothing of a spec too new for us."""
    try:
        said = Deployment.from_canonical(spec).spec.onprem
    except SpecError:
        return {}
    return {
        "kubeVersion": said.kubernetes_version,
        "distribution": said.distribution,
        "operators": sorted(said.operators),
    }
