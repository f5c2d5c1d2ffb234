"""A release as its chart and its values, for whoever runs Helm themselves."""

from __future__ import annotations

from tabular.deploy.export.yaml_text import as_yaml
from tabular.deploy.onprem.names import CHART_NAME
from tabular.deploy.stack import Stack

from . import secrets
from .release import VALUES, Release, chart_files

_README = """\
# {id} for Helm

`{chart}/` is the chart, `{values}` what this deployment says.

## Secrets

{secrets}
## Install, and upgrade

    helm upgrade --install {name} ./{chart} --namespace {namespace} \\
      --values {values} --wait --timeout 15m

Before an upgrade, `helm diff` or this shows what would be applied:

    helm template {name} ./{chart} --namespace {namespace} --values {values}
"""


def helm(stack: Stack) -> dict[str, bytes]:
    """The files.

    Raises:
        EngineError: the chart refuses the values.
    """
    release = Release.of(stack)
    readme = _README.format(
        id=stack.target.id,
        chart=CHART_NAME,
        values=VALUES,
        name=release.name,
        namespace=release.namespace,
        secrets=secrets.section(release),
    )
    return {
        "README.md": readme.encode(),
        **secrets.helpers(release),
        VALUES: as_yaml(release.values),
        **chart_files(),
    }
