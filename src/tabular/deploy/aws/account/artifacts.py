"""What CloudFormation does not keep: templates too large for a call, and the releases before.

One bucket for each account and region, made at the first apply. Its name is known beforehand, so
every call says whose bucket it must be: another account cannot put one in its place. A record is
read back only as it was written: boto3 takes a body that was cut short for a whole one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.aws.account import bucket
from tabular.deploy.aws.account.refusals import code_of, explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.account.stacks import release_of, stack_name
from tabular.deploy.stack import Stack, canonical_json, fingerprint
from tabular.deploy.target import Target
from tabular.errors import (
    IntegrityError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

MAX_BODY = 51_200  # bytes of a template within a call, says the quota page of CloudFormation
MAX_STORED = 1_000_000  # bytes of a template in a bucket, likewise (1 MB)
_READS = 3  # tries at a body, of which boto3 itself makes one


@dataclass(frozen=True, slots=True)
class Release:
    """One release as it was handed in.

    Attributes:
        stack: what was compiled.
        previous: id of the release that it took the place of; None for a first one.
    """

    stack: Stack
    previous: str | None


class Artifacts:
    """The bucket of one account, in any region."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def bucket(self, region: str) -> str:
        """Its name."""
        return f"inferloop-tabular-{self._session.account}-{region}"

    def ensure(self, region: str) -> bool:
        """Make the bucket, closed and encrypted; True where it was not there yet.

        Raises:
            RefusedError: the name is taken by another account.
        """
        s3, name, owner = self._s3(region), self.bucket(region), self._session.account
        with explained("s3:CreateBucket"):
            made = not bucket.is_there(s3, name, owner) and bucket.create(s3, name, region)
            # A client may have died between the two.
            if made or not bucket.is_closed(s3, name, owner):
                bucket.close(s3, name, self._session.partition(region))
        return made

    def arguments(self, stack: str, body: bytes, region: str) -> dict[str, str]:
        """How a call of CloudFormation is given a template; put into the bucket if too large.

        Raises:
            RefusedError: CloudFormation takes no template of this size.
        """
        if len(body) > MAX_STORED:
            raise RefusedError(
                f"the template has {len(body)} bytes, and CloudFormation takes {MAX_STORED}",
                hint="shorten labels, dashboards and overrides",
            )
        if len(body) <= MAX_BODY:
            return {"TemplateBody": body.decode()}
        self.ensure(region)
        key = f"{stack}/templates/{hashlib.sha256(body).hexdigest()}.json"
        self._put(region, key, body)
        endpoint = self._s3(region).meta.endpoint_url
        return {"TemplateURL": f"{endpoint}/{self.bucket(region)}/{key}"}

    def remember(self, stack: Stack, previous: str | None) -> None:
        """Keep a release, before it is applied."""
        key = _release_key(stack.target, release_of(stack))
        self._write(stack.target, key, {"stack": stack.as_dict(), "previous": previous})

    def release(self, target: Target, release: str) -> Release:
        """A release that was remembered.

        Raises:
            NotFoundError: it was not, or it was removed.
            IntegrityError: it is not as it was written.
        """
        key = _release_key(target, release)
        data = self._read(target, key)
        if data is None:
            raise NotFoundError(
                f"the template of release {release} is not kept",
                where=self._where(target, key),
                hint="deploy the spec you want",
                code="not-found.release",
            )
        stack = Stack.from_dict(data["stack"])
        if release_of(stack) != release or stack.target != target:
            raise self._altered(target, key)
        return Release(stack, data["previous"])

    def open_rollback(self, target: Target, token: str) -> None:
        """Note that a rollback begins, whose end nobody has seen yet."""
        self._write(target, _rollback_key(target), {"token": token})

    def open_rollback_of(self, target: Target) -> str | None:
        """Token of the rollback whose end nobody has seen; None where there is none."""
        found = self._read(target, _rollback_key(target))
        return None if found is None else str(found["token"])

    def close_rollback(self, target: Target) -> None:
        """Note that its end was seen."""
        region = target.region or ""
        with explained("s3:DeleteObject"):
            self._s3(region).delete_object(
                Bucket=self.bucket(region),
                Key=_rollback_key(target),
                ExpectedBucketOwner=self._session.account,
            )

    def handed_out(self, target: Target, secret: str) -> bool:
        """Whether this secret was shown to somebody already."""
        return self._read(target, _shown_key(target, secret)) is not None

    def hand_out(self, target: Target, secret: str) -> None:
        """Note that it is."""
        self._write(target, _shown_key(target, secret), {"secret": secret})

    def forget(self, target: Target) -> None:
        """Remove all that is kept of a target; nothing is no error."""
        self._remove(target, "")

    def forget_shown(self, target: Target) -> None:
        """Remove the notes of secrets that were shown: they go, and others will be made."""
        self._remove(target, "shown/")

    def _remove(self, target: Target, what: str) -> None:
        region = target.region or ""
        s3, name, owner = self._s3(region), self.bucket(region), self._session.account
        with explained("s3:DeleteObject"):
            if bucket.is_there(s3, name, owner):
                bucket.empty(s3, name, f"{stack_name(target)}/{what}", owner=owner)

    def _write(self, target: Target, key: str, record: Mapping[str, Any]) -> None:
        sealed = {"record": record, "sha256": fingerprint(record)}
        self._put(target.region or "", key, canonical_json(sealed))

    def _read(self, target: Target, key: str) -> Mapping[str, Any] | None:
        """A record, as it was written; None where there is none."""
        for attempt in range(1, _READS + 1):
            try:
                body = self._get(target.region or "", key)
                if body is None:
                    return None
                return self._opened(target, key, body)
            except UnavailableError:
                if attempt == _READS:
                    raise
        raise AssertionError("the last try returns or raises")

    def _opened(self, target: Target, key: str, body: bytes) -> Mapping[str, Any]:
        try:
            sealed = json.loads(body)
            record: Mapping[str, Any] = sealed["record"]
            if sealed["sha256"] == fingerprint(record):
                return record
        except (ValueError, KeyError, TypeError):
            pass
        raise self._altered(target, key)

    def _altered(self, target: Target, key: str) -> IntegrityError:
        return IntegrityError(
            "what is kept of a release is not what was written",
            where=self._where(target, key),
            hint="the bucket keeps every version of it: restore the one before, or deploy the "
            "spec you want",
        )

    def _where(self, target: Target, key: str) -> str:
        return f"s3://{self.bucket(target.region or '')}/{key}"

    def _get(self, region: str, key: str) -> bytes | None:
        s3 = self._s3(region)
        with explained("s3:GetObject"):
            try:
                answer = s3.get_object(
                    Bucket=self.bucket(region), Key=key, ExpectedBucketOwner=self._session.account
                )
            except s3.exceptions.ClientError as error:
                if code_of(error) in bucket.MISSING:
                    return None
                raise
            body: bytes = answer["Body"].read()
            return body

    def _put(self, region: str, key: str, body: bytes) -> None:
        with explained("s3:PutObject"):
            self._s3(region).put_object(
                Bucket=self.bucket(region),
                Key=key,
                Body=body,
                ContentType="application/json",
                ExpectedBucketOwner=self._session.account,
            )

    def _s3(self, region: str) -> Any:
        return self._session.client("s3", region)


def _release_key(target: Target, release: str) -> str:
    return f"{stack_name(target)}/releases/{release}.json"


def _rollback_key(target: Target) -> str:
    return f"{stack_name(target)}/rollback.json"


def _shown_key(target: Target, secret: str) -> str:
    return f"{stack_name(target)}/shown/{fingerprint(secret)[:32]}.json"
