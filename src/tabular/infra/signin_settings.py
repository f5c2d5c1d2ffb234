"""The settings of sign-in, a part of `config.Settings`: sessions, guessing, OIDC, LDAP, audit.

They are checked when the service starts, not when the first person signs in.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tabular.errors import ConfigError

if TYPE_CHECKING:
    from tabular.infra.auth.directory import DirectorySettings
    from tabular.infra.auth.oidc import OidcSettings

_MEMBERS = "(|(member={dn})(uniqueMember={dn}))"


def setting(default: Any, doc: str, *, secret: bool = False, shown: str | None = None) -> Any:
    """A field with what its documentation needs.

    Args:
        default: the value when nothing is set, or a function that makes it.
        doc: its meaning, as in docs/settings.md.
        secret: it may hold a secret: it is masked, and may come from a file or a reference.
        shown: how the documentation writes the default.
    """
    extra: dict[str, Any] = {"secret": secret, "shown": shown}
    if callable(default):
        return Field(default_factory=default, description=doc, json_schema_extra=extra)
    return Field(default=default, description=doc, json_schema_extra=extra)


class SignInSettings(BaseModel):
    """Who may sign in, and how."""

    session_ttl: Annotated[int, Field(ge=60, le=30 * 86_400)] = setting(
        28_800, "Seconds that a session lasts after sign-in."
    )
    signin_account_limit: Annotated[int, Field(ge=1)] = setting(
        10,
        "Failed sign-ins with a password that an account may have within TABULAR_SIGNIN_WINDOW. "
        "Its sessions and keys go on, and so do sign-ins from addresses that it is known at.",
    )
    signin_client_limit: Annotated[int, Field(ge=1)] = setting(
        20, "Failed sign-ins that a client address may have within TABULAR_SIGNIN_WINDOW."
    )
    signin_window: Annotated[int, Field(ge=1, le=86_400)] = setting(
        300, "Seconds over which failed sign-ins are counted."
    )
    audit_retention_days: Annotated[int, Field(ge=1, le=3650)] = setting(
        365, "Days that security events are kept for `GET /v1/audit`."
    )
    oidc_issuer: str | None = setting(
        None,
        "URL of the OpenID Connect provider whose access tokens are accepted, exactly as in their "
        "`iss`; https, or http on 127.0.0.1. Needs the extra `oidc`. Empty: none are.",
        shown="``",
    )
    oidc_audience: tuple[str, ...] = setting(
        (), "Comma-separated; a token's `aud` must hold one of these. Required with an issuer."
    )
    oidc_roles_claim: str = setting(
        "roles", "Claim with roles or groups, with dots between levels: `realm_access.roles`."
    )
    oidc_role_map: str = setting(
        "",
        "Our role for a value of that claim: `VALUE=ROLE,…` with admin, operator, user or viewer. "
        "Other values give nothing. Empty: values that are called like our roles.",
        shown="``",
    )
    oidc_leeway: Annotated[float, Field(ge=0, le=600)] = setting(
        60.0, "Seconds by which the provider's clock and ours may differ."
    )
    oidc_only_at_jwt: bool = setting(
        False,
        "Accept only tokens whose header says `typ: at+jwt` (RFC 9068). Set it where the provider "
        "writes it, and always where an audience is a client id: ID tokens have that one too.",
    )
    oidc_ca_file: str | None = setting(
        None, "PEM file of the private authority of the provider's certificate.", shown="``"
    )
    ldap_url: tuple[str, ...] = setting(
        (),
        "Comma-separated directory servers, the first is preferred: `ldaps://host[:port]`, or "
        "`ldap://host[:port]`, which always does StartTLS. Needs the extra `ldap`. Empty: no "
        "sign-in with a password.",
    )
    ldap_plain: bool = setting(
        False, "Ask `ldap://` servers without TLS; only on the loopback interface."
    )
    ldap_ca_file: str | None = setting(
        None, "PEM file of the private authority of the servers' certificates.", shown="``"
    )
    ldap_bind_dn: str = setting(
        "", "The service's own name in the directory, which may search it.", shown="``"
    )
    ldap_bind_password: str = setting(
        "",
        "Reference to its password, such as `file:/run/secrets/ldap`; never the password itself. "
        "Read again when it is refused or five minutes old.",
        shown="``",
    )
    ldap_user_base: str = setting("", "Where people are, such as `ou=people,dc=…`.", shown="``")
    ldap_user_filter: str = setting(
        "(uid={username})",
        "How a person is found; for Active Directory `(sAMAccountName={username})`.",
    )
    ldap_group_base: str = setting("", "Where groups are.", shown="``")
    ldap_group_filter: str = setting(
        _MEMBERS,
        "How the groups of a `{dn}` or `{username}` are found; they are followed through groups. "
        "Not used with Active Directory, which follows them itself.",
        shown="`" + _MEMBERS.replace("|", "\\|") + "`",
    )
    ldap_role_map: str = setting(
        "",
        "Our role for a group, by its DN or cn: `GROUP=ROLE;…` with admin, operator, user or "
        "viewer. Who has no role is refused.",
        shown="``",
    )
    ldap_timeout: Annotated[float, Field(gt=0, le=60)] = setting(
        5.0, "Seconds within which a directory server must answer each question."
    )

    @field_validator("oidc_audience", "ldap_url", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part for part in (item.strip() for item in value.split(",")) if part)
        return value

    @field_validator("oidc_issuer", "oidc_ca_file", "ldap_ca_file")
    @classmethod
    def _empty_is_none(cls, value: str | None) -> str | None:
        return value or None

    @model_validator(mode="after")
    def _signs_in(self) -> SignInSettings:
        for name, read in (("OIDC", self.oidc), ("LDAP", self.directory)):
            try:
                read()
            except ConfigError as error:
                hint = f"; {error.hint}" if error.hint else ""
                raise PydanticCustomError(
                    "sign-in",
                    "{text}",
                    {"text": f"{error.message}{hint}", "variable": f"TABULAR_{name}_…"},
                ) from error
        return self

    def oidc(self) -> OidcSettings | None:
        """What is expected of access tokens; None when none are accepted.

        Raises:
            ConfigError: a setting that is missing or cannot be read.
        """
        if self.oidc_issuer is None:
            return None
        from tabular.infra.auth.oidc import OidcSettings
        from tabular.infra.auth.provider_keys import check_address
        from tabular.infra.auth.scopes import ROLES, parse_role_map

        if not self.oidc_audience:
            raise ConfigError("TABULAR_OIDC_AUDIENCE is required with an issuer")
        return OidcSettings(
            issuer=check_address(self.oidc_issuer),
            audience=self.oidc_audience,
            roles_claim=self.oidc_roles_claim,
            role_map=parse_role_map(self.oidc_role_map, ",") or {role: role for role in ROLES},
            leeway=self.oidc_leeway,
            only_at_jwt=self.oidc_only_at_jwt,
            ca_file=self.oidc_ca_file,
        )

    def directory(self) -> DirectorySettings | None:
        """Where people and groups are; None without a directory.

        Raises:
            ConfigError: a setting that is missing or cannot be read.
        """
        if not self.ldap_url:
            return None
        from tabular.infra.auth.directory import DirectorySettings
        from tabular.infra.auth.ldap_connection import Link, check_link
        from tabular.infra.auth.scopes import parse_role_map
        from tabular.infra.secrets import is_reference

        for name in ("bind_dn", "bind_password", "user_base", "group_base", "role_map"):
            if not getattr(self, f"ldap_{name}"):
                raise ConfigError(f"TABULAR_LDAP_{name.upper()} is required with TABULAR_LDAP_URL")
        if not is_reference(self.ldap_bind_password):
            raise ConfigError(
                "TABULAR_LDAP_BIND_PASSWORD is no reference to a secret",
                hint="write env:NAME or file:/path, not the password",
            )
        links = [
            Link(url, self.ldap_ca_file, self.ldap_timeout, self.ldap_plain)
            for url in self.ldap_url
        ]
        return DirectorySettings(
            links=tuple(check_link(link) for link in links),
            bind_dn=self.ldap_bind_dn,
            user_base=self.ldap_user_base,
            user_filter=self.ldap_user_filter,
            group_base=self.ldap_group_base,
            group_filter=self.ldap_group_filter,
            role_map=parse_role_map(self.ldap_role_map, ";"),
        )

    def audit_retention(self) -> timedelta:
        """How long security events are kept."""
        return timedelta(days=self.audit_retention_days)
