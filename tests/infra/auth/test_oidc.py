"""Access tokens: those of a real provider are believed, and nothing that only looks like one."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tabular.errors import ConfigError, UnauthenticatedError, UnavailableError
from tabular.infra.auth.oidc import OidcSettings, OidcTokens, values_at
from tabular.infra.auth.provider_keys import COOLDOWN, REFRESH, STALE, ProviderKeys, check_address
from tests.testbed.oidc import AUDIENCE, OidcProvider, oidc_provider

ROLE_MAP = {"tabular-admins": "admin", "tabular-viewers": "viewer"}


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counting(httpx.HTTPTransport):
    """The network, with a count of requests."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        return super().handle_request(request)

    def close(self) -> None:
        """Used again by the next look."""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    with oidc_provider(tmp_path_factory.mktemp("oidc")) as server:
        yield server


def tokens(
    issuer: str, *, clock: Clock | None = None, transport: Any = None, **more: Any
) -> OidcTokens:
    settings = OidcSettings(
        issuer=issuer,
        audience=(AUDIENCE,),
        roles_claim="realm_access.roles",
        role_map=ROLE_MAP,
        **more,
    )
    keys = ProviderKeys(issuer, clock=clock or Clock(), transport=transport)
    return OidcTokens(settings, keys)


def refused(checked: OidcTokens, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        checked.authenticate(token)
    assert not token or token not in str(caught.value)
    return str(caught.value.reason)


def test_a_token_of_the_provider_signs_in_with_its_roles(provider: OidcProvider) -> None:
    checked = tokens(provider.issuer)
    admin = checked.authenticate(provider.token("admin"))
    assert admin.may("admin")
    assert (admin.kind, admin.via, admin.name) == ("user", "oidc", "service-admin")
    assert admin.groups == ("tabular-admins", "others")
    viewer = checked.authenticate(provider.token("viewer"))
    assert viewer.roles == ("viewer",)
    assert viewer.may("jobs:read")
    assert not viewer.may("generate")
    assert viewer.id != admin.id
    assert checked.authenticate(provider.token("viewer")).id == viewer.id
    assert checked.authenticate(provider.token("none")).scopes == frozenset()


def test_a_token_for_another_audience_is_refused(provider: OidcProvider) -> None:
    token = provider.token(audience="https://other.example")
    assert refused(tokens(provider.issuer), token) == "token.audience"


def test_another_issuer_is_refused(provider: OidcProvider, tmp_path: Path) -> None:
    with oidc_provider(tmp_path) as other:
        assert refused(tokens(provider.issuer), other.token()) == "token.key-unknown"


@pytest.mark.parametrize(
    ("offset", "leeway", "reason"),
    [
        (50, 60, None),  # the provider's clock is ahead, within the leeway
        (120, 60, "token.not-yet"),
        (120, 180, None),
        (-340, 60, None),  # tokens last 300 s
        (-400, 60, "token.expired"),
    ],
)
def test_clocks_may_differ_by_the_leeway(
    tmp_path: Path, offset: int, leeway: int, reason: str | None
) -> None:
    with oidc_provider(tmp_path, clock_offset=offset) as skewed:
        checked = tokens(skewed.issuer, leeway=leeway)
        if reason is None:
            assert checked.authenticate(skewed.token()).may("admin")
        else:
            assert refused(checked, skewed.token()) == reason


def test_keys_change_without_notice(tmp_path: Path) -> None:
    clock, network = Clock(), Counting()
    with oidc_provider(tmp_path) as provider:
        checked = tokens(provider.issuer, clock=clock, transport=network)
        old = provider.token()
        checked.authenticate(old)
        checked.authenticate(old)
        assert len(network.asked) == 2  # discovery and keys, once
        provider.rotate("EC", keep=True)
        clock.now += COOLDOWN
        assert checked.authenticate(provider.token()).may("admin")
        assert checked.authenticate(old).may("admin")
        provider.rotate()
        clock.now += REFRESH + 1
        assert checked.authenticate(provider.token()).may("admin")
        assert refused(checked, old) == "token.key-unknown"


def test_a_flood_of_unknown_keys_does_not_reach_the_provider(provider: OidcProvider) -> None:
    clock, network = Clock(), Counting()
    checked = tokens(provider.issuer, clock=clock, transport=network)
    good = provider.token()
    checked.authenticate(good)
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(good, options={"verify_signature": False})
    for number in range(50):
        forged = jwt.encode(claims, private, "RS256", headers={"kid": f"k{number}"})
        assert refused(checked, forged) == "token.key-unknown"
        clock.now += 1
    assert len(network.asked) <= 2 + 2 * 5
    assert checked.authenticate(good).may("admin")


def test_while_the_provider_is_down_known_keys_go_on(tmp_path: Path) -> None:
    clock = Clock()
    with oidc_provider(tmp_path) as provider:
        checked = tokens(provider.issuer, clock=clock)
        token = provider.token()
        checked.authenticate(token)
    clock.now += REFRESH + 1
    assert checked.authenticate(token).may("admin")
    unknown = jwt.encode(
        {"sub": "a"}, rsa.generate_private_key(65537, 2048), "RS256", headers={"kid": "new"}
    )
    with pytest.raises(UnavailableError):
        checked.authenticate(unknown)
    clock.now += STALE
    with pytest.raises(UnavailableError):
        checked.authenticate(token)
    with pytest.raises(UnavailableError):
        tokens(provider.issuer).authenticate(token)


def test_what_only_looks_like_a_token_is_refused(provider: OidcProvider) -> None:
    checked = tokens(provider.issuer)
    good = provider.token()
    claims = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    published = httpx.get(f"{provider.issuer}/jwks").json()["keys"][0]
    public = jwt.PyJWK(published, "RS256").key
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    def shared_secret() -> str:
        """The public key used as if it were a secret that both sides know."""
        import hmac

        body = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims)}"
        tag = hmac.digest(pem, body.encode(), "sha256")
        return f"{body}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"

    head, body, tail = good.split(".")
    assert refused(checked, f"{part({'alg': 'none', 'kid': kid})}.{body}.") == "token.algorithm"
    assert refused(checked, shared_secret()) == "token.algorithm"
    changed = {**claims, "realm_access": {"roles": ["tabular-admins"]}, "sub": "else"}
    assert refused(checked, f"{head}.{part(changed)}.{tail}") == "token.signature"
    assert refused(checked, f"{part({'alg': 'ES256', 'kid': kid})}.{body}.{tail}") in (
        "token.key-unknown",
        "token.malformed",
    )
    own = {"alg": "RS256", "kid": kid, "jwk": published, "jku": "https://evil.example/keys"}
    assert refused(checked, f"{part(own)}.{body}.{tail}") == "token.signature"
    for header in ({"alg": []}, {"alg": "RS256", "kid": 7}, {"alg": None}, {}, [], 7):
        assert refused(checked, f"{part(header)}.{body}.{tail}").startswith("token.")
    for text in ("", "a.b.c", good[:-20], good + ".x", "." * 5, "é" * 9, good * 40):
        assert refused(checked, text).startswith("token.")


