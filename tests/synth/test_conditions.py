"""How the text of a condition is read."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tabular.errors import InputError
from tabular.synth.conditions import parse_where

SCHEMA = pa.schema(
    [('"><b>', pa.string()), ("a", pa.int64()), ("a<b", pa.int64()), ("x=", pa.string())]
)


@pytest.mark.parametrize(
    ("text", "column", "sign", "value"),
    [
        ('"><b>=v', '"><b>', "=", "v"),
        ("a<3", "a", "<", 3),
        ("a<b=3", "a<b", "=", 3),
        (" a >= 2", "a", ">=", 2),
        ("a<>2", "a", "!=", 2),
        ("x==v", "x=", "=", "v"),
    ],
)
def test_a_name_may_hold_signs(text: str, column: str, sign: str, value: object) -> None:
    (condition,) = parse_where(text, SCHEMA)
    assert (condition.column, condition.sign) == (column, sign)
    assert condition.value is not None
    assert condition.value.as_py() == value


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(InputError, match="no column 'b'"):
        parse_where("b=1", SCHEMA)
