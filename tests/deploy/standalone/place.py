"""A home of its own for one test, with the stand-in as the platform, cleaned up and checked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tabular.deploy.events import Event
from tabular.deploy.image.code import Code
from tabular.deploy.plan import Plan
from tabular.deploy.provider import ProviderOptions
from tabular.deploy.spec import Deployment
from tabular.deploy.standalone import identity
from tabular.deploy.standalone.health import ask
from tabular.deploy.standalone.layout import Home, Layout
from tabular.deploy.standalone.model import Slot, State
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.deploy.standalone.requests import read_state

STAND_IN = Path(__file__).with_name("stand_in.py")
COMMANDS = {
    name: [sys.executable, str(STAND_IN), name]
    for name in ("api", "worker", "migrate", "create-key")
}
ROOT = Path(__file__).resolve().parents[3]

CLIENT = """
import json, sys
from pathlib import Path
from tabular.deploy.spec import Deployment
from tests.deploy.standalone.place import Place

place = Place(Path(sys.argv[1]))
for event in place.deploying(Deployment.from_canonical(json.loads(sys.argv[2]))):
    print(json.dumps(event.as_dict()), flush=True)
"""


def wait_for(reached: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.02)


def describe(name: str = "demo", mode: str = "INFO", **spec: Any) -> Deployment:
    overrides = spec.pop("overrides", {})
    settings = {"region": mode} if mode != "INFO" else {}
    if settings or overrides:
        spec["overrides"] = {"standalone": {"settings": settings, **overrides}}
    return Deployment.from_canonical({"metadata": {"name": name}, "spec": spec})


class Place:
    """One home, and beside it a small package that stands for the installed one."""

    def __init__(
        self, home: Path, ready_timeout: float = 10.0, package: Path | None = None
    ) -> None:
        self.path = home
        self.package = package or home.with_name("package")
        if not self.package.exists():
            self.install("one")
        self.home = Home.at(home)
        self.ready_timeout = ready_timeout

    def provider(self) -> StandaloneProvider:
        return StandaloneProvider(
            ProviderOptions(home=self.path),
            commands=COMMANDS,
            ready_timeout=self.ready_timeout,
            code=Code(self.package),
        )

    def install(self, code: str) -> None:
        """Put other code into the place of the installed one, as pip does: under what runs."""
        self.package.mkdir(parents=True, exist_ok=True)
        (self.package / "__init__.py").write_text(f"CODE = {code!r}\n", encoding="utf-8")

    def codes(self, deployment: Deployment) -> set[str]:
        """Names of the copies of code that are kept."""
        return {path.name for path in self.layout(deployment).codes.iterdir()}

    def running_code(self, deployment: Deployment) -> str:
        """What the process that answers says of its code."""
        return str(ask(self.port(deployment), "/health").body.get("code"))

    def roll_back(self, deployment: Deployment) -> list[Event]:
        engine, target = self.provider().engine, self.provider().target(deployment)
        return list(engine.rollback(engine.preview_rollback(target)))

    def plan(self, deployment: Deployment) -> Plan:
        provider = self.provider()
        return provider.engine.preview(provider.compile(deployment))

    def deploying(self, deployment: Deployment) -> Any:
        return self.provider().engine.apply(self.plan(deployment))

    def deploy(self, deployment: Deployment) -> list[Event]:
        return list(self.deploying(deployment))

    def client(self, deployment: Deployment) -> subprocess.Popen[str]:
        """Another client, in a process of its own that can be killed."""
        spec = deployment.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(self.path), json.dumps(spec)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def layout(self, deployment: Deployment) -> Layout:
        return self.home.of(self.provider().target(deployment))

    def state(self, deployment: Deployment) -> State:
        state = read_state(self.layout(deployment))
        assert state is not None
        return state

    def slots(self, deployment: Deployment, resource: str) -> list[Slot]:
        found = self.state(deployment).slots.values()
        return [slot for slot in found if slot.resource == resource]

    def alive(self, deployment: Deployment, resource: str) -> list[int]:
        found = self.slots(deployment, resource)
        return [s.pid for s in found if s.pid and identity.is_alive(s.pid, s.born)]

    def port(self, deployment: Deployment) -> int:
        return self.state(deployment).ports["api"]

    def serving(self, deployment: Deployment) -> str | None:
        state = read_state(self.layout(deployment))
        if state is None or "api" not in state.ports:
            return None
        return ask(state.ports["api"], "/health").body.get("release")

    def kill_supervisor(self, deployment: Deployment) -> int:
        pid = self.state(deployment).pid
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: identity.birth(pid) is None, "death of the supervisor")
        return pid

    def processes(self) -> list[psutil.Process]:
        """Every process that works inside this home, supervisors included."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join([process.cwd(), *process.cmdline()])
                dead = process.status() == psutil.STATUS_ZOMBIE
            except psutil.Error:
                continue
            if str(self.path) in words and not dead and process.pid != os.getpid():
                found.append(process)
        return found

    def command_lines(self) -> str:
        """What a list of processes shows of all of them."""
        shown = []
        for process in self.processes():
            try:
                shown.append(" ".join(process.cmdline()))
            except psutil.NoSuchProcess:
                continue  # it ended since it was found
        return "\n".join(shown)

    def close(self) -> None:
        """Destroy all, and see that nothing is left."""
        try:
            for target in self.home.targets():
                list(self.provider().engine.destroy(target, delete_data=True))
            wait_for(lambda: not self.processes(), f"end of {self.processes()}")
        finally:
            for process in self.processes():
                process.kill()
