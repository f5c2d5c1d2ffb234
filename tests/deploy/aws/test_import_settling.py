"""What imported resources are is put into the template: of each alone, and against nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.aws.applying.follow import Heard
from tabular.deploy.aws.applying.judging import settling_undone
from tabular.deploy.aws.applying.operations import Operations
from tabular.deploy.aws.comparing.drift import Drifts
from tabular.deploy.aws.importing.settling import Settler, settled
from tabular.errors import ApplyError, BusyError
from tests.deploy.aws.cloud import AT, IMPOSSIBLE, NAME, Cloud, deploy, small

FIRST = {"First": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": 3}}}


class Misread(Drifts):
    """AWS may tell a value that it does not take back: here of the resource `Queue`."""

    def detected(self, found: Found, region: str) -> list[dict[str, Any]]:
        drifted = super().detected(found, region)
        for one in drifted:
            if one["LogicalResourceId"] == "Queue":
                actual = json.loads(one["ActualProperties"]) | IMPOSSIBLE
                one["ActualProperties"] = json.dumps(actual)
                one["PropertyDifferences"].append({"PropertyPath": "/VisibilityTimeout"})
        return drifted


class Meanwhile(Drifts):
    """Drift takes minutes to detect, in which something happens."""

    def __init__(self, stacks: Stacks, happens: Callable[[], object]) -> None:
        super().__init__(stacks)
        self._happens = happens

    def detected(self, found: Found, region: str) -> list[dict[str, Any]]:
        drifted = super().detected(found, region)
        self._happens()
        return drifted


def settler(cloud: Cloud, drifts: Callable[[Stacks], Drifts]) -> Settler:
    parts = cloud.parts()
    operations = Operations(parts.stacks, parts.change_sets, parts.follower)
    return Settler(parts.stacks, drifts(parts.stacks), parts.change_sets, operations)


def imported_alone(cloud: Cloud, *names: str) -> None:
    """Queues of another delay than the spec's, imported, and not yet in the template."""
    more = {name: {**FIRST["First"]} for name in names if name != "Queue"}
    stack, words = small(3, more=more), []
    for name in names:
        made = cloud.client("sqs").create_queue(QueueName=name, Attributes={"DelaySeconds": "9"})
        words.append(f"{name}={made['QueueUrl']}")
    engine = cloud.engine()
    for event in engine.adopt(engine.preview_import(stack, words)):
        if event.reason == "IMPORT_COMPLETE":
            break
    assert cloud.stacks() == {NAME: "IMPORT_COMPLETE"}


def said_delays(cloud: Cloud) -> dict[str, int]:
    """What the template says."""
    body = cloud.api.get_template(StackName=NAME, TemplateStage="Original")["TemplateBody"]
    return {
        name: int(one["Properties"]["DelaySeconds"])
        for name, one in body["Resources"].items()
        if one["Type"] == "AWS::SQS::Queue"
    }


def test_what_one_update_undoes_is_one_resource_and_it_is_told(cloud: Cloud) -> None:
    """Undone together, the others would be taken back to what they never were."""
    imported_alone(cloud, "First", "Queue", "Second")
    with pytest.raises(ApplyError) as caught:
        list(settler(cloud, Misread).settle(AT, {"First", "Queue", "Second"}))
    assert "an update was undone of Queue (Queue: " in caught.value.message
    assert "First" not in caught.value.message and caught.value.hint
    assert said_delays(cloud) == {"First": 9, "Queue": 3, "Second": 9}
    delays = dict(zip((url.rsplit("/", 1)[1] for url in cloud.queues()), cloud.delays(),
                      strict=True))  # fmt: skip
    assert (delays["First"], delays["Second"]) == ("9", "9")


def test_what_was_deployed_while_drift_was_detected_is_not_undone(cloud: Cloud) -> None:
    imported_alone(cloud, "First", "Queue")
    other = small(5, more=FIRST)
    late = settler(cloud, lambda stacks: Meanwhile(stacks, lambda: deploy(cloud.engine(), other)))
    with pytest.raises(BusyError, match="somebody deployed meanwhile") as caught:
        list(late.settle(AT, {"First", "Queue"}))
    assert "same import again" in str(caught.value.hint)
    assert said_delays(cloud) == {"First": 3, "Queue": 5}
    assert cloud.open_change_sets() == []


def test_what_was_deployed_between_two_updates_is_not_undone(cloud: Cloud) -> None:
    imported_alone(cloud, "First", "Queue")
    with pytest.raises(BusyError, match="somebody deployed meanwhile"):
        for event in settler(cloud, Drifts).settle(AT, {"First", "Queue"}):
            if event.reason == "UPDATE_COMPLETE":
                deploy(cloud.engine(), small(5, more=FIRST))
    assert said_delays(cloud) == {"First": 3, "Queue": 5}


def test_an_update_that_is_not_undone_is_told_with_the_state_it_leaves() -> None:
    heard = Heard(failures=[("Queue", "gone")], status="UPDATE_ROLLBACK_FAILED")
    with pytest.raises(ApplyError) as caught:
        settling_undone("arn:aws:cloudformation:eu-west-1:1:stack/s/0", "Queue", heard)
    assert "the stack is left as UPDATE_ROLLBACK_FAILED: Queue: gone" in caught.value.message
    assert "continue-update-rollback --stack-name s`" in str(caught.value.hint)


def test_what_is_put_into_the_template_is_what_is_there() -> None:
    """Without what would be replaced for it, and what has to be said and is not there."""
    said = {
        "ScalableDimension": "d",
        "MinCapacity": 1,
        "MaxCapacity": 2,
        "SuspendedState": {"a": 1},
    }
    template = {
        "Resources": {
            "Scaling": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": said},
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": 1}},
        }
    }
    paths = ("/ScalableDimension", "/MinCapacity", "/MaxCapacity", "/SuspendedState/a")
    actual = {"ScalableDimension": "other", "MinCapacity": 4}
    drifted = [
        {
            "LogicalResourceId": "Scaling",
            "ActualProperties": json.dumps(actual),
            "PropertyDifferences": [{"PropertyPath": path} for path in paths],
        },
        {"LogicalResourceId": "Queue", "ActualProperties": "{}", "PropertyDifferences": []},
        {"LogicalResourceId": "Gone"},
    ]
    now = settled(template, drifted, {"Scaling"})
    assert now["Resources"]["Scaling"]["Properties"] == {
        "ScalableDimension": "d",
        "MinCapacity": 4,
        "MaxCapacity": 2,
    }
    assert now["Resources"]["Queue"] == template["Resources"]["Queue"]
