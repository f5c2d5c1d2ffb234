"""The model as a map of key paths: which keys a block has, and what each one is.

Error messages, `config explain` and the reference all need it, and it can only come from the
model itself, or it would be wrong tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tabular.deploy.spec.model import Deployment
from tabular.deploy.spec.secret import Secret

Path = tuple[str | int, ...]
ANY = "*"


def alias(name: str, field: FieldInfo) -> str:
    """The key of a field as files have it."""
    return field.alias or name


def dotted(path: Path) -> str:
    """``spec.providers.aws.regions[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def sorted_keys(value: Any) -> Any:
    """Plain data with the keys of every mapping in order; lists keep theirs."""
    if isinstance(value, dict):
        return {name: sorted_keys(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [sorted_keys(item) for item in value]
    return value


def block_of(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The block inside an annotation and how it is held: "" itself, "[]" in a list, "*" by name.

    None for a scalar; a secret counts as one.
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (None, "") if annotation is Secret else (annotation, "")
    if origin is Annotated:
        return block_of(args[0])
    if origin in (Union, UnionType):
        found = [block_of(arg) for arg in args if arg is not type(None)]
        return next((pair for pair in found if pair[0] is not None), (None, ""))
    if origin is tuple:
        return block_of(args[0])[0], "[]"
    if origin is dict:
        return block_of(args[1])[0], ANY
    return None, ""


def fields_at(path: Path) -> dict[str, FieldInfo]:
    """Keys that the block at a path may have; none where it is no block."""
    model: type[BaseModel] | None = Deployment
    rest = list(path)
    while rest and model is not None:
        step = rest.pop(0)
        known = {alias(name, field): field for name, field in model.model_fields.items()}
        if not isinstance(step, str) or step not in known:
            return {}
        model, held = block_of(known[step].annotation)
        if held and rest:
            rest.pop(0)
        elif held:
            return {}
    if model is None:
        return {}
    return {alias(name, field): field for name, field in model.model_fields.items()}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the model.

    Attributes:
        path: dotted, ``[]`` for lists and ``*`` for names of the user's own.
        field: pydantic's description of it.
        block: the block it holds, None for a scalar.
    """

    path: str
    field: FieldInfo
    block: type[BaseModel] | None


def keys(model: type[BaseModel] = Deployment, prefix: str = "") -> Iterator[Key]:
    """Every key of the model, blocks before what is in them."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{alias(name, field)}"
        block, held = block_of(field.annotation)
        yield Key(path, field, block)
        if block is not None:
            inner = {"": path, "[]": f"{path}[]", ANY: f"{path}.{ANY}"}[held]
            yield from keys(block, f"{inner}.")


def choices(annotation: Any) -> tuple[str, ...]:
    """The values that a key may have where they are listed; none where they are not."""
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    args = get_args(annotation)
    inner = args[:1] if get_origin(annotation) in (Annotated, tuple) else args
    return next((found for arg in inner if (found := choices(arg))), ())
