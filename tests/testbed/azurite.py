"""Azurite, Microsoft's own emulator of Azure Blob, from npm, and rclone as a second client.

It is installed once into a cache folder (about a minute, 370 MB), at a pinned version; Node comes
from the machine, or from a wheel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import npm, parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
# The key is Azurite's, published in its manual, and opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "testbed"


@dataclass(frozen=True)
class Azurite:
    """A running server.

    Attributes:
        endpoint: its URL, the account included.
        pid: its process.
    """

    endpoint: str
    pid: int

    @property
    def credentials(self) -> dict[str, str]:
        """What `tabular.infra.storage.open_store` takes."""
        return {"account_key": KEY}

    def url(self, container: str, prefix: str = "") -> str:
        """Storage URL of a container."""
        path = f"{container}/{prefix}" if prefix else container
        return f"az://{path}?account={ACCOUNT}&endpoint={self.endpoint}"

    def create_container(self, name: str) -> str:
        """Create a container through another client (rclone) and return its storage URL."""
        self.rclone("mkdir", f"remote:{name}")
        return self.url(name)

    def remote(self, url: str) -> str:
        """The rclone path of a storage URL that `url` gave."""
        return "remote:" + url.removeprefix("az://").partition("?")[0]

    def rclone(self, *arguments: str, data: bytes | None = None) -> bytes:
        """Run an rclone command against the server, as the remote ``remote:``."""
        environ = {
            "RCLONE_CONFIG_REMOTE_TYPE": "azureblob",
            "RCLONE_CONFIG_REMOTE_ACCOUNT": ACCOUNT,
            "RCLONE_CONFIG_REMOTE_KEY": KEY,
            "RCLONE_CONFIG_REMOTE_ENDPOINT": self.endpoint,
        }
        return parts.rclone(*arguments, environ=environ, data=data)


@contextlib.contextmanager
def azurite_server(folder: Path) -> Iterator[Azurite]:
    """Run Azurite, in memory, for the time of the block; up in 2 to 3 s."""
    port = free_port()
    main = npm.package("azurite", VERSION) / "node_modules/azurite/dist/src/blob/main.js"
    command: list[str | Path] = [npm.node(), main, "--blobHost", "127.0.0.1"]
    command += ["--blobPort", str(port), "--inMemoryPersistence", "--disableTelemetry", "--silent"]
    command += ["--skipApiVersionCheck"]  # clients are ahead of its list of versions
    with running(command, log=folder / "azurite.log") as process:
        wait_for_port(port, timeout=60)
        yield Azurite(f"http://127.0.0.1:{port}/{ACCOUNT}", process.pid)
