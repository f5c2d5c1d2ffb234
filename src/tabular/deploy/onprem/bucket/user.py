"""The service's user at MinIO, made by the protocol of MinIO's own administration.

S3 has no word for users. MinIO has one of its own, whose bodies are encrypted with the
administrator's password; the package ``minio`` of its makers speaks it.
"""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tabular.infra.optional import require

_ENABLED = "enabled"
_TIMEOUT = 10.0  # seconds


class RefusedError(Exception):
    """The store answers, and refuses."""


class UnansweredError(Exception):
    """The store does not answer, or not yet as it should."""


def policy_of(bucket: str) -> dict[str, Any]:
    """What the service does in its bucket, and nothing else, as a policy.

    The first two statements are what `tabular.infra.storage` asks for. MinIO lets every user make
    further keys for itself and change its password, unless a policy denies it.
    """
    objects = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [arn]},
            {"Effect": "Allow", "Action": objects, "Resource": [f"{arn}/*"]},
            {"Effect": "Deny", "Action": ["admin:*"]},
        ],
    }


class Administration:
    """A MinIO, as its administrator.

    Args:
        endpoint: its URL.
        region: its own, with which requests are signed.
        user: name of the administrator.
        password: of the administrator.
        tls: whom to trust.

    Raises:
        ConfigError: the package ``minio`` is missing.
    """

    def __init__(
        self, endpoint: str, region: str, user: str, password: str, *, tls: ssl.SSLContext
    ) -> None:
        minio = require("minio", extra="minio", needed_by="users of MinIO")
        from minio.credentials.providers import StaticProvider
        from urllib3 import PoolManager, Timeout

        place = urlsplit(endpoint)
        secure = place.scheme == "https"
        self._http = PoolManager(
            timeout=Timeout(_TIMEOUT),
            retries=False,
            ssl_context=tls if secure else None,
        )
        self._client = minio.MinioAdmin(
            endpoint=place.netloc,
            region=region,
            credentials=StaticProvider(user, password),
            secure=secure,
            http_client=self._http,
        )

    def __enter__(self) -> Administration:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.clear()

    def has(self, user: str, bucket: str) -> bool:
        """Whether a user is there with just the policy of a bucket.

        Raises:
            RefusedError: the administrator may not look.
            UnansweredError: there was no answer.
        """
        with _explained():
            found = json.loads(self._client.user_info(user))
        named = _name(user, policy_of(bucket))
        return (found.get("policyName"), found.get("status")) == (named, _ENABLED)

    def make(self, user: str, password: str, policy: Mapping[str, Any]) -> None:
        """Make a user with one policy; one that is there gets this password and this policy.

        A policy is called by what it says, so one that a user has is never another than was meant.

        Raises:
            RefusedError: the administrator may not.
            UnansweredError: there was no answer.
        """
        name = _name(user, policy)
        with _explained():
            self._client.policy_add(name, policy=policy)
            self._client.user_add(user, password)
            self._client.policy_set(name, user=user)


def _name(user: str, policy: Mapping[str, Any]) -> str:
    text = json.dumps(policy, sort_keys=True).encode()
    return f"{user}-{hashlib.sha256(text).hexdigest()[:8]}"


@contextmanager
def _explained() -> Iterator[None]:
    from minio.error import MinioAdminException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except MinioAdminException as error:
        code, body = str(error._code), str(error._body)
        if code.startswith("5"):
            raise UnansweredError(f"status {code}") from None
        raise RefusedError(f"{code} {body[:300]}") from None
    except HTTPError as error:
        raise UnansweredError(type(error).__name__) from None
