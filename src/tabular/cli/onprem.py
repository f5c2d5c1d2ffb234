"""`onprem`: what only a deployment on Kubernetes needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabular.cli.output import print_text
from tabular.cli.outputs import write_text
from tabular.cli.spec_flags import ConfigFlag, read_spec, spec_flags
from tabular.errors import UsageError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.spec import Overrides

commands = typer.Typer(no_args_is_help=True, help="What only a deployment on Kubernetes needs.")
_RBAC = "rbac.authorization.k8s.io"


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(commands, name="onprem")
    commands.command("rbac")(rbac)


@spec_flags
def rbac(
    *,
    flags: Overrides,
    config: ConfigFlag = None,
    user: Annotated[str | None, typer.Option("--user", help="Who deploys: a user's name.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Who deploys: a group.")] = None,
    service_account: Annotated[
        str | None,
        typer.Option("--service-account", help="Who deploys: an account, as NAMESPACE/NAME."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; stdout if none.")
    ] = None,
) -> None:
    """Print the least that who deploys must be allowed: Roles with their bindings, as YAML.

    They are those of one file, or of defaults and flags. The ClusterRole is read-only and may be
    left out: without it a deploy knows less beforehand, and the namespace must be there.
    """
    text = _roles(config, flags, _subject(user, group, service_account))
    if output is None:
        print_text(text, end=False)
    else:
        write_text(output, text)


def _subject(user: str | None, group: str | None, account: str | None) -> dict[str, Any]:
    if sum(one is not None for one in (user, group, account)) != 1:
        raise UsageError(
            "who deploys?", hint="one of --user NAME, --group NAME, --service-account SPACE/NAME"
        )
    if account is None:
        kind = "Group" if user is None else "User"
        return {"apiGroup": _RBAC, "kind": kind, "name": user or group}
    namespace, _, name = account.partition("/")
    if not namespace or not name:
        raise UsageError(
            f"{account!r} is no account", where="--service-account", hint="ci/deployer, such as"
        )
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def _roles(config: Path | None, flags: Overrides, subject: dict[str, Any]) -> str:
    from tabular.deploy.export.yaml_text import as_yaml_documents
    from tabular.deploy.located import located
    from tabular.deploy.onprem.compile import compile_stack
    from tabular.deploy.onprem.names import PROVIDER
    from tabular.deploy.onprem.preflight.rights import roles
    from tabular.deploy.onprem.rendered.rendering import render

    if flags.provider not in (None, PROVIDER):
        raise UsageError(
            "these are roles of Kubernetes", where="--provider", hint="leave --provider out"
        )
    loaded = read_spec(config, replace(flags, provider=PROVIDER))
    with located(loaded):
        stack = compile_stack(loaded.deployment)
    name, namespace = stack.target.name, stack.target.region or ""
    objects = render(stack.template["values"], name=name, namespace=namespace)
    made = roles(objects, name, namespace, subject)
    return as_yaml_documents(tuple(made)).decode()
