"""A token endpoint of the shape that Google's has (RFC 7523), for credentials made here.

It checks what it is given as the real one does: the grant, the signature of the assertion by the
service account's key, audience, scope and times.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class GoogleTokenServer:
    """A running endpoint.

    Attributes:
        url: where tokens are asked for.
        credentials: the file of a service account that it knows.
        scopes: of each token that it gave.
        lifetime: seconds of the next tokens.
        refuse: whether it refuses the account from now on.
    """

    url: str
    credentials: Path
    scopes: list[str] = field(default_factory=list)
    lifetime: int = 3600
    refuse: bool = False

    def token(self) -> str:
        """The token that was given last."""
        return f"token-{len(self.scopes)}"


@contextlib.contextmanager
def google_token_server(folder: Path) -> Iterator[GoogleTokenServer]:
    """Run an endpoint for the time of the block."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    handler = type("Handler", (_Handler,), {"key": key.public_key()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{server.server_port}/token"
    running = GoogleTokenServer(url, folder / "service-account.json")
    handler.running = running  # type: ignore[attr-defined]
    running.credentials.write_text(json.dumps(_account(key, url)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _account(key: rsa.RSAPrivateKey, url: str) -> dict[str, str]:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "testbed",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "testbed@testbed.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": url,
    }


class _Handler(BaseHTTPRequestHandler):
    running: GoogleTokenServer
    key: rsa.RSAPublicKey

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        try:
            claims = self._claims(form)
        except (jwt.PyJWTError, KeyError, AssertionError) as error:
            self._answer(400, {"error": "invalid_grant", "error_description": repr(error)})
            return
        self.running.scopes.append(claims["scope"])
        token = {"access_token": self.running.token(), "token_type": "Bearer"}
        self._answer(200, {**token, "expires_in": self.running.lifetime})

    def _claims(self, form: dict[str, list[str]]) -> dict[str, Any]:
        assert form["grant_type"] == [_GRANT]
        assert not self.running.refuse, "Invalid grant: account not found"
        claims: dict[str, Any] = jwt.decode(
            form["assertion"][0], self.key, algorithms=["RS256"], audience=None,
            options={"verify_aud": False, "require": ["exp", "iat", "iss", "aud", "scope"]},
        )  # fmt: skip
        assert claims["iss"] == "testbed@testbed.iam.gserviceaccount.com"
        assert claims["aud"] in (self.running.url, "https://oauth2.googleapis.com/token")
        assert claims["exp"] - time.time() <= 3600
        return claims

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
