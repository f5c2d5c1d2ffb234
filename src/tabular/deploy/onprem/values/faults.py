"""What the chart's schema says of values, told by the key of the spec that it came from.

The schema is the one judge of values, whoever wrote them; here its words are taken back to where
the user said them: under ``overrides.onprem.values``, or at a key of the portable spec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tabular.errors import EngineError, TabularError, UsageError, nearest

from .overrides import VALUES, WHERE

_FAULT = re.compile(r"- at '(?P<at>[^']*)': (?P<said>.+)")
_EXTRA = re.compile(r"additional propert(?:y|ies) '(?P<name>[^']+)'")
_NAME = re.compile(r"invalid propertyName '(?P<name>[^']+)'")
# What a template says by `fail`, at the end of where it is.
_REFUSED = re.compile(r"(?:execution error at \([^)]*\): |error calling fail: )(?P<said>.+)", re.S)
_MAX_TOLD = 5
# Keys of the spec by the value that they become.
_SPEC: Mapping[str, str] = {
    "postgresql.auth.database": "spec.database.name",
    "postgresql.auth.username": "spec.database.username",
    "postgresql.replication.readReplicas": "spec.database.read_replicas",
    "postgresql.version": "spec.database.version",
    "mysql.auth.database": "spec.database.name",
    "mysql.auth.username": "spec.database.username",
    "minio.bucket": "spec.storage.bucket",
    "ingress.tls.secretName": "spec.networking.certificate",
    "ingress.tls.issuer": "spec.onprem.issuer",
    "commonLabels": "metadata.labels",
    "commonAnnotations": "metadata.annotations",
    "nodeSelector": f"{WHERE}.nodeSelector",
    "tolerations": f"{WHERE}.tolerations",
    "affinity": f"{WHERE}.affinity",
    "podAnnotations": f"{WHERE}.podAnnotations",
    "podLabels": f"{WHERE}.podLabels",
}


def explained(
    error: EngineError, over: Mapping[str, Any], chart: Mapping[str, Any]
) -> TabularError:
    """The chart's refusal of values as an error about what the user said.

    Args:
        error: of the rendering.
        over: ``overrides.onprem.values``.
        chart: the chart's own values, to tell what a key may have meant.

    Returns:
        A UsageError at the first key that is wrong; the error itself where none was said.
    """
    found = [
        (place, said, hint)
        for path, said, hint in _faults(error.message, chart, over)
        if (place := _place(path, over)) is not None
    ]
    if not found:
        if over and (refused := _REFUSED.search(error.message)):
            return UsageError(
                f"the chart refuses these values: {' '.join(refused['said'].split())}",
                where=f"{WHERE}.{VALUES}",
                hint="see docs/onprem.md, and `helm show values` of the chart",
            )
        return error
    where, _, hint = found[0]
    told = "; ".join(
        said if place == where else f"{place}: {said}" for place, said, _ in found[:_MAX_TOLD]
    )
    return UsageError(told, where=where, hint=hint)


def _faults(
    message: str, chart: Mapping[str, Any], over: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """Dotted path of a value, what is wrong with it, and how to mend it."""
    for match in _FAULT.finditer(message):
        at, said = match["at"].strip("/").replace("/", "."), match["said"]
        extra = _EXTRA.search(said) or _NAME.search(said)
        if extra is not None and _NAME.search(said) and not at:
            at = _block_of(extra["name"], over) or ""  # the schema's words lose it
        if extra is not None:
            known = _below(chart, at)
            path = f"{at}.{extra['name']}".lstrip(".")
            listed = ", ".join(sorted(known)[:12])
            hint = f"{nearest(extra['name'], known)}known there: {listed}" if known else ""
            yield path, "the chart has no such value", hint
        elif at and not said.endswith("validation failed"):
            yield at, said[:300], "the chart's README has every value"


def _block_of(name: str, block: Mapping[str, Any], path: str = "") -> str | None:
    """Path of the block that has a key, the first one; None if none has."""
    if name in block:
        return path
    found = (
        _block_of(name, value, f"{path}.{key}".lstrip("."))
        for key, value in block.items()
        if isinstance(value, Mapping)
    )
    return next((one for one in found if one is not None), None)


def _below(chart: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    block: Any = chart
    for step in path.split(".") if path else ():
        block = block.get(step) if isinstance(block, Mapping) else None
    return block if isinstance(block, Mapping) else {}


def _place(path: str, over: Mapping[str, Any]) -> str | None:
    """Where the user said a value: in the overrides, or at a key of the spec; None if nowhere."""
    steps = path.split(".")
    block: Any = over
    for length, step in enumerate(steps):
        if not isinstance(block, Mapping) or step not in block:
            break
        block = block[step]
        if length == len(steps) - 1 or not isinstance(block, Mapping):
            return f"{WHERE}.{VALUES}.{path}"
    return next((spec for value, spec in _SPEC.items() if f"{path}.".startswith(f"{value}.")), None)
