"""Certificates of TLS between pods: made in a real cluster, tried by real handshakes."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import tls_secret_name
from tabular.deploy.onprem.secrets import certificates
from tabular.errors import EngineError
from tests.deploy.onprem.chart.cases import BUILT_IN, merged, objects
from tests.testbed.kube.cluster import Kube
from tests.testbed.slapd import make_authority

pytestmark = pytest.mark.k8s
NAME = "demo"
SECRET = tls_secret_name(NAME)
TLS = merged(BUILT_IN, {"tls": {"enabled": True, "existingSecret": SECRET}})


class Later(Cluster):
    """The cluster as it is seen some days from now."""

    days = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(days=self.days)


@pytest.fixture
def cluster(kube: Kube) -> Later:
    return Later(kube.kubeconfig)


def test_a_certificate_is_made_once_and_every_service_shows_it(
    cluster: Later, kube_namespace: str, tmp_path: Path
) -> None:
    rendered = objects(TLS)
    made = certificates.ensure(cluster, NAME, kube_namespace, rendered)
    assert made is not None
    assert made.made
    assert made.ours
    assert timedelta(days=364) < made.ends - cluster.now() <= timedelta(days=365)
    again = certificates.ensure(cluster, NAME, kube_namespace, rendered)
    assert again == certificates.Held(made.ends, False, True, made.checksum)
    data = _write(cluster, kube_namespace, tmp_path)
    services = [one["metadata"]["name"] for one in rendered if one["kind"] == "Service"]
    assert {"demo-postgresql", "demo-minio"} <= set(services)
    for service in services:
        for host in (service, f"{service}.{kube_namespace}.svc.cluster.local"):
            assert _greets(tmp_path, host)
    assert _greets(tmp_path, f"demo-minio-0.demo-minio-headless.{kube_namespace}.svc")
    assert not _greets(tmp_path, "demo-other")
    assert b"PRIVATE KEY" in data["ca.key"]


def test_it_is_renewed_before_its_end_by_the_same_authority(
    cluster: Later, kube_namespace: str, tmp_path: Path
) -> None:
    rendered = objects(TLS)
    first = certificates.ensure(cluster, NAME, kube_namespace, rendered)
    before = _write(cluster, kube_namespace, tmp_path)
    assert first is not None
    cluster.days = 300
    kept = certificates.ensure(cluster, NAME, kube_namespace, rendered)
    assert kept is not None
    assert not kept.made
    cluster.days = 310
    renewed = certificates.ensure(cluster, NAME, kube_namespace, rendered)
    assert renewed is not None
    assert renewed.made
    assert renewed.ends > first.ends
    assert renewed.checksum != first.checksum
    after = _data(cluster, kube_namespace)
    assert after["ca.crt"] == before["ca.crt"]
    assert after["tls.key"] != before["tls.key"]


def test_an_authority_that_ends_is_followed_by_another_and_stays_trusted(
    cluster: Later, kube_namespace: str, tmp_path: Path
) -> None:
    rendered = objects(TLS)
    certificates.ensure(cluster, NAME, kube_namespace, rendered)
    old = _write(cluster, kube_namespace, tmp_path)
    cluster.days = 3400
    made = certificates.ensure(cluster, NAME, kube_namespace, rendered)
    assert made is not None
    assert made.made
    new = _data(cluster, kube_namespace)
    assert new["ca.crt"].endswith(old["ca.crt"])
    # A client that has the new file still trusts a server that shows the old certificate.
    (tmp_path / "ca.crt").write_bytes(new["ca.crt"])
    assert _greets(tmp_path, "demo-postgresql")


def test_a_service_that_came_later_is_in_the_next_certificate(
    cluster: Later, kube_namespace: str, tmp_path: Path
) -> None:
    certificates.ensure(cluster, NAME, kube_namespace, objects(TLS))
    more = objects(merged(TLS, {"redis": {"enabled": True}}))
    made = certificates.ensure(cluster, NAME, kube_namespace, more)
    assert made is not None
    assert made.made
    _write(cluster, kube_namespace, tmp_path)
    assert _greets(tmp_path, "demo-redis")


def test_a_certificate_of_the_user_is_left_alone_and_told(
    cluster: Later, kube: Kube, kube_namespace: str, tmp_path: Path
) -> None:
    make_authority(tmp_path, days=2)
    files = {"ca.crt": "ca.pem", "tls.crt": "server.pem", "tls.key": "server.key"}
    data = {
        key: base64.b64encode((tmp_path / file).read_bytes()).decode()
        for key, file in files.items()
    }
    kube.apply(_secret(data), kube_namespace)
    held = certificates.ensure(cluster, NAME, kube_namespace, objects(TLS))
    assert held is not None
    assert not held.made
    assert not held.ours
    assert held.ends - cluster.now() < timedelta(days=2)
    assert "demo-postgresql" in held.lacking
    assert _data(cluster, kube_namespace)["tls.crt"] == (tmp_path / "server.pem").read_bytes()


def test_a_secret_that_holds_no_certificate_is_an_error_that_says_so(
    cluster: Later, kube: Kube, kube_namespace: str
) -> None:
    kube.apply({**_secret({"tls.crt": "eA=="}), "type": "Opaque"}, kube_namespace)
    with pytest.raises(EngineError) as caught:
        certificates.ensure(cluster, NAME, kube_namespace, objects(TLS))
    assert caught.value.where == f"Secret/{SECRET}"


def test_nothing_is_made_where_nobody_mounts_it_or_cert_manager_makes_it(
    cluster: Later, kube_namespace: str
) -> None:
    managed = merged(BUILT_IN, {"tls": {"enabled": True, "certManager": {"enabled": True}}})
    for values in (BUILT_IN, managed):
        assert certificates.ensure(cluster, NAME, kube_namespace, objects(values)) is None
    assert certificates.examine(cluster, NAME, kube_namespace) is None


def _secret(data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET},
        "type": "kubernetes.io/tls",
        "data": data,
    }


def _data(cluster: Cluster, namespace: str) -> dict[str, bytes]:
    secret = cluster.get("v1", "Secret", SECRET, namespace)
    assert secret is not None
    return {key: base64.b64decode(text) for key, text in secret["data"].items()}


def _write(cluster: Cluster, namespace: str, folder: Path) -> dict[str, bytes]:
    data = _data(cluster, namespace)
    for key, content in data.items():
        (folder / key).write_bytes(content)
    return data


def _greets(folder: Path, host: str) -> bool:
    """Whether a client that trusts the authority and asks for a host takes the certificate."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    with Server(folder) as port, socket.create_connection(("127.0.0.1", port), 5) as plain:
        try:
            context.wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLCertVerificationError:
            return False
        return True


class Server:
    def __init__(self, folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        with plain:
            try:
                self._context.wrap_socket(plain, server_side=True).close()
            except OSError:
                return
