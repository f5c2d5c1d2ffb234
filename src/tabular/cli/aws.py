"""`aws`: what only a deployment on AWS needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabular.cli.output import print_text, stdout
from tabular.cli.outputs import write_text
from tabular.cli.spec_flags import ConfigFlag, read_spec, spec_flags
from tabular.errors import UsageError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.spec import Overrides

commands = typer.Typer(no_args_is_help=True, help="What only a deployment on AWS needs.")


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(commands, name="aws")
    commands.command("iam-policy")(iam_policy)


@spec_flags
def iam_policy(
    *,
    flags: Overrides,
    config: ConfigFlag = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for one file each; stdout if none."),
    ] = None,
) -> None:
    """Print the least that a deployer must be allowed: for a file, or for any deployment.

    IAM limits the size of a policy, so there are several; attach all of them to the user or role.
    On stdout it is one JSON list.
    """
    found = _policies(config, flags)
    if output is None:
        print_text(json.dumps(found, indent=2))
        return
    for number, one in enumerate(found, start=1):
        path = output / f"deployer-{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(one, indent=2) + "\n")
        stdout.print(str(path), markup=False)


def _policies(config: Path | None, flags: Overrides) -> list[dict[str, Any]]:
    from dataclasses import replace

    from tabular.deploy.aws.compile import PROVIDER, compile_stack
    from tabular.deploy.aws.permissions import handlers, policies, resolved
    from tabular.deploy.aws.words.partitions import partition

    if flags.provider not in (None, PROVIDER):
        raise UsageError(
            "these are policies of aws", where="--provider", hint="leave --provider out"
        )
    if config is None and flags.values is None and not any(replace(flags, provider=None).said()):
        return policies(handlers())
    loaded = read_spec(config, replace(flags, provider=PROVIDER))
    stack = compile_stack(loaded.deployment, "us-east-1")
    part = partition(stack.target.region or "")
    return policies({one.type for one in stack.resources}, resolved(stack.template), part)
