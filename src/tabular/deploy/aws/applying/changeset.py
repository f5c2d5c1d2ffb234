"""Change sets: made, read, carried out, and never left lying about."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tabular.deploy.aws.account.artifacts import Artifacts
from tabular.deploy.aws.account.refusals import code_of, explained, said
from tabular.deploy.aws.account.stacks import Stacks
from tabular.deploy.aws.words.names import RELEASE
from tabular.deploy.events import utc_now
from tabular.errors import (
    BusyError,
    EngineError,
    StalePlanError,
    TabularError,
    WaitTimeoutError,
)

PREFIX = "inferloop-"
REFUSED = "engine.change-set"  # the code of CloudFormation's own refusals
LIMIT = 600.0  # seconds; a minute is usual for hundreds of resources
# No client of ours waits for one longer than LIMIT: what is older is a dead client's.
_ABANDONED = timedelta(seconds=1.5 * LIMIT)
_NOTHING = ("didn't contain changes", "No updates are to be performed")
_UNFIT = frozenset({"InvalidChangeSetStatus", "ChangeSetNotFound", "ChangeSetNotFoundException"})


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that can be carried out.

    Attributes:
        id: its ARN.
        stack_id: ARN of the stack.
        changes: ``ResourceChange`` of each resource it touches.
        imports: it imports and does nothing else.
    """

    id: str
    stack_id: str
    changes: tuple[Mapping[str, Any], ...]
    imports: bool = False


