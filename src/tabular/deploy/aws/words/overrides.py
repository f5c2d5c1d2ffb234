"""``spec.overrides.aws``: what the spec has no word for, in the words of CloudFormation.

A key is a type (``AWS::RDS::DBInstance``: every resource of it), a logical id (``Database``: that
one), or one of a few names of our own. Properties are laid over what was compiled, blocks into
blocks, so policy, cost and the linter see the result and not what we meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tabular.deploy.aws.words.document import Document, Part
from tabular.errors import UsageError, nearest

_TYPE = re.compile(r"AWS(::[A-Za-z0-9]+){2}")
_ID = re.compile(r"[A-Z][A-Za-z0-9]*")
WHERE = "spec.overrides.aws"

# Names of our own, with what they are; each is read by one compiler.
OPTIONS: Mapping[str, str] = {
    "hosted_zone_id": "id of the zone in Route 53 that networking.domain is in, such as Z0123ABC",
    "replica_bucket": "ARN of a versioned bucket in another region, for storage.cross_region",
    "replica_key": "ARN of a key of KMS in that region, for storage.cross_region",
}


def check(given: Mapping[str, Any]) -> None:
    """Look at the block without compiling anything.

    Raises:
        UsageError: a key that is neither, or a value that is no block of properties.
    """
    for name, value in given.items():
        where = f"{WHERE}.{name}"
        if name in OPTIONS:
            if not isinstance(value, str) or not value:
                raise UsageError(f"{name} is a text", where=where, hint=OPTIONS[name])
        elif not (_TYPE.fullmatch(name) or _ID.fullmatch(name)):
            raise UsageError(
                f"{name!r} is no override of aws",
                where=where,
                hint=f"{nearest(name, OPTIONS)}a type (AWS::RDS::DBInstance), a logical id "
                f"(Database), or one of: {', '.join(OPTIONS)}",
            )
        elif not isinstance(value, Mapping):
            raise UsageError(
                f"{name} is a block of properties", where=where, hint="MultiAZ: true, for example"
            )


def lay_over(parts: Part, given: Mapping[str, Any]) -> Part:
    """The parts with the properties of the block laid over them.

    What is said of one resource wins over what is said of its type, in whatever order they stand.

    Raises:
        UsageError: it names a type or id that this deployment has not; see also :func:`check`.
    """
    check(given)
    found = dict(parts)
    meant_for = sorted(given.keys() - OPTIONS.keys(), key=lambda name: (name in parts, name))
    for name in meant_for:
        properties = given[name]
        meant = [id_ for id_, one in parts.items() if name in (id_, one["Type"])]
        if not meant:
            known = sorted({*parts, *(one["Type"] for one in parts.values())})
            raise UsageError(
                f"this deployment has no {name}",
                where=f"{WHERE}.{name}",
                hint=nearest(name, known).strip() or "see `export --format cloudformation`",
            )
        for id_ in meant:
            merged = _merged(found[id_]["Properties"], properties)
            found[id_] = {**found[id_], "Properties": merged}
    return found


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Document:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result
