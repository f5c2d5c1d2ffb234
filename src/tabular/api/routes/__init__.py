"""One module for each resource.

Routes are tried in the order of `ROUTERS`, so what is asked most stands first; the documentation
has an order of its own (`app.TAGS`).
"""

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
    jobs.router,
    session.router,
    generate.router,
    datasets.router,
    models.router,
    evaluations.router,
    keys.router,
    usage.router,
    audit.router,
)
SYSTEM = system.router
CONSOLE = console.router
PROGRESS = jobs.progress
