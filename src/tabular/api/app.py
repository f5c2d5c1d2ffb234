"""The application, put together from settings."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from tabular.api import problems
from tabular.api.admission import needs_sign_in
from tabular.api.gate import Gate
from tabular.api.health import readiness_of
from tabular.api.observing import Observer
from tabular.api.routes import CONSOLE, PROGRESS, ROUTERS, SYSTEM
from tabular.api.service import Service, open_service
from tabular.errors import TabularError
from tabular.infra.config import Settings
from tabular.version import __version__

TITLE = "inferloop-tabular"
DESCRIPTION = (
    "Synthetic tables over REST. Errors are RFC 9457 problem documents with a stable `code`."
)
TAGS = [
    {"name": "datasets", "description": "Real tables, uploaded."},
    {"name": "models", "description": "What was learned from a dataset."},
    {"name": "generate", "description": "Synthetic rows."},
    {"name": "evaluations", "description": "How good and how private generated rows are."},
    {
        "name": "jobs",
        "description": "What was accepted. Live progress: websocket /v1/jobs/{job_id}/progress.",
    },
    {"name": "session", "description": "Signing in and out."},
    {"name": "keys", "description": "API keys, their scopes and roles."},
    {"name": "usage", "description": "What was used, and what plans allow."},
    {"name": "audit", "description": "Sign-ins, changes of keys, deletions."},
    {"name": "system", "description": "Probes and metrics; no key is needed."},
]
_PROBLEM = {
    "description": "A problem.",
    "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "ift.ID.SECRET",
    "description": "`Authorization: Bearer …` with an API key, the token of a session, or an "
    "access token of the OpenID Connect provider.",
}


def create_app(settings: Settings, *, service: Service | None = None) -> FastAPI:
    """The application.

    Args:
        settings: of this deployment.
        service: the parts, when they are open already; they are closed with the application.

    Raises:
        ConfigError: a URL that has no driver, or an extra that is not installed.
    """
    parts = service if service is not None else open_service(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.readiness, app.state.observer = readiness_of(parts), Observer(parts)
        yield
        await parts.limiter.close()  # in the loop that its connections belong to
        parts.close()

    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version=__version__,
        openapi_tags=TAGS,
        docs_url=None,  # the usual pages load scripts from elsewhere: see pages
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = parts
    # As they stand and not by `include_router`, whose routes are searched twice for each request.
    for router in (*ROUTERS, PROGRESS, SYSTEM, CONSOLE):
        app.router.routes.extend(router.routes)
    app.add_exception_handler(TabularError, problems.on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_middleware(Gate, service=parts)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


async def _on_http_error(request: Request, error: Exception) -> Response:
    """The framework names only the methods of the first route of a path; `Allow` has all."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        error.headers = {"Allow": ", ".join(_methods(request))}
    return await problems.on_http_error(request, error)


def _methods(request: Request) -> list[str]:
    candidates = ("DELETE", "GET", "PATCH", "POST", "PUT")
    routes = request.app.router.routes
    return [
        method
        for method in candidates
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with sign-in and problems as the gate and `problems` do them."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        schemas = document["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas["Problem"] = _problem_schema()
        document["components"]["securitySchemes"] = {"bearer": _BEARER}
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                operation["responses"].pop("422", None)
                if needs_sign_in(path, method.upper()):
                    operation["security"] = [{"bearer": []}]
                if path.startswith("/v1/"):
                    operation["responses"]["default"] = _PROBLEM
        app.openapi_schema = document
    return app.openapi_schema


def _problem_schema() -> dict[str, Any]:
    from tabular.api.schemas import Problem

    return Problem.model_json_schema()
