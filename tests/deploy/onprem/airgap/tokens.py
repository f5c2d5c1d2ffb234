"""A server that sells tokens, as Docker Hub and Harbor have one beside their registry.

Small, since none is to be had by itself; whether its tokens are right a real registry judges.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.testbed.registry import PASSWORD, USER

_SERVICE, _ISSUER = "test registry", "test tokens"


@dataclass
class Tokens:
    """A running server.

    Attributes:
        lines: of the configuration of a registry that believes it.
        asked: the scopes of each request.
        busy: how many requests are answered with 503 first.
    """

    lines: list[str]
    busy: int = 0
    asked: list[list[str]] = field(default_factory=list)


@contextlib.contextmanager
def token_server(folder: Path) -> Iterator[Tokens]:
    """Run it for the time of the block."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificate = _certificate(key)
    (folder / "tokens.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]
    tokens = Tokens([])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
            tokens.asked.append(scopes)
            if tokens.busy:
                tokens.busy -= 1
                self.send_error(503)
                return
            pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {pair}":
                self.send_error(401)
                return
            now = int(time.time())
            claims: dict[str, Any] = {
                "iss": _ISSUER, "aud": _SERVICE, "sub": USER, "jti": str(now),
                "iat": now, "nbf": now - 5, "exp": now + 60,
                "access": [_granted(scope) for scope in scopes],
            }  # fmt: skip
            token = jwt.encode(claims, key, algorithm="RS256", headers={"x5c": chain})
            body = json.dumps({"token": token}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    realm = f"http://127.0.0.1:{server.server_port}/token"
    tokens.lines = [
        f"auth: {{token: {{realm: '{realm}', service: {_SERVICE}, issuer: {_ISSUER}, "
        f"rootcertbundle: {folder / 'tokens.pem'}}}}}"
    ]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield tokens
    finally:
        server.shutdown()
        server.server_close()


def _granted(scope: str) -> dict[str, Any]:
    kind, name, actions = scope.split(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