def test_only_access_tokens_sign_in(tmp_path: Path) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    published = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
    issuer, now = "https://id.example", int(time.time())
    documents = {
        "/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": f"{issuer}/k"},
        "/k": {"keys": [{**published, "kid": "a", "use": "sig"}]},
    }
    network = httpx.MockTransport(lambda to: httpx.Response(200, json=documents[to.url.path]))

    def token(kind: str | None, **more: object) -> str:
        claims = {"iss": issuer, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 60}
        return jwt.encode({**claims, **more}, private, "RS256", headers={"kid": "a", "typ": kind})

    checked = tokens(issuer, transport=network)
    for kind in ("JWT", "at+jwt", "application/at+JWT", None):
        assert checked.authenticate(token(kind)).name == "ann", kind
    for kind in ("logout+jwt", "secevent+jwt", "dpop+jwt", "id+jwt", ""):
        assert refused(checked, token(kind or "x")) == "token.type", kind
    for claims in (
        {"at_hash": "x"},  # OpenID Connect Core 3.1.3.6: of ID tokens
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        {"typ": "ID"},  # as Keycloak writes it
        {"typ": "Refresh"},
    ):
        assert refused(checked, token("JWT", **claims)) == "token.type", claims
    assert checked.authenticate(token("JWT", typ="Bearer")).name == "ann"
    strict = tokens(issuer, transport=network, only_at_jwt=True)
    assert strict.authenticate(token("at+jwt")).name == "ann"
    for kind in ("JWT", None):
        assert refused(strict, token(kind)) == "token.type"


@pytest.mark.parametrize(
    ("claims", "path", "found"),
    [
        ({"roles": ["a", "b"]}, "roles", ["a", "b"]),
        ({"scope": "a b"}, "scope", ["a", "b"]),
        ({"x": {"y": {"z": ["a"]}}}, "x.y.z", ["a"]),
        ({"https://e.example/roles": ["a"]}, "https://e.example/roles", ["a"]),
        ({"x": ["a"]}, "x.y", []),
        ({"roles": [1, None, "a", {}]}, "roles", ["a"]),
        ({"roles": 7}, "roles", []),
        ({}, "a.b", []),
    ],
)
def test_roles_are_found_by_path(claims: dict[str, Any], path: str, found: list[str]) -> None:
    assert values_at(claims, path) == found


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example",
        "ftp://127.0.0.1",
        "id.example",
        "https://u:p@id.example",
        "https://",
        "http://[",
    ],
)
def test_a_provider_is_asked_over_https_alone(url: str) -> None:
    with pytest.raises(ConfigError):
        check_address(url)


@pytest.mark.parametrize("answer", ["other", "no-keys", "html", "large", "500", "http-keys"])
def test_a_provider_that_answers_nonsense_is_unavailable(answer: str) -> None:
    issuer = "https://id.example"
    documents: dict[str, Any] = {
        "other": {"issuer": "https://else.example", "jwks_uri": f"{issuer}/k"},
        "no-keys": {"issuer": issuer},
        "http-keys": {"issuer": issuer, "jwks_uri": "http://id.example/k"},
        "large": {"issuer": issuer, "x": "y" * 600_000},
    }

    def reply(request: httpx.Request) -> httpx.Response:
        if answer == "html":
            return httpx.Response(200, text="<html>")
        return httpx.Response(500 if answer == "500" else 200, json=documents.get(answer))

    keys = ProviderKeys(issuer, transport=httpx.MockTransport(reply))
    with pytest.raises(UnavailableError):
        keys.find("a", "RS256")


def test_a_file_that_is_not_there_is_no_crash(tmp_path: Path) -> None:
    keys = ProviderKeys("https://127.0.0.1:1", ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(UnavailableError, match="authority"):
        keys.find("a", "RS256")
