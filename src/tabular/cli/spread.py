"""Options that say where rows are drawn: in this process, in several, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tabular.errors import UsageError

DASK = "dask"

SchedulerFlag = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Address of a Dask scheduler, such as tcp://host:8786: its workers draw the rows.",
    ),
]
ProcessesFlag = Annotated[
    int, typer.Option("--workers", min=1, help="Processes that draw rows; the file is the same.")
]


def require_scheduler(engine: str | None, scheduler: str | None) -> None:
    """Refuse ``--engine dask`` without the address of a cluster.

    Raises:
        UsageError: see above.
    """
    if engine == DASK and scheduler is None:
        raise UsageError(
            "--engine dask needs the address of a scheduler",
            where="--scheduler",
            hint="add --scheduler tcp://HOST:8786, or leave --engine out and use --workers N",
        )


def written(
    synthesizer: Any,
    out: Path,
    rows: int,
    *,
    workers: int,
    scheduler: str | None,
    progress: Callable[[float], None],
    **options: Any,
) -> int:
    """Draw rows into a file, with what the options ask for; the same bytes by each.

    Args:
        synthesizer: the model.
        out: the file.
        rows: how many.
        workers: processes of this machine.
        scheduler: of a Dask cluster, which then draws the rows.
        progress: called with the fraction done.
        options: as for `Synthesizer.write`.

    Returns:
        The rows written.
    """
    if workers == 1 and scheduler is None:
        count: int = synthesizer.write(out, rows, progress=progress, **options)
        return count
    from tabular.worker.executors import DaskCluster, Executor, LocalProcesses, write

    model = synthesizer.to_bytes()
    executor: Executor = (
        LocalProcesses(model, workers) if scheduler is None else DaskCluster(model, scheduler)
    )
    with executor:
        return write(executor, synthesizer, out, rows, progress=progress, **options)
