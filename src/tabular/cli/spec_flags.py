"""The flags that say something about the spec, written once for every command that reads one.

Typer takes a command's options from its signature. `spec_flags` puts these options into the
signature of a command that asks for `flags: Overrides`, and hands them over as one value.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.markup import escape

from tabular.cli.output import stderr
from tabular.deploy.spec import Loaded, Overrides, load

ConfigFlag = Annotated[
    Path | None, typer.Option("--config", "-c", help="The deployment file; defaults if none.")
]

_FLAGS: dict[str, Any] = {
    "provider": Annotated[
        str | None,
        typer.Option("--provider", help="aws, gcp, azure, onprem or standalone (this machine)."),
    ],
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
    "namespace": Annotated[
        str | None, typer.Option("--namespace", help="Kubernetes only: the namespace.")
    ],
    "storage_class": Annotated[
        str | None,
        typer.Option("--storage-class", help="Kubernetes only: storage class of all volumes."),
    ],
    "kubeconfig": Annotated[
        str | None,
        typer.Option("--kubeconfig", help="Kubernetes only: how to reach the cluster."),
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


def spec_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``flags: Overrides`` the options it is made of."""
    hints = get_type_hints(command, include_extras=True)
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "flags"]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        said = {name: given.pop(name) for name in _FLAGS}
        sets = tuple(said.pop("sets") or ())
        command(flags=Overrides(**said, sets=sets), **given)

    kind = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(name, kind, default=_default(flag), annotation=flag)
        for name, flag in _FLAGS.items()
    ]
    mine = [p.replace(kind=kind, annotation=hints[p.name]) for p in own]
    parameters = [*mine, *shared]
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del vars(run)["__wrapped__"]
    return run


def read_spec(config: Path | None, flags: Overrides) -> Loaded:
    """The spec with the flags laid over it; what they replaced is told on stderr."""
    loaded = load(config, flags)
    for note in loaded.notes:
        stderr.print(f"note: {escape(note)}", style="dim")
    return loaded


def _default(flag: Any) -> bool | None:
    return False if flag.__origin__ is bool else None
