"""What becomes of a pod on a fake node: the status that a kubelet would write for it.

The last part of an image's name, before tag and digest, says how its container fares:

- ``missing``: cannot be pulled (``ErrImagePull``, then ``ImagePullBackOff``, with an event)
- ``crash``: ends at once with exit status 1 (``CrashLoopBackOff``; a Job's pod fails)
- ``slow``: ready after as many seconds as its tag says (``slow:5``), 3 if it is no number
- ``never-ready``: runs, and its readiness probe fails for ever

Any other is ready, or as an init container or in a Job done, within half a second.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from tests.testbed.kube.api import Json

PULL_SECONDS = 0.5  # from the first to the second word for an image that cannot be pulled
DONE_SECONDS = 0.2
SLOW_SECONDS = 3.0
BACK_OFF_SECONDS = 10


@dataclass(frozen=True)
class Event:
    """What a node tells of a pod."""

    kind: str
    reason: str
    message: str


@dataclass
class Fate:
    """A pod's status, and the events that go with it."""

    status: Json = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


def behaviour(image: str) -> str:
    """How a container of this image fares."""
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return name if name in ("missing", "crash", "slow", "never-ready") else ""


def fate(pod: Json, age: float, address: str, lacking: dict[str, str]) -> Fate:
    """The status of a pod on its node.

    Args:
        pod: as the API server has it.
        age: seconds since it came to the node.
        address: of the pod.
        lacking: what config maps, secrets or keys it refers to and are not there; by the name of
            the container that wants them, or by "" where a volume does.
    """
    spec, made = pod["spec"], Fate()
    started = pod["status"].get("startTime") or now()
    whole: Json = {"hostIP": "127.0.0.1", "startTime": started, "phase": "Pending"}
    made.status = whole
    if "" in lacking:
        made.events.append(Event("Warning", "FailedMount", lacking[""]))
    ready_at, stuck = _run_init(made, spec, age, lacking)
    if not stuck:
        whole |= {"podIP": address, "podIPs": [{"ip": address}]}
    ends = spec.get("restartPolicy", "Always") != "Always"
    states = [
        _state(made, spec, one, -1.0 if stuck else age - ready_at, lacking, ends)
        for one in spec["containers"]
    ]
    whole["containerStatuses"] = states
    if not stuck:
        whole["phase"] = _phase(states, str(spec.get("restartPolicy", "Always")))
    done = whole["phase"] == "Succeeded"
    ready = whole["phase"] == "Running" and all(state["ready"] for state in states)
    whole["conditions"] = [
        _condition("Initialized", not stuck, "ContainersNotInitialized", started),
        _condition("Ready", ready, "PodCompleted" if done else "ContainersNotReady", started),
        _condition(
            "ContainersReady", ready, "PodCompleted" if done else "ContainersNotReady", started
        ),
        _condition("PodScheduled", True, "", started),
    ]
    return made


def _run_init(made: Fate, spec: Json, age: float, lacking: dict[str, str]) -> tuple[float, bool]:
    """Run init containers one after the other: when the last is done, and whether one is not."""
    ready_at, stuck, states = 0.0, "" in lacking, []
    for one in spec.get("initContainers", ()):
        state = _state(made, spec, one, -1.0 if stuck else age - ready_at, lacking, ends=True)
        states.append(state)
        ended = state["state"].get("terminated")
        ready_at += _seconds(one["image"])
        stuck = stuck or ended is None or ended["exitCode"] != 0
    if states:
        made.status["initContainerStatuses"] = states
    return ready_at, stuck


def _state(
    made: Fate, spec: Json, container: Json, age: float, lacking: dict[str, str], ends: bool
) -> Json:
    name, image = container["name"], container["image"]
    how = behaviour(image)
    state: Json = {
        "name": name,
        "image": image,
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "started": False,
    }

    def waiting(reason: str, message: str = "") -> Json:
        return {**state, "state": {"waiting": {"reason": reason, "message": message}}}

    if age < 0:
        return waiting("PodInitializing" if spec.get("initContainers") else "ContainerCreating")
    if how == "missing":
        return _unpulled(made, waiting, image, age)
    if name in lacking:
        made.events.append(Event("Warning", "Failed", f"Error: {lacking[name]}"))
        return waiting("CreateContainerConfigError", lacking[name])
    state |= {"imageID": f"sha256:{image}", "containerID": f"fake://{name}"}
    if how == "crash":
        return _crashed(made, spec, state, name, age)
    made.events.append(Event("Normal", "Started", f"Started container {name}"))
    if ends and how != "never-ready" and age >= _seconds(image):
        return {**state, "ready": True, "state": {"terminated": _ended(0, "Completed")}}
    if how == "never-ready":
        text = f"Readiness probe failed: container {name} says no"
        made.events.append(Event("Warning", "Unhealthy", text))
    ready = how != "never-ready" and (how != "slow" or age >= _seconds(image))
    return {**state, "ready": ready, "started": True, "state": {"running": {"startedAt": now()}}}


def _unpulled(made: Fate, waiting: Any, image: str, age: float) -> Json:
    text = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}"'
    error = f"rpc error: code = NotFound desc = {text}: {image}: not found"
    made.events.append(Event("Normal", "Pulling", f'Pulling image "{image}"'))
    made.events.append(Event("Warning", "Failed", f'Failed to pull image "{image}": {error}'))
    if age < PULL_SECONDS:
        return dict(waiting("ErrImagePull", error))
    back = f'Back-off pulling image "{image}"'
    made.events.append(Event("Normal", "BackOff", back))
    return dict(waiting("ImagePullBackOff", back))


def _crashed(made: Fate, spec: Json, state: Json, name: str, age: float) -> Json:
    ended = {"terminated": _ended(1, "Error")}
    if spec.get("restartPolicy") == "Never":
        return {**state, "state": ended}
    restarts = 1 + int(age // BACK_OFF_SECONDS)
    text = f"back-off 10s restarting failed container={name}"
    made.events.append(Event("Warning", "BackOff", "Back-off restarting failed container"))
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
    return {**state, "restartCount": restarts, "state": waiting, "lastState": ended}


def _phase(states: list[Json], restart: str) -> str:
    ended = [state["state"].get("terminated") for state in states]
    if restart != "Always" and all(ended):
        worst = max(one["exitCode"] for one in ended if one)
        return "Failed" if worst else "Succeeded"
    pulled = all(state["imageID"] for state in states)
    return "Running" if pulled else "Pending"


def _seconds(image: str) -> float:
    """How long a container of this image takes until it is ready, or done."""
    if behaviour(image) != "slow":
        return DONE_SECONDS
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return float(tag) if tag.isdecimal() else SLOW_SECONDS


def _ended(status: int, reason: str) -> Json:
    return {"exitCode": status, "reason": reason, "startedAt": now(), "finishedAt": now()}


def _condition(kind: str, true: bool, reason: str, since: str) -> Json:
    made = {"type": kind, "status": str(true), "lastTransitionTime": since}
    return made if true else {**made, "reason": reason}


def now() -> str:
    """This moment as Kubernetes writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
