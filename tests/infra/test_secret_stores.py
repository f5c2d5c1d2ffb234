"""References to the clouds' stores of secrets.

AWS is asked through an emulator that others wrote. For the others a small server stands in that
checks the path, the version and the token against the published REST shape, behind the vendors'
own ways to credentials: a service account's key of Google, a managed identity of Azure, the
service account of a pod.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.secrets import Rotating, is_reference, resolve
from tabular.infra.secrets.kubernetes import resolve as resolve_k8s
from tests.testbed import parts
from tests.testbed.ports import free_port
from tests.testbed.slapd import make_authority
from tests.testbed.sqs import CREDENTIALS, sqs_server

Reply = tuple[int, object]
Answer = Callable[[str, dict[str, str], str], Reply]
VALUE = "canary-of-the-store"


def serve(answer: Answer, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    """A server that answers by path, headers and body; it runs until its process ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, found = answer(self.path, headers, self.rfile.read(length).decode())
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def ask(reference: str, env: dict[str, str]) -> tuple[str, str]:
    """What a process with this environment gets, and what it says when it gets nothing."""
    code = (
        "import sys; from tabular.infra.secrets import resolve\n"
        "from tabular.errors import TabularError\n"
        "try: print(resolve(sys.argv[1]), end='')\n"
        "except TabularError as error: sys.exit(f'{type(error).__name__}: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, reference],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert VALUE not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    boto3 = parts.module("boto3", package="boto3")
    with sqs_server(tmp_path_factory.mktemp("aws")) as server:
        endpoint = f"http://127.0.0.1:{server.port}"
        client = boto3.client(
            "secretsmanager",
            endpoint_url=endpoint,
            region_name="eu-west-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_secret(Name="prod/plain", SecretString=VALUE)
        made = client.create_secret(Name="prod/json", SecretString=json.dumps({"key": VALUE}))
        yield {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint,
            "AWS_REGION": "eu-west-1",
            "ARN": made["ARN"],
        }


def test_aws_secrets_manager(aws: dict[str, str]) -> None:
    assert ask("aws-sm:prod/plain", aws)[0] == VALUE
    assert ask("aws-sm:prod/json#key", aws)[0] == VALUE
    without_region = {k: v for k, v in aws.items() if k != "AWS_REGION"}
    assert ask(f"aws-sm:{aws['ARN']}#key", without_region)[0] == VALUE
    assert "no such secret" in ask("aws-sm:prod/none", aws)[1]
    assert "no key 'other'" in ask("aws-sm:prod/json#other", aws)[1]
    assert "no key 'key'" in ask("aws-sm:prod/plain#key", aws)[1]
    dead = {**aws, "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://127.0.0.1:{free_port()}"}
    assert "UnavailableError" in ask("aws-sm:prod/plain", dead)[1]
    assert "ConfigError" in ask("aws-sm:prod/plain", without_region)[1]


def test_the_password_of_a_url_in_aws_secrets_manager(aws: dict[str, str]) -> None:
    """As a deployment on AWS has it: the ARN of the secret, its key, and no region around."""
    code = "from tabular.infra.config import load_settings; print(load_settings().database_url)"
    reference = f"{{aws-sm:{aws['ARN']}#key}}"
    env = {k: v for k, v in aws.items() if k not in ("AWS_REGION", "ARN")}
    env |= {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    env["TABULAR_DATABASE_URL"] = f"postgresql+psycopg://tabular:{reference}@db:5432/tabular"
    env["TABULAR_SECRET_KEY"] = "k9Zq2Lx8Vb3Nm7Rt5Wy1Pd4Sf6Gh0JcEu"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == f"postgresql+psycopg://tabular:{VALUE}@db:5432/tabular\n"


def test_google_secret_manager(tmp_path: Path) -> None:
    parts.module("google.auth", package="google-auth")
    parts.module("requests", package="requests")
    data = base64.b64encode(json.dumps({"key": VALUE}).encode()).decode()

    def answer(path: str, headers: dict[str, str], body: str) -> Reply:
        if path == "/token":
            asked = parse_qs(body)
            assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            return 200, {"access_token": "google-token", "expires_in": 3600}
        if headers.get("authorization") != "Bearer google-token":
            return 401, {}
        names = ("latest", "3")
        if path not in [f"/v1/projects/p-1/secrets/app/versions/{name}:access" for name in names]:
            return 404, {"error": {"status": "NOT_FOUND"}}
        version = "projects/1/secrets/app/versions/3"
        return 200, {"name": version, "payload": {"data": data, "dataCrc32c": "1"}}

    base = f"http://127.0.0.1:{serve(answer).server_port}"
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = tmp_path / "account.json"
    account.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "p-1",
                "private_key_id": "1",
                "private_key": key.decode(),
                "client_email": "app@p-1.iam.gserviceaccount.com",
                "token_uri": f"{base}/token",
            }
        )
    )
    env = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(account),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{base}/",
    }
    assert json.loads(ask("gcp-sm:projects/p-1/secrets/app", env)[0]) == {"key": VALUE}
    assert ask("gcp-sm:projects/p-1/secrets/app/versions/3#key", env)[0] == VALUE
    assert "no such secret" in ask("gcp-sm:projects/p-1/secrets/none", env)[1]
    assert "cannot be read" in ask("gcp-sm:app", env)[1]


