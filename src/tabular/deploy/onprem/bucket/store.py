"""One store: its bucket and its user are there, or are made, and all of it can be done again.

In this order: bucket, policy, user, policy of the user. Who dies in between leaves a user without
rights at most, and the next one begins anew. Nothing is written where everything is as it should
be, so that a pod starts also while the store can only be read.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import SplitResult

import httpx
import obstore
from obstore.store import S3Store

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.urls import options, split

from .user import Administration, RefusedError, UnansweredError, policy_of

_PATIENCE = 240.0
_OPTIONS = ("ca", "endpoint", "region")
_HERE = (httpx.codes.OK, httpx.codes.CONFLICT)  # 409: it was there, and it is ours
_ROOT_HINT = (
    "they are storage-access-key and storage-secret-key of the deployment's secret, or root-user "
    "and root-password of one of your own"
)


@dataclass(frozen=True, slots=True)
class Keys:
    """Who one is to the store.

    Attributes:
        user: access key.
        password: secret key.
    """

    user: str
    password: str = field(repr=False)


def ensure(url: str, own: Keys, root: Keys, *, patience: float = _PATIENCE) -> None:
    """Make bucket and user, or find them there.

    Args:
        url: ``s3://bucket/prefix?endpoint=…``.
        own: what the service's user is called, and its password.
        root: of the store's administrator.
        patience: seconds to wait for a store that does not answer.

    Raises:
        ConfigError: no such URL, or the store refuses.
        UnavailableError: the store did not answer in time.
    """
    if own.user == root.user:
        raise ConfigError(
            f"the store's administrator is called {root.user!r}, as the service's own user is",
            where="storage.minio.root_user",
            hint="give the administrator another name",
        )
    place = _Place.of(url)
    _until(place.where, patience, lambda: _made(place, own, root))


def wait(url: str, own: Keys, *, patience: float = _PATIENCE) -> None:
    """Wait until a user can work in the bucket.

    Raises:
        ConfigError: no such URL.
        UnavailableError: it was not so in time.
    """
    place = _Place.of(url)

    def usable() -> None:
        if not place.opens(own):
            raise UnansweredError(f"{own.user} may not use the bucket yet; the API's pods make it")

    _until(place.where, patience, usable)


def _made(place: _Place, own: Keys, root: Keys) -> None:
    bucket = place.parts.netloc
    with Administration(
        place.endpoint, place.region, root.user, root.password, tls=place.tls
    ) as administration:
        try:
            if place.opens(own) and administration.has(own.user, bucket):
                return
            place.make_bucket(root)
            administration.make(own.user, own.password, policy_of(bucket))
        except RefusedError as error:
            raise ConfigError(
                f"the store refuses its administrator: {error}", where=place.where, hint=_ROOT_HINT
            ) from error


def _until(where: str, patience: float, done: Callable[[], None]) -> None:
    """Do it again until the store answers."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return done()
        except (UnansweredError, httpx.HTTPError) as error:
            said = str(error) if isinstance(error, UnansweredError) else type(error).__name__
            if time.monotonic() > deadline:
                raise UnavailableError(f"the store does not answer: {said}", where=where) from error
        time.sleep(1)


@dataclass(frozen=True, slots=True)
class _Place:
    """A bucket at an endpoint."""

    parts: SplitResult
    given: dict[str, str]
    tls: ssl.SSLContext

    @classmethod
    def of(cls, url: str) -> _Place:
        parts = split(url, ("s3",), what="storage")
        given = options(parts, _OPTIONS, what="storage")
        if "endpoint" not in given:
            raise ConfigError("the storage URL names no endpoint", where=f"s3://{parts.netloc}")
        return cls(parts, given, ssl.create_default_context(cafile=given.get("ca")))

    @property
    def where(self) -> str:
        return f"s3://{self.parts.netloc}"

    @property
    def endpoint(self) -> str:
        return self.given["endpoint"]

    @property
    def region(self) -> str:
        return self.given.get("region", "us-east-1")

    def opens(self, keys: Keys) -> bool:
        """Whether somebody may look into the bucket."""
        answer = self._ask("GET", keys)
        return bool(answer.status_code == httpx.codes.OK)

    def make_bucket(self, keys: Keys) -> None:
        """Make it, or find it there."""
        answer = self._ask("PUT", keys)
        if answer.status_code not in _HERE or "BucketAlreadyExists" in answer.text:
            raise RefusedError(f"{answer.status_code} {answer.text[:300]}")

    def _ask(self, method: Literal["GET", "PUT"], keys: Keys) -> httpx.Response:
        config: dict[str, Any] = {
            "access_key_id": keys.user,
            "secret_access_key": keys.password,
            "endpoint": self.endpoint,
            "region": self.region,
        }
        store = S3Store(
            self.parts.netloc,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            **config,
        )
        signed = obstore.sign(store, method, "", timedelta(minutes=1))
        with httpx.Client(verify=self.tls, timeout=10) as client:
            answer = client.request(method, signed)
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise UnansweredError(f"status {answer.status_code}")
        return answer
