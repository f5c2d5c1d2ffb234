"""Access tokens of an OpenID Connect provider, checked here without asking it each time.

What the token itself says about how to check it is never believed: the algorithm must be on
our list, which has no ``none`` and nothing with shared secrets, and must fit the provider's
published key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabular.errors import UnauthenticatedError
from tabular.infra.auth.principal import Principal, person
from tabular.infra.auth.provider_keys import ProviderKeys
from tabular.infra.optional import require

ALGORITHMS = frozenset(
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
)
MAX_TOKEN = 16 * 1024
MAX_GROUPS = 200
ACCESS_TOKEN = ("at+jwt", "application/at+jwt")  # RFC 9068
_TYPES = frozenset({"", "jwt", *ACCESS_TOKEN})
# What only other tokens have: ID tokens, and the events of logout and security tokens.
_NOT_OF_ACCESS = ("at_hash", "c_hash", "events")
_OTHER_KINDS = frozenset({"id", "refresh", "offline", "logout"})  # Keycloak's `typ` in the claims
_NAMES = ("preferred_username", "email", "name", "client_id", "azp", "sub")


@dataclass(frozen=True)
class OidcSettings:
    """What is expected of a token.

    Attributes:
        issuer: ``iss``, to the letter.
        audience: one of these is in ``aud``.
        roles_claim: where the roles are, with dots between levels: ``realm_access.roles``.
        role_map: our role for a value of that claim, by `str.casefold`; values that are not
            in it give nothing.
        leeway: seconds by which clocks may differ.
        only_at_jwt: a token must say that it is an access token (RFC 9068). Many providers do
            not; then nothing but the audience tells theirs from ID tokens.
        ca_file: PEM file of the authority of the provider's certificate.
    """

    issuer: str
    audience: tuple[str, ...]
    roles_claim: str = "roles"
    role_map: Mapping[str, str] = field(default_factory=dict)
    leeway: float = 60.0
    only_at_jwt: bool = False
    ca_file: str | None = None


class OidcTokens:
    """Checks tokens of one issuer.

    Args:
        settings: what is expected.
        keys: the issuer's; made from the settings when None.

    Raises:
        ConfigError: the ``oidc`` extra is not installed.
    """

    def __init__(self, settings: OidcSettings, keys: ProviderKeys | None = None) -> None:
        self._jwt = require("jwt", extra="oidc", needed_by="TABULAR_OIDC_… settings")
        require("cryptography", extra="oidc", needed_by="TABULAR_OIDC_… settings")
        self._settings = settings
        self._keys = keys or ProviderKeys(settings.issuer, ca_file=settings.ca_file)

    def authenticate(self, token: str) -> Principal:
        """Who holds this token.

        Raises:
            UnauthenticatedError: not a token of this issuer for us, at this time.
            UnavailableError: the issuer's keys are not known and it does not answer.
        """
        claims = self._claims(token)
        groups = values_at(claims, self._settings.roles_claim)[:MAX_GROUPS]
        subject = str(claims["sub"])
        name = next(str(claims[name]) for name in _NAMES if claims.get(name))
        return person(
            self._settings.issuer,
            subject,
            "".join(filter(str.isprintable, name))[:200] or subject[:200],
            roles=mapped(groups, self._settings.role_map),
            groups=groups,
            via="oidc",
        )

    def _claims(self, token: str) -> dict[str, Any]:
        jwt, settings = self._jwt, self._settings
        if len(token) > MAX_TOKEN:
            raise _wrong("it is too long", "token.malformed")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise _wrong("it is no signed JWT", "token.malformed") from error
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise _wrong("its algorithm is not accepted", "token.algorithm")
        if not _may_be_access(header.get("typ"), ACCESS_TOKEN if settings.only_at_jwt else _TYPES):
            raise _wrong("it is no access token", "token.type")
        found = self._keys.find(header.get("kid"), algorithm)
        if found is None:
            raise _wrong("it is signed with an unknown key", "token.key-unknown")
        try:
            key = jwt.PyJWK(dict(found), algorithm)
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                issuer=settings.issuer,
                audience=settings.audience,
                leeway=settings.leeway,
                options={
                    "require": ["iss", "aud", "exp", "iat", "sub"],
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.PyJWTError as error:
            raise _explained(type(error).__name__) from error
        is_other = str(claims.get("typ")).lower() in _OTHER_KINDS
        if is_other or any(claims.get(name) for name in _NOT_OF_ACCESS):
            raise _wrong("it is no access token", "token.type")
        return claims


def _may_be_access(kind: object, accepted: Collection[str]) -> bool:
    return (kind is None and "" in accepted) or (isinstance(kind, str) and kind.lower() in accepted)


def values_at(claims: Mapping[str, Any], path: str) -> list[str]:
    """The texts at a dotted path of claims; none when there is nothing of the kind.

    A claim whose own name has the dots, such as a URL, is found as well.
    """
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return found.split()  # as `scope` is written
    if not isinstance(found, list):
        return []
    return [value for value in found if isinstance(value, str)]


def mapped(values: Sequence[str], role_map: Mapping[str, str]) -> list[str]:
    """Our roles for these groups or values, each once, in order of our map."""
    given = {value.casefold() for value in values}
    return list(dict.fromkeys(role for value, role in role_map.items() if value in given))


_REASONS = {
    "ExpiredSignatureError": ("it has expired", "token.expired"),
    "ImmatureSignatureError": ("it is not valid yet", "token.not-yet"),
    "InvalidIssuedAtError": ("its time of issue is no time", "token.malformed"),
    "InvalidAudienceError": ("it is for another audience", "token.audience"),
    "InvalidIssuerError": ("it is of another issuer", "token.issuer"),
    "MissingRequiredClaimError": ("it lacks iss, aud, exp, iat or sub", "token.claims"),
    "InvalidSignatureError": ("its signature is wrong", "token.signature"),
}


def _explained(kind: str) -> UnauthenticatedError:
    return _wrong(*_REASONS.get(kind, ("it cannot be checked", "token.malformed")))


def _wrong(what: str, reason: str) -> UnauthenticatedError:
    return UnauthenticatedError(
        f"the access token is not valid: {what}",
        hint="get a new token from your identity provider",
        reason=reason,
        challenge=f'error="invalid_token", error_description="{what}"',
    )
