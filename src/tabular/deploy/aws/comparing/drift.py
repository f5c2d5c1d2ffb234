"""Drift, as CloudFormation detects it: it asks every service what is there now."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.plan import PropertyChange
from tabular.deploy.provider import Drift
from tabular.errors import EngineError, WaitTimeoutError

LIMIT = 900.0  # seconds; "several minutes" for large stacks, says the user guide
_PAUSE = 2.0


class Drifts:
    """Detects drift.

    Args:
        stacks: reads stacks.
        sleep: waits, seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        stacks: Stacks,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stacks = stacks
        self._sleep = sleep
        self._clock = clock

    def of(self, found: Found, region: str) -> tuple[Drift, ...]:
        """Every resource that is gone or changed, by id; raises as :meth:`detected`."""
        drifted = [_drift(one) for one in self.detected(found, region)]
        return tuple(sorted(drifted, key=lambda drift: drift.resource))

    def detected(self, found: Found, region: str) -> list[dict[str, Any]]:
        """``StackResourceDrift`` of every resource that is gone or changed.

        Raises:
            EngineError: CloudFormation could not detect it.
            WaitTimeoutError: it takes too long.
        """
        client = self._stacks.client(region)
        with explained("cloudformation:DetectStackDrift"):
            asked = client.detect_stack_drift(StackName=found.id)["StackDriftDetectionId"]
        self._wait(client, asked, found)
        with explained("cloudformation:DescribeStackResourceDrifts"):
            return _pages(client, found.id)

    def _wait(self, client: Any, asked: str, found: Found) -> None:
        deadline = self._clock() + LIMIT
        while True:
            with explained("cloudformation:DescribeStackDriftDetectionStatus"):
                now = client.describe_stack_drift_detection_status(StackDriftDetectionId=asked)
            status = now["DetectionStatus"]
            if status == "DETECTION_COMPLETE":
                return
            if status == "DETECTION_FAILED":
                raise EngineError(
                    f"drift could not be detected: {now.get('DetectionStatusReason', status)}",
                    where=found.id,
                    hint="a permission to read is missing, mostly; "
                    "`inferloop-tabular aws iam-policy` prints all of them",
                )
            if self._clock() + _PAUSE > deadline:
                raise WaitTimeoutError(
                    f"drift was not detected within {LIMIT:.0f} s", where=found.id
                )
            self._sleep(_PAUSE)


def _pages(client: Any, stack_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        page = client.describe_stack_resource_drifts(
            StackName=stack_id, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"], **more
        )
        found += page["StackResourceDrifts"]
        if "NextToken" not in page:
            return found
        more = {"NextToken": page["NextToken"]}


def _drift(one: dict[str, Any]) -> Drift:
    gone = one["StackResourceDriftStatus"] == "DELETED"
    properties = tuple(
        PropertyChange(
            difference["PropertyPath"].strip("/").replace("/", "."),
            _value(difference.get("ExpectedValue")),
            _value(difference.get("ActualValue")),
        )
        for difference in one.get("PropertyDifferences", ())
    )
    return Drift(one["LogicalResourceId"], one["ResourceType"], () if gone else properties, gone)


def _value(text: str | None) -> Any:
    """CloudFormation writes every value as text, blocks as JSON."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
