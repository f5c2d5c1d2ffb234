"""An OpenID Connect provider: npm's `oidc-provider`, a certified server, as a process."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.testbed import npm
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running

AUDIENCE = "https://tabular.example"
VERSION = "9.13.3"


@dataclass(frozen=True)
class OidcProvider:
    """A running provider with the clients ``admin``, ``viewer`` and ``none``."""

    issuer: str
    log: Path

    def token(self, client: str = "admin", audience: str = AUDIENCE) -> str:
        """A JWT access token by the client-credentials grant."""
        answer = httpx.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials", "resource": audience},
            auth=(client, f"{client}-secret"),
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def rotate(self, kind: str = "RSA", *, keep: bool = False) -> None:
        """Sign with a new key from now on, and publish the one before still or no more."""
        params = {"kind": kind, **({"keep": "1"} if keep else {})}
        assert httpx.post(f"{self.issuer}/test/rotate", params=params).status_code == 200


@contextlib.contextmanager
def oidc_provider(
    folder: Path, *, port: int | None = None, clock_offset: int = 0
) -> Iterator[OidcProvider]:
    """Run a provider for the time of the block."""
    script = folder / "provider.mjs"
    shutil.copy(Path(__file__).with_suffix("").with_name("oidc_provider.mjs"), script)
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(npm.package("oidc-provider", VERSION) / "node_modules")
    port = free_port() if port is None else port
    command = [npm.node(), script, str(port), str(clock_offset)]
    log = folder / "oidc.log"
    with running(command, log=log) as process:
        wait_for_port(port)
        assert process.poll() is None, log.read_text()
        yield OidcProvider(f"http://127.0.0.1:{port}", log)
