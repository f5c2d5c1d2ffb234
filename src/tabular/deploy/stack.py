"""What a compiler makes of a spec: the bytes that an engine applies and `export` writes.

A stack is plain data in the vendor's own vocabulary. It carries its spec, so that a running
deployment can describe itself without any file on the operator's machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from tabular.deploy.target import Target


def canonical_json(value: object) -> bytes:
    """The one byte form of plain data: sorted keys, UTF-8, no spaces, no NaN."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def fingerprint(value: object) -> str:
    """SHA-256 of :func:`canonical_json`, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing the engine will own.

    Attributes:
        id: name of the resource within the stack.
        type: the vendor's type, e.g. ``AWS::RDS::DBInstance``, ``apps/v1 Deployment``.
        properties: the vendor's properties, plain data, no secret values.
        depends_on: ids that must be there first.
        stateful: holds data; kept on destroy unless the user says ``--delete-data``.
        replace_on: properties whose change means delete and create anew.
    """

    id: str
    type: str
    properties: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    stateful: bool = False
    replace_on: frozenset[str] = frozenset()

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "replace_on": sorted(self.replace_on)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`as_dict` wrote."""
        after, replace = tuple(data["depends_on"]), frozenset(data["replace_on"])
        return cls(**{**data, "depends_on": after, "replace_on": replace})


@dataclass(frozen=True, slots=True)
class Reduction:
    """Something the spec asks for that this target gives only in part.

    Attributes:
        field: the spec's key, e.g. ``spec.storage.replication``.
        asked: what the spec says.
        given: what the target gives.
        reason: why.
    """

    field: str
    asked: str
    given: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opening:
    """Something that a resource lets in, in words that are the same for every vendor.

    Attributes:
        resource: id of the resource.
        peers: who: CIDR blocks, ``*`` for everybody, or names of groups.
        ports: at which: ``443``, ``8000-8080``; none for all.
    """

    resource: str
    peers: tuple[str, ...]
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """The compiled result for one target.

    Attributes:
        target: where it goes.
        template: the engine's native template, plain data.
        resources: index of what the template makes, in order of creation.
        spec: the canonical spec this was compiled from, without secrets.
        tags: labels put on every resource that can carry them.
        reductions: what the target gives only in part; refused under ``--strict``.
        openings: what is let in; policy judges it beside what it finds in the properties.
        ids: of a stack that runs, the vendor's ids by the resources' own; not a part of a release.
    """

    target: Target
    template: Mapping[str, Any]
    resources: tuple[Resource, ...]
    spec: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    reductions: tuple[Reduction, ...] = ()
    openings: tuple[Opening, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The template as applied and as exported; the same spec gives the same bytes."""
        return canonical_json(self.template)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the template's bytes, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "target": asdict(self.target),
            "template": dict(self.template),
            "resources": [resource.as_dict() for resource in self.resources],
            "spec": dict(self.spec),
            "tags": dict(self.tags),
            "reductions": [asdict(reduction) for reduction in self.reductions],
            "openings": [asdict(opening) for opening in self.openings],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`as_dict` wrote."""
        return cls(
            target=Target(**data["target"]),
            template=data["template"],
            resources=tuple(Resource.from_dict(r) for r in data["resources"]),
            spec=data["spec"],
            tags=data["tags"],
            reductions=tuple(Reduction(**r) for r in data["reductions"]),
            # Releases up to 0.1 wrote none.
            openings=tuple(
                Opening(o["resource"], tuple(o["peers"]), tuple(o["ports"]))
                for o in data.get("openings", ())
            ),
        )
