"""Draws rows from a model, straight into the store, in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from tabular.infra.pipe import streamed
from tabular.synth.joining import head_of
from tabular.worker.handlers.bench import Workbench
from tabular.worker.wire import Task


def generate(task: Task, bench: Workbench) -> dict[str, Any]:
    """Draw rows; into an object below ``folder``, or into the file ``path`` of this machine.

    They begin with the row ``start``; what is ``part`` of a larger file says how it is joined.

    Raises:
        ConstraintError: no row fulfils the conditions.
        ModelFileError: the model is damaged or too new.
    """
    synthesizer = bench.model(task["model"])
    rows, kind = task["rows"], task["format"]
    counted = 0

    def report(fraction: float) -> None:
        nonlocal counted
        made = round(fraction * rows)
        bench.report(fraction, made - counted)
        counted = made

    def write(target: BinaryIO) -> None:
        synthesizer.write(
            target,
            rows,
            seed=task["seed"],
            where=task["where"],
            start=task.get("start", 0),
            format=kind,
            progress=report,
        )

    more = {"head": head_of(synthesizer.schema, kind)} if task.get("part") else {}
    if "path" in task:
        with Path(task["path"]).open("wb") as file:
            write(file)
        return {"format": kind, "rows": rows, **more}
    info = bench.store.put(f"{task['folder']}/rows.{kind}", streamed(write))
    return {
        "key": info.key,
        "size": info.size,
        "sha256": info.sha256,
        "format": kind,
        "rows": rows,
        **more,
    }
