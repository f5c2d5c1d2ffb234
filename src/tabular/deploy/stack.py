"""What a compiler makes of a spec: the bytes that an engine applies and `export` writes.

A stack is plain data in the vendor's own vocabulary. It carries its spec, so that a running
deployment can describe itself without any file on the operator's machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
class Stack:
    """The compiled result for one target.

    Attributes:
        target: where it goes.
        template: the engine's native template, plain data.
        resources: index of what the template makes, in order of creation.
        spec: the canonical spec this was compiled from, without secrets.
        tags: labels put on every resource that can carry them.
        reductions: what the target gives only in part; refused under ``--strict``.
    """

    target: Target
    template: Mapping[str, Any]
    resources: tuple[Resource, ...]
    spec: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    reductions: tuple[Reduction, ...] = ()

    def to_bytes(self) -> bytes:
        """The template as applied and as exported; the same spec gives the same bytes."""
        return canonical_json(self.template)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the template's bytes, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()
