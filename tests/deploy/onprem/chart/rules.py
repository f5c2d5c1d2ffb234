"""What must hold of every rendering; each rule is a function that names what breaks it.

The rules of pods are the "restricted" profile of Kubernetes' Pod Security Standards
(https://kubernetes.io/docs/concepts/security/pod-security-standards/), written out here since an
old server has no admission that checks them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tabular.deploy.onprem.names import COMPONENT, INSTANCE, MANAGED_BY

Object = Mapping[str, Any]
Rule = Callable[[Sequence[Object]], Iterator[str]]
WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob", "Pod", "DaemonSet")
_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SECRET_FILE = re.compile(r"/run/secrets/tabular/([A-Za-z0-9._-]+)")
_SECRET_WORD = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|_KEY$", re.IGNORECASE)
_SWITCHES = ("yes", "no", "true", "false", "0", "1")
_USERS = ("tabular-service",)  # S3 calls the name of a user an access key
SHARED_ACCOUNT = "demo"


def called(one: Object) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def pod_of(one: Object) -> Mapping[str, Any] | None:
    """Metadata and spec of the pods of a workload; None of anything else."""
    if one["kind"] == "Pod":
        return one
    if one["kind"] not in WORKLOADS:
        return None
    spec = one["spec"]
    if one["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return dict(spec["template"])


def pods(objects: Sequence[Object]) -> Iterator[tuple[Object, Mapping[str, Any]]]:
    for one in objects:
        pod = pod_of(one)
        if pod is not None:
            yield one, pod


def containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from pod["spec"].get("initContainers", ())
    yield from pod["spec"]["containers"]


def labels_of(pod: Mapping[str, Any]) -> Mapping[str, str]:
    return dict(pod["metadata"]["labels"])


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes something with these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions", ()):
        has = term["key"] in labels
        held = {
            "In": has and labels.get(term["key"]) in term.get("values", ()),
            "NotIn": labels.get(term["key"]) not in term.get("values", ()),
            "Exists": has,
            "DoesNotExist": not has,
        }[term["operator"]]
        if not held:
            return False
    return True


def restricted(objects: Sequence[Object], *, seccomp: bool = True) -> Iterator[str]:
    """Every pod passes the restricted profile, and has a read-only root besides."""
    for one, pod in pods(objects):
        spec = pod["spec"]
        where = called(one)
        security = spec.get("securityContext", {})
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(key):
                yield f"{where}: {key}"
        if security.get("sysctls") or security.get("runAsUser") == 0:
            yield f"{where}: root, or sysctls"
        for volume in spec.get("volumes", ()):
            kinds = set(volume) - {"name"}
            if not kinds <= _VOLUMES:
                yield f"{where}: volume {volume['name']} is {kinds}"
        for container in containers(pod):
            yield from _restricted(f"{where}/{container['name']}", container, security, seccomp)


def _restricted(
    where: str, container: Mapping[str, Any], pod: Mapping[str, Any], seccomp: bool
) -> Iterator[str]:
    own = container.get("securityContext", {})
    whole = {**pod, **own}
    if own.get("privileged") or own.get("procMount", "Default") != "Default":
        yield f"{where}: privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{where}: may gain privileges"
    if whole.get("runAsNonRoot") is not True or whole.get("runAsUser") == 0:
        yield f"{where}: may be root"
    if own.get("readOnlyRootFilesystem") is not True:
        yield f"{where}: its root can be written"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()):
        yield f"{where}: keeps capabilities"
    if not set(capabilities.get("add", ())) <= {"NET_BIND_SERVICE"}:
        yield f"{where}: adds capabilities"
    kind = whole.get("seccompProfile", {}).get("type")
    if seccomp and kind not in ("RuntimeDefault", "Localhost"):
        yield f"{where}: no seccomp profile"
    for port in container.get("ports", ()):
        if port.get("hostPort"):
            yield f"{where}: a port of the host"


def no_fixed_ids(objects: Sequence[Object]) -> Iterator[str]:
    """What OpenShift's restricted constraints refuse: ids that a pod chooses itself."""
    for one, pod in pods(objects):
        for context in (pod["spec"], *containers(pod)):
            for key in ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"):
                if key in context.get("securityContext", {}):
                    yield f"{called(one)}: {key}"


def tokens(objects: Sequence[Object]) -> Iterator[str]:
    """Nobody has a token of the API server but who has an account of its own for it."""
    for one, pod in pods(objects):
        spec = pod["spec"]
        own = spec.get("serviceAccountName") not in (None, SHARED_ACCOUNT)
        if not own and spec.get("automountServiceAccountToken") is not False:
            yield f"{called(one)}: a token that it does not need"
        if spec.get("enableServiceLinks") is not False:
            yield f"{called(one)}: service links, which may look like settings"
    for one in objects:
        if one["kind"] == "ServiceAccount" and one.get("automountServiceAccountToken") is not False:
            yield f"{called(one)}: mounts tokens unless told not to"


