"""`doctor` and `capabilities`: what this machine and a provider can do, before trying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tabular.cli.output import JsonFlag, new_table, print_json, print_table, stdout
from tabular.cli.place import (
    EnvironmentFlag,
    ProviderFlag,
    Reach,
    RegionFlag,
    RuntimeFlag,
    reach_flags,
)
from tabular.deploy.names import DEFAULT_PROVIDER
from tabular.errors import TabularError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from tabular.deploy.orchestrator import Orchestrator
    from tabular.deploy.provider import Check


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("doctor")(doctor)
    app.command("capabilities")(capabilities)


@reach_flags
def doctor(
    *,
    reach: Reach,
    provider: ProviderFlag = DEFAULT_PROVIDER,
    name: Annotated[
        str | None, typer.Option("--name", help="Look at this deployment as well.")
    ] = None,
    environment: EnvironmentFlag = None,
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            help="Kubernetes only: somebody to look up in the deployment's directory, without a "
            "password.",
        ),
    ] = None,
    region: RegionFlag = None,
    runtime: RuntimeFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Look, without touching, at all a deploy would need, and with --name at what runs there.

    Exit code 1 if something is missing or wrong.
    """
    if name is None and (user or environment):
        raise UsageError(
            "--user and --environment are about a deployment", hint="say which one: --name NAME"
        )
    place = replace(reach, region=region, runtime=runtime).connect(provider)
    checks = [*place.provider.doctor()]
    if name is not None:
        checks += _looked(place, name, environment, user)
    if as_json:
        print_json(
            [{"name": c.name, "ok": c.ok, "detail": c.detail, "hint": c.hint} for c in checks]
        )
    for check in () if as_json else checks:
        mark = "[green]ok[/]" if check.ok else "[red]not ok[/]"
        stdout.print(f"{mark:>16}  {escape(check.name)}: {escape(check.detail)}")
        if check.hint and not check.ok:
            stdout.print(f"          hint: {escape(check.hint)}", style="dim")
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def _looked(
    place: Orchestrator, name: str, environment: str | None, user: str | None
) -> Iterator[Check]:
    """What is to be said of a deployment; what cannot be found out is said as well.

    Raises:
        UnsupportedError: somebody is to be looked up, and the provider cannot.
        UsageError: several deployments are called so.
    """
    from tabular.deploy.provider import Check, LooksInside, State

    engine = place.provider.engine
    if user is not None and not isinstance(engine, LooksInside):
        raise UnsupportedError(
            f"{place.provider.name} cannot look anybody up from here",
            hint="run `python -m tabular.api.doctor --user NAME` where the API runs",
        )
    try:
        status = place.find(name, environment)
        detail = f": {status.detail}" if status.detail else ""
        yield Check(
            "deployment",
            status.state is State.READY,
            f"{status.target.id} is {status.state.value}{detail}",
            "`inferloop-tabular status` and `logs` with the same flags say more",
        )
        if isinstance(engine, LooksInside) and status.state is not State.RETAINED:
            yield from engine.look(status.target, user)
    except UsageError:
        raise
    except TabularError as error:
        where = f"{error.where}: " if error.where else ""
        yield Check("deployment", False, f"{where}{error.message}", error.hint or "")


def capabilities(provider: ProviderFlag = DEFAULT_PROVIDER, as_json: JsonFlag = False) -> None:
    """Show how a provider gives each field of the spec: native, emulated or unsupported."""
    table = Reach().connect(provider).provider.capabilities
    if as_json:
        print_json(
            {path: {"support": c.support.value, "note": c.note} for path, c in table.items()}
        )
        return
    shown = new_table("field", "support", "note", wraps="note")
    for path, capability in sorted(table.items()):
        part = any(other.startswith(f"{path}.") for other in table)
        name = f"{path} (other keys)" if part else path
        shown.add_row(escape(name), capability.support.value, escape(capability.note))
    print_table(shown)
