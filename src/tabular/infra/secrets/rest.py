"""One GET of a secret over HTTP, with its failures as errors that name the reference."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from tabular.infra.secrets.parts import denied, missing, silent

_TIMEOUT = 5.0


def get_json(
    url: str, token: str, where: str, whom: str, *, ca_file: str | None = None
) -> dict[str, Any]:
    """The JSON object at a URL.

    Args:
        url: of the secret.
        token: a bearer token.
        where: the reference, for errors.
        whom: who the token is of, for errors.
        ca_file: PEM file of a private authority.

    Raises:
        ConfigError: 404, 401 or 403.
        UnavailableError: no answer, or another one.
    """
    try:
        verify = ssl.create_default_context(cafile=ca_file)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(verify=verify, timeout=_TIMEOUT, headers=headers) as client:
            answer = client.get(url)
        status, found = answer.status_code, answer.json() if answer.content else None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise silent(where, type(error).__name__) from error
    if status == httpx.codes.NOT_FOUND:
        raise missing(where)
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise denied(where, whom)
    if status != httpx.codes.OK or not isinstance(found, dict):
        raise silent(where, f"status {status}")
    return found
