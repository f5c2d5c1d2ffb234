"""A look at a deployment that is there, for `doctor`: what it lacks, and what it will soon.

Secrets and certificates are read from the cluster. What the service reaches (its directory, its
identity provider, its data) is asked in a pod of the API, since only there do the network's rules
and the mounted authorities count: `python -m tabular.api.doctor` in the container that serves.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from tabular.deploy.provider import Check
from tabular.deploy.target import Target
from tabular.errors import ForbiddenError, TabularError

from .cluster import marks
from .cluster.session import Cluster, Object
from .names import COMPONENT, secret_name, tls_secret_name
from .preflight.hosts import SOON, shown
from .secrets import certificates
from .secrets.secret_keys import needed_secrets, other_secrets

PROGRAM = ("python", "-m", "tabular.api.doctor", "--json")
SECONDS = 90.0  # several servers of a directory may each take their time limit
_CONTAINER = "api"


def look(
    cluster: Cluster, target: Target, objects: Sequence[Object], user: str | None
) -> Iterator[Check]:
    """All that there is to say of a deployment beside its status.

    Args:
        cluster: where.
        target: which.
        objects: of its release.
        user: somebody to look up in its directory.
    """
    yield _secrets(cluster, target, objects)
    yield from _certificates(cluster, target, objects)
    yield from _inside(cluster, target, user)


def _secrets(cluster: Cluster, target: Target, objects: Sequence[Object]) -> Check:
    """Whether the Secrets that pods mount are there, with every key."""
    own = secret_name(target.name)
    needed = {own: tuple(one.key for one in needed_secrets(objects, own))}
    needed |= other_secrets(objects, own)
    lacking = []
    for name, keys in needed.items():
        found = cluster.get("v1", "Secret", name, target.region)
        if found is None:
            lacking.append(name)
        else:
            there = found.get("data") or {}
            lacking += [f"{name}/{key}" for key in keys if key not in there]
    if not lacking:
        return Check("secrets", True, f"{', '.join(needed)}: every key is there")
    return Check(
        "secrets",
        False,
        f"not there: {', '.join(lacking)}",
        "put them back as they were: new pods wait for them, and a password that a deploy makes "
        "anew is not the one that a database with data has",
    )


def _certificates(cluster: Cluster, target: Target, objects: Sequence[Object]) -> Iterator[Check]:
    """Until when the certificates are valid that pods and the host show."""
    now = cluster.now()
    held = certificates.examine(cluster, target.name, target.region or "", objects)
    if held is not None:
        said = f"between pods: until {held.ends:%Y-%m-%d}"
        hint = f"whoever makes {tls_secret_name(target.name)} renews it"
        if held.ours:
            hint = "`inferloop-tabular deploy` renews it"
        elif held.lacking:
            said += f"; not for {', '.join(held.lacking[:3])}"
        yield Check("certificate", held.ends - now > SOON, said, hint)
    for one in shown(cluster, target.region or "", objects):
        hint = f"a new one into the Secret {one.secret}"
        if not one.there:
            hint += "; where cert-manager makes it: kubectl describe certificate"
        yield Check(f"certificate of {', '.join(one.hosts)}", one.well, one.said, hint)


def _inside(cluster: Cluster, target: Target, user: str | None) -> Iterator[Check]:
    """What the service reaches, asked in a pod that serves."""
    name = "inside"
    labels = f"{marks.selector(target)},{COMPONENT}={_CONTAINER}"
    pods = cluster.list("v1", "Pod", target.region, labels=labels)
    serving = sorted((one for one in pods if _runs(one)), key=_is_ready, reverse=True)
    if not serving:
        hint = "`inferloop-tabular status` says why; then type this again"
        yield Check(name, False, "no pod of the API runs, so nothing can be asked there", hint)
        return
    pod = serving[0]["metadata"]["name"]
    program = [*PROGRAM, *(("--user", user) if user is not None else ())]
    try:
        ran = cluster.execute(pod, target.region or "", _CONTAINER, program, seconds=SECONDS)
        told = _told(ran.out)
    except ForbiddenError as error:
        typed = shlex.join(word for word in program if word != "--json")
        hint = (
            f"`inferloop-tabular onprem rbac` prints the right (pods/exec); or have somebody type: "
            f"kubectl exec {pod} -n {target.region} -- {typed}"
        )
        yield Check(name, False, error.message, hint)
        return
    except TabularError as error:
        yield Check(name, False, f"{pod}: {error.message}", error.hint or "")
        return
    if told is None:
        last = (ran.err.strip() or ran.out.strip()).splitlines()[-1:] or ["nothing"]
        hint = "is the release older than this command? `inferloop-tabular deploy` brings it up"
        yield Check(name, False, f"{pod} ended with {ran.code}: {last[0][:200]}", hint)
        return
    yield Check(name, True, f"{pod} was asked")
    yield from told


def _told(out: str) -> list[Check] | None:
    """The checks that the program printed; None if it is none of ours."""
    try:
        return [
            Check(str(one["name"]), one["ok"] is True, str(one["detail"]), str(one["hint"]))
            for one in json.loads(out)
        ]
    except (ValueError, TypeError, KeyError):
        return None


def _runs(pod: Object) -> bool:
    """Whether the container that serves runs, and the pod is not on its way out."""
    return "deletionTimestamp" not in pod["metadata"] and any(
        one["name"] == _CONTAINER and "running" in (one.get("state") or {})
        for one in (pod.get("status") or {}).get("containerStatuses") or ()
    )


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
