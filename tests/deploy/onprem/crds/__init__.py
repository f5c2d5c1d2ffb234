"""What the operators' own definitions allow, and a strict check of objects against it.

The files were cut out of the operators' published custom resource definitions by `trim.py`: without
descriptions, and without the insides of fields that the chart does not set. `SOURCES.md` says
where each is from and under which licence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator


def invalid_resource(one: Mapping[str, Any]) -> list[str]:
    """What an API server with the operator's definition would refuse, or drop without a word."""
    group, _, version = str(one["apiVersion"]).partition("/")
    name = f"{group}_{str(one['kind']).lower()}_{version}.json"
    schema = json.loads(Path(__file__).with_name(name).read_text())
    found = Draft202012Validator(_strict(schema)).iter_errors(one)
    return [f"{error.json_path}: {error.message}" for error in found]


def _strict(schema: Any) -> Any:
    """The schema with unknown fields refused, and with Kubernetes' own words understood."""
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value) for key, value in schema.items() if key != "properties"}
    if "properties" in schema:
        result["properties"] = {name: _strict(one) for name, one in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            result.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
    return result
