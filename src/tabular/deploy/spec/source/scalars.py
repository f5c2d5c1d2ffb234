"""Plain YAML scalars to values, by the core schema of YAML 1.2 and nothing else.

`no`, `on` and `0123` are text, as the standard has it; the field that wanted something else
then says so. Of two readings of one character sequence we never pick the surprising one.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

MAX_DIGITS = 18
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_OCTAL = re.compile(r"0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")


class ScalarError(ValueError):
    """A number that no field could take."""


def resolve(text: str) -> Scalar:
    """The value of a plain (unquoted) scalar.

    Raises:
        ScalarError: a number of more than 18 digits, or not finite.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    integer = _INT.fullmatch(text) or _HEX.fullmatch(text) or _OCTAL.fullmatch(text)
    if integer or _FLOAT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ScalarError(f"a number of {len(text)} characters is too long")
        if integer:
            return int(text, 0)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ScalarError("the number is too large")
        return number
    return text
