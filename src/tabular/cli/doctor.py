"""`doctor` and `capabilities`: what this machine and a provider can do, before trying."""

from __future__ import annotations

from dataclasses import replace

import typer
from rich.markup import escape
from rich.table import Table

from tabular.cli.output import JsonFlag, print_json, stdout
from tabular.cli.place import ProviderFlag, Reach, RegionFlag, RuntimeFlag, reach_flags
from tabular.deploy.names import DEFAULT_PROVIDER


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("doctor")(doctor)
    app.command("capabilities")(capabilities)


@reach_flags
def doctor(
    *,
    reach: Reach,
    provider: ProviderFlag = DEFAULT_PROVIDER,
    region: RegionFlag = None,
    runtime: RuntimeFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Look, without touching, at all a deploy would need. Exit code 1 if something is missing."""
    checks = tuple(
        replace(reach, region=region, runtime=runtime).connect(provider).provider.doctor()
    )
    if as_json:
        print_json(
            [{"name": c.name, "ok": c.ok, "detail": c.detail, "hint": c.hint} for c in checks]
        )
    for check in () if as_json else checks:
        mark = "[green]ok[/]" if check.ok else "[red]missing[/]"
        stdout.print(f"{mark:>16}  {escape(check.name)}: {escape(check.detail)}")
        if check.hint and not check.ok:
            stdout.print(f"          hint: {escape(check.hint)}", style="dim")
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def capabilities(provider: ProviderFlag = DEFAULT_PROVIDER, as_json: JsonFlag = False) -> None:
    """Show how a provider gives each field of the spec: native, emulated or unsupported."""
    table = Reach().connect(provider).provider.capabilities
    if as_json:
        print_json(
            {path: {"support": c.support.value, "note": c.note} for path, c in table.items()}
        )
        return
    shown = Table(box=None, padding=(0, 2), header_style="dim")
    for column in ("field", "support", "note"):
        shown.add_column(column)
    for path, capability in sorted(table.items()):
        shown.add_row(escape(path), capability.support.value, escape(capability.note))
    stdout.print(shown)
