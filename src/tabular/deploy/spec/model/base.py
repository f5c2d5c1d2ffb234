"""What every block of the spec has in common: immutable, closed, strict, and documented.

Strict because YAML already has types: `replicas: "3"` or `version: 14.10` are mistakes that a
lenient reader would turn into something that only looks right.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Block(BaseModel):
    """Base of all blocks of the spec."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True
    )


def key(default: Any, doc: str, *examples: Any, local: bool = False, **limits: Any) -> Any:
    """One optional key of a block.

    Args:
        default: its value when the file does not say it.
        doc: what it means; shown by editors and in the reference.
        examples: values as a file would have them.
        local: it is about the user's machine, so it does not travel with the deployment.
        limits: pydantic's constraints.
    """
    return Field(
        default,
        description=doc,
        examples=list(examples) or None,
        json_schema_extra={"x-local": True} if local else None,
        **limits,
    )


def contradiction(key_name: str, message: str) -> PydanticCustomError:
    """Two keys of one block that cannot both hold; reported at ``key_name``."""
    return PydanticCustomError("contradiction", "{problem}", {"problem": message, "key": key_name})


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


AsTuple = BeforeValidator(_listed)

LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
Label = Annotated[str, Field(pattern=LABEL, max_length=63)]
OBJECT = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
# Name of an object of Kubernetes that is there already, such as `csi.rbd` or `2fast`.
ObjectName = Annotated[str, Field(pattern=OBJECT, max_length=253)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@+-]*$", max_length=300)]
Percent = Annotated[int, Field(ge=0, le=100)]
Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]*$", max_length=40)]
