"""`export`: a deployment, of a file or as it runs, in the words of other tools."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabular.cli.output import JsonFlag, print_json, print_text, stdout, tell
from tabular.cli.outputs import write_text
from tabular.cli.place import (
    PROVIDER_HELP,
    EnvironmentFlag,
    NameFlag,
    Reach,
    RegionFlag,
    reach_flags,
)
from tabular.deploy.names import DEFAULT_PROVIDER
from tabular.errors import InputError, UsageError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.export import Source
    from tabular.deploy.spec import Overrides

# Written out: to ask the formats themselves would import the whole spec for a help text.
NAMES = ("grafana", "prometheus", "alerts", "otel-collector", "cloudformation", "terraform", "cdk")


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("export")(export)


@reach_flags
def export(
    *,
    reach: Reach,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A deployment file; what runs if none is given."),
    ] = None,
    format: Annotated[str, typer.Option("--format", "-f", help=f"One of: {', '.join(NAMES)}.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "--out", "-o", help="Folder for the files; stdout if none."),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            help=f"{PROVIDER_HELP} If none: what the file says, or where was deployed last.",
        ),
    ] = None,
    name: NameFlag = None,
    environment: EnvironmentFlag = None,
    region: RegionFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a deployment as Terraform, CloudFormation …, or what other tools need to go with it.

    Without FILE it is the deployment that runs: what the flags say, or what was deployed last from
    here. The same deployment gives the same bytes. Without --output, a format of one file goes to
    stdout. With --json stdout carries {"format", "out", "files"}, "files" by name with their text.
    """
    from tabular.deploy.export import files_of
    from tabular.deploy.spec import Overrides

    if file is not None:
        flags = Overrides(provider=provider, name=name, environment=environment, region=region)
        source = _of_file(file, flags, replace(reach, region=region))
    else:
        source = _running(provider, name, environment, replace(reach, region=region))
    files = {one: content.decode() for one, content in files_of(source, format).items()}
    if output is not None:
        _write(output, files)
    if as_json:
        shown = None if output is None else str(output)
        print_json({"format": format, "out": shown, "files": files})
    elif output is not None:
        for one in files:
            stdout.print(str(output / one), markup=False)
    elif len(files) == 1:
        print_text(next(iter(files.values())), end=False)
    else:
        raise UsageError(
            f"{format} gives {len(files)} files: {', '.join(files)}",
            hint="name a folder for them: --output DIR",
        )


def _of_file(file: Path, flags: Overrides, reach: Reach) -> Source:
    from tabular.cli.spec_flags import read_spec
    from tabular.deploy.export import Source

    loaded = read_spec(file, flags)
    chosen = loaded.deployment.spec.provider or DEFAULT_PROVIDER

    return Source(chosen, loaded.deployment, lambda: reach.connect(chosen).provider)


def _running(
    provider: str | None, name: str | None, environment: str | None, reach: Reach
) -> Source:
    """What the flags mean, or what was deployed last from here."""
    from tabular.deploy import Deployment
    from tabular.deploy.export import Source

    if provider is None:
        last = reach.connect(DEFAULT_PROVIDER).last_deployed()
        provider = DEFAULT_PROVIDER if last is None else last.provider
        if last is not None and name is None:
            name, environment = last.name, environment or last.environment
            reach = replace(reach, region=reach.region or last.region)
            tell(f"exporting {last.id}, which was deployed last from here", style="dim")
    orchestrator = reach.connect(provider)
    status = orchestrator.find(name, environment)
    return Source(
        provider,
        Deployment.from_canonical(status.spec),
        lambda: orchestrator.provider,
        status.target,
    )


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the folder cannot be made: {error.strerror}", where=str(target.parent)
            ) from error
        write_text(target, text)
