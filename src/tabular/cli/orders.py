"""An order of a generation, from a file or from flags: checked here, before anything is started."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabular.deploy.batches import DRAW, FIT, JOIN, Order
from tabular.errors import InputError, UsageError

# Names of jobs of AWS Batch: at most 128 of these, and ours end with a step.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_OUT = re.compile(r"(?:results/)?(?P<id>[^/]+)\.(?P<format>parquet|csv|jsonl)")


def read_order(
    file: Path | None, said: Mapping[str, Any], *, out: str | None, containers: int | None
) -> Order:
    """What is ordered.

    Args:
        file: of an order; None for flags.
        said: what flags say, by field of an order; None where they say nothing.
        out: where the result goes, ``results/ID.FORMAT``; named after the file if None.
        containers: that draw side by side.

    Raises:
        UsageError: the flags contradict each other, or the file.
        InputError: it is no order.
    """
    from tabular.infra.config import Settings
    from tabular.synth.partition import partition

    given = {key: value for key, value in said.items() if value not in (None, [])}
    if file is not None and given:
        raise UsageError(
            f"--{next(iter(given))} stands beside a file that says it all",
            hint="leave the file or the flags out",
        )
    fields = given if file is None else _fields(file)
    if out is None and file is not None:
        out = f"{file.stem}.{fields.get('format', 'parquet')}"
    id, format = _named(out)
    if fields.get("format", format) != format:
        raise UsageError(
            f"--out says {format}, and the order {fields['format']}", hint="make them agree"
        )
    order = _order({**fields, "format": format}, file)
    learns = order["table"] is not None
    rows = Settings.model_fields["part_rows"].default
    return Order(
        id=id,
        document={key: value for key, value in order.items() if value is not None},
        inputs=(order["table"] if learns else order["model"],),
        steps=(FIT, DRAW, JOIN) if learns else (DRAW, JOIN),
        parts=len(partition(order["rows"], rows)),
        containers=containers,
    )


def _named(out: str | None) -> tuple[str, str]:
    found = _OUT.fullmatch(out or "")
    if found is None or not _ID.fullmatch(found["id"]):
        raise UsageError(
            "no result is named" if out is None else f"--out {out} is no place for a result",
            hint="--out results/NAME.parquet (or .csv, .jsonl); NAME has letters, digits, - and _, "
            "at most 100",
        )
    return found["id"], found["format"]


def _fields(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(file)) from error
    except ValueError as error:
        raise InputError(f"is no JSON: {error}", where=str(file)) from error
    if not isinstance(found, dict):
        raise InputError("is no order", where=str(file))
    return found


def _order(fields: Mapping[str, Any], file: Path | None) -> dict[str, Any]:
    """The order with everything filled in, as the containers will read it."""
    from tabular.infra.storage.keys import check_key
    from tabular.worker.orders import parse

    order = parse(json.dumps(fields).encode(), "flags" if file is None else str(file))
    check_key(order.table or order.model or "")
    return order.model_dump(mode="json", by_alias=True)
