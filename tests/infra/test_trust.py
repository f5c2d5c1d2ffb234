"""Private authorities beside the public ones, tried by connections that are or are not trusted."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tabular.errors import ConfigError
from tabular.infra import certificates, trust
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running
from tests.testbed.slapd import make_authority

SERVER = """
import http.server, ssl, sys
folder, port = sys.argv[1], int(sys.argv[2])
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/server.pem", folder + "/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
# Each library as the service uses it: what comes back, or the name of what it raised.
CLIENTS = {
    "httpx": "import httpx; httpx.get(url)",
    "httpx with a context": "import httpx, ssl; "
    "httpx.get(url, verify=ssl.create_default_context(cafile=None))",
    "requests": "import requests; requests.get(url)",
    "obstore": "import obstore; from obstore.store import S3Store; "
    "store = S3Store('bucket', endpoint=url, skip_signature=True, region='r', "
    "retry_config={'max_retries': 0})\n"
    "try: obstore.head(store, 'x')\n"
    "except FileNotFoundError: pass",
}


def test_the_joined_file_has_public_and_private_authorities(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    out = tmp_path / "joined.crt"
    assert trust.main([str(out), str(authority)]) == 0
    joined = certificates.read(out.read_bytes(), where="joined")
    own = certificates.read(authority.read_bytes(), where="own")
    assert len(joined) > 100
    assert own[0] in joined
    assert not out.with_name("joined.crt.part").exists()
    context = ssl.create_default_context(cafile=str(out))
    assert {"commonName": "Authority"} in [
        dict(x[0] for x in c["subject"]) for c in context.get_ca_certs()
    ]


@pytest.mark.parametrize("content", ["", "certificate\n", "-----BEGIN CERTIFICATE-----\nabc\n"])
def test_a_file_without_certificates_is_refused_and_nothing_is_written(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "bad.crt").write_text(content)
    out = tmp_path / "joined.crt"
    with pytest.raises(ConfigError, match=r"no certificate"):
        trust.join(out, [tmp_path / "bad.crt"])
    assert not out.exists()
    with pytest.raises(ConfigError, match="cannot be read"):
        trust.join(out, [tmp_path / "missing.crt"])


def test_every_library_trusts_the_private_authority_by_the_joined_file(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    joined = tmp_path / "joined.crt"
    trust.join(joined, [authority])
    port = free_port()
    (tmp_path / "server.py").write_text(SERVER)
    command = [sys.executable, str(tmp_path / "server.py"), str(tmp_path), str(port)]
    with running(command, log=tmp_path / "server.log"):
        wait_for_port(port)
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
        for name, code in CLIENTS.items():
            program = f"url = 'https://localhost:{port}'\n{code}\n"
            trusting = _run(program, dict.fromkeys(names, str(joined)))
            assert trusting.returncode == 0, (name, trusting.stderr)
            alone = _run(program, {})
            assert alone.returncode != 0, name
            assert "ertificate" in alone.stderr or "CERTIFICATE" in alone.stderr, name


def test_the_end_of_a_certificate_is_read_from_its_file(tmp_path: Path) -> None:
    make_authority(tmp_path, days=2)
    (found,) = certificates.ends(tmp_path / "server.pem")
    left = found - datetime.now(UTC)
    assert timedelta(days=1, hours=23) < left <= timedelta(days=2)


def _run(program: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
