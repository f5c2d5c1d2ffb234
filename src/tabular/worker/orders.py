"""A generation that is ordered by putting a file into the bucket, without API and database.

An order is a blob ``incoming/NAME.json``, such as ``{"model": "models/sales", "rows": 1000000}``.
What comes of it is ``results/NAME.FORMAT``, and ``results/NAME.json`` says how it ended. A table
in place of a model is learned from first; ``results/NAME.model`` is what was learned.

The same order always gives the same bytes, so a step that is done twice, or by two at once, does
no harm: whatever tells us of an order may tell it more than once.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tabular.errors import InputError, TabularError, UnavailableError
from tabular.infra.pipe import streamed
from tabular.infra.storage.backend import Backend
from tabular.infra.storage.keys import check_key
from tabular.infra.storage.plain import existing, fetched
from tabular.synth.joining import Part, head_of, join
from tabular.synth.partition import partition
from tabular.synth.synthesizer import Synthesizer
from tabular.synth.tables import Format, read_table

INCOMING, RESULTS, SUFFIX = "incoming/", "results/", ".json"
MAX_ORDER = 1 << 20  # bytes
_READ = 1 << 22  # bytes of a part that are held at a time


class Order(BaseModel):
    """What is to be made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = Field(None, description="Name of a model file in the bucket.")
    table: str | None = Field(None, description="Name of a table to learn from instead.")
    engine: str = "trees"
    preset: str = "balanced"
    table_schema: dict[str, Any] | None = Field(None, alias="schema")
    rows: int = Field(ge=1, strict=True)
    seed: int = Field(0, ge=0, strict=True)
    where: list[str] = Field(default_factory=list, description="Conditions on every row.")
    format: Format = "parquet"

    @model_validator(mode="after")
    def _one_source(self) -> Order:
        if (self.model is None) == (self.table is None):
            raise ValueError("name a model or a table, and not both")
        return self


def name_of(key: str) -> str:
    """NAME of ``incoming/NAME.json``.

    Raises:
        InputError: it is no such name.
    """
    name = key.removeprefix(INCOMING).removesuffix(SUFFIX)
    if f"{INCOMING}{name}{SUFFIX}" != key or "/" in name:
        raise InputError(f"{key!r} is no order", hint="put it into incoming/ and call it NAME.json")
    return check_key(name)


def read(blobs: Backend, key: str) -> Order:
    """The order under a name.

    Raises:
        NotFoundError: there is none.
        InputError: it is none.
    """
    text = b""
    for chunk in existing(blobs, key):
        text += chunk
        if len(text) > MAX_ORDER:
            raise InputError(f"an order has at most {MAX_ORDER} bytes", where=key)
    return parse(text, key)


def parse(text: bytes, where: str) -> Order:
    """The order in a text.

    Args:
        text: JSON.
        where: it stands, for the message.

    Raises:
        InputError: it is none.
    """
    try:
        return Order.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        raise InputError(
            f"the order is wrong: {f'{place}: ' if place else ''}{found['msg']}",
            where=where,
            hint='such as {"model": "models/sales", "rows": 1000000}',
        ) from None


def fit(blobs: Backend, key: str) -> None:
    """Learn from the table of an order; nothing where it names a model.

    Raises:
        TabularError: the order, the table or the schema does not allow it.
    """
    order = read(blobs, key)
    if order.table is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        learned = _learned(blobs, order, Path(folder))
        _keep(blobs, f"{RESULTS}{name_of(key)}.model", streamed(learned.save))


def draw(blobs: Backend, key: str, parts: Sequence[tuple[int, int, int]]) -> None:
    """Draw some parts of an order whose model is there.

    Args:
        blobs: the bucket.
        key: of the order.
        parts: number, first row and number of rows of each; see `parts_of`.

    Raises:
        TabularError: the order or its model does not allow it.
    """
    order = read(blobs, key)
    synthesizer = _model(blobs, key, order)
    for number, start, rows in parts:
        _keep(blobs, _part_name(key, order, number), _drawn(synthesizer, order, start, rows))


