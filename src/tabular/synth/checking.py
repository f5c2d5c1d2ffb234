"""Looks at a model that was read before it may draw: a header that is well sealed may still lie.

The checksum tells that a file is as it was written, not who wrote it. Whatever a draw relies on is
therefore tried here once, so that a wrong file is refused when it is read and not in a job.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tabular.errors import ModelFileError, TabularError
from tabular.synth.conditions import schema_conditions
from tabular.synth.encoding import FLOAT_DECIMALS, Codec, is_learnable
from tabular.synth.prepare import Prepared

DAMAGED = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    pa.ArrowException,
)
"""What Python raises over parts of a wrong type or size."""


def check_prepared(prepared: Prepared) -> None:
    """Returns when all columns can be decoded and all keys be made.

    Raises:
        ModelFileError: they cannot.
    """
    if set(prepared.schema.columns) != set(prepared.arrow.names):
        raise ModelFileError("the roles do not name each column once")
    if not 0 <= prepared.learnt <= prepared.rows < 2**63 or not 0 <= prepared.floor < 2**63:
        raise ModelFileError("the numbers of rows are damaged")
    for field in prepared.arrow:
        if not is_learnable(field.type):
            raise ModelFileError(f"column {field.name!r} cannot have the type {field.type}")
    for codec in prepared.codecs:
        _check_codec(codec)
    for position in prepared.texts:
        kind = prepared.codecs[position].values.type
        if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
            raise ModelFileError("a text is no text")
    for name, maker in prepared.keys.items():
        kind = prepared.arrow.field(name).type
        _tried(name, lambda maker=maker, kind=kind: maker.make(0, 1, 0, kind))
    schema_conditions(prepared.schema, prepared.arrow)


def _check_codec(codec: Codec) -> None:
    numbers = codec.numbers
    sane = (
        codec.bins.ndim == 1
        and _finite(codec.origin)
        and _finite(codec.step)
        and codec.step >= 0
        and -1 <= codec.decimals <= FLOAT_DECIMALS
    )
    if sane and numbers is not None:
        sane = (
            numbers.dtype == np.float64
            and numbers.ndim == 1
            and bool(np.isfinite(numbers).all())
            and bool((np.diff(numbers) >= 0).all())
        )
    if sane and codec.decimals < 0 and not _has_fractions(codec.values.type):
        sane = codec.step < 2**64 and -(2**63) <= codec.origin < 2**63
        sane &= float(codec.origin).is_integer() and float(codec.step).is_integer()
    if not sane:
        raise ModelFileError(f"the values of column {codec.name!r} are damaged")
    ends = np.array([0, 1, codec.size]).clip(0, codec.size)
    _tried(codec.name, lambda: codec.decode_index(ends))
    if numbers is not None:
        _tried(codec.name, lambda: codec.decode_numbers(codec.number_of_index.take(ends)))


def _has_fractions(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _finite(number: Any) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return bool(-1.8e308 < number < 1.8e308)


def _tried(name: str, what: Any) -> None:
    try:
        what()
    except (*DAMAGED, TabularError) as error:
        raise ModelFileError(f"the values of column {name!r} are damaged: {error}") from error
