"""Clients that die: processes that end themselves by SIGKILL at a chosen event of a command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tabular.deploy.events import Event
from tabular.deploy.spec import Deployment, canonical
from tabular.deploy.target import Target
from tests.deploy.onprem.harness import provider_at
from tests.deploy.onprem.place import Place

ROOT = Path(__file__).resolve().parents[3]
KILLED = -signal.SIGKILL
LONGEST = 120.0  # seconds that a client may live


def run_client(place: Place, command: dict[str, Any], *, status: str, resource: str) -> int:
    """Run a command in a process that dies at the first event of a status and a resource.

    Args:
        place: where.
        command: ``do`` (deploy, rollback, destroy), and what that needs.
        status: of the event; "any" for every one.
        resource: what its id begins with; "-" for an event of the whole.

    Returns:
        Its exit code: `KILLED`, or 0 when the command ended before that.
    """
    done = subprocess.run(
        _words(place, command, status, resource), cwd=ROOT, check=False, timeout=LONGEST
    )
    return done.returncode


def kill_client(place: Place, command: dict[str, Any], met: Callable[[], bool]) -> None:
    """Run a command in a process that is killed as soon as something is met.

    It has to be something that the command waits at: between two looks a client goes on.
    """
    client = subprocess.Popen(_words(place, command, "never", "-"), cwd=ROOT)
    try:
        wait_for(lambda: met() or client.poll() is not None)
        assert client.poll() is None, "the command ended before that"
    finally:
        client.kill()
        client.wait()


def wait_for(met: Callable[[], bool]) -> None:
    """Wait until something is met."""
    deadline = time.monotonic() + LONGEST
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _words(place: Place, command: dict[str, Any], status: str, resource: str) -> list[str]:
    said = [str(place.kube.kubeconfig), place.namespace, json.dumps(command), status, resource]
    return [sys.executable, "-m", "tests.deploy.onprem.killing", *said]


def to_deploy(place: Place, **spec: Any) -> dict[str, Any]:
    """The command that deploys a spec."""
    stack = place.stack(**spec)
    return {"do": "deploy", "spec": canonical(Deployment.from_canonical(stack.spec))}


def to_roll_back(place: Place) -> dict[str, Any]:
    """The command that goes back to the release before."""
    return {"do": "rollback", "at": place.target.id}


def to_destroy(place: Place, *, data: bool) -> dict[str, Any]:
    """The command that takes a deployment down."""
    return {"do": "destroy", "at": place.target.id, "data": data}


def _obey(kubeconfig: str, namespace: str, command: dict[str, Any]) -> Iterator[Event]:
    provider = provider_at(kubeconfig, namespace)
    engine = provider.engine
    if command["do"] == "deploy":
        stack = provider.compile(Deployment.from_canonical(command["spec"]))
        yield from engine.apply(engine.preview(stack))
    elif command["do"] == "rollback":
        yield from engine.rollback(engine.preview_rollback(Target.from_id(command["at"])))
    else:
        yield from engine.destroy(Target.from_id(command["at"]), delete_data=command["data"])


def _live(kubeconfig: str, namespace: str, command: str, status: str, resource: str) -> None:
    for event in _obey(kubeconfig, namespace, json.loads(command)):
        met = not event.resource if resource == "-" else event.resource.startswith(resource)
        if status in ("any", event.status.value) and met:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _live(*sys.argv[1:])
