"""``/console``: the page for people. Its files hold nothing of anybody, so no key is asked for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.responses import Response

from tabular.api.console import ASSETS, CONSOLE, Console, File
from tabular.api.service import Service
from tabular.errors import NotFoundError
from tabular.version import __version__

router = APIRouter(include_in_schema=False)

Known = Annotated[str | None, Header(alias="If-None-Match")]


def console_of(request: Request) -> Console:
    """The console of this application, read from its files when it is first asked for."""
    state = request.app.state
    if not hasattr(state, "console"):
        counts = "/v1/usage" in request.app.openapi()["paths"]
        state.console = Console({**_settings(state.service), "usage": counts})
    console: Console = state.console
    return console


Files = Annotated[Console, Depends(console_of)]


@router.get(CONSOLE)
def page(console: Files, known: Known = None) -> Response:
    """The page."""
    return _answer(console.page, known, forever=False)


@router.get(f"{ASSETS}/{{version}}/{{name}}")
def asset(
    console: Files,
    version: Annotated[str, Path(max_length=64)],
    name: Annotated[str, Path(max_length=64)],
    known: Known = None,
) -> Response:
    """A script, the style sheet or the icon.

    Of another version, which a replica of another release has named, ours is answered; but it
    must not be kept under that name.
    """
    found = console.asset(name)
    if found is None:
        raise NotFoundError("the console has no such file", hint="open /console")
    return _answer(found, known, forever=version == console.version)


def _answer(file: File, known: str | None, *, forever: bool) -> Response:
    headers = file.headers(forever=forever)
    if file.is_known(known):
        return Response(status_code=304, headers=headers)
    return Response(file.content, 200, headers, file.media_type)


def _settings(service: Service) -> dict[str, object]:
    from tabular.synth.engines import engine_names  # brings Arrow, which starting needs not

    settings = service.settings
    return {
        "version": __version__,
        "release": settings.release,
        "provider": settings.provider,
        "region": settings.region,
        "environment": settings.environment,
        "passwords": service.sign_in.takes_passwords,
        "maxUpload": settings.max_upload_bytes,
        "engines": engine_names(),
    }
