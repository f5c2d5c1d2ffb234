"""What every added resource type needs: registration, and the emulator's answers as values.

The emulator keeps one table of handlers a type, one of create-only properties, one of tag
properties and one of names; `register` writes a type into all of them, so that change sets,
replacements, refusals and stack tags work for it as they do for the emulator's own types.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Made = tuple[str, dict[str, Any]]
Create = Callable[[str, Properties, str], Made]
Update = Callable[[str, Properties, Properties, str, str], Made]
Delete = Callable[[str, Properties], None]

physical_name = provisioners._physical_name


def register(
    resource_type: str,
    *,
    create: Create,
    update: Update,
    delete: Delete,
    replacing: str = "",
    tags: tuple[str, str] | None = None,
    named_by: str | None = None,
) -> None:
    """Teach the emulator a type; one that it knows already stays as it is.

    `replacing` are the create-only properties in one text, `tags` the tag property and its shape
    ("list" or "map"), `named_by` the property whose unchanged value forbids a replacement.
    """
    if resource_type in provisioners._RESOURCE_HANDLERS:
        return
    provisioners._RESOURCE_HANDLERS[resource_type] = {
        "create": create,
        "update": update,
        "delete": delete,
        "update_with_logical_id": True,
    }
    provisioners._REPLACING_PROPERTIES[resource_type] = tuple(replacing.split())
    if tags is not None:
        provisioners._STACK_TAG_PROPERTY[resource_type] = tags
    if named_by is not None:
        provisioners._CUSTOM_NAME_REPLACEMENT[resource_type] = {"name": named_by}


def never(physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Made:
    """The update of a type whose every property is create-only."""
    raise ValueError(f"{logical_id} ({physical_id}) cannot be updated in place")


def arn(service: str, rest: str) -> str:
    """The ARN of something in the account and region of this request."""
    return f"arn:aws:{service}:{get_region()}:{get_account_id()}:{rest}"


def done(answer: tuple[int, Any, Any]) -> str:
    """The body of an answer of one of the emulator's services; an error answer is raised."""
    status, _, body = answer
    text = body.decode() if isinstance(body, bytes) else str(body)
    if status >= 400:
        raise ValueError(text[:500])
    return text


def done_json(answer: tuple[int, Any, Any]) -> dict[str, Any]:
    """The same for a service that answers in JSON."""
    parsed: dict[str, Any] = json.loads(done(answer))
    return parsed


def query(properties: Mapping[str, Any]) -> dict[str, list[str]]:
    """Properties as the parameters of the query protocol: ``A.member.1.B``."""
    flat: dict[str, list[str]] = {}

    def put(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                put(f"{name}.{key}", inner)
        elif isinstance(value, list):
            for number, inner in enumerate(value, 1):
                put(f"{name}.member.{number}", inner)
        else:
            flat[name] = [str(value).lower() if isinstance(value, bool) else str(value)]

    for key, value in properties.items():
        put(key, value)
    return flat


def camel(value: Any, *, verbatim: Iterable[str] = ("Tags", "Parameters", "Options")) -> Any:
    """Template spelling to the camelCase of the JSON services; free-form maps stay as written."""
    if isinstance(value, Mapping):
        return {
            key[:1].lower() + key[1:]: inner if key in verbatim else camel(inner, verbatim=verbatim)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [camel(inner, verbatim=verbatim) for inner in value]
    return value


def changed(old: Mapping[str, Any], new: Mapping[str, Any], *path: str) -> bool:
    """Whether the value at a path of two property sets differs."""
    for key in path:
        old, new = old.get(key) or {}, new.get(key) or {}
    return old != new
