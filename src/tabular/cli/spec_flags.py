"""The flags that say something about the spec, written once for every command that reads one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from tabular.cli.joined import Command, join
from tabular.cli.output import tell
from tabular.cli.place import CLUSTER_FLAGS, PROVIDER_HELP
from tabular.deploy.names import DEFAULT_PROVIDER

if TYPE_CHECKING:  # the model of a spec is imported by the command that reads one
    from tabular.deploy.spec import Loaded, Overrides

ConfigFlag = Annotated[
    Path | None, typer.Option("--config", "-c", help="The deployment file; defaults if none.")
]

LivePricesFlag = Annotated[
    bool,
    typer.Option(
        "--live-prices", help="Ask the vendor's prices; needs credentials. Those we ship if not."
    ),
]

_FLAGS: dict[str, Any] = {
    "provider": Annotated[str | None, typer.Option("--provider", help=PROVIDER_HELP)],
    "environment": Annotated[
        str | None,
        typer.Option("--environment", help="development, staging, production …; isolates state."),
    ],
    "region": Annotated[str | None, typer.Option("--region", help="The vendor's region.")],
    "name": Annotated[str | None, typer.Option("--name", help="Name of the deployment.")],
    "enable_ha": Annotated[bool, typer.Option("--enable-ha", help="Survive the loss of one part.")],
    "enable_monitoring": Annotated[
        bool, typer.Option("--enable-monitoring", help="Metrics and alarms.")
    ],
    "enable_backup": Annotated[bool, typer.Option("--enable-backup", help="Regular backups.")],
    **CLUSTER_FLAGS,
    "storage_class": Annotated[
        str | None,
        typer.Option("--storage-class", help="Kubernetes only: storage class of all volumes."),
    ],
    "method": Annotated[
        str | None, typer.Option("--method", help="Kubernetes only: helm or manifests.")
    ],
    "values": Annotated[
        Path | None, typer.Option("--values", help="Helm values, laid over the file or alone.")
    ],
    "sets": Annotated[
        list[str] | None,
        typer.Option("--set", help="One key: spec.compute.instances=3. Can be repeated."),
    ],
}


def spec_flags(command: Command) -> Command:
    """Give a command that takes ``flags: Overrides`` the options it is made of."""

    def make(said: dict[str, Any]) -> Overrides:
        from tabular.deploy.spec import Overrides

        return Overrides(**{**said, "sets": tuple(said["sets"] or ())})

    return join(command, "flags", _FLAGS, make)


def read_spec(config: Path | None, flags: Overrides) -> Loaded:
    """The spec with the flags laid over it; what they replaced is told on stderr.

    The provider is always said in it, so that leaving the flag out changes nothing.

    Raises:
        SpecError: the file is wrong, overrides for an installed provider included.
        UsageError: a flag contradicts the file.
    """
    from tabular.deploy.located import check_overrides
    from tabular.deploy.spec import load

    loaded = load(config, flags)
    if loaded.deployment.spec.provider is None:
        # The origin of every other key stays as it was; this one is nobody's but ours.
        told = load(config, replace(flags, provider=DEFAULT_PROVIDER))
        origins = {path: at for path, at in told.origins.items() if path != ("spec", "provider")}
        loaded = replace(told, origins=origins)
    check_overrides(loaded)
    for note in loaded.notes:
        tell(f"note: {escape(note)}", style="dim")
    return loaded
