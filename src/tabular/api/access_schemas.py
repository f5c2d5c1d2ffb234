"""The shapes of sign-in, keys and the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, field_validator, model_validator

from tabular.api.schemas import Name, Request

Role = Literal["admin", "operator", "user", "viewer"]
Plan = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]
MAX_OVERLAP = 30 * 86_400


class KeyRequest(Request):
    """A key to be issued, with scopes or with a role."""

    name: Name
    scopes: list[str] = Field(default_factory=list, max_length=20)
    role: Role | None = None
    plan: Plan = "default"
    expires_at: datetime | None = Field(None, description="With a time zone; null: never.")

    @field_validator("expires_at")
    @classmethod
    def _zoned(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment needs a time zone, such as 2027-01-31T00:00:00Z")
        return value


class RotateRequest(Request):
    """How a key is changed over."""

    overlap_seconds: int = Field(
        86_400,
        ge=0,
        le=MAX_OVERLAP,
        strict=True,
        description="The old secret goes on for so long; 0: it ends.",
    )


class KeyOut(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    scopes: list[str]
    role: str | None
    plan: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    rotated_at: datetime | None
    previous_until: datetime | None = Field(description="The secret before is right until then.")
    revoked_at: datetime | None


class IssuedKeyOut(BaseModel):
    """A new key, or a new secret of one; `key` is shown this once."""

    id: str
    name: str
    scopes: list[str]
    role: str | None
    plan: str
    expires_at: datetime | None
    previous_until: datetime | None = None
    key: str


class KeyPage(BaseModel):
    """Keys, newest first."""

    items: list[KeyOut]
    next: str | None


class SignInRequest(Request):
    """A name and a password, or a key."""

    username: str | None = Field(None, max_length=200)
    password: str | None = Field(None, max_length=1024, repr=False)
    key: str | None = Field(None, max_length=200, repr=False)
    cookie: bool = Field(
        False, strict=True, description="Give the session as a cookie, for a browser."
    )

    @model_validator(mode="after")
    def _one_way(self) -> SignInRequest:
        by_password = self.username is not None and self.password is not None
        halves = (self.username is None) != (self.password is None)
        if halves or by_password == (self.key is not None):
            raise ValueError("send username and password, or key")
        return self


class WhoOut(BaseModel):
    """Who asks, and what that one may do."""

    id: str
    name: str
    kind: Literal["key", "user"]
    via: Literal["key", "session", "oidc"]
    roles: list[str]
    scopes: list[str]
    groups: list[str]
    plan: str


class SessionOut(BaseModel):
    """A session; `token` is shown this once, and not at all when it is a cookie."""

    id: str
    token: str | None
    expires_at: datetime
    principal: WhoOut


class OpenSessionOut(BaseModel):
    """A session that has not ended, without its token."""

    id: str
    principal_id: str = Field(description="Of the person, or of the key it was made from.")
    name: str
    key_id: str | None = Field(description="The key that it was made from, and ends with.")
    roles: list[str]
    plan: str
    client: str = Field(description="The address that signed in.")
    created_at: datetime
    expires_at: datetime


class SessionPage(BaseModel):
    """Sessions, newest first."""

    items: list[OpenSessionOut]
    next: str | None


class EndedOut(BaseModel):
    """How many sessions ended."""

    ended: int


class AuditEventOut(BaseModel):
    """Something that matters for security and happened."""

    id: str
    at: datetime
    event: str
    outcome: Literal["ok", "refused"]
    reason: str | None
    principal_id: str | None
    kind: str | None
    name: str | None
    resource: str | None
    client: str
    request_id: str


class AuditPage(BaseModel):
    """Events, newest first."""

    items: list[AuditEventOut]
    next: str | None
