"""A release as its chart and its values, for whoever runs Helm themselves."""

from __future__ import annotations

from tabular.deploy.export.yaml_text import as_yaml
from tabular.deploy.onprem.names import CHART_NAME
from tabular.deploy.stack import Stack

from . import secrets
from .release import VALUES, Release, chart_files
from .waiting import in_vain, watched

_README = """\
# {id} for Helm

`{chart}/` is the chart, `{values}` what this deployment says.

## Secrets

{secrets}
## Install, and upgrade

    helm upgrade --install {name} ./{chart} --namespace {namespace} \\
      --values {values}{owning}{waiting}
{owned}
Before an upgrade, `helm diff` or this shows what would be applied:

    helm template {name} ./{chart} --namespace {namespace} --values {values}
"""
_WAIT = " --wait --timeout 15m"
# Commands follow, and then the reason.
_WATCH = """
{commands}

The volume of the backups is bound when the first one is made, and `--wait` would wait for it. With
`backup.destination` there is no such volume.
"""
_TAKE = " --take-ownership"
_TAKEN = """
What runs was applied without Helm; the first of these commands, of Helm 3.17 or later, takes its
objects over. From then on `inferloop-tabular deploy` has to leave them alone.
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
        waiting=_watch(release) if in_vain(release) else _WAIT,
        owning=_TAKE if release.runs_without_helm else "",
        owned=_TAKEN if release.runs_without_helm else "",
    )
    return {
        "README.md": readme.encode(),
        **secrets.helpers(release),
        VALUES: as_yaml(release.values),
        **chart_files(),
    }


def _watch(release: Release) -> str:
    commands = secrets.indented(watched(release, "15m")).rstrip("\n")
    return _WATCH.format(commands=commands).rstrip("\n")
