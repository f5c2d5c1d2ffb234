"""Following an operation: whoever comes, and whenever, is told the same, and why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.account.stacks import Stacks, stack_name
from tabular.deploy.aws.applying.follow import Follower, Heard
from tabular.deploy.aws.applying.judging import require_applied
from tabular.deploy.events import Event, EventStatus
from tabular.errors import ApplyError, UnavailableError, WaitTimeoutError
from tests.deploy.aws.cloud import AT, Clock, Cloud, deploy, small, waiting
from tests.deploy.aws.scripted import Scripted
from tests.testbed.ministack import REGION

STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/0"
BEGAN = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


# --- On the emulator


def test_two_clients_are_told_the_same_under_the_same_numbers(cloud: Cloud) -> None:
    stack = small(1, more=waiting())
    engine = cloud.engine()
    first: list[Event] = []
    for event in engine.apply(engine.preview(stack)):
        first.append(event)
        if event.resource == "Wait":
            break
    second = cloud.engine().attach(AT)
    third = cloud.engine().attach(AT)
    assert [next(second), next(second)] == [next(third), next(third)]
    cloud.signal(AT)
    rest = list(second)
    assert rest == list(third)
    assert [event.sequence for event in rest] == list(range(3, len(rest) + 3))
    # The one who began it was told of the bucket of the releases first.
    again = {(event.sequence + 1, event.resource, event.status) for event in rest}
    assert {(e.sequence, e.resource, e.status) for e in first[3:]} <= again


def test_only_the_last_operation_is_told(cloud: Cloud) -> None:
    before = deploy(cloud.engine(), small(1))[-1].time
    own = deploy(cloud.engine(), small(2))
    told = list(cloud.engine().attach(AT))
    assert told == own
    assert all(event.time > before for event in told)


def test_the_limit_of_waiting_is_told_and_the_operation_goes_on(cloud: Cloud) -> None:
    stack = small(1, more=waiting())
    clock = Clock()
    engine = cloud.engine(sleep=clock.sleep, clock=clock.now, pause=60.0, limit=600.0)
    with pytest.raises(WaitTimeoutError, match="CREATE_IN_PROGRESS after 10 min") as caught:
        deploy(engine, stack)
    assert "it goes on by itself" in str(caught.value.hint)
    assert "the same command again follows it" in str(caught.value.hint)
    assert sum(clock.slept) <= 600
    cloud.signal(AT)
    cloud.settled(stack_name(AT))
    assert cloud.engine().preview(stack).is_empty


# --- As CloudFormation may answer, and the emulator does not


def stacks(status: str, reason: str = "") -> tuple[str, None, dict[str, Any]]:
    one = {"StackName": "s", "StackId": STACK, "CreationTime": BEGAN, "StackStatus": status}
    said = {"StackStatusReason": reason} if reason else {}
    return ("describe_stacks", None, {"Stacks": [one | said]})


def raw(number: int, name: str, status: str, reason: str = "") -> dict[str, Any]:
    whole = name == "s"
    return {
        "StackId": STACK,
        "EventId": f"e{number}",
        "StackName": "s",
        "LogicalResourceId": name,
        "PhysicalResourceId": STACK if whole else "",
        "ResourceType": "AWS::CloudFormation::Stack" if whole else "AWS::SQS::Queue",
        "Timestamp": BEGAN + timedelta(seconds=number),
        "ResourceStatus": status,
        **({"ResourceStatusReason": reason} if reason else {}),
    }


def events(*oldest_first: dict[str, Any], more: str = "") -> tuple[str, None, dict[str, Any]]:
    page = {"StackEvents": list(reversed(oldest_first))}
    return ("describe_stack_events", None, page | ({"NextToken": more} if more else {}))


def followed(
    *calls: tuple[str, Mapping[str, Any] | None, Mapping[str, Any]],
    after: str | None = None,
    clock: Clock | None = None,
) -> tuple[list[Event], Heard]:
    base, clock, heard = Scripted(cloudformation=calls), clock or Clock(real=0), Heard()
    reader = Stacks(Session(Access(), base=base))
    follower = Follower(reader, sleep=clock.sleep, clock=clock.now)
    told = list(follower.operation(STACK, REGION, heard, after=after))
    base.require_all()
    return told, heard


START = raw(1, "s", "UPDATE_IN_PROGRESS", "User Initiated")
END = raw(9, "s", "UPDATE_COMPLETE")


def test_a_state_of_before_is_not_taken_for_the_end() -> None:
    """Right after a call the old state may still be read."""
    old = raw(0, "s", "CREATE_COMPLETE")
    told, heard = followed(
        stacks("CREATE_COMPLETE"), events(old),
        stacks("UPDATE_IN_PROGRESS"), events(old, START),
        stacks("UPDATE_COMPLETE"), events(old, START, END),
        after="e0",
    )  # fmt: skip
    assert [event.sequence for event in told] == [1, 2]
    assert heard.well


def test_an_operation_that_never_begins_is_told() -> None:
    old = raw(0, "s", "CREATE_COMPLETE")
    calls = [stacks("CREATE_COMPLETE"), events(old)] * 30
    with pytest.raises(WaitTimeoutError, match="CREATE_COMPLETE after 1 min"):
        followed(*calls, after="e0")


def test_an_event_that_comes_late_is_told_once() -> None:
    late = raw(2, "Late", "UPDATE_IN_PROGRESS")
    other = raw(3, "Other", "UPDATE_IN_PROGRESS")
    told, _ = followed(
        stacks("UPDATE_IN_PROGRESS"), events(START, other),
        stacks("UPDATE_IN_PROGRESS"), events(START, late, other),
        stacks("UPDATE_COMPLETE"), events(START, late, other, END),
    )  # fmt: skip
    assert [event.resource for event in told] == ["", "Other", "Late", ""]


def test_pages_that_were_read_are_not_read_again() -> None:
    """A follower of hundreds of resources would be throttled for it."""
    first = [raw(number, f"R{number}", "CREATE_IN_PROGRESS") for number in range(2, 5)]
    told, _ = followed(
        stacks("UPDATE_IN_PROGRESS"), events(*first, more="t"), events(START),
        # The first page holds nothing new, so the second is not asked for.
        stacks("UPDATE_IN_PROGRESS"), events(*first, more="t"),
        stacks("UPDATE_COMPLETE"), events(*first, END, more="t"), events(START),
    )  # fmt: skip
    assert [event.resource for event in told] == ["", "R2", "R3", "R4", ""]


def test_the_first_causes_are_told_and_not_what_they_brought_about() -> None:
    told, heard = followed(
        stacks("UPDATE_ROLLBACK_COMPLETE", "told by nobody"),
        events(
            START,
            raw(2, "A", "UPDATE_FAILED", "Resource update cancelled"),
            raw(3, "B", "CREATE_FAILED", "You have reached the limit of addresses"),
            raw(4, "C", "CREATE_FAILED", "Resource creation cancelled"),
            raw(5, "D", "UPDATE_FAILED", "Access denied"),
            raw(6, "s", "UPDATE_ROLLBACK_IN_PROGRESS", "The following failed: B, D"),
            raw(7, "B", "DELETE_COMPLETE"),
            raw(8, "s", "UPDATE_ROLLBACK_COMPLETE"),
        ),
    )
    assert heard.reason == "B: You have reached the limit of addresses; D: Access denied"
    assert (heard.undone, heard.well, heard.gone) == (True, False, False)
    assert [event.status for event in told if not event.resource] == [
        EventStatus.IN_PROGRESS,
        EventStatus.ROLLING_BACK,
        EventStatus.ROLLED_BACK,
    ]


def test_without_causes_the_state_itself_is_the_reason() -> None:
    _, heard = followed(stacks("UPDATE_ROLLBACK_COMPLETE", "Cancelled by u"), events(START))
    assert heard.reason == "Cancelled by u"


def test_an_update_that_cleans_up_is_not_over_yet() -> None:
    cleaning = raw(5, "s", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    told, heard = followed(
        stacks("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), events(START, cleaning),
        stacks("UPDATE_COMPLETE"), events(START, cleaning, END),
    )  # fmt: skip
    assert heard.well
    assert told[1].status is EventStatus.IN_PROGRESS


def test_what_an_update_could_not_delete_is_told_though_it_ended_well() -> None:
    """CloudFormation forgets it, and nobody else knows that it is there and costs money."""
    group = {**raw(6, "Group", "DELETE_FAILED", "has a dependent object"),
             "PhysicalResourceId": "sg-1"}  # fmt: skip
    _, heard = followed(stacks("UPDATE_COMPLETE"), events(START, group, END))
    assert heard.well
    with pytest.raises(ApplyError) as caught:
        require_applied(STACK, heard)
    assert caught.value.code == "engine.left-behind"
    assert "Group (sg-1): has a dependent object" in caught.value.message
    assert "serves" in caught.value.message


def test_what_a_further_try_deleted_is_not_left_behind() -> None:
    tries = (raw(6, "Group", "DELETE_FAILED", "in use"), raw(7, "Group", "DELETE_COMPLETE"))
    _, heard = followed(stacks("UPDATE_COMPLETE"), events(START, *tries, END))
    require_applied(STACK, heard)


def test_what_a_deletion_leaves_is_told_as_kept() -> None:
    told, heard = followed(
        stacks("DELETE_COMPLETE"),
        events(raw(1, "s", "DELETE_IN_PROGRESS"), raw(2, "Bucket", "DELETE_SKIPPED")),
    )
    assert told[-1].status is EventStatus.KEPT
    assert heard.gone


def test_aws_that_stays_away_is_waited_for_some_minutes() -> None:
    away = ("describe_stacks", None, {"Error": "ServiceUnavailable", "Status": 503})
    clock = Clock(real=0)
    # boto3's own tries are behind each of these.
    told, heard = followed(
        stacks("UPDATE_IN_PROGRESS"), events(START), *[away] * 50,
        stacks("UPDATE_COMPLETE"), events(START, END),
        clock=clock,
    )  # fmt: skip
    assert heard.well
    assert len(told) == 2
    with pytest.raises(UnavailableError) as caught:
        followed(stacks("UPDATE_IN_PROGRESS"), events(START), *[away] * 200)
    assert "it goes on by itself at AWS" in str(caught.value.hint)
