"""What is asked without a key: probes, metrics, the landing page and the documentation."""

from __future__ import annotations

import os

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from tabular.api import pages
from tabular.api.dependencies import Parts
from tabular.api.health import UNAVAILABLE
from tabular.infra.monitoring import CONTENT_TYPE
from tabular.version import __version__

router = APIRouter(tags=["system"])


@router.get("/health")
def health(service: Parts) -> dict[str, str | int]:
    """Whether this process lives; asks nobody else."""
    settings = service.settings
    return {
        "status": "ok",
        "version": __version__,
        "release": settings.release,
        "pid": os.getpid(),
        "provider": settings.provider,
        "region": settings.region,
        "environment": settings.environment,
    }


@router.get("/ready", responses={503: {"description": "A part does not answer."}})
async def ready(request: Request) -> JSONResponse:
    """Whether this process can serve: database, storage, cache, queue and workers are asked.

    `ready` and `degraded` are 200: requests are answered. `unavailable` is 503.
    """
    state, checks = await request.app.state.readiness.report()
    return JSONResponse({"status": state, "checks": checks}, 503 if state == UNAVAILABLE else 200)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, service: Parts) -> Response:
    """Prometheus metrics."""
    _, checks = await request.app.state.readiness.report()
    samples = await request.app.state.observer.samples(checks)
    text = await to_thread.run_sync(service.metrics.render, samples)
    return Response(text, media_type=CONTENT_TYPE)


@router.get("/", include_in_schema=False)
def landing(service: Parts) -> Response:
    """Where to look next."""
    return pages.landing(service.settings)


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> Response:
    """The API as a page that needs no other server."""
    return pages.documentation(request.app.openapi())
