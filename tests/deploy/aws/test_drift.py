"""Drift as CloudFormation detects it: in its own time, in pages, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.aws.comparing.drift import Drifts
from tabular.deploy.plan import PropertyChange
from tabular.deploy.provider import Drift
from tabular.errors import EngineError, NotFoundError, WaitTimeoutError
from tests.deploy.aws.cloud import Clock, Cloud, deploy, small, target
from tests.deploy.aws.scripted import Scripted
from tests.testbed.ministack import REGION

STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/0"
NOW = datetime.now(UTC)
BEGIN = ("detect_stack_drift", {"StackName": STACK}, {"StackDriftDetectionId": "d" * 36})
ASKED = {"StackName": STACK, "StackResourceDriftStatusFilters": ["MODIFIED", "DELETED"]}


def detection(status: str, reason: str | None = None) -> tuple[str, Any, dict[str, Any]]:
    answer = {"StackId": STACK, "StackDriftDetectionId": "d" * 36, "DetectionStatus": status,
              "Timestamp": NOW}  # fmt: skip
    said = {} if reason is None else {"DetectionStatusReason": reason}
    return ("describe_stack_drift_detection_status", None, answer | said)


def page(*names: str, more: str = "", asked: str = "") -> tuple[str, Any, dict[str, Any]]:
    found = [
        {
            "StackId": STACK,
            "LogicalResourceId": name,
            "ResourceType": "AWS::SQS::Queue",
            "StackResourceDriftStatus": "MODIFIED",
            "PropertyDifferences": [
                {
                    "PropertyPath": "/RedrivePolicy/maxReceiveCount",
                    "ExpectedValue": "5",
                    "ActualValue": '{"a": [1]}',
                    "DifferenceType": "NOT_EQUAL",
                }
            ],
            "Timestamp": NOW,
        }
        for name in names
    ]
    expected = ASKED | ({"NextToken": asked} if asked else {})
    answer = {"StackResourceDrifts": found} | ({"NextToken": more} if more else {})
    return ("describe_stack_resource_drifts", expected, answer)


def drifted(*calls: tuple[str, Any, Any], clock: Clock | None = None) -> tuple[Drift, ...]:
    base, clock = Scripted(cloudformation=calls), clock or Clock(real=0)
    stacks = Stacks(Session(Access(), base=base))
    found = Found("s", STACK, "CREATE_COMPLETE", "", NOW, {})
    drift = Drifts(stacks, sleep=clock.sleep, clock=clock.now).of(found, REGION)
    base.require_all()
    return drift


def test_drift_comes_in_pages_and_is_sorted() -> None:
    found = drifted(
        BEGIN,
        detection("DETECTION_IN_PROGRESS"),
        detection("DETECTION_COMPLETE"),
        page("Z", more="t"),
        page(more="u", asked="t"),
        page("A", asked="u"),
    )
    assert [one.resource for one in found] == ["A", "Z"]
    change = PropertyChange("RedrivePolicy.maxReceiveCount", 5, {"a": [1]})
    assert found[0].properties == (change,)


def test_a_detection_that_fails_is_an_error_and_not_no_drift() -> None:
    with pytest.raises(EngineError, match="Access denied to sqs") as caught:
        drifted(BEGIN, detection("DETECTION_FAILED", "Access denied to sqs"))
    assert "aws iam-policy" in str(caught.value.hint)


def test_a_detection_that_takes_too_long_is_told() -> None:
    clock = Clock(real=0)
    with pytest.raises(WaitTimeoutError, match="900 s"):
        drifted(BEGIN, *[detection("DETECTION_IN_PROGRESS")] * 500, clock=clock)
    assert 890 <= clock.time <= 900


def test_what_somebody_changed_or_deleted_is_named(cloud: Cloud) -> None:
    more = {
        f"Q{number}": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": 3}}
        for number in range(3)
    }
    deploy(cloud.engine(), small(1, more=more))
    assert cloud.engine().drift(target()) == ()
    sqs = cloud.client("sqs")
    urls = {name: url for url in cloud.queues() for name in more if f"-{name}-" in url}
    sqs.set_queue_attributes(QueueUrl=urls["Q0"], Attributes={"DelaySeconds": "9"})
    sqs.delete_queue(QueueUrl=urls["Q1"])
    changed, gone = cloud.engine().drift(target())
    assert (changed.resource, changed.gone) == ("Q0", False)
    assert [(p.path, str(p.before), str(p.after)) for p in changed.properties] == [
        ("DelaySeconds", "3", "9")
    ]
    assert (gone.resource, gone.gone) == ("Q1", True)


def test_nothing_drifts_where_nothing_is(cloud: Cloud) -> None:
    with pytest.raises(NotFoundError):
        cloud.engine().drift(target())
