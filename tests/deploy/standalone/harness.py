"""The standalone provider for the conformance suite: real processes in a home of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabular.deploy.plan import Plan
from tabular.deploy.provider import Provider
from tabular.deploy.spec import Deployment
from tabular.deploy.standalone import observe
from tabular.deploy.standalone.identity import MARK
from tabular.deploy.standalone.requests import read_state
from tests.deploy.standalone.place import STAND_IN, Place, describe

_NOISE = ("logs", "events")


class StandaloneHarness:
    """A home of its own for each check; `close` ends what it started."""

    maker = "tests.deploy.standalone.harness:StandaloneHarness"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = Place(root / "home")
        self._foreign: list[subprocess.Popen[bytes]] = []

    def provider(self) -> Provider:
        return self.place.provider()

    def deployment(self, name: str = "conform") -> Deployment:
        return describe(name)

    def changed(self) -> Deployment:
        return describe("conform", compute={"workers": 2})

    def failing(self) -> Deployment:
        return describe("conform", mode="crash")

    def unsupported(self) -> Deployment:
        return describe("conform", compute={"gpu": "required"})

    def observe(self) -> Mapping[str, Any]:
        """Files but logs, which grow, and processes."""
        found: dict[str, Any] = {}
        for path in sorted(self.place.path.rglob("*")):
            if path.is_file() and not set(path.relative_to(self.place.path).parts) & set(_NOISE):
                found[str(path)] = path.read_bytes()
        found["processes"] = sorted(process.pid for process in self.place.processes())
        return found

    def observed(self, deployment: Deployment) -> frozenset[str]:
        stack = self.place.provider().compile(deployment)
        layout = self.place.layout(deployment)
        record = read_state(layout)
        release = observe.read_release(layout, record.current if record else None)
        if record is None or release is None:
            kept = {"storage": "objects", "database": "sqlite", "secret-key": "secrets/secret-key"}
            return frozenset(i for i, path in kept.items() if (layout.data / path).exists())
        running = {"api", "worker"} & {
            r.id for r in stack.resources if self.place.alive(deployment, r.id)
        }
        others = {
            r.id
            for r in release.stack.resources
            if r.id not in ("api", "worker") and observe.is_present(layout, release, r, record)
        }
        return frozenset(running | others)

    def serving(self, deployment: Deployment) -> str | None:
        return self.place.serving(deployment)

    def disturb(self, deployment: Deployment) -> None:
        (self.place.layout(deployment).data / "secrets" / "secret-key").chmod(0o644)

    def add_foreign(self, deployment: Deployment) -> None:
        """A process with the same command and a mark of its own, and folders of a like name."""
        like = self.place.path / "data" / deployment.spec.environment / "conform-backup"
        like.mkdir(parents=True)
        (like / "tabular.db").write_text("not yours", encoding="utf-8")
        self._foreign.append(
            subprocess.Popen(
                [sys.executable, str(STAND_IN), "worker"],
                env={**os.environ, MARK: "another:service/worker/0:1"},
                cwd=self.place.path,
            )
        )

    def apply_and_die(self, plan: Plan) -> None:
        client = self.place.client(Deployment.from_canonical(plan.stack.spec))
        assert client.stdout is not None
        for _ in range(3):
            assert client.stdout.readline()
        client.send_signal(signal.SIGKILL)
        assert client.wait() == -signal.SIGKILL
        client.stdout.close()

    def close(self) -> None:
        for process in self._foreign:
            assert process.poll() is None, "a foreign process was ended"
            process.kill()
            process.wait()
        self.place.close()
