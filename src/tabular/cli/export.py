"""`export`: a deployment, of a file or as it runs, in the words of other tools."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabular.cli.deploy import connect
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
from tabular.cli.render.plan import finding_as_dict, show_finding
from tabular.cli.spec_flags import read_spec
from tabular.deploy.names import DEFAULT_PROVIDER
from tabular.errors import ConflictError, InputError, UsageError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.export import Exported, Source
    from tabular.deploy.spec import Loaded

# Written out: to ask the formats themselves would import the whole spec for a help text.
NAMES = (
    *("grafana", "prometheus", "alerts", "otel-collector", "compose", "swarm"),
    *("cloudformation", "terraform", "cdk", "k8s", "helm", "gitops"),
)
_NAMED = 5  # of the files of a format, in a message


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
    flavour: Annotated[
        str | None,
        typer.Option("--flavour", help="Of gitops: which controller reads it, argocd or flux."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "--out", "-o", help="Folder for the files; stdout if none."),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="DIR",
            help="Write nothing: list what differs in a folder of an earlier export; exit code 1 "
            "if anything does.",
        ),
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
    """Write a deployment for Terraform, Kubernetes, GitOps …, or what goes with it elsewhere.

    Without FILE it is the deployment that runs: what the flags say, or what was deployed last from
    here. The same deployment gives the same bytes. Without --output, a format of one file goes to
    stdout. With --json stdout carries {"format", "out", "files", "findings"}, "files" by name;
    with --check it carries {"format", "folder", "missing", "different", "surplus"}. Files that an
    export does not write are left alone; within its chart, where Helm would render them, they are
    surplus, and nothing is written until they are gone.

    The rules of `plan` judge a FILE: warnings go to stderr, and what forbids a deploy forbids the
    export (exit code 3, nothing written). Passwords of the file are in no export.
    """
    from tabular.deploy.export import exported, surplus
    from tabular.deploy.policy import require_allowed
    from tabular.deploy.spec import Overrides

    if check is not None and output is not None:
        raise UsageError("--check writes nothing", where="--output", hint="leave out one of them")
    reach = replace(reach, region=region)
    if file is not None:
        flags = Overrides(provider=provider, name=name, environment=environment, region=region)
        found = _of_file(read_spec(file, flags), reach, format, flavour)
    else:
        found = exported(_running(provider, name, environment, reach), format, flavour)
    for finding in found.findings:
        if not finding.blocks:  # what does is named by the error
            show_finding(finding, tell)
    require_allowed(found.findings)
    made = found.files
    files = {one: text.decode() for one, text in made.items()}
    if check is not None:
        _compare(check, files, surplus(check, made), format, as_json=as_json)
        return
    if output is not None:
        _require_no_more(output, surplus(output, made))
        _write(output, files)
    if as_json:
        shown = None if output is None else str(output)
        judged = [finding_as_dict(one) for one in found.findings]
        print_json({"format": format, "out": shown, "files": files, "findings": judged})
    elif output is not None:
        for one in files:
            stdout.print(str(output / one), markup=False)
    elif len(files) == 1:
        print_text(next(iter(files.values())), end=False)
    else:
        raise UsageError(
            f"{format} gives {len(files)} files: {_some(list(files))}",
            hint="name a folder for them: --output DIR",
        )


def _some(names: list[str]) -> str:
    """The first of many names, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _of_file(loaded: Loaded, reach: Reach, format: str, flavour: str | None) -> Exported:
    from tabular.deploy.export import Source, exported
    from tabular.deploy.located import located

    chosen = loaded.deployment.spec.provider or DEFAULT_PROVIDER
    source = Source(chosen, loaded.deployment, lambda: connect(loaded, reach).provider)
    with located(loaded):
        return exported(source, format, flavour)


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


def _require_no_more(folder: Path, more: list[str]) -> None:
    """See that Helm would render nothing but what is written.

    Raises:
        ConflictError: the chart has other files: another release's, or somebody's own.
    """
    if more:
        names = " ".join(shlex.quote(str(folder / name)) for name in more)
        raise ConflictError(
            f"the chart there has files that are not of this release of it, and Helm would render "
            f"them too: {', '.join(more)}",
            where=str(folder),
            hint=f"rm {names}; then run the same command again",
        )


def _compare(
    folder: Path, files: dict[str, str], more: list[str], format: str, *, as_json: bool
) -> None:
    """Tell what a folder lacks, what is not as an export writes it, and what is too much.

    Raises:
        InputError: a file cannot be read.
    """
    there = {name: _read(folder / name) for name in files}
    missing = [name for name, text in there.items() if text is None]
    different = [name for name in files if name not in missing and there[name] != files[name]]
    if as_json:
        found = {"missing": missing, "different": different, "surplus": more}
        print_json({"format": format, "folder": str(folder), **found})
    else:
        for words, names in (("missing", missing), ("different", different), ("surplus", more)):
            for name in names:
                stdout.print(f"{words:<10}{folder / name}", markup=False)
    if missing or different or more:
        raise typer.Exit(1)


def _read(path: Path) -> str | None:
    """The text of a file; None where there is none, or one that is no text of ours."""
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise InputError(
            f"the file cannot be read: {error.strerror or error}", where=str(path)
        ) from error


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
