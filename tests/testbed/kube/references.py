"""Which config maps and secrets a pod needs before a kubelet starts its containers."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from tests.testbed.kube.api import Api, Json

_PATHS = {"secret": "secrets", "configmap": "configmaps"}


def lacking(api: Api, pod: Json) -> dict[str, str]:
    """What a pod refers to and is not there, in a kubelet's words.

    Returns:
        By the name of the container that wants it, or by "" where a volume does.
    """
    namespace = pod["metadata"]["namespace"]

    @functools.cache
    def keys(kind: str, name: str) -> frozenset[str] | None:
        found = api.get(f"/api/v1/namespaces/{namespace}/{_PATHS[kind]}/{name}")
        if found is None:
            return None
        return frozenset([*(found.get("data") or ()), *(found.get("binaryData") or ())])

    def problem(kind: str, name: str, wanted: list[str], optional: bool) -> str:
        there = keys(kind, name)
        if optional:
            return ""
        if there is None:
            return f'{kind} "{name}" not found'
        gone = next((key for key in wanted if key not in there), None)
        if gone is None:
            return ""
        return f"couldn't find key {gone} in {kind.capitalize()} {namespace}/{name}"

    found = {}
    spec = pod["spec"]
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        for reference in _of_container(container):
            if text := problem(*reference):
                found.setdefault(container["name"], text)
    for volume in spec.get("volumes", ()):
        for reference in _of_volume(volume):
            if text := problem(*reference):
                said = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {text}'
                found.setdefault("", said)
    return found


Reference = tuple[str, str, list[str], bool]


def _of_container(container: Json) -> Iterator[Reference]:
    for one in container.get("env", ()):
        source = one.get("valueFrom", {})
        for kind, field in (("secret", "secretKeyRef"), ("configmap", "configMapKeyRef")):
            if field in source:
                asked = source[field]
                yield kind, asked["name"], [asked["key"]], bool(asked.get("optional"))
    for one in container.get("envFrom", ()):
        for kind, field in (("secret", "secretRef"), ("configmap", "configMapRef")):
            if field in one:
                yield kind, one[field]["name"], [], bool(one[field].get("optional"))


def _of_volume(volume: Json) -> Iterator[Reference]:
    for source in [volume, *volume.get("projected", {}).get("sources", ())]:
        for kind, field in (("secret", "secret"), ("configmap", "configMap")):
            if field in source:
                asked = source[field]
                name = asked.get("secretName") or asked["name"]
                wanted = [item["key"] for item in asked.get("items") or ()]
                yield kind, name, wanted, bool(asked.get("optional"))
