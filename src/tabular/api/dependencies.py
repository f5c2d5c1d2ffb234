"""What routes ask for: the parts, who asks, and whether that one may."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from tabular.api.service import Service
from tabular.infra.auth import Principal

_BEARER = HTTPBearer(
    scheme_name="bearer",
    bearerFormat="ift.ID.SECRET",
    description="`Authorization: Bearer …` with an API key, the token of a session, or an access "
    "token of the OpenID Connect provider.",
    auto_error=False,  # the gate has signed in already; this is for the OpenAPI document
)


def service_of(request: Request) -> Service:
    """The parts of this application."""
    return cast(Service, request.app.state.service)


def principal_of(request: Request) -> Principal:
    """Who asks; the gate lets nobody else as far as here."""
    return cast(Principal, request.state.principal)


class Requires:
    """A dependency that lets only keys with these scopes pass.

    Args:
        *scopes: all of them are needed.
    """

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    def __call__(self, request: Request, _: Annotated[object, Depends(_BEARER)]) -> Principal:
        """Who asks.

        Raises:
            ForbiddenError: a scope is missing.
        """
        principal = principal_of(request)
        request.state.scopes = self.scopes  # for the audit log
        principal.require(*self.scopes)
        return principal


Parts = Annotated[Service, Depends(service_of)]
