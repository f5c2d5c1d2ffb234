"""The account's own image registry, ECR, from which its deployments take the image."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from tabular.deploy.aws.account.refusals import code_of, explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.compile import REPOSITORY
from tabular.deploy.image.publishing import Shelved
from tabular.errors import IntegrityError, UsageError

# Source: CreateRepository in the API reference of ECR.
_NAME = re.compile(r"(?=.{2,256}$)([a-z0-9]+([._-][a-z0-9]+)*/)*[a-z0-9]+([._-][a-z0-9]+)*")
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class Ecr:
    """One repository of ECR.

    Args:
        session: the way to the account.
        region: where.
        repository: its name; the one that deployments ask for if None.

    Raises:
        UsageError: ECR takes no such name.
    """

    def __init__(self, session: Session, region: str, repository: str | None = None) -> None:
        if repository is not None and not _NAME.fullmatch(repository):
            raise UsageError(
                f"{repository!r} is no name of a repository",
                where="--repository",
                hint="small letters, digits, and single . _ - / between them",
            )
        self._session, self._region = session, region
        self._repository = repository or REPOSITORY

    @property
    def name(self) -> str:
        """What it is, and how `create` makes it."""
        return (
            f"the repository {self._repository} in ECR of account {self._session.account}, "
            f"{self._region}: encrypted, scanned on push, tags that stay"
        )

    def reference(self, tag: str) -> str:
        """Whole name of an image; as the registry itself says it, where it is there."""
        found = self._found()
        return f"{found['repositoryUri'] if found else self._usual()}:{tag}"

    def is_there(self) -> bool:
        """Whether the repository exists."""
        return self._found() is not None

    def create(self) -> None:
        """Make it; where another client was faster, that one's is taken."""
        client = self._client
        with explained("ecr:CreateRepository"):
            try:
                client.create_repository(
                    repositoryName=self._repository,
                    imageTagMutability="IMMUTABLE",
                    imageScanningConfiguration={"scanOnPush": True},
                    encryptionConfiguration={"encryptionType": "AES256"},
                )
            except client.exceptions.RepositoryAlreadyExistsException:
                return

    def tagged(self, tag: str) -> Shelved | None:
        """The image under a tag, with the digest of its configuration.

        Raises:
            IntegrityError: its manifest is not what its digest says.
        """
        if not self.is_there():
            return None
        client, wanted = self._client, [{"imageTag": tag}]
        with explained("ecr:DescribeImages"):
            try:
                found = client.describe_images(repositoryName=self._repository, imageIds=wanted)
            except client.exceptions.ImageNotFoundException:
                return None
        if not found["imageDetails"]:
            return None
        image = found["imageDetails"][0]
        digest = image["imageDigest"]
        with explained("ecr:BatchGetImage"):
            answer = client.batch_get_image(
                repositoryName=self._repository,
                imageIds=[{"imageDigest": digest}],
                acceptedMediaTypes=list(_MANIFESTS),
            )
        text = answer["images"][0]["imageManifest"]
        if f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" != digest:
            raise IntegrityError("the manifest is not what its digest says", where=digest)
        configuration = json.loads(text).get("config", {}).get("digest", "")
        return Shelved(digest, configuration, frozenset(image["imageTags"]))

    def auths(self) -> Mapping[str, str]:
        """The password that AWS gives for twelve hours."""
        with explained("ecr:GetAuthorizationToken"):
            answer = self._client.get_authorization_token()
        token: str = answer["authorizationData"][0]["authorizationToken"]
        return {self.reference("any").partition("/")[0]: token}

    def _usual(self) -> str:
        """As templates say it: ``${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}``."""
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        return f"{self._session.account}.dkr.ecr.{self._region}.{suffix}/{self._repository}"

    def _found(self) -> Mapping[str, Any] | None:
        client = self._client
        with explained("ecr:DescribeRepositories"):
            try:
                answer = client.describe_repositories(repositoryNames=[self._repository])
            except client.exceptions.ClientError as error:
                if code_of(error) != "RepositoryNotFoundException":
                    raise
                return None
        found: Mapping[str, Any] = answer["repositories"][0]
        return found

    @property
    def _client(self) -> Any:
        return self._session.client("ecr", self._region)
