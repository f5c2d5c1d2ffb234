"""AWS's own descriptions of resource types, as its linter brings them, region by region."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cfnlint

_FOLDER = Path(cfnlint.__file__).parent / "data" / "schemas"
# The pages of the linter's folder that are regions.
REGIONS = sorted(file.stem for file in (_FOLDER / "providers").glob("*.json") if "-" in file.stem)

# Without those that are closed to the public, of which the linter knows little.
OPEN = [one for one in REGIONS if "iso" not in one and not one.startswith("eusc")]


@functools.cache
def types(region: str) -> Mapping[str, str]:
    """Every type that CloudFormation has in a region, with the file of its schema."""
    text = (_FOLDER / "providers" / f"{region}.json").read_text("utf-8")
    found: dict[str, str] = json.loads(text)
    return found


@functools.cache
def schema(type_: str, region: str = "eu-west-1") -> Mapping[str, Any]:
    """The schema of a type."""
    file = _FOLDER / "resources" / f"{types(region)[type_]}.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def tag_property(type_: str) -> str | None:
    """The property that takes a type's tags; None where it has none."""
    tagging = schema(type_).get("tagging", {})
    if not tagging.get("taggable"):
        return None
    return str(tagging["tagProperty"]).rpartition("/")[2]


def database_classes(region: str, engine: str) -> frozenset[str]:
    """Classes of RDS that are sold in a region for an engine."""
    found: set[str] = set()
    for one in _classes()[region]["allOf"]:
        engines = one["if"]["properties"].get("Engine", {})
        if engine in (engines.get("const"), *engines.get("enum", ())):
            found |= set(one["then"]["properties"]["DBInstanceClass"]["enum"])
    return frozenset(found)


@functools.cache
def _classes() -> Mapping[str, Any]:
    file = _FOLDER / "extensions" / "aws_rds_dbinstance" / "dbinstanceclass_enum.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found
