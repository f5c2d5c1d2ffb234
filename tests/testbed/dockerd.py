"""The real daemon of Docker, with a folder and a socket of its own, and as a swarm of one node.

It leaves the machine's firewall alone, so a swarm publishes nothing and no container reaches the
outside; containers, networks (encrypted ones too), secrets and configs are real.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.parts import debian, missing

START_SECONDS = 60.0
# A bridge of the machine itself, which outlives the daemon that made it.
BRIDGE = "docker_gwbridge"


@dataclass(frozen=True)
class Daemon:
    """A running daemon."""

    socket: Path

    def environment(self) -> dict[str, str]:
        """The variables with which a client reaches it; nothing of the user's own settings."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.socket.parent),
            "DOCKER_HOST": f"unix://{self.socket}",
        }

    def docker(self, *words: str) -> str:
        """Run the client."""
        return run(["docker", *words], self.environment())


@contextlib.contextmanager
def dockerd(folder: Path) -> Iterator[Daemon]:
    """A daemon; what it ran is gone at the end.

    Args:
        folder: of its own, with a short path, for its socket.
    """
    if os.geteuid() != 0:
        missing("a daemon that starts containers needs root")
    daemon = debian("dockerd", package="docker.io")
    debian("docker", package="docker.io")
    made = Daemon(folder / "docker.sock")
    command = [
        str(daemon),
        *("--host", f"unix://{made.socket}", "--data-root", str(folder / "data")),
        *("--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")),
        *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
    ]
    had_bridge = Path("/sys/class/net", BRIDGE).exists()
    path = f"{daemon.parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "PATH": path}, cwd=folder
        )
        try:
            _wait(made, process, folder / "log")
            yield made
        finally:
            _end(made, process)
            if not had_bridge:
                subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)


def run(command: list[str], environment: Mapping[str, str], cwd: Path | None = None) -> str:
    """Run a command that has to succeed; its output."""
    done = subprocess.run(
        command, env=dict(environment), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def _wait(made: Daemon, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    look = ["docker", "version"]
    while subprocess.run(look, env=made.environment(), capture_output=True, check=False).returncode:
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)


def _end(made: Daemon, process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of it: neither containers nor mounts."""
    leave = ["docker", "swarm", "leave", "--force"]
    subprocess.run(leave, env=made.environment(), capture_output=True, check=False)
    process.terminate()
    process.wait(timeout=60)
    clear(made.socket.parent)


def clear(folder: Path) -> None:
    """Take a daemon's folder away, with what it, or one that was killed, left mounted there."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((at for at in mounted if Path(at).is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)
    if folder.exists():
        shutil.rmtree(folder)
