"""A release as a configuration of Terraform: the chart and its values, by the provider for Helm.

The secret stays outside, as it does everywhere: what Terraform makes it remembers in its state.
"""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.export.hcl import Attribute, Block, Call, Expression, Text, document
from tabular.deploy.export.yaml_text import as_yaml
from tabular.deploy.onprem.names import CHART_NAME
from tabular.deploy.stack import Stack

from . import secrets
from .release import VALUES, Release, chart_files
from .waiting import in_vain, watched

TERRAFORM = ">= 1.5"  # since when a namespace that is there can be taken over by a block
# The ones whose schemas this is tested with, and later.
PROVIDERS = {"helm": ">= 3.3, < 4.0", "kubernetes": ">= 3.4, < 4.0"}
_WAIT_SECONDS = 900
_NAMESPACE = "kubernetes_namespace_v1.this"
_RELEASE = "helm_release.this"

_README = """\
# {id} in Terraform

A release of the chart in `{chart}/` with the values of `{values}`, and its namespace.

## Secrets

{secrets}
## Apply

    terraform init
    terraform plan
    terraform apply

`kubeconfig` and `context` are variables: `-var kubeconfig=…`. The namespace is taken over as it is,
and never destroyed: the volumes and the secrets are in it.{adopted}
{watch}
The state has the values and what is rendered of them, in which secrets are named and never told.
When the spec changed, export into this folder again, and apply again.
"""
_NEW = " A release that fails is taken back."
_WATCH = """
The volume of the backups is bound when the first one is made, and Helm would wait for it until its
time is up. So Terraform waits for no pod, and takes nothing back; see them come up:

{commands}
With `backup.destination` there is no such volume, and Terraform waits.
"""
_HELM = " So is the release that runs: the first plan imports both and changes nothing else."
_MANIFESTS = (
    " What runs was applied without Helm; the release takes its objects over\n(`take_ownership`). "
    "From then on `inferloop-tabular deploy` has to leave them alone."
)


def terraform(stack: Stack) -> dict[str, bytes]:
    """The files.

    Raises:
        EngineError: the chart refuses the values.
    """
    release = Release.of(stack)
    blind = in_vain(release)
    new = "" if blind else _NEW
    adopts = _MANIFESTS if release.runs_without_helm else _HELM
    adopted = adopts if release.runs else new
    imports = [_import(_NAMESPACE, release.namespace)]
    if release.runs and not release.runs_without_helm:
        imports.append(_import(_RELEASE, f"{release.namespace}/{release.name}"))
    readme = _README.format(
        id=stack.target.id,
        chart=CHART_NAME,
        values=VALUES,
        secrets=secrets.section(release),
        adopted=adopted,
        watch=_WATCH.format(commands=secrets.indented(watched(release, "15m"))) if blind else "",
    )
    return {
        "README.md": readme.encode(),
        **secrets.helpers(release),
        "versions.tf": document(_versions()),
        "variables.tf": document(_variables()),
        "main.tf": document(_resources(release)),
        "imports.tf": document(imports),
        VALUES: as_yaml(release.values),
        **chart_files(),
    }


def _versions() -> Iterator[Block]:
    needed = Block(
        "required_providers",
        (),
        tuple(
            Attribute(name, {"source": f"hashicorp/{name}", "version": version})
            for name, version in PROVIDERS.items()
        ),
    )
    yield Block("terraform", (), (Attribute("required_version", TERRAFORM), needed))
    reach = {
        "config_path": Expression("var.kubeconfig"),
        "config_context": Expression("var.context"),
    }
    yield Block("provider", ("kubernetes",), tuple(Attribute(*one) for one in reach.items()))
    yield Block("provider", ("helm",), (Attribute("kubernetes", reach),))


def _variables() -> Iterator[Block]:
    yield _variable("kubeconfig", "File that says how to reach the cluster.", "~/.kube/config")
    words = "Context in that file; its current one if null."
    yield _variable("context", words, Expression("null"))


def _variable(name: str, words: str, default: str | Expression) -> Block:
    kind = Attribute("type", Expression("string"))
    said = (Attribute("description", words), kind, Attribute("default", default))
    return Block("variable", (name,), said)


def _resources(release: Release) -> Iterator[Block]:
    metadata = release.namespace_object["metadata"]
    kept = Block("lifecycle", (), (Attribute("prevent_destroy", True),))
    described = Block("metadata", (), tuple(Attribute(*one) for one in metadata.items()))
    yield Block("resource", ("kubernetes_namespace_v1", "this"), (described, kept))
    waits = not in_vain(release)
    items = [
        Attribute("name", release.name),
        Attribute("namespace", Expression(f"{_NAMESPACE}.metadata[0].name")),
        Attribute("chart", _here(CHART_NAME)),
        Attribute("values", [Call("file", (_here(VALUES),))]),
        Attribute("wait", waits),
        Attribute("timeout", _WAIT_SECONDS),
        Attribute("atomic", waits),
        Attribute("max_history", 10),
    ]
    if release.runs_without_helm:
        items.append(Attribute("take_ownership", True))
    yield Block("resource", ("helm_release", "this"), tuple(items))


def _here(name: str) -> Text:
    return Text((Expression("path.module"), f"/{name}"))


def _import(address: str, id: str) -> Block:
    return Block("import", (), (Attribute("to", Expression(address)), Attribute("id", id)))