def parts_of(order: Order, part_rows: int) -> list[tuple[int, int, int]]:
    """Number, first row and number of rows of each part; they depend on the order alone."""
    return [(n, *one) for n, one in enumerate(partition(order.rows, part_rows))]


def join_parts(blobs: Backend, key: str, part_rows: int) -> None:
    """Make one file of all parts, and say that it is there.

    Raises:
        NotFoundError: a part is missing.
        TabularError: as `draw`.
    """
    order = read(blobs, key)
    head = head_of(_model(blobs, key, order).schema, order.format)
    names = [_part_name(key, order, number) for number, _, _ in parts_of(order, part_rows)]
    parts = [Part(_size(blobs, name), head, _reader(blobs, name)) for name in names]
    plan = join(parts, order.format)

    def copy(target: BinaryIO) -> None:
        for part, (start, stop) in zip(parts, plan.spans, strict=True):
            for low in range(start, stop, _READ):
                target.write(part.read(low, min(stop, low + _READ)))
        target.write(plan.tail)

    # In a thread of its own: the driver cannot read while it asks for what it is to write.
    _succeed(blobs, key, order, _keep(blobs, _result(key, order), streamed(copy)))


def whole(blobs: Backend, key: str) -> None:
    """All of an order at once.

    Raises:
        TabularError: as `fit` and `draw`.
    """
    order = read(blobs, key)
    fit(blobs, key)
    synthesizer = _model(blobs, key, order)
    made = _keep(blobs, _result(key, order), _drawn(synthesizer, order, 0, order.rows))
    _succeed(blobs, key, order, made)


def fail(blobs: Backend, key: str, error: TabularError) -> None:
    """Say why nothing comes of an order.

    Raises:
        InputError: the name of the order is none, so there is no place to say it.
    """
    _report(blobs, key, {"status": "failed", "error": error.as_dict()})


def _succeed(blobs: Backend, key: str, order: Order, made: Mapping[str, Any]) -> None:
    file = {"file": _result(key, order), "format": order.format, "rows": order.rows}
    _report(blobs, key, {"status": "succeeded", **file, **made})


def _report(blobs: Backend, key: str, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False, sort_keys=True).encode()
    blobs.commit(f"{RESULTS}{name_of(key)}{SUFFIX}", text, create=False)


def _result(key: str, order: Order) -> str:
    return f"{RESULTS}{name_of(key)}.{order.format}"


def _part_name(key: str, order: Order, number: int) -> str:
    return f"{RESULTS}{name_of(key)}.parts/{number:06}.{order.format}"


def _learned(blobs: Backend, order: Order, folder: Path) -> Synthesizer:
    table = read_table(fetched(blobs, order.table or "", folder))
    synthesizer = Synthesizer(order.engine, order.preset, order.table_schema, order.seed)
    return synthesizer.fit(table)


def _model(blobs: Backend, key: str, order: Order) -> Synthesizer:
    name = order.model or f"{RESULTS}{name_of(key)}.model"
    with tempfile.TemporaryDirectory() as folder:
        return Synthesizer.load(fetched(blobs, name, Path(folder)))


def _drawn(synthesizer: Synthesizer, order: Order, start: int, rows: int) -> Iterator[bytes]:
    def write(target: BinaryIO) -> None:
        synthesizer.write(
            target, rows, seed=order.seed, where=order.where, start=start, format=order.format
        )

    return streamed(write)


def _keep(blobs: Backend, name: str, pieces: Iterator[bytes]) -> dict[str, Any]:
    """Store a blob; its size and digest."""
    digest, size = hashlib.sha256(), 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            yield piece

    blobs.write(name, counted())
    return {"size": size, "sha256": digest.hexdigest()}


def _size(blobs: Backend, name: str) -> int:
    return sum(len(chunk) for chunk in existing(blobs, name))


def _reader(blobs: Backend, name: str) -> Callable[[int, int], bytes]:
    def read_span(start: int, stop: int) -> bytes:
        found = blobs.read_range(name, start, stop - start)
        if found is None or len(found) != stop - start:
            raise UnavailableError(f"{name} has changed while it was read", where=blobs.where)
        return found

    return read_span