def test_azure_key_vault() -> None:
    parts.module("azure.identity", package="azure-identity")
    version = "0" * 32

    def answer(path: str, headers: dict[str, str], body: str) -> Reply:
        parts_of = urlsplit(path)
        query = parse_qs(parts_of.query)
        if parts_of.path == "/identity":
            assert headers["x-identity-header"] == "proof"
            assert query["resource"] == ["https://vault.azure.net"]
            token = {"access_token": "azure-token", "expires_on": "4102444800"}
            return 200, {**token, "resource": "https://vault.azure.net", "token_type": "Bearer"}
        if headers.get("authorization") != "Bearer azure-token":
            return 401, {}
        assert query["api-version"] == ["7.4"]
        if parts_of.path in ("/secrets/app", f"/secrets/app/{version}"):
            return 200, {"value": VALUE, "id": f"https://v.vault.azure.net/secrets/app/{version}"}
        if parts_of.path == "/secrets/theirs":
            return 403, {"error": {"code": "Forbidden"}}
        return 404, {"error": {"code": "SecretNotFound"}}

    base = f"http://127.0.0.1:{serve(answer).server_port}"
    env = {"IDENTITY_ENDPOINT": f"{base}/identity", "IDENTITY_HEADER": "proof"}
    assert ask(f"az-kv:{base}/secrets/app", env)[0] == VALUE
    assert ask(f"az-kv:{base}/secrets/app/{version}", env)[0] == VALUE
    assert "no such secret" in ask(f"az-kv:{base}/secrets/none", env)[1]
    assert "not allowed" in ask(f"az-kv:{base}/secrets/theirs", env)[1]
    for wrong in ("http://vault.example/secrets/app", "v", "vault/app/short", "v/../x"):
        assert "cannot be read" in ask(f"az-kv:{wrong}", env)[1]


def test_kubernetes(tmp_path: Path) -> None:
    ca_file = make_authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    value = base64.b64encode(VALUE.encode()).decode()

    def answer(path: str, headers: dict[str, str], body: str) -> Reply:
        if headers.get("authorization") != "Bearer pod-token":
            return 401, {"kind": "Status"}
        if path in [f"/api/v1/namespaces/{name}/secrets/app" for name in ("mine", "theirs")]:
            return 200, {"kind": "Secret", "type": "Opaque", "data": {"key": value}}
        return (403 if "forbidden" in path else 404), {"kind": "Status"}

    account = tmp_path / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(ca_file.read_bytes())
    (account / "token").write_text("pod-token")
    (account / "namespace").write_text("mine")
    port = serve(answer, context).server_port
    env = {"KUBERNETES_SERVICE_HOST": "localhost", "KUBERNETES_SERVICE_PORT": str(port)}
    assert resolve_k8s("app/key", env, account) == VALUE
    assert resolve_k8s("theirs/app/key", env, account) == VALUE
    for reference, says in (
        ("app/other", "no key"),
        ("none/key", "no such secret"),
        ("forbidden/app/key", "not allowed"),
        ("app", "cannot be read"),
        ("a/b/c/d", "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=says):
            resolve_k8s(reference, env, account)
    with pytest.raises(ConfigError, match="not run in a pod"):
        resolve_k8s("app/key", {}, account)
    (account / "ca.crt").unlink()
    with pytest.raises(UnavailableError):
        resolve_k8s("app/key", env, account)


@pytest.mark.parametrize("reference", ["aws-sm:a", "gcp-sm:a", "az-kv:a/b", "k8s:a/b"])
def test_references_are_known_by_their_form(reference: str) -> None:
    assert is_reference(reference)


def test_a_secret_that_rotates_is_read_again(tmp_path: Path) -> None:
    now = 0.0
    file = tmp_path / "secret"
    file.write_text("first")
    secret = Rotating(f"file:{file}", ttl=300, clock=lambda: now)
    assert secret.value() == "first"
    file.write_text("second")
    assert secret.value() == "first"
    assert secret.value(again=True) == "second"
    file.write_text("third")
    now = 301.0
    assert secret.value() == "third"
    file.unlink()
    with pytest.raises(ConfigError):
        secret.value(again=True)
    assert secret.value() == "third"


def test_a_setting_may_be_a_reference() -> None:
    from tabular.infra.config import load_settings

    key = "k9Zq2Lx8Vb3Nm7Rt5Wy1Pd4Sf6Gh0JcEu"
    settings = load_settings({"TABULAR_SECRET_KEY": "env:KEY", "KEY": key})
    assert settings.secret_key.get_secret_value() == key
    with pytest.raises(ConfigError, match="NONE is not set"):
        load_settings({"TABULAR_SECRET_KEY": "env:NONE"})
    assert resolve("env:KEY", environ={"KEY": key}) == key
