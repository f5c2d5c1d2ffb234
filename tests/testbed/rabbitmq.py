"""A RabbitMQ server from Debian's `rabbitmq-server`, apart from any other of the machine.

It has its own Erlang port mapper, cookie, node name and folders, and listens on 127.0.0.1
only. `rabbitmq-server` keeps its queues in its home, so one that was killed can be started
again on what it had. As root it runs as Debian's `rabbitmq`, whose scripts insist on it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running

_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@dataclass(frozen=True)
class RabbitMQ:
    """A running broker with its user `guest`.

    Attributes:
        port: of AMQP.
        tls_port: of AMQP over TLS, when it was given a certificate.
        pid: of its Erlang machine.
    """

    port: int
    tls_port: int | None
    pid: int

    @property
    def url(self) -> str:
        """Its URL."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def kill(self) -> None:
        """End it at once, as a machine does that loses its power."""
        process = psutil.Process(self.pid)
        process.kill()
        process.wait(10)


@contextlib.contextmanager
def rabbitmq_home() -> Iterator[Path]:
    """A folder for a broker whose queues are to outlive it."""
    home = Path(tempfile.mkdtemp(prefix="tabular-rabbit-"))
    try:
        _own(home)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def rabbitmq_server(
    home: Path, *, port: int | None = None, tls: tuple[Path, Path] | None = None
) -> Iterator[RabbitMQ]:
    """Run the broker of a home for the time of the block; some 6 s to start.

    Args:
        home: from `rabbitmq_home`.
        port: of AMQP on 127.0.0.1; a free one by default.
        tls: certificate and key for a second listener.
    """
    parts.debian("rabbitmq-server", package="rabbitmq-server")
    port = free_port() if port is None else port
    tls_port = free_port() if tls is not None else None
    _configure(home, port, tls_port, tls)
    env = _environment(home)
    user = "rabbitmq" if os.geteuid() == 0 else None
    epmd = [parts.debian("epmd", package="erlang-base"), "-address", "127.0.0.1"]
    with (
        running([*epmd, "-port", env["ERL_EPMD_PORT"]], log=home / "epmd.log", user=user),
        running([_SCRIPT], log=home / "server.log", env=env, user=user) as process,
    ):
        try:
            wait_for_port(port, timeout=20)
            yield RabbitMQ(port=port, tls_port=tls_port, pid=_machine(process))
        finally:
            _end(process)


def _environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_NODENAME": f"tabular{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        "ERL_AFLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }


def _configure(home: Path, port: int, tls_port: int | None, tls: tuple[Path, Path] | None) -> None:
    lines = [f"listeners.tcp.1 = 127.0.0.1:{port}", "disk_free_limit.absolute = 50MB"]
    if tls is not None:
        for source in tls:
            shutil.copyfile(source, home / source.name)
            _own(home / source.name)
        lines += [f"listeners.ssl.1 = 127.0.0.1:{tls_port}", "ssl_options.verify = verify_none"]
        lines += [f"ssl_options.certfile = {home / tls[0].name}"]
        lines += [f"ssl_options.keyfile = {home / tls[1].name}"]
    (home / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
    (home / "plugins").write_text("[].\n")


def _machine(process: subprocess.Popen[bytes]) -> int:
    """The pid of the Erlang machine: the script itself, or a child of it."""
    script = psutil.Process(process.pid)
    for candidate in (script, *script.children(recursive=True)):
        if candidate.name().startswith("beam"):
            return candidate.pid
    raise RuntimeError("RabbitMQ listens but its Erlang machine is not found")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the Erlang machine too: the script does not pass every signal on."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(signal.SIGKILL)


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, "rabbitmq")
