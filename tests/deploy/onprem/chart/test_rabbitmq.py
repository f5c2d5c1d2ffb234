"""The chart's RabbitMQ: the very command of the container with Debian's server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import kombu
import psutil
import pytest

from tests.deploy.onprem.chart.cases import BUILT_IN, merged, objects, one
from tests.deploy.onprem.chart.paths import pod, reaches
from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running
from tests.testbed.rabbitmq import rabbitmq_home

PART = "demo-rabbitmq"
PASSWORD = 'pass"word\\with #space'
_PROGRAMS = "/usr/lib/rabbitmq/bin"


def values(**more: Any) -> dict[str, Any]:
    """Values with a RabbitMQ."""
    return merged(BUILT_IN, {"rabbitmq": {"enabled": True}}, more)


@dataclass(frozen=True)
class Broker:
    """A server that runs as its container would.

    Attributes:
        port: on which it listens.
        process: of it; its children are the server.
        env: of the container.
    """

    port: int
    process: psutil.Process
    env: Mapping[str, str]


@contextmanager
def started(found: Any, home: Path) -> Iterator[Broker]:
    """The container's command, with its files in a folder and on a free port."""
    parts.debian("rabbitmq-server", package="rabbitmq-server")
    port = free_port()
    spec = one(found, "StatefulSet", PART)["spec"]["template"]["spec"]["containers"][0]
    data = one(found, "ConfigMap", PART)["data"]
    places = {
        "/etc/tabular": str(home),
        "/run/secrets/tabular": str(home),
        "/run/rabbitmq": str(home),
        "/run/tls": str(home),
        "exec rabbitmq-server": f"exec {_PROGRAMS}/rabbitmq-server",
        "listeners.tcp.default = 5672": f"listeners.tcp.1 = 127.0.0.1:{port}",
        "/var/lib/rabbitmq": str(home),
    }

    def placed(text: str) -> str:
        for old, new in places.items():
            text = text.replace(old, new)
        return text

    (home / "rabbitmq.conf").write_text(placed(data["rabbitmq.conf"]))
    (home / "enabled_plugins").write_text(data["enabled_plugins"])
    (home / "queue-password").write_text(PASSWORD)
    user = "rabbitmq" if os.geteuid() == 0 else None
    if user:
        for file in home.iterdir():
            shutil.chown(file, user)
    env = {e["name"]: placed(e["value"]) for e in spec["env"]}
    env |= {  # apart from any other of the machine
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_NODENAME": f"chart{os.getpid()}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
    }
    epmd = [parts.debian("epmd", package="erlang-base"), "-address", "127.0.0.1"]
    command = [placed(part) for part in spec["command"]]
    with (
        running([*epmd, "-port", env["ERL_EPMD_PORT"]], log=home / "epmd.log", user=user),
        running(command, log=home / "server.log", env=env, user=user) as process,
    ):
        try:
            wait_for_port(port, timeout=60)
            yield Broker(port, psutil.Process(process.pid), env)
        finally:
            whole = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)  # as a kubelet ends it
            process.wait(40)
            for child in whole:
                with suppress(psutil.NoSuchProcess):
                    child.kill()


@pytest.mark.debian
@pytest.mark.slow
def test_the_server_has_the_user_and_keeps_what_is_durable() -> None:
    found = objects(values(rabbitmq={"auth": {"username": "jobs"}}))
    with rabbitmq_home() as home:
        with started(found, home) as broker:
            port = broker.port
            url = f"amqp://jobs:{quote(PASSWORD, safe='')}@127.0.0.1:{port}//"
            with kombu.Connection(url) as connection:
                queue = connection.SimpleQueue("kept")
                queue.put("a job")
                queue.close()
            for wrong in (f"amqp://jobs:wrong@127.0.0.1:{port}//", f"amqp://127.0.0.1:{port}//"):
                with pytest.raises(Exception, match=r"ACCESS_REFUSED|Login"):
                    kombu.Connection(wrong, connect_timeout=5).connect()
            # Nobody but the pod itself gets at what a cookie alone guards, and its probe does.
            listening = [
                one.laddr
                for process in (broker.process, *broker.process.children(recursive=True))
                for one in process.net_connections()
                if one.status == psutil.CONN_LISTEN
            ]
            assert {address.ip for address in listening} == {"127.0.0.1"}
            assert len(listening) > 1
            spec = one(found, "StatefulSet", PART)["spec"]["template"]["spec"]["containers"][0]
            probe = [f"{_PROGRAMS}/{spec['livenessProbe']['exec']['command'][0]}", "-q", "ping"]
            user = "rabbitmq" if os.geteuid() == 0 else None
            subprocess.run(probe, env=broker.env, user=user, check=True, timeout=60)
        with (
            started(found, home) as broker,
            kombu.Connection(url.rsplit(":", 1)[0] + f":{broker.port}//") as connection,
        ):
            assert connection.SimpleQueue("kept").get(timeout=10).payload == "a job"
        assert "password" not in (home / "server.log").read_text().lower()


def test_the_service_is_told_where_it_is() -> None:
    for tls, expected in (
        (False, "amqp://tabular:{file:/run/secrets/tabular/queue-password}@demo-rabbitmq:5672/"),
        (
            True,
            "amqps://tabular:{file:/run/secrets/tabular/queue-password}@demo-rabbitmq:5671/"
            "?ssl_ca_certs=/run/tls/ca.crt",
        ),
    ):
        found = objects(values(tls={"enabled": tls}))
        spec = one(found, "Deployment", "demo-worker")["spec"]["template"]["spec"]
        urls = {e["name"]: e.get("value") for e in spec["containers"][0]["env"]}
        assert urls["TABULAR_QUEUE_URL"] == expected
        server = pod(found, "rabbitmq")
        port = 5671 if tls else 5672
        assert reaches(found, pod(found, "worker"), server, port)
        assert not reaches(found, pod(found, "postgresql"), server, port)


def test_those_that_send_are_held_up_before_the_pod_is_ended() -> None:
    text = one(objects(values()), "ConfigMap", PART)["data"]["rabbitmq.conf"]
    assert "vm_memory_high_watermark.absolute = 614MiB" in text.splitlines()  # of 1Gi
    unlimited = objects(values(rabbitmq={"resources": {"limits": {"memory": None}}}))
    assert "vm_memory" not in one(unlimited, "ConfigMap", PART)["data"]["rabbitmq.conf"]


def test_its_disk_is_as_it_is_said() -> None:
    found = objects(values(rabbitmq={"persistence": {"size": "3Gi", "storageClass": "fast"}}))
    (claim,) = one(found, "StatefulSet", PART)["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"
