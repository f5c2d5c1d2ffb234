"""What a spec says of a server that is not made is told, since nothing may be dropped silently."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

from tabular.deploy.spec.model.base import Block
from tabular.deploy.spec.quantities import format_duration
from tabular.deploy.spec.secret import Secret
from tabular.deploy.stack import Reduction


def nothing_of(name: str, block: Block | None, kind: str) -> Iterator[Reduction]:
    """Each key that is said of a database, cache or queue where no API runs that would use it.

    Args:
        name: of the block.
        block: of the spec; None if it is not said.
        kind: of compute, which serves no API.
    """
    reason = f"{kind} works on objects alone; only an API needs a {name}"
    yield from said_in_vain(name, block, given=f"no {name}", reason=reason)


def said_in_vain(
    name: str, block: Block | None, *, given: str, reason: str, read: Collection[str] = ()
) -> Iterator[Reduction]:
    """Each key that is said in a block, but for those that are read.

    Args:
        name: of the block.
        block: of the spec; None if it is not said.
        given: what is given instead.
        reason: why.
        read: keys that count nevertheless.
    """
    for key in sorted(block.model_fields_set - set(read)) if block is not None else ():
        value = getattr(block, key)
        if value is not None and value is not False:
            yield Reduction(f"spec.{name}.{key}", _text(value), given, reason)


def _text(value: Any) -> str:
    if isinstance(value, Secret):
        return value.secret_ref or "a secret"
    if isinstance(value, timedelta):
        return format_duration(value)
    return str(value).lower() if value is True else str(value)
