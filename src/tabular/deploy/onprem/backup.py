"""The service's own program run in the cluster, as a Job: backups, restores, drills.

From outside a cluster neither database nor store can be reached, so what the command line does
elsewhere is done by a pod like those of the API: the same image, settings, secrets and authorities,
with another command. Secrets are mounted by name: none passes through this machine.

Such a Job goes on when whoever began it is gone. The same command then follows it to its end: two
restores at once would each take what the other has written for what was there before.
"""

from __future__ import annotations

import copy
import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tabular.errors import (
    ConflictError,
    EngineError,
    ForbiddenError,
    NotFoundError,
    UnsupportedError,
    WaitTimeoutError,
)

from .names import COMPONENT, INSTANCE, part_name

if TYPE_CHECKING:
    from .cluster.session import Cluster, Object

PROGRAM = ("python", "-m", "tabular.transfer")
CONTAINER, PART = "backup", "backup"
SCHEME = "k8s:"
INSIDE = {"inferloop.io/run": "inside"}
SAID = "inferloop.io/arguments"
RESTORE = "restore"
# Velero makes again what it copied, and a program that is made again runs again.
UNCOPIED = {"velero.io/exclude-from-backup": "true"}
_GIVEN = "/run/secrets/given"
_KEPT = timedelta(days=1)  # of a Job that ended: who wants to see it has that long
_LAST = 5  # lines that an error repeats
# A pod that does not start says why; what may pass by itself is waited for.
_HOPELESS = ("InvalidImageName", "CreateContainerConfigError", "ErrImageNeverPull")
_IMAGES = ("ErrImagePull", "ImagePullBackOff")
_SLOW = (*_IMAGES, "CreateContainerError", "FailedCreate")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something is waited for, in seconds.

    Attributes:
        pause: between two looks.
        start: for the pod to run; after it the Job is taken away.
        image: of that for what seldom passes: an image that cannot be pulled, a Secret that is
            not there, a quota.
    """

    pause: float = 2.0
    start: float = 600.0
    image: float = 60.0


@dataclass
class Inside:
    """Runs programs beside the API of one deployment.

    Args:
        cluster: where.
        name: of the deployment.
        namespace: of the deployment.
        patience: times.
        clock: monotonic seconds.
        sleep: waits.
    """

    cluster: Cluster
    name: str
    namespace: str
    patience: Patience = field(default_factory=Patience)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self, arguments: Sequence[str]) -> Iterator[str]:
        """Run ``python -m tabular.transfer`` to its end; see `provider.RunsInside`.

        One with the same arguments that runs there already is followed instead.

        Raises:
            NotFoundError: nothing is deployed there.
            ConflictError: it restores, and another restore runs there.
            UnsupportedError: a reference that cannot be mounted there.
            EngineError: it failed, or its pod does not start.
            WaitTimeoutError: its pod does not start in time.
        """
        api = self.cluster.get("apps/v1", "Deployment", f"{self.name}-api", self.namespace)
        if api is None:
            raise NotFoundError(
                f"there is no API of {self.name} in the namespace {self.namespace}",
                where=f"Deployment/{self.name}-api",
                hint="`inferloop-tabular list` shows what is deployed",
            )
        job = job_of(api, self._schedule(), arguments)
        found = self._running(arguments)
        if found is not None:
            yield f"Job/{found} does that already, and is followed"
        else:
            found = job["metadata"]["name"]
            self.cluster.create(job)
        yield from self._followed(found)

    def _schedule(self) -> Object | None:
        """The CronJob of backups, whose place and keys are used where the same place is said."""
        name = part_name(self.name, PART)
        for api in ("batch/v1", "batch/v1beta1"):
            found = self.cluster.get(api, "CronJob", name, self.namespace)
            if found is not None:
                return found
        return None

    def _running(self, arguments: Sequence[str]) -> str | None:
        """The Job that runs with these arguments. Removes those that ended long ago.

        Servers before 1.23 do not do so by themselves.

        Raises:
            ConflictError: another restore runs.
        """
        own = {INSTANCE: self.name, COMPONENT: PART, **INSIDE}
        labels = ",".join(f"{key}={value}" for key, value in own.items())
        for job in self.cluster.list("batch/v1", "Job", self.namespace, labels=labels):
            name = job["metadata"]["name"]
            ended = job.get("status", {}).get("completionTime") or _failed_at(job)
            if ended:
                if self.cluster.now() - datetime.fromisoformat(ended) > _KEPT:
                    self._remove(name)
                continue
            said = json.loads(job["metadata"].get("annotations", {}).get(SAID, "[]"))
            if said == [*arguments]:
                return str(name)
            if RESTORE in arguments[:1] and RESTORE in said[:1]:
                raise ConflictError(
                    f"another restore runs there: {' '.join(said)}",
                    where=f"Job/{name}",
                    hint="the same command as then follows it; or wait for its end: "
                    f"`kubectl -n {self.namespace} wait --for=condition=complete job/{name}`",
                )
        return None

    def _followed(self, job: str) -> Iterator[str]:
        shown: list[str] = []
        begun = self.clock()
        while True:
            pod = self._pod(job)
            state = _state(pod)
            if pod is not None and ("running" in state or "terminated" in state):
                yield from self._new(pod, shown)
            if "terminated" in state:
                _require_success(state["terminated"], job, shown)
                self._remove(job)
                return
            if "running" not in state:
                self._require_hope(job, pod, self.clock() - begun)
            self.sleep(self.patience.pause)

    def _pod(self, job: str) -> Object | None:
        """The one pod of the Job, which is tried once.

        Raises:
            EngineError: it was taken away before its end.
        """
        found = self.cluster.list("v1", "Pod", self.namespace, labels=f"job-name={job}")
        if found:
            return found[-1]
        live = self.cluster.get("batch/v1", "Job", job, self.namespace)
        if live is None or live.get("status", {}).get("failed"):
            raise EngineError(
                "the program was taken away before its end",
                where=f"Job/{job}",
                hint="the same command again goes on where it was",
            )
        return None

    def _new(self, pod: Object, shown: list[str]) -> Iterator[str]:
        """Lines that were not shown yet, without the times that the cluster puts before them."""
        name = pod["metadata"]["name"]
        told = list(self.cluster.log(name, self.namespace, CONTAINER))
        lines = [line.partition(" ")[2] for line in told][len(shown) :]
        shown += lines
        yield from lines

    def _require_hope(self, job: str, pod: Object | None, waited: float) -> None:
        """Take a Job away that will not run, and say why.

        Raises:
            EngineError: its image cannot be pulled, a Secret is missing, an init container fails.
            WaitTimeoutError: nothing that would be wrong, only no end of it.
        """
        reason, said = _waits_for(pod)
        if reason in ("", "ContainerCreating"):
            reason, said = self._warned(job, pod) or (reason, said)
        hopeless = reason in _HOPELESS or (reason in _SLOW and waited > self.patience.image)
        if not hopeless and waited <= self.patience.start:
            return
        self._remove(job)
        if not hopeless:
            raise WaitTimeoutError(
                f"the pod of the program did not run within {waited:.0f} s"
                + (f": {said}" if said else ""),
                where=f"Job/{job}",
                hint=f"`kubectl -n {self.namespace} get events` has more; nothing was done",
            )
        hint = (
            "the API's pods have the same image"
            if reason in _IMAGES
            else "a Secret that is named must be in the deployment's namespace and have that key"
        )
        raise EngineError(
            f"the pod of the program does not start: {reason}: {said}",
            where=f"Job/{job}",
            hint=f"{hint}; nothing was done",
        )

    def _warned(self, job: str, pod: Object | None) -> tuple[str, str] | None:
        """Reason and words of the last warning; a quota's is of the Job, a volume's of the pod."""
        of = job if pod is None else pod["metadata"]["name"]
        fields = f"type=Warning,involvedObject.name={of}"
        try:
            told = self.cluster.list("v1", "Event", self.namespace, fields=fields)
        except ForbiddenError:
            return None  # the role that is documented may
        if not told:
            return None
        last = max(told, key=lambda one: str(one.get("lastTimestamp") or ""))
        reason, said = str(last.get("reason")), str(last.get("message"))
        # A volume that another node still has comes by itself; a Secret does not.
        gone = reason == "FailedMount" and "not found" in said
        return "CreateContainerError" if gone else reason, said

    def _remove(self, job: str) -> None:
        self.cluster.delete("batch/v1", "Job", job, self.namespace)


def job_of(
    api: Mapping[str, Any], schedule: Mapping[str, Any] | None, arguments: Sequence[str]
) -> dict[str, Any]:
    """The Job that runs the program like the API's pods run theirs.

    Args:
        api: the API's Deployment, as it is in the cluster.
        schedule: the CronJob of backups; None where there is none.
        arguments: of the program; ``k8s:NAME/KEY`` is mounted, other references stay.

    Raises:
        UnsupportedError: a Secret of another namespace.
    """
    meta = api["metadata"]
    pod = copy.deepcopy(dict(api["spec"]["template"]))
    spec = pod["spec"]
    container = next(one for one in spec["containers"] if one["name"] == "api")
    said, volumes, mounts = _mounted(arguments, meta["namespace"])
    affinity = spec.get("affinity")
    if schedule is not None:
        said, more, places = _as_scheduled(said, schedule)
        volumes, mounts = [*volumes, *more], [*mounts, *places]
        if any("persistentVolumeClaim" in one for one in more):
            # The volume may be in use by a backup that runs: then on its node, or nowhere.
            affinity = _pod_of(schedule).get("affinity")
    own = {
        key: container[key]
        for key in ("image", "imagePullPolicy", "securityContext", "resources")
        if key in container
    }
    program = {
        **own,
        "name": CONTAINER,
        "command": [*PROGRAM],
        "args": said,
        "env": [*container.get("env", []), {"name": "TMPDIR", "value": "/scratch"}],
        "volumeMounts": [
            *container.get("volumeMounts", []),
            {"name": "scratch", "mountPath": "/scratch"},
            *mounts,
        ],
    }
    # Authorities are joined before anything else speaks; the schema is none of its business.
    first = [one for one in spec.get("initContainers", []) if one["name"] == "trust"]
    # A drill has room for a whole platform there: as much as the node gives.
    scratch = {"name": "scratch", "emptyDir": {}}
    kept = ("topologySpreadConstraints", "terminationGracePeriodSeconds", "initContainers")
    spec = {key: value for key, value in spec.items() if key not in kept}
    spec |= {
        "restartPolicy": "Never",
        "containers": [program],
        "volumes": [*spec.get("volumes", []), scratch, *volumes],
    }
    if first:
        spec["initContainers"] = first
    if affinity:
        spec["affinity"] = affinity
    labels = {
        **{key: value for key, value in pod["metadata"]["labels"].items() if "hash" not in key},
        COMPONENT: PART,
        **INSIDE,
        **UNCOPIED,
    }
    name = f"{meta['name'].removesuffix('-api')}-b-{secrets.token_hex(3)}"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": {SAID: json.dumps([*arguments])},
        },
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": int(_KEPT.total_seconds()),
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _mounted(
    arguments: Sequence[str], namespace: str
) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
    """Arguments with files instead of the Secrets that they name, volumes, mounts."""
    said: list[str] = []
    sources: list[dict[str, Any]] = []
    for argument in arguments:
        if not argument.startswith(SCHEME):
            said.append(argument)
            continue
        where, _, key = argument.removeprefix(SCHEME).rpartition("/")
        other, _, name = where.rpartition("/")
        if not name or not key or other not in ("", namespace):
            raise UnsupportedError(
                f"{argument} cannot be mounted into a pod of {namespace}",
                where=argument,
                hint=f"{SCHEME}NAME/KEY, a Secret of the deployment's own namespace",
            )
        path = str(len(sources))
        sources.append({"secret": {"name": name, "items": [{"key": key, "path": path}]}})
        said.append(f"file:{_GIVEN}/{path}")
    if not sources:
        return said, [], []
    volume = {"name": "given", "projected": {"defaultMode": 0o440, "sources": sources}}
    return said, [volume], [{"name": "given", "mountPath": _GIVEN, "readOnly": True}]


def _as_scheduled(
    said: list[str], schedule: Mapping[str, Any]
) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
    """What the CronJob of backups has for the same place: its volume, its keys.

    Keys that were said win; so do credentials.
    """
    pod = _pod_of(schedule)
    (container,) = [one for one in pod["containers"] if one["name"] == CONTAINER]
    own = container["args"]
    place = own[own.index("--to") + 1]
    if place not in said:
        return said, [], []
    more: list[str] = []
    keys = ("--passphrase", "--recipient", "--identity", "--unencrypted")
    for group in (keys, ("--access-key", "--secret-access-key")):
        if not set(group) & set(said):
            more += _values(own, group)
    names = {"backup-secrets", "backups"}
    volumes = [copy.deepcopy(one) for one in pod["volumes"] if one["name"] in names]
    mounts = [copy.deepcopy(one) for one in container["volumeMounts"] if one["name"] in names]
    return [*said, *more], volumes, mounts


def _pod_of(schedule: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the pods of a CronJob are."""
    found: Mapping[str, Any] = schedule["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def _values(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """The options of these names with their values."""
    pairs = itertools.pairwise(arguments)
    return [one for name, value in pairs if name in names for one in (name, value)]


def _state(pod: Object | None) -> Mapping[str, Any]:
    """State of the program's container; empty before it has one."""
    if pod is None:
        return {}
    for status in pod.get("status", {}).get("containerStatuses", []):
        if status["name"] == CONTAINER:
            found: Mapping[str, Any] = status["state"]
            return found
    if pod.get("status", {}).get("phase") == "Failed":
        status = pod["status"]
        said = f"{status.get('reason', 'Failed')}: {status.get('message', '')}"
        return {"terminated": {"exitCode": None, "reason": said}}
    return {}


def _waits_for(pod: Object | None) -> tuple[str, str]:
    """Reason and words why a pod does not run yet."""
    if pod is None:
        return "", "the cluster made no pod"
    status = pod.get("status", {})
    for one in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        waiting = one["state"].get("waiting")
        if waiting is not None and waiting.get("reason") not in (None, "PodInitializing"):
            return waiting["reason"], waiting.get("message", one["name"])
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("reason", ""), condition.get("message", "")
    return "", ""


def _require_success(ended: Mapping[str, Any], job: str, printed: Sequence[str]) -> None:
    code = ended.get("exitCode")
    if code == 0:
        return
    why = f"ended with {code}" if code is not None else "did not end by itself"
    reason = ended.get("reason")
    if reason not in (None, "Error"):
        why += f" ({reason})"  # such as OOMKilled
    said = f"; it printed last: {' / '.join(printed[-_LAST:])}" if printed else ""
    raise EngineError(
        f"the program {why}{said}",
        where=f"Job/{job}",
        hint="the same command again goes on where it was",
    )


def _failed_at(job: Mapping[str, Any]) -> str | None:
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] == "Failed" and condition["status"] == "True":
            return str(condition["lastTransitionTime"])
    return None
