"""Change sets: made, read, carried out, and never left lying about."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.aws.artifacts import Artifacts
from tabular.deploy.aws.names import RELEASE
from tabular.deploy.aws.session import explained
from tabular.deploy.aws.stacks import Stacks
from tabular.errors import EngineError, WaitTimeoutError

PREFIX = "inferloop-"
LIMIT = 600.0  # seconds; a minute is usual for hundreds of resources
_NOTHING = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that can be carried out.

    Attributes:
        id: its ARN.
        stack_id: ARN of the stack.
        changes: ``ResourceChange`` of each resource it touches.
    """

    id: str
    stack_id: str
    changes: tuple[Mapping[str, Any], ...]


class ChangeSets:
    """Change sets in one account.

    Args:
        stacks: reads stacks.
        artifacts: for large templates.
        sleep: waits, seconds.
        clock: monotonic seconds.
        pause: seconds between two questions.
    """

    def __init__(
        self,
        stacks: Stacks,
        artifacts: Artifacts,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        pause: float = 1.0,
    ) -> None:
        self._stacks = stacks
        self._artifacts = artifacts
        self._sleep = sleep
        self._clock = clock
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
            first: the stack is not there yet.

        Raises:
            EngineError: CloudFormation refuses the template; with its words.
            WaitTimeoutError: it is not made in time.
        """
        value = {"UsePreviousValue": True} if release is None else {"ParameterValue": release}
        client = self._stacks.client(region)
        with explained("cloudformation:CreateChangeSet"):
            made = client.create_change_set(
                StackName=name,
                ChangeSetName=f"{PREFIX}{secrets.token_hex(8)}",
                ChangeSetType="CREATE" if first else "UPDATE",
                Capabilities=["CAPABILITY_IAM"],
                Parameters=[{"ParameterKey": RELEASE, **value}],
                **self._artifacts.arguments(body, region),
            )
        status, reason = self._wait(client, made["Id"])
        if status == "CREATE_COMPLETE":
            return ChangeSet(made["Id"], made["StackId"], self._changes(client, made["Id"]))
        self.drop(made["Id"], region)
        if any(word in reason for word in _NOTHING):
            return None
        raise EngineError(
            f"CloudFormation refuses the change: {reason or status}",
            where=name,
            hint="nothing was changed; mend the spec or the overrides, and plan again",
            code="engine.change-set",
        )

    def execute(self, change_set: ChangeSet, region: str, *, keep_failed: bool = False) -> None:
        """Start carrying it out.

        Args:
            change_set: to be carried out.
            region: where.
            keep_failed: do not roll back a failure, for looking at it.
        """
        with explained("cloudformation:ExecuteChangeSet"):
            self._stacks.client(region).execute_change_set(
                ChangeSetName=change_set.id, DisableRollback=keep_failed
            )

    def drop(self, change_set_id: str, region: str) -> None:
        """Delete it; one that is gone is no error."""
        with explained("cloudformation:DeleteChangeSet"):
            self._stacks.client(region).delete_change_set(ChangeSetName=change_set_id)

    def _wait(self, client: Any, change_set_id: str) -> tuple[str, str]:
        deadline = self._clock() + LIMIT
        while True:
            with explained("cloudformation:DescribeChangeSet"):
                found = client.describe_change_set(ChangeSetName=change_set_id)
            if found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                return found["Status"], found.get("StatusReason", "")
            if self._clock() + self._pause > deadline:
                raise WaitTimeoutError(
                    f"the change set is {found['Status']} after {LIMIT:.0f} s",
                    where=change_set_id,
                    hint="nothing was changed; run the command again",
                )
            self._sleep(self._pause)

    @staticmethod
    def _changes(client: Any, change_set_id: str) -> tuple[Mapping[str, Any], ...]:
        found: list[Mapping[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            with explained("cloudformation:DescribeChangeSet"):
                page = client.describe_change_set(
                    ChangeSetName=change_set_id, IncludePropertyValues=True, **more
                )
            found += [one["ResourceChange"] for one in page["Changes"] if "ResourceChange" in one]
            if "NextToken" not in page:
                return tuple(found)
            more = {"NextToken": page["NextToken"]}
