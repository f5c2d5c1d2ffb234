"""A secret of the spec: named by reference, or written out, but never shown.

A literal such as the `changeme` of many examples must parse, so that policy can refuse it where
it matters with a message that helps. From there on it can only be asked for by name: it is not
in any dump, text form or error of the model.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from tabular.infra.secrets import is_reference

WITHHELD = {"withheld": True}  # what plain data has in place of a secret that was written out
REFERENCE = r"^[a-z][a-z0-9-]*:.+$"
SECRET_KEY = re.compile(
    r"(password|passwd|secret|token|api_?key|private_?key|access_?key|credentials?)$", re.IGNORECASE
)


class Secret(BaseModel):
    """One secret, in exactly one of three forms.

    Attributes:
        secret_ref: where it is kept, e.g. ``env:NAME``, ``file:/path``, ``k8s:name/key``.
        literal: the value itself, as written in the file.
        withheld: there was a literal, and this copy of the spec was made without it.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True
    )

    secret_ref: str | None = Field(None, alias="secretRef", pattern=REFERENCE, max_length=500)
    literal: SecretStr | None = Field(None, exclude=True, repr=False)
    withheld: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            if not value or len(value) > 4096:
                raise PydanticCustomError("secret", "a secret is 1 to 4096 characters long")
            if is_reference(value):
                return {"secretRef": value}
            return {"literal": SecretStr(value)}
        if isinstance(value, Secret):
            return value
        if not isinstance(value, dict) or isinstance(value.get("literal"), str):
            raise PydanticCustomError(
                "secret", "expected text in quotes, or a block with the key secretRef"
            )
        return value

    @model_validator(mode="after")
    def _one_form(self) -> Secret:
        forms = (self.secret_ref is not None, self.literal is not None, self.withheld)
        if sum(forms) != 1:
            raise PydanticCustomError("secret", "expected the key secretRef, e.g. env:NAME")
        return self

    @model_serializer
    def _dump(self) -> dict[str, Any]:
        return {"secretRef": self.secret_ref} if self.secret_ref else dict(WITHHELD)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        reference = {"type": "string", "pattern": REFERENCE}
        return {
            "title": "Secret",
            "description": "A reference to a secret; a value written out is refused by policy.",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "properties": {"secretRef": reference},
                    "required": ["secretRef"],
                    "additionalProperties": False,
                },
            ],
        }

    def __str__(self) -> str:
        return f"secretRef {self.secret_ref}" if self.secret_ref else "********"
