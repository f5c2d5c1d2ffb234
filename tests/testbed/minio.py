"""The other side of MinIO's administration, built from MinIO's own library of Debian.

No MinIO server is to be had where this project is built. What a client has to get right is the
form of what it sends: that is read here by the code of MinIO's makers (`madmin`, which the server
itself calls), in a small server of ours, `minio.go`, with an S3 server behind it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running
from tests.testbed.s3 import ACCESS_KEY, S3, SECRET_KEY
from tests.testbed.venvs import cache

_SOURCE = Path(__file__).with_suffix(".go")
_LIBRARIES = Path("/usr/share/gocode")
_MADMIN = "golang-github-minio-madmin-go-dev"
ROOT, PASSWORD = "administrator", "the administrator's password"


@dataclass(frozen=True)
class MinIO:
    """A running one.

    Attributes:
        endpoint: its URL.
        authority: file of the certificate, where it speaks TLS.
    """

    endpoint: str
    authority: Path | None = None

    def url(self, bucket: str) -> str:
        """The storage URL of a bucket, as the chart writes it."""
        ca = "" if self.authority is None else f"&ca={self.authority}"
        return f"s3://{bucket}/tabular?endpoint={self.endpoint}&region=us-east-1{ca}"

    def state(self) -> dict[str, Any]:
        """Users, policies, buckets, and what was written so far."""
        return self._tell("state")

    def hold(self, at: str) -> None:
        """Carry this step out and give no answer, until it is "" again."""
        self._tell(f"hold?at={at}")

    def refuse(self, at: str) -> None:
        """Answer this step with 503, until it is "" again."""
        self._tell(f"refuse?at={at}")

    def _tell(self, what: str) -> dict[str, Any]:
        verify: Any = True if self.authority is None else str(self.authority)
        found: dict[str, Any] = httpx.get(f"{self.endpoint}/_peer/{what}", verify=verify).json()
        return found


@contextlib.contextmanager
def minio(folder: Path, s3: S3, *, tls: tuple[Path, Path] | None = None) -> Iterator[MinIO]:
    """Run it in front of an S3 server for the time of the block."""
    port = free_port()
    command: list[str | Path] = [_built(), "-listen", f"127.0.0.1:{port}", "-root", ROOT]
    command += ["-password", PASSWORD, "-upstream", s3.endpoint]
    command += ["-upstream-key", ACCESS_KEY, "-upstream-secret", SECRET_KEY]
    if tls is not None:
        command += ["-cert", tls[0], "-key", tls[1]]
    with running(command, log=folder / "minio.log"):
        wait_for_port(port)
        if tls is None:
            yield MinIO(f"http://127.0.0.1:{port}")
        else:
            yield MinIO(f"https://localhost:{port}", tls[0])


def _built() -> Path:
    """The program; made once for each state of its source, in 10 s of one core."""
    go = parts.debian("go", package="golang-go")
    if not (_LIBRARIES / "src/github.com/minio/madmin-go").exists():
        parts.missing(f"needs MinIO's library: apt-get install {_MADMIN}")
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]
    program = cache() / f"minio-{digest}"
    with Path(f"{program}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes start at once
        if not program.exists():
            env = {**os.environ, "GOPATH": str(_LIBRARIES), "GO111MODULE": "off"}
            env |= {"GOCACHE": str(cache() / "go"), "GOFLAGS": ""}
            made = program.with_suffix(".made")
            command = [go, "build", "-o", made, _SOURCE]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"go build: {done.stderr[-2000:]}")
            made.rename(program)
    return program
