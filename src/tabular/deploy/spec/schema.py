"""The format for programs and for people: JSON Schema for editors, tables for the reference.

Both are made from the model, so neither can say something else than `validate` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from tabular.deploy.spec.model import API_VERSION, Deployment
from tabular.deploy.spec.quantities import format_duration
from tabular.deploy.spec.readers.helm import HELM

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FORMATS = {
    "size": "size",
    "cores": "cores",
    "duration-text": "duration",
    "days": "duration or days",
    "date": "day",
}
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "",
}


class _Schema(GenerateJsonSchema):
    """Defaults as a file would have them."""

    def encode_default(self, dft: Any) -> Any:
        """A default as plain data; blocks are empty, since their keys tell their own."""
        if isinstance(dft, timedelta):
            return format_duration(dft)
        if isinstance(dft, BaseModel):
            return {}
        return super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the portable form."""
    made = Deployment.model_json_schema(by_alias=True, schema_generator=_Schema)
    made.pop("title", None)
    return {
        "$schema": DIALECT,
        "$id": f"https://{API_VERSION}/deployment.schema.json",
        "title": "Deployment of inferloop-tabular",
        **made,
        "required": ["apiVersion", "kind"],
    }


def markdown() -> str:
    """A table for each block of the portable form, with every key, and one for Helm values."""
    schema = json_schema()
    return "\n".join([*_blocks(schema, schema, "", {}), *_helm()])


def _helm() -> Iterator[str]:
    yield "### Helm values\n\n| Helm value | key |\n|---|---|"
    for name, entry in HELM.items():
        target = entry if isinstance(entry, str) else f"{entry[0]}"
        yield f"| `{name}` | `{target}` |"


def _blocks(
    schema: dict[str, Any], block: dict[str, Any], path: str, seen: dict[str, str]
) -> Iterator[str]:
    """The table of one block, then those of the blocks in it; a block met again is referred to."""
    yield f"### {f'`{path}`' if path else 'The document'}\n"
    if block["title"] in seen:
        yield f"The keys of `{seen[block['title']]}`.\n"
        return
    seen[block["title"]] = path
    yield f"{block.get('description', '')}\n"
    yield "| key | value | default | what it is | example |\n|---|---|---|---|---|"
    inner: list[tuple[str, dict[str, Any]]] = []
    for name, entry in block["properties"].items():
        here = f"{path}.{name}".lstrip(".")
        below, held = _inner(schema, entry)
        if below is not None:
            inner.append((f"{here}{held}", below))
        yield _row(schema, here, entry)
    yield ""
    for here, below in inner:
        yield from _blocks(schema, below, here, seen)


def _row(schema: dict[str, Any], path: str, entry: dict[str, Any]) -> str:
    given = entry.get("default")
    default = "" if given in (None, {}, []) or isinstance(given, dict) else f"`{_text(given)}`"
    example = f"`{_text(entry['examples'][0])}`" if entry.get("examples") else ""
    what = str(entry.get("description") or _resolve(schema, entry).get("description", ""))
    what = what.replace("|", "&#124;")
    return f"| `{path}` | {_words(schema, entry)} | {default} | {what} | {example} |"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _resolve(schema: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    reference = entry.get("$ref")
    if reference is None:
        return entry
    found: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
    return found


def _inner(schema: dict[str, Any], entry: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The block that a key holds, if any, and how: itself, in a list, or by name."""
    entry = _resolve(schema, entry)
    if entry.get("title") == "Secret":
        return None, ""
    if "properties" in entry:
        return entry, ""
    for option in entry.get("anyOf", ()):
        found, held = _inner(schema, option)
        if found is not None:
            return found, held
    if "items" in entry:
        return _inner(schema, entry["items"])[0], "[]"
    by_name = [*entry.get("patternProperties", {}).values(), entry.get("additionalProperties")]
    for option in by_name:
        if isinstance(option, dict) and (found := _inner(schema, option)[0]) is not None:
            return found, ".*"
    return None, ""


def _words(schema: dict[str, Any], entry: dict[str, Any]) -> str:
    """What a key takes, in a few words."""
    entry = _resolve(schema, entry)
    if "enum" in entry or "const" in entry:
        return ", ".join(f"`{value}`" for value in entry.get("enum", [entry.get("const")]))
    if "anyOf" in entry and not _named(entry):
        options = [_words(schema, option) for option in entry["anyOf"]]
        return " or ".join(option for option in options if option)
    if entry.get("type") == "array":
        return f"list of {_words(schema, entry['items'])}"
    return _named(entry) or TYPES.get(entry.get("type", ""), "any value")


def _named(entry: dict[str, Any]) -> str:
    """The name of a kind of value that has one."""
    if entry.get("title") == "Secret":
        return "secret"
    if entry.get("type") == "object":
        return "block" if "properties" in entry else "names and values"
    return FORMATS.get(entry.get("format", ""), "")
