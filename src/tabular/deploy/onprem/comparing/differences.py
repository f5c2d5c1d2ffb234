"""Where two objects of Kubernetes differ, in paths that a person can follow.

Lists there are mostly sets with a key (containers, variables, ports), so they are compared by it;
what a server adds by itself is left out, secrets are masked, and files are told by their size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabular.deploy.plan import PropertyChange

_SERVERS = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink",
     "deletionTimestamp", "deletionGracePeriodSeconds"}
)  # fmt: skip
_CONTROLLERS = (
    "deployment.kubernetes.io/",
    "autoscaling.alpha.kubernetes.io/",
    "kubectl.kubernetes.io/last-applied-configuration",
    "pv.kubernetes.io/",
    "volume.beta.kubernetes.io/",
)
_LONGEST = 200  # characters of a value that is shown whole
_KEYS = ("name", "mountPath", "containerPort", "port", "topologyKey", "ip", "key")


def cleaned(one: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what the server and its controllers write by themselves."""
    meta = {key: value for key, value in one["metadata"].items() if key not in _SERVERS}
    if "annotations" in meta:
        said = meta["annotations"] or {}
        meta["annotations"] = {k: v for k, v in said.items() if not k.startswith(_CONTROLLERS)}
    rest = {key: value for key, value in one.items() if key not in ("status", "metadata")}
    return {**rest, "metadata": meta}


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[PropertyChange, ...]:
    """What differs between two states of an object, sorted by path."""
    old, new = cleaned(before), cleaned(after)
    found = sorted(_differences(old, new, ""), key=lambda change: change.path)
    return tuple(_shown(one, secret=before["kind"] == "Secret") for one in found)


def wanted_of(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[PropertyChange, ...]:
    """What differs in the fields that an object as it is written says, sorted by path."""
    old = cleaned(before)
    found = sorted(_unmet(old, cleaned(wanted), ""), key=lambda change: change.path)
    return tuple(_shown(one, secret=before["kind"] == "Secret") for one in found)


def _differences(old: Any, new: Any, path: str) -> Iterator[PropertyChange]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            at = f"{path}.{key}" if path else key
            if key not in old or key not in new:
                yield PropertyChange(at, old.get(key), new.get(key))
            else:
                yield from _differences(old[key], new[key], at)
    elif (keyed := _keyed(old, new)) is not None:
        yield from _members(*keyed, path)
    elif old != new:
        yield PropertyChange(path, old, new)


def _members(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[PropertyChange]:
    for key in {**old, **new}:
        at = f"{path}[{key}]"
        if key not in old or key not in new:
            yield PropertyChange(at, old.get(key), new.get(key))
        else:
            yield from _differences(old[key], new[key], at)


def _unmet(old: Any, wanted: Any, path: str) -> Iterator[PropertyChange]:
    if isinstance(old, Mapping) and isinstance(wanted, Mapping):
        for key, value in wanted.items():
            at = f"{path}.{key}" if path else key
            if key not in old:
                yield PropertyChange(at, None, value)
            else:
                yield from _unmet(old[key], value, at)
    elif isinstance(old, list) and isinstance(wanted, list) and len(old) == len(wanted):
        for number, (one, other) in enumerate(zip(old, wanted, strict=True)):
            yield from _unmet(one, other, f"{path}[{number}]")
    elif old != wanted:
        yield PropertyChange(path, old, wanted)


def _keyed(old: Any, new: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Two lists by the key that tells their members apart; None if none does."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return None
    for key in _KEYS:
        first, second = _by(old, key), _by(new, key)
        if first is not None and second is not None:
            return first, second
    return None


def _by(members: Sequence[Any], key: str) -> Mapping[str, Any] | None:
    if not all(isinstance(one, Mapping) and key in one for one in members):
        return None
    found = {str(one[key]): one for one in members}
    return found if len(found) == len(members) else None


def _shown(change: PropertyChange, *, secret: bool) -> PropertyChange:
    if secret and change.path.split(".")[0] in ("data", "stringData"):
        before = None if change.before is None else "(secret)"
        after = None if change.after is None else "(secret, another one)"
        return PropertyChange(change.path, before, after)
    return PropertyChange(change.path, _short(change.before), _short(change.after))


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        digest = hashlib.sha256(value.encode()).hexdigest()[:12]
        return f"({len(value)} characters, sha256 {digest})"
    if isinstance(value, Mapping):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    return value
