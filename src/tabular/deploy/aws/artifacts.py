"""What CloudFormation does not keep: templates too large for a call, and the releases before.

One bucket for each account and region, made at the first apply. Its name is known beforehand, so
every call says whose bucket it must be: another account cannot put one in its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.aws.document import policy
from tabular.deploy.aws.session import Session, code_of, explained
from tabular.deploy.aws.stacks import release_of, stack_name
from tabular.deploy.stack import Stack, canonical_json
from tabular.deploy.target import Target
from tabular.errors import NotFoundError, RefusedError

MAX_BODY = 51_200  # bytes of a template within a call, says the quota page of CloudFormation
MAX_STORED = 1_000_000  # bytes of a template in a bucket, likewise (1 MB)
_MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "404", "NotFound"})


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
        s3, name = self._s3(region), self.bucket(region)
        with explained("s3:CreateBucket"):
            if self._is_there(s3, name):
                return False
            where = {} if region == "us-east-1" else {
                "CreateBucketConfiguration": {"LocationConstraint": region}
            }  # fmt: skip
            s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced", **where)
            self._close(s3, name)
        return True

    def arguments(self, body: bytes, region: str) -> dict[str, str]:
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
        import hashlib

        key = f"templates/{hashlib.sha256(body).hexdigest()}.json"
        self._put(region, key, body)
        endpoint = self._s3(region).meta.endpoint_url
        return {"TemplateURL": f"{endpoint}/{self.bucket(region)}/{key}"}

    def remember(self, stack: Stack, previous: str | None) -> None:
        """Keep a release, before it is applied."""
        record = {"stack": stack.as_dict(), "previous": previous}
        key = self._key(stack.target, release_of(stack))
        self._put(stack.target.region or "", key, canonical_json(record))

    def release(self, target: Target, release: str) -> Release:
        """A release that was remembered.

        Raises:
            NotFoundError: it was not, or it was removed.
        """
        region = target.region or ""
        key, bucket = self._key(target, release), self.bucket(region)
        with explained("s3:GetObject"):
            try:
                answer = self._s3(region).get_object(
                    Bucket=bucket, Key=key, ExpectedBucketOwner=self._session.account
                )
                data: Mapping[str, Any] = json.loads(answer["Body"].read())
            except self._s3(region).exceptions.ClientError as error:
                if code_of(error) not in _MISSING:
                    raise
                raise NotFoundError(
                    f"the template of release {release} is not kept",
                    where=f"s3://{bucket}/{key}",
                    hint="deploy the spec you want",
                    code="not-found.release",
                ) from error
        return Release(Stack.from_dict(data["stack"]), data["previous"])

    def forget(self, target: Target) -> None:
        """Remove every release of a target; none is no error."""
        region = target.region or ""
        s3, bucket = self._s3(region), self.bucket(region)
        with explained("s3:DeleteObject"):
            if not self._is_there(s3, bucket):
                return
            empty(s3, bucket, f"releases/{stack_name(target)}/", owner=self._session.account)

    def _key(self, target: Target, release: str) -> str:
        return f"releases/{stack_name(target)}/{release}.json"

    def _put(self, region: str, key: str, body: bytes) -> None:
        with explained("s3:PutObject"):
            self._s3(region).put_object(
                Bucket=self.bucket(region),
                Key=key,
                Body=body,
                ContentType="application/json",
                ExpectedBucketOwner=self._session.account,
            )

    def _is_there(self, s3: Any, name: str) -> bool:
        try:
            s3.head_bucket(Bucket=name, ExpectedBucketOwner=self._session.account)
        except s3.exceptions.ClientError as error:
            if code_of(error) in _MISSING:
                return False
            if code_of(error) in ("403", "AccessDenied"):
                raise RefusedError(
                    f"the bucket {name} is another account's, or you may not see it",
                    hint="`inferloop-tabular aws iam-policy` prints what a deployer needs",
                    code="refused.bucket",
                ) from error
            raise
        return True

    @staticmethod
    def _close(s3: Any, name: str) -> None:
        """Private, encrypted, TLS only, versioned."""
        s3.put_public_access_block(
            Bucket=name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        s3.put_bucket_encryption(
            Bucket=name,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        arn = f"arn:aws:s3:::{name}"
        deny = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy(deny)))

    def _s3(self, region: str) -> Any:
        return self._session.client("s3", region)


def empty(s3: Any, bucket: str, prefix: str = "", *, owner: str) -> int:
    """Delete every object below a prefix, all versions of it; the number of versions."""
    gone = 0
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=prefix, ExpectedBucketOwner=owner
    )
    for batch in (_versions(page) for page in pages):
        if batch:
            answer = s3.delete_objects(
                Bucket=bucket,
                Delete={"Objects": batch, "Quiet": True},
                ExpectedBucketOwner=owner,
            )
            for failed in answer.get("Errors", ()):
                raise RefusedError(
                    f"{failed['Key']} cannot be deleted: {failed['Code']}",
                    where=f"s3://{bucket}",
                    hint="is there an object lock or a legal hold? Lift it, then run again",
                )
            gone += len(batch)
    return gone


def _versions(page: Mapping[str, Any]) -> list[dict[str, str]]:
    found: Iterator[Mapping[str, str]] = iter(
        [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
    )
    return [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
