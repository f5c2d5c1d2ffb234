"""One module for each resource; `ROUTERS` is the API in the order of its documentation."""

from __future__ import annotations

from tabular.api.routes import (
    audit,
    console,
    datasets,
    evaluations,
    generate,
    jobs,
    keys,
    models,
    session,
    system,
    usage,
)

ROUTERS = (
    datasets.router,
    models.router,
    generate.router,
    evaluations.router,
    jobs.router,
    session.router,
    keys.router,
    usage.router,
    audit.router,
)
SYSTEM = system.router
CONSOLE = console.router
PROGRESS = jobs.progress
