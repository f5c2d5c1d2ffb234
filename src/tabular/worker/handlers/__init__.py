"""The work itself, one module for each kind of task; runs in the child process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tabular.worker.handlers.bench import Models, Workbench
from tabular.worker.handlers.fit import fit
from tabular.worker.handlers.generate import generate
from tabular.worker.handlers.inspect import inspect
from tabular.worker.handlers.join import join_parts
from tabular.worker.wire import Task

__all__ = ["HANDLERS", "Models", "Workbench"]

Handler = Callable[[Task, Workbench], dict[str, Any]]


def _evaluate(task: Task, bench: Workbench) -> dict[str, Any]:
    # Its libraries take longer to load than all others together; most children never evaluate.
    from tabular.worker.handlers.evaluate import evaluate

    return evaluate(task, bench)


HANDLERS: Mapping[str, Handler] = {
    "inspect": inspect,
    "fit": fit,
    "generate": generate,
    "join": join_parts,
    "evaluate": _evaluate,
}
