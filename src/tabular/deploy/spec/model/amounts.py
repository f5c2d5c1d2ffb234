"""Amounts as types of the model: read by `quantities`, written back the way people write them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from tabular.deploy.spec.quantities import (
    MAX_CORES,
    QuantityError,
    format_cores,
    format_duration,
    format_size,
    parse_cores,
    parse_date,
    parse_days,
    parse_duration,
    parse_size,
)

_SIZE_TEXT = r"^[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?([KMGTP]i|[kMGTP]|B)?$"


def _field(parse: Any, kinds: tuple[type, ...] = ()) -> BeforeValidator:
    """The parser as a pydantic validator; values already of the type pass."""

    def read(value: Any) -> Any:
        if kinds and isinstance(value, kinds):
            return value
        try:
            return parse(value)
        except QuantityError as error:
            raise PydanticCustomError("quantity", "{problem}", {"problem": str(error)}) from None

    return BeforeValidator(read)


_DURATION_SCHEMA = {
    "type": "string",
    "pattern": "^([0-9]{1,10}[ywdhms])+$",
    "format": "duration-text",
}

Size = Annotated[
    int,
    _field(parse_size),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema(
        {
            "format": "size",
            "anyOf": [
                {"type": "string", "pattern": _SIZE_TEXT},
                {"type": "integer", "minimum": 2**20},
            ],
        }
    ),
]
Cores = Annotated[
    Decimal,
    _field(parse_cores, (Decimal,)),
    PlainSerializer(format_cores, return_type=int | str),
    WithJsonSchema(
        {
            "format": "cores",
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": int(MAX_CORES)},
                {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?m?$"},
            ],
        }
    ),
]
Duration = Annotated[
    timedelta,
    _field(parse_duration, (timedelta,)),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
Days = Annotated[
    timedelta,
    _field(parse_days, (timedelta,)),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"format": "days", "anyOf": [{"type": "integer", "minimum": 1}, _DURATION_SCHEMA]}
    ),
]
Day = Annotated[
    date,
    _field(parse_date),
    PlainSerializer(date.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date"}),
]
