"""The public keys of an identity provider, kept here so that it is not asked for each request.

Providers change their keys without notice, so a token that names an unknown key makes us look
again; but anybody can send such tokens, so we look at most once in ten seconds. A provider
that does not answer locks nobody out whose key is known: keys that were fetched go on for a day.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.loopback import is_loopback
from tabular.infra.urls import public

REFRESH = 600.0  # seconds after which keys are asked for again
COOLDOWN = 10.0  # least seconds between two looks, whatever is sent
STALE = 24 * 3600.0  # seconds for which fetched keys are right while the provider is down
TIMEOUT = 3.0
MAX_BYTES = 512 * 1024
ASYMMETRIC = frozenset({"RSA", "EC", "OKP"})  # a public key must never be taken for a shared one

_LOG = logging.getLogger(__name__)


@dataclass
class _Known:
    keys: Sequence[Mapping[str, Any]]
    fetched: float


class ProviderKeys:
    """The keys behind an issuer's discovery document. Safe to use from several threads.

    Args:
        issuer: its URL; https, or http on the loopback interface.
        ca_file: PEM file of a private authority; the system's own when None.
        clock: seconds that never go back.
        transport: how to reach the provider, when not over the network.
    """

    def __init__(
        self,
        issuer: str,
        *,
        ca_file: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.issuer = issuer
        self._ca_file = ca_file
        self._clock = clock
        self._transport = transport
        self._lock = threading.Lock()
        self._known: _Known | None = None
        self._tried: float | None = None
        self._failure: UnavailableError | None = None

    def find(self, kid: str | None, algorithm: str) -> Mapping[str, Any] | None:
        """The key of that id which may sign with that algorithm, or None.

        Args:
            kid: the id; None fits when only one key can be meant.
            algorithm: such as ``RS256``.

        Raises:
            UnavailableError: whether there is such a key cannot be known now.
        """
        known = self.known()
        found = _pick(known, kid, algorithm)
        if found is None:
            self._look()
            known = self.known()
            found = _pick(known, kid, algorithm)
        if found is None and self._failure is not None:
            raise self._failure
        return found

    def known(self) -> Sequence[Mapping[str, Any]]:
        """The keys, asked for again when they are old.

        Raises:
            UnavailableError: there are none that may still be used.
        """
        known = self._known
        if known is None or self._clock() - known.fetched > REFRESH:
            self._look()
            known = self._known
        if known is None or self._clock() - known.fetched > STALE:
            raise self._failure or UnavailableError(
                "the identity provider has not been asked yet", where=public(self.issuer)
            )
        return known.keys

    def _look(self) -> None:
        """Ask the provider, unless that was done a moment ago or is being done."""
        if not self._lock.acquire(timeout=TIMEOUT if self._known is None else 0.5):
            return
        try:
            if self._tried is not None and self._clock() - self._tried < COOLDOWN:
                return
            try:
                self._known = _Known(self._fetch(), self._clock())
                self._failure = None
            except UnavailableError as error:
                _LOG.warning("keys of the identity provider: %s", error)
                self._failure = error
            self._tried = self._clock()
        finally:
            self._lock.release()

    def _fetch(self) -> Sequence[Mapping[str, Any]]:
        try:
            verify = ssl.create_default_context(cafile=self._ca_file)
        except OSError as error:
            raise self._failed(f"its authority's file {self._ca_file} cannot be read") from error
        with httpx.Client(timeout=TIMEOUT, verify=verify, transport=self._transport) as client:
            base = self.issuer.rstrip("/")
            document = self._get(client, f"{base}/.well-known/openid-configuration")
            if document.get("issuer") != self.issuer:
                raise self._failed("its discovery document names another issuer")
            address = document.get("jwks_uri")
            if not isinstance(address, str):
                raise self._failed("its discovery document names no keys")
            try:
                check_address(address)
            except ConfigError as error:
                raise self._failed(f"its keys: {error.message}") from error
            keys = self._get(client, address).get("keys")
        if not isinstance(keys, list):
            raise self._failed("its keys are no JWK set")
        return [key for key in keys if isinstance(key, dict) and key.get("kty") in ASYMMETRIC]

    def _get(self, client: httpx.Client, address: str) -> dict[str, Any]:
        try:
            with client.stream("GET", address) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise self._failed(f"answered {answer.status_code}")
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise self._failed("its answer is too large")
            found = httpx.Response(200, content=body).json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._failed(f"does not answer ({type(error).__name__})") from error
        if not isinstance(found, dict):
            raise self._failed("its answer is no JSON object")
        return found

    def _failed(self, what: str) -> UnavailableError:
        return UnavailableError(f"the identity provider: {what}", where=public(self.issuer))


def check_address(url: str) -> str:
    """The URL, when what comes from it can be believed.

    Raises:
        ConfigError: neither https nor http on the loopback interface, or not a plain URL.
    """
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError("not the URL of an identity provider") from error
    if parts.userinfo or parts.fragment or not parts.host:
        raise ConfigError("not the URL of an identity provider", where=public(url))
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.host)):
        raise ConfigError(
            "an identity provider is asked over https alone; http is for 127.0.0.1",
            where=public(url),
        )
    return url


def _pick(
    keys: Sequence[Mapping[str, Any]], kid: str | None, algorithm: str
) -> Mapping[str, Any] | None:
    fitting = [
        key
        for key in keys
        if (kid is None or key.get("kid") == kid)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
    ]
    return fitting[0] if fitting and (kid is not None or len(fitting) == 1) else None
