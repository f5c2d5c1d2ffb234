"""A small client of the Kubernetes API, so that the bed does not rest on what it tests."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import urllib.parse
from pathlib import Path
from typing import Any

Json = dict[str, Any]
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
# A kept connection that the server closed meanwhile shows as one of these.
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
# No answer changed anything: the request may be sent once more over a new connection.
_SAFE = frozenset({"GET", "PATCH"})


class Refused(Exception):
    """The server's answer was no; `status` is its HTTP status, `reason` Kubernetes' word."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        try:
            self.reason = str(json.loads(body).get("reason", ""))
        except ValueError:
            self.reason = ""


class Api:
    """JSON over one kept connection a thread."""

    def __init__(
        self, server: str, authority: Path, token: str, *, certificate: Path | None = None
    ) -> None:
        self.server = server
        self._address = urllib.parse.urlsplit(server)
        self._context = ssl.create_default_context(cafile=str(authority))
        if certificate is not None:
            self._context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self._token = token
        self._local = threading.local()

    def __call__(
        self, method: str, path: str, body: Json | None = None, *, form: str | None = None
    ) -> Json:
        """Ask; the answer's JSON. Raises `Refused` for a status of 400 and above."""
        text = self.text(method, path, body, form=form)
        return dict(json.loads(text)) if text else {}

    def text(
        self, method: str, path: str, body: Json | None = None, *, form: str | None = None
    ) -> str:
        """Ask; the answer's text."""
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = form or "application/json"
        sent = None if body is None else json.dumps(body).encode()
        try:
            answer, text = self._once(method, path, sent, headers)
        except _STALE:
            self._forget()
            if method not in _SAFE:
                raise
            answer, text = self._once(method, path, sent, headers)
        if answer.status >= 400:
            raise Refused(answer.status, text)
        return text

    def get(self, path: str) -> Json | None:
        """An object, or None where there is none."""
        try:
            return self("GET", path)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def delete(self, path: str, **options: object) -> None:
        """Delete; nothing happens where there is nothing."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        try:
            self("DELETE", path, body)
        except Refused as refused:
            if refused.status not in (404, 409):  # gone, or another object of that name
                raise

    def close(self) -> None:
        """Close this thread's connection."""
        self._forget()

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, str]:
        connection = self._connection()
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer, answer.read().decode()
        except BaseException:
            self._forget()
            raise

    def _connection(self) -> http.client.HTTPSConnection:
        kept: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if kept is None:
            host, port = self._address.hostname or "", self._address.port
            kept = http.client.HTTPSConnection(host, port, timeout=30, context=self._context)
            self._local.connection = kept
        return kept

    def _forget(self) -> None:
        kept = getattr(self._local, "connection", None)
        if kept is not None:
            kept.close()
        self._local.connection = None
