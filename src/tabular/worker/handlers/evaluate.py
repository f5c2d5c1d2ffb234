"""Measures how good and how private generated rows are."""

from __future__ import annotations

from typing import Any

from tabular.synth.evaluation import evaluate as measure
from tabular.worker.handlers.bench import Workbench
from tabular.worker.wire import Task


def evaluate(task: Task, bench: Workbench) -> dict[str, Any]:
    """Compare the tables; keep the report as JSON and as a page.

    Raises:
        TableError: the tables do not fit each other.
    """
    holdout = bench.table(task["holdout"]) if task["holdout"] else None
    report = measure(
        bench.table(task["real"]),
        bench.table(task["synthetic"]),
        holdout=holdout,
        progress=lambda fraction: bench.report(fraction, 0),
    )
    data = bench.store.put(f"{task['folder']}/report.json", report.to_json().encode())
    page = bench.store.put(f"{task['folder']}/report.html", report.to_html().encode())
    return {
        "key": data.key,
        "size": data.size,
        "sha256": data.sha256,
        "page_key": page.key,
        "format": "json",
    }