def resources(objects: Sequence[Object]) -> Iterator[str]:
    """Every container says what it needs, and has a limit of memory."""
    for one, pod in pods(objects):
        for container in containers(pod):
            asked = container.get("resources", {})
            if not {"cpu", "memory"} <= set(asked.get("requests", ())):
                yield f"{called(one)}/{container['name']}: requests"
            if "memory" not in asked.get("limits", ()):
                yield f"{called(one)}/{container['name']}: no limit of memory"


def amounts(objects: Sequence[Object]) -> Iterator[str]:
    """Amounts are texts: server-side apply of 1.20 refuses ``cpu: 4``."""
    for one in objects:
        for path, value in _amounts(one, called(one)):
            if not isinstance(value, str):
                yield f"{path} is {value!r}"


def _amounts(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, list):
        for number, child in enumerate(node):
            yield from _amounts(child, f"{path}[{number}]")
    elif isinstance(node, Mapping):
        for key, child in node.items():
            if key in ("requests", "limits") and isinstance(child, Mapping):
                yield from ((f"{path}.{key}.{name}", amount) for name, amount in child.items())
            elif key == "sizeLimit":
                yield f"{path}.{key}", child
            else:
                yield from _amounts(child, f"{path}.{key}")


def probes(objects: Sequence[Object]) -> Iterator[str]:
    """What runs on and on says whether it lives, and whether it is ready if it serves anybody."""
    for one, pod in pods(objects):
        if one["kind"] not in ("Deployment", "StatefulSet", "DaemonSet"):
            continue
        for container in pod["spec"]["containers"]:
            serves = "ports" in container
            for probe in ("livenessProbe", *(["readinessProbe"] if serves else [])):
                if probe not in container:
                    yield f"{called(one)}/{container['name']}: no {probe}"


def ports(objects: Sequence[Object]) -> Iterator[str]:
    """Every port has a protocol (server 1.20 cannot merge those without), and leads somewhere."""
    for one, pod in pods(objects):
        for container in containers(pod):
            for port in container.get("ports", ()):
                if "protocol" not in port:
                    yield f"{called(one)}: port {port['containerPort']} without a protocol"
    for one in objects:
        if one["kind"] != "Service":
            continue
        selector = one["spec"].get("selector")
        wanted = {"matchLabels": selector}
        served = [p for w, p in pods(objects) if selector and selects(wanted, _first_pod(w, p))]
        known = {
            name
            for pod in served
            for container in pod["spec"]["containers"]
            for port in container.get("ports", ())
            for name in (port["containerPort"], port.get("name"))
        }
        for port in one["spec"]["ports"]:
            if "protocol" not in port:
                yield f"{called(one)}: port {port['port']} without a protocol"
            if served and port.get("targetPort", port["port"]) not in known:
                yield f"{called(one)}: port {port['port']} leads to none of its pods' ports"


def selectors(objects: Sequence[Object]) -> Iterator[str]:
    """Every selector takes pods of this rendering, and a workload's takes no other's."""
    everyone = [_first_pod(one, pod) for one, pod in pods(objects)]
    for one in objects:
        if one["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
            matched = sum(selects(one["spec"]["selector"], labels) for labels in everyone)
            if matched != 1:
                yield f"{called(one)}: its selector takes the pods of {matched} workloads"
        if one["kind"] == "PodDisruptionBudget":
            matched = sum(selects(one["spec"]["selector"], labels) for labels in everyone)
            if matched != 1:
                yield f"{called(one)}: the pods of {matched} workloads"
        if one["kind"] == "Service" and one["spec"].get("selector"):
            wanted = {"matchLabels": one["spec"]["selector"]}
            if not any(selects(wanted, labels) for labels in everyone):
                yield f"{called(one)}: selects nothing"
        if one["kind"] == "HorizontalPodAutoscaler":
            target = one["spec"]["scaleTargetRef"]
            if f"{target['kind']}/{target['name']}" not in map(called, objects):
                yield f"{called(one)}: scales nothing"


def _first_pod(one: Object, pod: Mapping[str, Any]) -> Mapping[str, str]:
    """Its labels; a StatefulSet's controller gives each pod one more."""
    if one["kind"] != "StatefulSet":
        return labels_of(pod)
    name = f"{one['metadata']['name']}-0"
    return {**labels_of(pod), "statefulset.kubernetes.io/pod-name": name}


def policies(objects: Sequence[Object]) -> Iterator[str]:
    """Every pod is shut in both directions but for what a policy opens."""
    found = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]
    for one, pod in pods(objects):
        held = {
            kind
            for spec in found
            if selects(spec["podSelector"], labels_of(pod))
            for kind in spec["policyTypes"]
        }
        if held != {"Ingress", "Egress"}:
            yield f"{called(one)}: shut for {sorted(held)} only"


