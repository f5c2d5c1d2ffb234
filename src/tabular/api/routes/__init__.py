"""One module for each resource; `ROUTERS` is the API in the order of its documentation."""

from __future__ import annotations

from tabular.api.routes import datasets, evaluations, generate, jobs, keys, models, system

ROUTERS = (
    datasets.router,
    models.router,
    generate.router,
    evaluations.router,
    jobs.router,
    keys.router,
)
SYSTEM = system.router
PROGRESS = jobs.progress
