"""Learns a model from a dataset."""

from __future__ import annotations

from typing import Any

from tabular.synth.synthesizer import Synthesizer
from tabular.worker.handlers.bench import Workbench
from tabular.worker.wire import Task

_READ = 0.3  # share of the work that reading the table usually is


def fit(task: Task, bench: Workbench) -> dict[str, Any]:
    """Fit and keep the model file.

    Raises:
        TableError, InputError: the table or the schema does not allow it.
    """
    table = bench.table(task["table"])
    bench.report(_READ, 0)
    synthesizer = Synthesizer(
        engine=task["engine"],
        preset=task["preset"],
        schema=task["schema"],
        seed=task["seed"],
    )
    synthesizer.fit(
        table, progress=lambda fraction: bench.report(_READ + (1 - _READ) * fraction, 0)
    )
    path = bench.scratch / "model"
    synthesizer.save(path)
    info = bench.keep(f"{task['folder']}/model", path)
    return {
        "key": info.key,
        "size": info.size,
        "sha256": info.sha256,
        "details": synthesizer.describe(),
    }