def evictable(objects: Sequence[Object]) -> Iterator[str]:
    """A budget never forbids every eviction: nobody could drain a node."""
    replicas = {
        tuple(sorted(labels_of(pod).items())): one["spec"].get("replicas", 1)
        for one, pod in pods(objects)
        if one["kind"] in ("Deployment", "StatefulSet")
    }
    for one in objects:
        if one["kind"] != "PodDisruptionBudget":
            continue
        spec = one["spec"]
        for labels, number in replicas.items():
            if not selects(spec["selector"], dict(labels)) or number == 0:
                continue
            allowed = spec.get("maxUnavailable", number - spec.get("minAvailable", 0))
            if not isinstance(allowed, int) or allowed < 1:
                yield f"{called(one)}: allows {allowed} of {number}"


def labels(objects: Sequence[Object]) -> Iterator[str]:
    """Everything can be found by the release that it belongs to, and no name is too long."""
    wanted = {
        INSTANCE,
        COMPONENT,
        MANAGED_BY,
        "app.kubernetes.io/name",
        "app.kubernetes.io/version",
        "app.kubernetes.io/part-of",
    }
    for one in objects:
        missing = wanted - set(one["metadata"].get("labels", ()))
        if missing:
            yield f"{called(one)}: no labels {sorted(missing)}"
        name = one["metadata"]["name"]
        if one["kind"] in ("Service", "StatefulSet", "CronJob", "Deployment", "Pod"):
            # Names and labels of what comes of a StatefulSet or CronJob are eleven longer.
            longest = 52 if one["kind"] in ("StatefulSet", "CronJob") else 63
            if not _NAME.fullmatch(name) or len(name) > longest:
                yield f"{called(one)}: no name of {longest} letters, digits and -"
    for one, pod in pods(objects):
        missing = {INSTANCE, COMPONENT, "app.kubernetes.io/name"} - set(labels_of(pod))
        if missing:
            yield f"pods of {called(one)}: no labels {sorted(missing)}"
        for key, value in labels_of(pod).items():
            if not isinstance(value, str):
                yield f"pods of {called(one)}: the label {key} is no text"
            elif len(value) > 63:
                yield f"pods of {called(one)}: the label {key} has {len(value)} characters"


def mounts(objects: Sequence[Object]) -> Iterator[str]:
    """What is mounted is there, each place once, and every secret that is named is mounted."""
    for one, pod in pods(objects):
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
        claims = one["spec"].get("volumeClaimTemplates", ())
        known = {*volumes, *(claim["metadata"]["name"] for claim in claims)}
        used: set[str] = set()
        for container in containers(pod):
            where = f"{called(one)}/{container['name']}"
            mounted = container.get("volumeMounts", ())
            used |= {mount["name"] for mount in mounted}
            if not {mount["name"] for mount in mounted} <= known:
                yield f"{where}: mounts what is not there"
            places = [mount["mountPath"] for mount in mounted]
            if len(places) != len(set(places)):
                yield f"{where}: mounts two at one place"
            texts = [str(entry.get("value", "")) for entry in container.get("env", ())]
            named = {key for text in texts for key in _SECRET_FILE.findall(text)}
            if not named <= _secret_files(volumes, mounted):
                yield f"{where}: {sorted(named - _secret_files(volumes, mounted))} not mounted"
        if known - used:
            yield f"{called(one)}: nobody mounts {sorted(known - used)}"


def _secret_files(
    volumes: Mapping[str, Mapping[str, Any]], mounted: Sequence[Mapping[str, Any]]
) -> set[str]:
    found: set[str] = set()
    for mount in mounted:
        volume = volumes.get(mount["name"], {})
        parts = [volume["secret"]] if "secret" in volume else []
        parts += [
            s["secret"] for s in volume.get("projected", {}).get("sources", ()) if "secret" in s
        ]
        if mount["mountPath"] == "/run/secrets/tabular":
            found |= {item["path"] for part in parts for item in part.get("items", ())}
    return found


def secrets(objects: Sequence[Object]) -> Iterator[str]:
    """No value of a secret is in what is rendered; where it is may be."""
    for one in objects:
        if one["kind"] == "Secret" and (one.get("data") or one.get("stringData")):
            yield f"{called(one)}: has values"
    for one, pod in pods(objects):
        for container in containers(pod):
            for entry in container.get("env", ()):
                plain = str(entry.get("value", ""))
                harmless = (
                    "file:" in plain or plain.startswith("/") or plain in (*_SWITCHES, *_USERS)
                )
                if _SECRET_WORD.search(entry["name"]) and plain and not harmless:
                    yield f"{called(one)}: {entry['name']} is written out"


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        restricted,
        tokens,
        resources,
        amounts,
        probes,
        ports,
        selectors,
        policies,
        evictable,
        labels,
        mounts,
        secrets,
    )
}


def broken(objects: Sequence[Object]) -> list[str]:
    """Whatever breaks one of the rules."""
    return [f"{name}: {what}" for name, rule in RULES.items() for what in rule(objects)]
