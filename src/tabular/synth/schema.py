"""What each column means: its role, its range, and how columns bound each other.

A file of numbers does not say that one column is a key that must stay unique and another a
sentence that must not be copied. Roles are guessed here from the data alone, and whoever knows
better says so in a schema file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import InputError, nearest
from tabular.synth.encoding import is_learnable, is_ordered, not_learnable, plain
from tabular.synth.keys import whole_numbers

ROLES = (
    "integer",
    "numeric",
    "categorical",
    "boolean",
    "datetime",
    "date",
    "time",
    "id",
    "text",
    "constant",
)
ORDERED_ROLES = frozenset({"integer", "numeric", "datetime", "date", "time"})
TIME_ROLES = frozenset({"datetime", "date", "time"})
VERSION = 1

_TEXT_SHARE = 0.5
_TEXT_LENGTH = 40
_ID_SHARE = 0.999
_ID_ROWS = 50
_ID_LENGTH = 64
_ID_WORDS = frozenset(
    {
        "id",
        "ids",
        "key",
        "pk",
        "uuid",
        "guid",
        "ssn",
        "sin",
        "nin",
        "iban",
        "imei",
        "ean",
        "isbn",
        "passport",
        "phone",
        "telephone",
        "mobile",
        "fax",
    }
)
"""Last words of the names of keys; their numbers are keys where none is repeated."""

_MAYBE_ID_WORDS = frozenset({"no", "nr", "num", "number", "account", "acct", "code", "tel", "cell"})
"""Words that name keys and other things: they count in tables of some rows."""

_MEASURES = frozenset(
    {
        "time",
        "timestamp",
        "ts",
        "at",
        "date",
        "datetime",
        "epoch",
        "year",
        "price",
        "amount",
        "cost",
        "total",
        "sum",
        "value",
        "salary",
        "income",
        "revenue",
        "sales",
        "profit",
        "balance",
        "budget",
        "population",
        "count",
        "area",
        "distance",
        "size",
        "weight",
        "duration",
    }
)
"""Words that name what is measured or counted, however rarely two rows have the same."""

_ID_DIGITS = 6
_ROUND_SHARE = 0.2
"""Share of multiples of ten above which numbers are measured, not given out; a tenth is usual."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")


@dataclass(frozen=True)
class ColumnSchema:
    """One column.

    Args:
        name: as in the table.
        role: one of `ROLES`.
        minimum: smallest value allowed, as written in a cell; None for no bound.
        maximum: largest value allowed.
    """

    name: str
    role: str
    minimum: Any = None
    maximum: Any = None

    def to_dict(self) -> dict[str, Any]:
        """The column as plain data, without its name."""
        found: dict[str, Any] = {"role": self.role}
        if self.minimum is not None:
            found["minimum"] = self.minimum
        if self.maximum is not None:
            found["maximum"] = self.maximum
        return found


