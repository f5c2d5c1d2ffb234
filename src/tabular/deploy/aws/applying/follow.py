"""An operation of CloudFormation as a stream of our events, and why it failed if it did.

Reading is all that it does: whoever follows may die, and another one follows from the beginning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.stacks import Stacks
from tabular.deploy.aws.applying.purposes import Purpose, purpose_of
from tabular.deploy.events import Event, EventStatus
from tabular.errors import (
    ForbiddenError,
    PreflightError,
    UnavailableError,
    WaitTimeoutError,
)

PAUSE = 3.0  # seconds between two questions; CloudFormation's own console asks about as often
LIMIT = 3 * 3600.0  # seconds; a Multi-AZ database and a certificate take less than one hour
# Seconds. AWS may throttle us, or a network be gone, for so long while an operation goes on.
PATIENCE = 300.0
START = 60.0  # seconds until an operation that was asked for shows in the state of its stack
_GOES_ON = "it goes on by itself at AWS; the same command again follows it"
_SECONDARY = ("cancelled", "Resource creation cancelled", "Resource update cancelled")


@dataclass
class Heard:
    """What was heard of an operation so far.

    Attributes:
        failures: resource and reason of each failure, in the order of time.
        undeleted: physical id and reason of each resource that could not be deleted, by its id.
        status: of the stack when the operation had ended; "" before.
        explanation: of that status, "" where CloudFormation gives none.
    """

    failures: list[tuple[str, str]] = field(default_factory=list)
    undeleted: dict[str, tuple[str, str]] = field(default_factory=dict)
    status: str = ""
    explanation: str = ""

    def take(self, event: Event, raw: Mapping[str, Any]) -> None:
        """Keep what matters of an event."""
        if event.status is EventStatus.FAILED and event.resource:
            self.failures.append((event.resource, event.reason))
        if raw["ResourceStatus"] == "DELETE_FAILED" and event.resource:
            physical = str(raw.get("PhysicalResourceId", ""))
            self.undeleted[event.resource] = (physical, event.reason)
        elif raw["ResourceStatus"] == "DELETE_COMPLETE":
            self.undeleted.pop(event.resource, None)  # a further try went through

    @property
    def reason(self) -> str:
        """The first causes; what was cancelled because of them is left out, "" if unknown."""
        first = [
            f"{name}: {why}"
            for name, why in self.failures
            if why and not any(word in why for word in _SECONDARY)
        ]
        return "; ".join(dict.fromkeys(first)) or self.explanation

    @property
    def gone(self) -> bool:
        """Whether the stack was deleted."""
        return self.status == "DELETE_COMPLETE"

    @property
    def well(self) -> bool:
        """Whether an apply did what it was to do."""
        return self.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")

    @property
    def undone(self) -> bool:
        """Whether an apply failed, and what was before is there again."""
        return self.status in (
            "UPDATE_ROLLBACK_COMPLETE",
            "ROLLBACK_COMPLETE",
            "IMPORT_ROLLBACK_COMPLETE",
        )


class Follower:
    """Follows operations.

    Args:
        stacks: reads them.
        sleep: waits, seconds.
        clock: monotonic seconds.
        pause: seconds between two questions.
        limit: seconds after which it is no longer waited for.
    """

    def __init__(
        self,
        stacks: Stacks,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        pause: float = PAUSE,
        limit: float = LIMIT,
    ) -> None:
        self._stacks = stacks
        self._sleep = sleep
        self._clock = clock
        self._pause = pause
        self._limit = limit

    def last_event(self, name: str, region: str) -> str | None:
        """Id of the newest event of a stack; None where it has none."""
        with explained("cloudformation:DescribeStackEvents"):
            page = self._stacks.client(region).describe_stack_events(StackName=name)
        events = page["StackEvents"]
        return events[0]["EventId"] if events else None

    def beginning(self, stack_id: str, region: str) -> Mapping[str, Any]:
        """First event of the operation that runs, or ran last: it says what it is a part of."""
        events = self._since(stack_id, region, None, ())
        return events[0] if events else {}

    def operation(
        self, stack_id: str, region: str, heard: Heard, *, after: str | None
    ) -> Iterator[Event]:
        """Events of the operation that runs or ran last, until it ends.

        Args:
            stack_id: ARN of the stack, which leads to it also when it is deleted.
            region: where.
            heard: is filled.
            after: id of the last event before it; None to find its beginning.

        Raises:
            WaitTimeoutError: it takes longer than the limit; it goes on.
            UnavailableError: AWS does not answer for some minutes; it goes on.
            PreflightError: the credentials have run out; it goes on.
        """
        begun = answered = self._clock()
        seen: set[str] = set()
        number = 1
        while True:
            try:
                # The state first: what happens in between is in the events that are read after it.
                status, reason = self._state(stack_id, region)
                news = self._since(stack_id, region, after, seen)
                answered = self._clock()
            except (UnavailableError, PreflightError, ForbiddenError) as error:
                patient = self._clock() + self._pause < answered + PATIENCE
                if isinstance(error, UnavailableError) and patient:
                    self._sleep(self._pause)
                    continue
                error.hint = f"{error.hint}; {_GOES_ON}" if error.hint else _GOES_ON
                raise
            for raw in news:
                seen.add(raw["EventId"])
                event = _event(number, raw, stack_id)
                heard.take(event, raw)
                yield event
                number += 1
            # A state of rest without an event is that of before: AWS has not begun yet.
            began = bool(seen) or status == "DELETE_COMPLETE"
            if _at_rest(status) and began:
                heard.status, heard.explanation = status, reason
                return
            limit = self._limit if began else min(START, self._limit)
            if self._clock() + self._pause > begun + limit:
                raise WaitTimeoutError(
                    f"the stack is {status} after {limit / 60:.0f} min"
                    + (f": {reason}" if reason else ""),
                    where=stack_id,
                    hint=f"{_GOES_ON}; `inferloop-tabular status` shows it",
                )
            self._sleep(self._pause)

    def _state(self, stack_id: str, region: str) -> tuple[str, str]:
        with explained("cloudformation:DescribeStacks"):
            (one,) = self._stacks.client(region).describe_stacks(StackName=stack_id)["Stacks"]
        return one["StackStatus"], one.get("StackStatusReason", "")

    def _since(
        self, stack_id: str, region: str, after: str | None, seen: Container[str]
    ) -> list[Mapping[str, Any]]:
        """Raw events after one, or since the operation began, oldest first, without those seen.

        A page of seen ones ends the search: CloudFormation may put an event late, but not below
        a hundred later ones.
        """
        found: list[Mapping[str, Any]] = []
        with explained("cloudformation:DescribeStackEvents"):
            pages = self._stacks.client(region).get_paginator("describe_stack_events")
            for page in pages.paginate(StackName=stack_id):
                new = 0
                for raw in page["StackEvents"]:
                    if raw["EventId"] == after:
                        return found[::-1]
                    if raw["EventId"] not in seen:
                        found.append(raw)
                        new += 1
                    if after is None and _begins(raw, stack_id):
                        return found[::-1]
                if not new:
                    break
        return found[::-1]


def _at_rest(status: str) -> bool:
    return not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS"


def _begins(raw: Mapping[str, Any], stack_id: str) -> bool:
    """Whether an operation that somebody asked for begins with this event."""
    if raw.get("PhysicalResourceId") != stack_id:
        return False
    if raw["ResourceStatus"] in ("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
        # CloudFormation's own is a part of what failed; these are what we asked for later.
        return purpose_of(raw) in (Purpose.CLEAR, Purpose.DESTROY)
    return raw["ResourceStatus"] in (
        "CREATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "DELETE_IN_PROGRESS",
        "IMPORT_IN_PROGRESS",
    )


def _event(number: int, raw: Mapping[str, Any], stack_id: str) -> Event:
    whole = raw.get("PhysicalResourceId") == stack_id
    when: datetime = raw["Timestamp"]
    return Event(
        sequence=number,
        time=when,
        resource="" if whole else raw["LogicalResourceId"],
        type="" if whole else raw["ResourceType"],
        status=_status(raw["ResourceStatus"]),
        reason=raw.get("ResourceStatusReason", "") or ("" if not whole else raw["ResourceStatus"]),
    )


def _status(word: str) -> EventStatus:
    if word == "DELETE_SKIPPED":
        return EventStatus.KEPT
    if word.endswith("FAILED"):
        return EventStatus.FAILED
    back = "ROLLBACK" in word
    if word.endswith("_IN_PROGRESS"):
        cleaning = "CLEANUP" in word
        return EventStatus.ROLLING_BACK if back and not cleaning else EventStatus.IN_PROGRESS
    return EventStatus.ROLLED_BACK if back else EventStatus.COMPLETE
