"""Hooks of schemathesis: ids of things that are really there, where it made up right ones.

The one key that it signs in with is never rotated: it would lock itself out, and from then on test
nothing but refusals.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

import schemathesis

_IDS: dict[str, list[str]] = json.loads(os.environ["SCHEMA_TEST_IDS"])
_CHOICE = random.Random(1)


def _replace(values: Any) -> None:
    if not isinstance(values, dict):
        return
    for name, there in _IDS.items():
        if name in values and (name == "key_id" or _CHOICE.random() < 0.7):
            values[name] = _CHOICE.choice(there)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Put them in, but not where what was made up is wrong on purpose."""
    meta = case.meta
    if meta is None or meta.generation.mode != schemathesis.GenerationMode.POSITIVE:
        rotates = case.operation.path.endswith("/rotate") and case.path_parameters
        if rotates and case.path_parameters.get("key_id") == os.environ["SCHEMA_TEST_OWN"]:
            case.path_parameters["key_id"] = _IDS["key_id"][0]
        return
    if case.method.upper() == "DELETE":
        return
    _replace(case.path_parameters)
    _replace(case.body)