@dataclass(frozen=True)
class TableSchema:
    """All columns, and the constraints between them.

    Args:
        columns: by name, in the order of the table.
        constraints: comparisons that hold in every row, such as ``"start <= end"``.
    """

    columns: Mapping[str, ColumnSchema]
    constraints: Sequence[str] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """The schema as JSON-able and YAML-able data."""
        found: dict[str, Any] = {
            "version": VERSION,
            "columns": {name: column.to_dict() for name, column in self.columns.items()},
        }
        if self.constraints:
            found["constraints"] = list(self.constraints)
        return found

    @classmethod
    def from_dict(cls, data: Any, *, where: str | None = None) -> Self:
        """Reads `to_dict`'s form; columns may be left out, and are then inferred.

        Args:
            data: a mapping with `columns` and maybe `constraints`, `version`.
            where: the file, for messages.

        Raises:
            InputError: an unknown key or role, or a wrong type.
        """
        if not isinstance(data, Mapping):
            raise InputError("a schema is a mapping with the key 'columns'", where=where)
        _known(data, ("version", "columns", "constraints"), where, "schema")
        if data.get("version", VERSION) != VERSION:
            raise InputError(f"schema version {data['version']!r} is not {VERSION}", where=where)
        columns = data.get("columns") or {}
        constraints = data.get("constraints") or []
        if not isinstance(columns, Mapping):
            raise InputError("'columns' maps column names to roles", where=where)
        if not isinstance(constraints, list) or not all(isinstance(c, str) for c in constraints):
            raise InputError(
                "'constraints' is a list of comparisons",
                where=where,
                hint='write for example constraints: ["start <= end"]',
            )
        read = {str(name): _column(str(name), value, where) for name, value in columns.items()}
        return cls(read, tuple(constraints))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a schema file, YAML or JSON.

        Raises:
            InputError: it cannot be read or is not a schema.
        """
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the schema cannot be read: {error}", where=str(file)) from error
        return cls.from_dict(_parse(text, file), where=str(file))

    def completed(self, table: pa.Table) -> TableSchema:
        """This schema with every column of `table`, roles inferred where it says nothing.

        Raises:
            InputError: it names a column that the table lacks, or a role its type cannot have.
        """
        self.check(table.schema)
        for name, column in self.columns.items():
            _require_values(name, column.role, table[name])
        missing = [name for name in table.column_names if name not in self.columns]
        inferred = infer(table.select(missing)).columns if missing else {}
        columns = {
            n: self.columns[n] if n in self.columns else inferred[n] for n in table.column_names
        }
        return replace(self, columns=columns)

    def check(self, table: pa.Schema) -> None:
        """Returns when a table of these columns can have the roles that this schema gives.

        Raises:
            InputError: it names a column that the table lacks, or a role its type cannot have.
        """
        for name, column in self.columns.items():
            if name not in table.names:
                raise InputError(
                    f"the schema names column {name!r}, which the table lacks",
                    hint=f"{nearest(name, table.names)}columns are {', '.join(table.names[:20])}",
                )
            _require_role(name, column.role, _value_type(table.field(name).type))


_STRINGS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_ID_TYPES = (*_STRINGS, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)


def _require_role(name: str, role: str, kind: pa.DataType) -> None:
    """Returns when a column of a type can have a role.

    Raises:
        InputError: it cannot.
    """
    wrong = f"column {name!r} has type {kind}, which cannot have the role {role!r}"
    if role in ORDERED_ROLES and not is_ordered(kind):
        raise InputError(wrong, hint="use categorical, id or text")
    if role in TIME_ROLES and not pa.types.is_temporal(kind):
        raise InputError(
            f"{wrong}: numbers are not read as times",
            hint="write times as 2024-12-31T23:59:59 in the table, or use integer, numeric",
        )
    if pa.types.is_null(kind):
        return  # A column of which all is missing can be anything but ordered.
    if role == "boolean" and not pa.types.is_boolean(kind):
        raise InputError(wrong, hint="use categorical, or write true and false in the table")
    if role == "text" and not any(test(kind) for test in _STRINGS):
        raise InputError(f"{wrong}: text is strings", hint="leave the role out, or use categorical")
    if role == "id" and not any(test(kind) for test in _ID_TYPES):
        raise InputError(
            f"{wrong}: ids are strings or whole numbers", hint="leave the role out, or use text"
        )


def _require_values(name: str, role: str, column: pa.ChunkedArray) -> None:
    """Returns when the values of a column can have a role that was given.

    Raises:
        InputError: they cannot.
    """
    if role not in ("id", "constant"):
        return
    values = pc.drop_null(plain(column))
    if role == "constant" and len(values) and (distinct := _distinct(values)) > 1:
        raise InputError(
            f"column {name!r} has {distinct:,} different values, so its role is not constant",
            hint="leave the role out",
        )
    numbers = not any(test(values.type) for test in _STRINGS)
    if role == "id" and numbers and len(values) and whole_numbers(values) is None:
        raise InputError(
            f"column {name!r} has numbers that are not whole, so its role is not id",
            hint="leave the role out, or use numeric",
        )


def infer(table: pa.Table) -> TableSchema:
    """Guesses the role of each column from its type and its values.

    Raises:
        TableError: a column of nested or otherwise unsupported type.
    """
    return TableSchema({n: ColumnSchema(n, _role(n, table[n])) for n in table.column_names})


def _role(name: str, column: pa.ChunkedArray) -> str:
    kind = _value_type(column.type)
    if not is_learnable(kind):
        raise not_learnable(name, column.type)
    values = pc.drop_null(plain(column))
    distinct = _distinct(values) if len(values) else 0
    if distinct <= 1:
        return "constant"
    whole = whole_numbers(values)
    if whole is not None and _integer_key(name, whole, distinct):
        return "id"
    if pa.types.is_integer(kind):
        return "integer"
    for test, role in _ROLE_OF_TYPE:
        if test(kind):
            return role
    return _string_role(values, distinct)


def _distinct(values: pa.Array) -> int:
    """Different values; Arrow's own count takes some 350 bytes for each different number."""
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        ascending = np.sort(values.to_numpy())
        return 1 + int(np.count_nonzero(ascending[1:] != ascending[:-1]))
    return len(pc.unique(values))


