"""Comparisons that every drawn row must fulfil: conditions, ranges and constraints.

All three are one thing, a column compared with a value or with another column, so that one
filter enforces them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import InputError, nearest
from tabular.synth.encoding import is_ordered
from tabular.synth.moments import how_to_write, moment
from tabular.synth.schema import TableSchema

Where = Mapping[str, Any] | Sequence[str] | str | None

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_ORDER = ("<", "<=", ">", ">=")
_SAME = {"==": "=", "<>": "!="}
_OPERATOR = re.compile(r"\s*(<=|>=|!=|<>|==|=|<|>)\s*")
_TRUE, _FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")


@dataclass(frozen=True)
class Condition:
    """One comparison.

    Args:
        column: left side.
        sign: one of ``= != < <= > >=``.
        value: right side as a scalar; None compares with missing.
        other: the column on the right side instead of a value.
        missing: the outcome where a side is missing.
        text: how the user wrote it.
    """

    column: str
    sign: str
    value: pa.Scalar | None
    text: str
    other: str | None = None
    missing: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that take part."""
        return (self.column,) if self.other is None else (self.column, self.other)

    def holds(self, values: pa.Array, others: pa.Array | None = None) -> npt.NDArray[np.bool_]:
        """Whether it holds, per row.

        Args:
            values: the left column.
            others: the right column, if there is one.
        """
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if others is not None and pa.types.is_dictionary(others.type):
            others = others.dictionary_decode()
        if self.value is None and self.other is None:
            absent = np.asarray(values.is_null(nan_is_null=True))
            return absent if self.sign == "=" else ~absent
        outcome = _COMPARE[self.sign](values, self.value if others is None else others)
        return np.asarray(outcome.fill_null(self.missing).to_numpy(zero_copy_only=False), bool)


def parse_where(where: Where, schema: pa.Schema) -> list[Condition]:
    """Conditions from a mapping of equalities or from texts like ``"price>=1000"``.

    Args:
        where: mapping of column to value (None means missing), or texts.
        schema: the columns.

    Raises:
        InputError: unknown column, unreadable comparison, or a value of the wrong type.
    """
    if where is None:
        return []
    if isinstance(where, Mapping):
        return [
            Condition(
                _column(str(name), schema),
                "=",
                _scalar(value, str(name), schema),
                f"{name}={value}",
            )
            for name, value in where.items()
        ]
    texts = [where] if isinstance(where, str) else where
    if not isinstance(texts, Sequence):
        raise InputError(
            f"conditions are texts or a mapping, not {where!r}",
            hint="write for example where=['price>=1000', 'cut=Ideal'] or where={'cut': 'Ideal'}",
        )
    return [_condition(text, schema) for text in texts]


def schema_conditions(table: TableSchema, schema: pa.Schema) -> list[Condition]:
    """The ranges and constraints of a schema; they say nothing of missing values.

    Raises:
        InputError: an unknown column or a bound of the wrong type.
    """
    found = []
    for name, column in table.columns.items():
        for sign, bound in ((">=", column.minimum), ("<=", column.maximum)):
            if bound is not None:
                value = _scalar(bound, name, schema)
                found.append(Condition(name, sign, value, f"{name}{sign}{bound}", missing=True))
    for text in table.constraints:
        left, sign, right = _split(text, schema)
        if right in schema.names:
            _comparable(left, right, schema, text)
            found.append(Condition(left, sign, None, text, other=right, missing=True))
        else:
            value = _scalar(right, left, schema)
            found.append(Condition(left, sign, value, text, missing=True))
    return found


def _condition(text: str, schema: pa.Schema) -> Condition:
    column, sign, value = _split(text, schema)
    if sign in _ORDER and not is_ordered(_value_type(column, schema)):
        raise InputError(
            f"{text!r}: column {column!r} holds {_value_type(column, schema)}, which has no order",
            hint=f"name each value that is wanted or not: {column}={value} or {column}!={value}",
        )
    return Condition(column, sign, _scalar(value, column, schema), text)


def _split(text: str, schema: pa.Schema) -> tuple[str, str, str]:
    """Left column, sign and right side; the longest name of a column wins, which may hold signs."""
    if not isinstance(text, str):
        raise InputError(f"a condition is text such as 'price>=1000', not {text!r}")
    text = text.lstrip()
    for left in sorted(filter(text.startswith, schema.names), key=len, reverse=True):
        sign = _OPERATOR.match(text, len(left))
        if sign is not None:
            return left, _SAME.get(sign[1], sign[1]), text[sign.end() :].strip()
    first = _OPERATOR.search(text)
    if first is None or not text[: first.start()].strip():
        raise InputError(
            f"cannot read the condition {text!r}",
            hint="write column, sign, value: cut=Ideal or price>=1000 (signs: = != < <= > >=)",
        )
    return _column(text[: first.start()].strip(), schema), first[1], text[first.end() :].strip()


def _column(name: str, schema: pa.Schema) -> str:
    if name not in schema.names:
        raise InputError(
            f"no column {name!r}",
            hint=f"{nearest(name, schema.names)}columns are {', '.join(schema.names[:20])}",
        )
    return name


def _comparable(left: str, right: str, schema: pa.Schema, text: str) -> None:
    kinds = schema.field(left).type, schema.field(right).type
    numbers = [pa.types.is_integer(k) or pa.types.is_floating(k) for k in kinds]
    if kinds[0] != kinds[1] and not all(numbers):
        raise InputError(f"{text!r} compares {kinds[0]} with {kinds[1]}")


def _value_type(name: str, schema: pa.Schema) -> pa.DataType:
    kind = schema.field(name).type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _scalar(value: Any, name: str, schema: pa.Schema) -> pa.Scalar | None:
    """The value in the column's own type; whole-number columns also take fractions."""
    if value is None:
        return None
    kind = _value_type(name, schema)
    try:
        if pa.types.is_boolean(kind):
            return _boolean(value)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            number = float(value)
            return pa.scalar(int(value) if _whole(value, number) else number)
        if pa.types.is_temporal(kind):
            return moment(value, kind)
        if isinstance(value, str) and not pa.types.is_string(kind):
            return pa.array([value], pa.string()).cast(kind)[0]
        return pa.scalar(value, type=kind)
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        raise InputError(
            f"{value!r} is no value of column {name!r}, which holds {kind}",
            hint=how_to_write(kind) if pa.types.is_temporal(kind) else None,
        ) from error


def _whole(value: Any, number: float) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("+-").isdigit()
    return bool(operator.eq(number, int(number))) if np.isfinite(number) else False


def _boolean(value: Any) -> pa.Scalar:
    word = str(value).lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(word)
    return pa.scalar(word in _TRUE)
