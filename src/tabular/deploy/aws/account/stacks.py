"""Deployments as CloudFormation has them: found by name, read back from their own template."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tabular.deploy import answers
from tabular.deploy.aws.account.refusals import code_of, explained, said
from tabular.deploy.aws.account.session import Session, at_once
from tabular.deploy.aws.words.names import METADATA, RELEASE
from tabular.deploy.stack import Stack, fingerprint
from tabular.deploy.target import Target
from tabular.errors import ConflictError

PREFIX = "tabular-"
RETAINED = "retained"  # a mark in the metadata: what is left is data
DELETING = "deleting"  # another: and that is to go as well
# Of resources that a stack only remembers. Those of an import that was taken back are not its own.
_NOT_THERE = frozenset({"DELETE_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"})

# Statuses in which a stack has nothing that was ever finished.
UNBORN = frozenset({"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})
STUCK = frozenset(
    {"UPDATE_ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_FAILED", "IMPORT_ROLLBACK_FAILED"}
)
_LISTED = (
    "CREATE_IN_PROGRESS", "CREATE_FAILED", "CREATE_COMPLETE", "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_FAILED", "ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED",
    "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE",
    "UPDATE_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_IN_PROGRESS", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_IN_PROGRESS",
    "IMPORT_ROLLBACK_FAILED", "IMPORT_ROLLBACK_COMPLETE",
)  # fmt: skip


def stack_name(target: Target) -> str:
    """Name of the stack of a target: readable, and no other target's.

    CloudFormation takes 128 letters, digits and hyphens.
    """
    digest = hashlib.sha256(f"{target.environment}/{target.name}".encode()).hexdigest()[:8]
    return f"{PREFIX}{target.environment[:48]}-{target.name[:56]}-{digest}"


@dataclass(frozen=True, slots=True)
class Found:
    """A stack as it is now.

    Attributes:
        name: of the stack.
        id: its ARN, which no later stack of the same name has.
        status: CloudFormation's word.
        reason: its reason, "" where there is none.
        updated: when its last operation began.
        template: as it was handed in; empty where none was carried out yet.
        parameters: by name.
        outputs: by name.
        protected: whether it refuses to be deleted.
    """

    name: str
    id: str
    status: str
    reason: str
    updated: datetime
    template: Mapping[str, Any]
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False

    @property
    def busy(self) -> bool:
        """Whether an operation runs."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def unborn(self) -> bool:
        """Whether nothing of it was ever finished."""
        return self.status in UNBORN

    @property
    def release(self) -> str:
        """Id of the release; "" where there is none."""
        found = self.parameters.get(RELEASE, "")
        return "" if self.unborn or self.retained or found == "none" else found

    @property
    def described(self) -> Mapping[str, Any]:
        """What the deployment says of itself."""
        found: Mapping[str, Any] = self.template.get("Metadata", {}).get(METADATA, {})
        return found

    @property
    def retained(self) -> bool:
        """Whether only data is left of it."""
        return bool(self.described.get(RETAINED))

    @property
    def deleting(self) -> bool:
        """Whether a destroy with its data was begun, and data may be gone."""
        return bool(self.described.get(DELETING))

    @property
    def target(self) -> Target:
        """Which deployment it is."""
        return Target(**self.described["target"])


class Stacks:
    """Reads stacks; changes nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def client(self, region: str) -> Any:
        """CloudFormation in a region."""
        return self._session.client("cloudformation", region)

    def find(self, target: Target) -> Found | None:
        """The stack of a target; None where there is none.

        Raises:
            ConflictError: a stack of that name is somebody else's.
        """
        found = self.named(stack_name(target), target.region or "")
        if found is not None and found.template and "target" not in found.described:
            raise ConflictError(
                f"a stack of the name {found.name} is there, and none of this tool's",
                where=found.id,
                hint="choose another --name or --environment",
                code="conflict.foreign",
            )
        return found

    def existing(self, target: Target) -> Found:
        """The stack of a target; raises as :meth:`find`.

        Raises:
            NotFoundError: there is none.
        """
        found = self.find(target)
        if found is None:
            raise answers.nothing_at(target)
        return found

    def named(self, name: str, region: str) -> Found | None:
        """The stack of a name or ARN; None where there is none, or it is deleted."""
        client = self.client(region)
        with explained("cloudformation:DescribeStacks"):
            try:
                (one,) = client.describe_stacks(StackName=name)["Stacks"]
            except client.exceptions.ClientError as error:
                if code_of(error) == "ValidationError" and "does not exist" in said(error):
                    return None
                raise
        if one["StackStatus"] == "DELETE_COMPLETE":
            return None
        return Found(
            name=one["StackName"],
            id=one["StackId"],
            status=one["StackStatus"],
            reason=one.get("StackStatusReason", ""),
            updated=one.get("LastUpdatedTime") or one["CreationTime"],
            template=self._template(client, one["StackId"]),
            parameters={p["ParameterKey"]: p["ParameterValue"] for p in one.get("Parameters", ())},
            outputs={o["OutputKey"]: o["OutputValue"] for o in one.get("Outputs", ())},
            protected=bool(one.get("EnableTerminationProtection")),
        )

    def heard(self, stack_id: str, region: str, token: str) -> bool:
        """Whether an operation of this token has begun, lately."""
        with explained("cloudformation:DescribeStackEvents"):
            page = self.client(region).describe_stack_events(StackName=stack_id)
        return any(one.get("ClientRequestToken") == token for one in page["StackEvents"])

    def ours(self, region: str) -> Iterator[Found]:
        """Every stack of a region that describes itself as a deployment of ours."""
        client = self.client(region)
        with explained("cloudformation:ListStacks"):
            pages = client.get_paginator("list_stacks").paginate(StackStatusFilter=list(_LISTED))
            names = [
                one["StackId"]
                for page in pages
                for one in page["StackSummaries"]
                if one["StackName"].startswith(PREFIX)
            ]
        for found in at_once(lambda name: self.named(name, region), sorted(names)):
            if found is not None and "target" in found.described:
                yield found

    def resources(self, found: Found, region: str) -> tuple[Mapping[str, Any], ...]:
        """``StackResourceSummary`` of each resource that is there."""
        with explained("cloudformation:ListStackResources"):
            pages = self.client(region).get_paginator("list_stack_resources")
            return tuple(
                one
                for page in pages.paginate(StackName=found.id)
                for one in page["StackResourceSummaries"]
                if one["ResourceStatus"] not in _NOT_THERE
            )

    @staticmethod
    def _template(client: Any, name: str) -> Mapping[str, Any]:
        """The template as it was handed in; {} where the stack has none yet."""
        with explained("cloudformation:GetTemplate"):
            try:
                body = client.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
            except client.exceptions.ClientError as error:
                if code_of(error) == "ValidationError":
                    return {}
                raise
        # boto3 reads JSON; what is left as text is YAML, so none of ours.
        found: Mapping[str, Any] = {"Text": body} if isinstance(body, str) else body
        return found


def basis_of(found: Found | None) -> str:
    """Fingerprint of what runs, that a plan is made against."""
    if found is None:
        return fingerprint(None)
    said = [found.id, found.status, found.release, dict(found.template)]
    return fingerprint(said)


def release_of(stack: Stack) -> str:
    """Id of a release: what is deployed is the template, so it is the template's."""
    return stack.fingerprint[:12]
