"""Asking a process on this host whether it is ready; plain HTTP on a private port."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

from tabular.deploy.standalone.ports import LOCALHOST


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status; 0 where nothing answered.
        body: the JSON object, empty where there was none.
        text: for people: what was said, or why nothing was.
    """

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    text: str = ""


def ask(port: int, path: str, timeout: float = 2.0) -> Answer:
    """GET ``path`` over a new connection; never raises for what the other side does."""
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        raw = response.read(64 * 1024)
        status = response.status
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, text=f"no answer from port {port} ({error or type(error).__name__})")
    finally:
        connection.close()
    try:
        body = json.loads(raw)
    except ValueError:
        body = {}
    text = f"{path} said {status} {raw[:400].decode(errors='replace')}"
    return Answer(status, body if isinstance(body, dict) else {}, text)
