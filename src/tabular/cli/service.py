"""Asking the API of a running deployment, with an administrator's key from the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import httpx

from tabular.cli.place import Place
from tabular.deploy.orchestrator import DIRECT
from tabular.errors import (
    AccessError,
    ConflictError,
    InputError,
    NotFoundError,
    TabularError,
    UnavailableError,
    UsageError,
)

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.provider import Status

KEY = "INFERLOOP_TABULAR_API_KEY"
_TIMEOUT = 30.0  # seconds
_KINDS: dict[int, type[TabularError]] = {
    401: AccessError, 403: AccessError, 404: NotFoundError, 409: ConflictError, 422: InputError,
}  # fmt: skip


def ask(place: Place, method: str, path: str, **query: str) -> Any:
    """The JSON that the service answers, None where it answers nothing.

    Raises:
        UsageError: no key in the environment.
        TabularError: what the service refused, in its own words.
        UnavailableError: it does not answer.
    """
    key = os.environ.get(KEY)
    if not key:
        raise UsageError(
            "the service is asked with an administrator's key, and none is given",
            hint=f"export {KEY}=…; `inferloop-tabular keys create` makes one",
            code="usage.no-key",
        )
    url = f"{_address(place.find())}{path}"
    try:
        with httpx.Client(timeout=_TIMEOUT, mounts=DIRECT) as client:
            answer = client.request(
                method, url, params=query, headers={"Authorization": f"Bearer {key}"}
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(
            f"the service does not answer: {type(error).__name__}",
            where=url,
            hint="`inferloop-tabular status` shows what runs",
        ) from error
    if answer.is_success:
        return answer.json() if answer.content else None
    raise _told(answer, url)


def _address(status: Status) -> str:
    """Where the API is; from within its network, if it has no address outside.

    Raises:
        UnavailableError: it has none at all.
    """
    found = status.outputs.get("url") or status.outputs.get("internalUrl")
    if not found:
        raise UnavailableError(
            "no API runs there",
            where=status.target.id,
            hint="`inferloop-tabular status` shows what runs",
        )
    return found


def _told(answer: httpx.Response, url: str) -> TabularError:
    """The error that a problem document describes."""
    try:
        problem = dict(answer.json())
    except ValueError:
        problem = {}
    kind = _KINDS.get(answer.status_code, UnavailableError)
    return kind(
        str(problem.get("detail") or f"the service answers {answer.status_code}"),
        where=url,
        hint=problem.get("hint"),
        code=problem.get("code"),
    )
