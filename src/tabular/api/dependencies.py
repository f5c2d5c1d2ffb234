"""What routes ask for: the parts, who asks, and whether that one may.

They wait for nothing and are coroutines all the same: the framework gives each function that is
none a thread, for every request.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from tabular.api.service import Service
from tabular.infra.auth.principal import Principal


async def service_of(request: Request) -> Service:
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

    async def __call__(self, request: Request) -> Principal:
        """Who asks.

        Raises:
            ForbiddenError: a scope is missing.
        """
        principal = principal_of(request)
        request.state.scopes = self.scopes  # for the audit log
        principal.require(*self.scopes)
        return principal


Parts = Annotated[Service, Depends(service_of)]