_ROLE_OF_TYPE = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_duration, "time"),
    (pa.types.is_floating, "numeric"),
    (pa.types.is_decimal, "numeric"),
)


def _integer_key(name: str, values: pa.Array, distinct: int) -> bool:
    """Unique whole numbers that count rows, or that have a key's name or a key's looks."""
    if distinct < len(values):
        return False
    words = [word.lower() for word in _WORD.findall(name)] or [""]
    if words[-1] in _ID_WORDS or words[-1].endswith(("uuid", "guid")):
        return True
    if distinct < _ID_ROWS:
        return False
    low, high = pc.min(values).as_py(), pc.max(values).as_py()
    if high - low == distinct - 1 or words[-1] in _MAYBE_ID_WORDS:
        return True
    if low < 0 or len(str(low)) != len(str(high)) or len(str(low)) < _ID_DIGITS:
        return False
    numbers = values.to_numpy()
    return not _MEASURES & {*words} and bool((numbers % 10 == 0).mean() <= _ROUND_SHARE)


def _string_role(values: pa.Array, distinct: int) -> str:
    lengths = pc.utf8_length(values)
    longest, mean = pc.max(lengths).as_py(), pc.mean(lengths).as_py()
    spaced = pc.mean(pc.match_substring(values, " ").cast(pa.int8())).as_py()
    share = distinct / len(values)
    if len(values) >= _ID_ROWS and share >= _ID_SHARE and longest <= _ID_LENGTH and spaced < 0.01:
        return "id"
    if len(values) >= _ID_ROWS and (share > _TEXT_SHARE or (mean > _TEXT_LENGTH and share > 0.1)):
        return "text"
    return "categorical"


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _column(name: str, value: Any, where: str | None) -> ColumnSchema:
    if isinstance(value, str):
        value = {"role": value}
    if not isinstance(value, Mapping):
        raise InputError(f"column {name!r} needs a role", where=where, hint="write role: numeric")
    _known(value, ("role", "minimum", "maximum"), where, f"column {name!r}")
    role = value.get("role")
    if role not in ROLES:
        raise InputError(
            f"column {name!r} has no role {role!r}",
            where=where,
            hint=f"{nearest(str(role), ROLES)}roles are {', '.join(ROLES)}",
        )
    ends = (_written(value.get(end)) for end in ("minimum", "maximum"))
    return ColumnSchema(name, str(role), *ends)


def _written(bound: Any) -> Any:
    """A bound as JSON can hold it: YAML makes dates and times of what looks like one."""
    return bound.isoformat() if isinstance(bound, date) else bound


def _known(data: Mapping[Any, Any], keys: Sequence[str], where: str | None, what: str) -> None:
    for key in data:
        if key not in keys:
            raise InputError(
                f"unknown key {key!r} in {what}",
                where=where,
                hint=f"{nearest(str(key), keys)}keys are {', '.join(keys)}",
            )


def _parse(text: str, file: Path) -> Any:
    if file.suffix.lower() == ".json":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            place = f"{file}:{error.lineno}:{error.colno}"
            raise InputError(f"not JSON: {error.msg}", where=place) from error
        except (RecursionError, ValueError) as error:
            raise InputError(f"not a schema: {error}", where=str(file)) from error
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise InputError(f"not YAML: {error.problem}", where=place) from error
    except (YAMLError, RecursionError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"not a schema in YAML: {reason}", where=str(file)) from error