class ChangeSets:
    """Change sets in one account.

    Args:
        stacks: reads stacks.
        artifacts: for large templates.
        sleep: waits, seconds.
        clock: monotonic seconds.
        now: the time, UTC.
        pause: seconds between two questions.
    """

    def __init__(
        self,
        stacks: Stacks,
        artifacts: Artifacts,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        pause: float = 1.0,
    ) -> None:
        self._stacks = stacks
        self._artifacts = artifacts
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self._pause = pause

    def make(
        self, name: str, region: str, body: bytes, release: str | None, *, first: bool
    ) -> ChangeSet | None:
        """A change set towards a template; None where there is nothing to change.

        Args:
            name: of the stack.
            region: where.
            body: the template.
            release: value of the parameter; None for the one it has.
            first: nothing of the stack was ever finished.

        Raises:
            BusyError: an operation runs on the stack.
            StalePlanError: the stack came into being, or went, in the meantime.
            EngineError: CloudFormation refuses the template; with its words.
            WaitTimeoutError: it is not made in time.
        """
        client = self._stacks.client(region)
        if not first:
            self._sweep(client, name)
        value = {"UsePreviousValue": True} if release is None else {"ParameterValue": release}
        parameters = [{"ParameterKey": RELEASE, **value}]
        kind = "CREATE" if first else "UPDATE"
        one = self._create(client, name, kind, body, region, Parameters=parameters)
        page = self._made(client, name, one)
        if page["Status"] == "CREATE_COMPLETE":
            changes = tuple(self._changes(client, page))
            return ChangeSet(page["ChangeSetId"], page["StackId"], changes)
        self.drop(page["StackId"], page["ChangeSetId"], region)
        reason = page.get("StatusReason") or page["Status"]
        if any(word in reason for word in _NOTHING):
            return None
        raise _refusal(name, reason)

    def adopting(
        self,
        name: str,
        region: str,
        body: bytes,
        resources: Sequence[Mapping[str, Any]],
        *,
        first: bool,
    ) -> ChangeSet:
        """A change set that imports what exists already.

        Args:
            name: of the stack.
            region: where.
            body: the template that runs, with what is imported.
            resources: ``ResourcesToImport``.
            first: nothing of the stack was ever finished.

        Raises:
            BusyError: an operation runs on the stack.
            StalePlanError: the stack came into being, or went, in the meantime.
            EngineError: CloudFormation refuses to import it; with its words.
            WaitTimeoutError: it is not made in time.
        """
        client = self._stacks.client(region)
        more: dict[str, Any] = {"ResourcesToImport": list(resources)}
        if not first:
            self._sweep(client, name)
            more["Parameters"] = [{"ParameterKey": RELEASE, "UsePreviousValue": True}]
        one = self._create(client, name, "IMPORT", body, region, **more)
        page = self._made(client, name, one)
        if page["ExecutionStatus"] != "AVAILABLE":
            self.drop(page["StackId"], page["ChangeSetId"], region)
            raise _refusal(name, page.get("StatusReason") or page["Status"])
        changes = tuple(self._changes(client, page))
        return ChangeSet(page["ChangeSetId"], page["StackId"], changes, imports=True)

    def abandon(self, stack: str, region: str) -> None:
        """Delete a stack that came into being by a change set that is not carried out.

        One that is gone is no error, nor is one that somebody else looks at a change of.

        Raises:
            WaitTimeoutError: it does not go.
        """
        client = self._stacks.client(region)
        deadline = self._clock() + LIMIT
        while (found := self._stacks.named(stack, region)) is not None:
            if found.status == "REVIEW_IN_PROGRESS":
                if self._listed(client, found.name):
                    return
                with explained("cloudformation:DeleteStack"):
                    client.delete_stack(StackName=found.id)
            elif found.status != "DELETE_IN_PROGRESS":
                return  # somebody else's first deploy
            if self._clock() + self._pause > deadline:
                raise WaitTimeoutError(
                    f"the stack is {found.status} after {LIMIT:.0f} s, and nothing is in it",
                    where=found.id,
                    hint="nothing was changed; run the command again",
                )
            self._sleep(self._pause)

    def execute(
        self, change_set: ChangeSet, region: str, token: str, *, keep_failed: bool = False
    ) -> None:
        """Start carrying it out.

        Args:
            change_set: to be carried out.
            region: where.
            token: that the events will carry.
            keep_failed: do not roll back a failure, for looking at it.

        Raises:
            BusyError: an operation runs on the stack.
            StalePlanError: the stack was changed since it was made.
        """
        client = self._stacks.client(region)
        # What a failed operation made new holds no data yet, and would be an orphan.
        undoing = {"DisableRollback": keep_failed, "RetainExceptOnCreate": True}
        with explained("cloudformation:ExecuteChangeSet"):
            try:
                client.execute_change_set(
                    # Rights are about the stack, so it is named beside its change set.
                    StackName=change_set.stack_id,
                    ChangeSetName=change_set.id,
                    ClientRequestToken=token,
                    # An import makes nothing, and is taken back as a whole.
                    **({} if change_set.imports else undoing),
                )
            except client.exceptions.ClientError as error:
                if code_of(error) not in _UNFIT and code_of(error) != "ValidationError":
                    raise
                # boto3 calls again when an answer is lost; then the first call was heard.
                if not self._stacks.heard(change_set.stack_id, region, token):
                    raise _overtaken(change_set.stack_id, error) from error

    def drop(self, stack_id: str, change_set_id: str, region: str) -> None:
        """Delete it; one that is gone is no error."""
        client = self._stacks.client(region)
        with explained("cloudformation:DeleteChangeSet"):
            try:
                client.delete_change_set(StackName=stack_id, ChangeSetName=change_set_id)
            except client.exceptions.ClientError as error:
                if code_of(error) not in _UNFIT:
                    raise

    def _create(
        self, client: Any, stack: str, kind: str, body: bytes, region: str, **more: Any
    ) -> str:
        """Ask for one; its name."""
        name = f"{PREFIX}{secrets.token_hex(8)}"
        with explained("cloudformation:CreateChangeSet"):
            try:
                client.create_change_set(
                    StackName=stack,
                    ChangeSetName=name,
                    ClientToken=name,
                    ChangeSetType=kind,
                    Capabilities=["CAPABILITY_IAM"],
                    **more,
                    **self._artifacts.arguments(stack, body, region),
                )
            except client.exceptions.ClientError as error:
                # Nobody else has this name: an answer was lost, and boto3 called again.
                again = code_of(error) == "AlreadyExistsException" and name in said(error)
                if not again and code_of(error) not in (
                    "ValidationError",
                    "AlreadyExistsException",
                ):
                    raise
                if not again:
                    raise _not_made(stack, error) from error
        return name

    def _made(self, client: Any, stack: str, name: str) -> Mapping[str, Any]:
        """The first page of its description, when it is ready or has failed."""
        deadline = self._clock() + LIMIT
        while True:
            with explained("cloudformation:DescribeChangeSet"):
                found: Mapping[str, Any] = client.describe_change_set(
                    StackName=stack, ChangeSetName=name, IncludePropertyValues=True
                )
            if found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                return found
            if self._clock() + self._pause > deadline:
                raise WaitTimeoutError(
                    f"the change set is {found['Status']} after {LIMIT:.0f} s",
                    where=found["ChangeSetId"],
                    hint="nothing was changed; run the command again",
                )
            self._sleep(self._pause)

    @staticmethod
    def _changes(client: Any, page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        while True:
            for one in page["Changes"]:
                if "ResourceChange" in one:
                    yield one["ResourceChange"]
            if "NextToken" not in page:
                return
            with explained("cloudformation:DescribeChangeSet"):
                page = client.describe_change_set(
                    StackName=page["StackId"],
                    ChangeSetName=page["ChangeSetId"],
                    IncludePropertyValues=True,
                    NextToken=page["NextToken"],
                )

    def _sweep(self, client: Any, stack: str) -> None:
        """Delete what clients left that died while they looked at a change."""
        before = self._now() - _ABANDONED
        for one in self._listed(client, stack):
            if one["ChangeSetName"].startswith(PREFIX) and one["CreationTime"] < before:
                with explained("cloudformation:DeleteChangeSet"):
                    client.delete_change_set(StackName=stack, ChangeSetName=one["ChangeSetId"])

    @staticmethod
    def _listed(client: Any, stack: str) -> list[Mapping[str, Any]]:
        with explained("cloudformation:ListChangeSets"):
            pages = client.get_paginator("list_change_sets").paginate(StackName=stack)
            return [one for page in pages for one in page["Summaries"]]


def _not_made(stack: str, error: Exception) -> TabularError:
    words = said(error)
    if any(sign in words for sign in (f"[{stack}] already exists", f"[{stack}] does not exist")):
        return _overtaken(stack, error)
    return _busy(stack, error) if "_IN_PROGRESS state" in words else _refusal(stack, words)


def _overtaken(stack: str, error: Exception) -> TabularError:
    if "_IN_PROGRESS" in said(error):
        return _busy(stack, error)
    return StalePlanError(
        f"the stack was changed while this plan was carried out: {said(error)}",
        where=stack,
        hint="plan again, look at it, and apply that",
    )


def _busy(stack: str, error: Exception) -> BusyError:
    return BusyError(
        f"somebody else was quicker: {said(error)}",
        where=stack,
        hint="run the command again: it follows what runs there, then plans anew",
    )


def _refusal(stack: str, reason: str) -> EngineError:
    return EngineError(
        f"CloudFormation refuses the change: {reason}",
        where=stack,
        hint="nothing was changed; mend the spec or the overrides, and plan again",
        code=REFUSED,
    )
