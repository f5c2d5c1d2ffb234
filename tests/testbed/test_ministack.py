"""How the emulator's CloudFormation behaves where the AWS engine relies on it.

What was found, with our additions in place (each line is a test below, or a part of one):

- ``CreateChangeSet`` of type CREATE leaves a stack in REVIEW_IN_PROGRESS; its changes are all
  ``Add``. UPDATE gives Add, Modify (with Scope, Details, Replacement True/False/Conditional) and
  Remove with the PolicyAction. ``IncludePropertyValues`` adds BeforeContext and AfterContext, and
  Path, BeforeValue, AfterValue to each target. What is not known yet is
  ``{{changeSet:KNOWN_AFTER_APPLY}}``; values of NoEcho parameters are ``****``.
- Without changes a change set ends FAILED/UNAVAILABLE with "The submitted information didn't
  contain changes. Submit different information to create a change set.". A change of the
  template's Metadata alone is no change; one of a resource's Metadata, of Outputs or of stack
  tags is one.
- A change set is ready in the answer to CreateChangeSet (AWS: some seconds later). Executing one
  drops the stack's others; one that was made before another update is OBSOLETE.
- A stack that is busy or in ROLLBACK_COMPLETE refuses UPDATE change sets with a ValidationError
  that names the state; one in ROLLBACK_COMPLETE refuses CREATE too: it has to be deleted first.
- Every event of an operation carries its ClientRequestToken; REVIEW_IN_PROGRESS has none.
- A failed create ends in ROLLBACK_COMPLETE, a failed update in UPDATE_ROLLBACK_COMPLETE, with the
  template, parameters and tags of before; with DisableRollback in CREATE_FAILED/UPDATE_FAILED,
  which RollbackStack or a further update leaves. A rollback that fails ends in
  UPDATE_ROLLBACK_FAILED, which ContinueUpdateRollback (with ResourcesToSkip) leaves.
- CancelUpdateStack takes effect between two resources, not during a WaitCondition.
- Deleting what is not there is no error. A deleted stack is found by its id only. Termination
  protection refuses; DeletionPolicy Retain and (in DELETE_FAILED only) RetainResources keep.
- GetTemplate gives the bytes that were sent; boto3 parses JSON ones.
- Templates over 51,200 bytes must come by TemplateURL (path or host style), up to 1,000,000.
- Pages: 100 stacks, 100 events.
- A stack policy is kept and given back, but not enforced (ministack.STILL_LOST).
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testbed import parts
from tests.testbed.ministack import STILL_LOST, MiniStack, ministack_server

botocore_exceptions = parts.module("botocore.exceptions", package="boto3")

TOO_LONG = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 999999}}
NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def body(resources: dict[str, Any], **sections: Any) -> str:
    return json.dumps({"Resources": resources, **sections})


class Cloud:
    """CloudFormation in an account of this test."""

    def __init__(self, server: MiniStack, account: str) -> None:
        self.server, self.account = server, account
        self.api = self.client("cloudformation")

    def client(self, service: str) -> Any:
        return self.server.client(service, account=self.account)

    def status(self, name: str) -> str:
        status: str = self.api.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return status

    def settled(self, name: str) -> str:
        return self.until(name, lambda status: not status.endswith("_IN_PROGRESS"))

    def until(self, name: str, wanted: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + 30
        while not wanted(status := self.status(name)):
            assert time.monotonic() < deadline, f"{name} stays in {status}"
            time.sleep(0.05)
        return status

    def create(self, name: str, template: str, **options: Any) -> str:
        self.api.create_stack(StackName=name, TemplateBody=template, **options)
        return self.settled(name)

    def plan(self, name: str, template: str, **options: Any) -> dict[str, Any]:
        """A change set that was made, described with values."""
        made = self.api.create_change_set(
            StackName=name,
            ChangeSetName=f"c{time.monotonic_ns()}",
            TemplateBody=template,
            **options,
        )
        described: dict[str, Any] = self.api.describe_change_set(
            ChangeSetName=made["Id"], IncludePropertyValues=True
        )
        return described

    def change(self, name: str, template: str, **options: Any) -> str:
        """The state after a change set was made and executed."""
        execution = {key: options.pop(key) for key in ("DisableRollback",) if key in options}
        planned = self.plan(name, template, **options)
        self.api.execute_change_set(ChangeSetName=planned["ChangeSetId"], **execution)
        return self.settled(name)

    def events(self, name: str) -> list[dict[str, Any]]:
        pages = self.api.get_paginator("describe_stack_events").paginate(StackName=name)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def refused(self, code: str, call: Callable[..., Any], **arguments: Any) -> str:
        with pytest.raises(botocore_exceptions.ClientError) as caught:
            call(**arguments)
        assert caught.value.response["Error"]["Code"] == code
        message: str = caught.value.response["Error"]["Message"]
        return message


@pytest.fixture
def cloud(ministack: MiniStack, aws_account: str) -> Cloud:
    return Cloud(ministack, aws_account)


def changes(planned: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]
        for change in planned["Changes"]
    }


# --- Change sets


def test_a_first_change_set_leaves_a_stack_under_review(cloud: Cloud) -> None:
    planned = cloud.plan("s", body({"Q": queue(DelaySeconds=1)}), ChangeSetType="CREATE")
    assert (planned["Status"], planned["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    change = changes(planned)["Q"]
    assert change["Action"] == "Add"
    assert "Replacement" not in change
    assert json.loads(change["AfterContext"]) == {"Properties": {"DelaySeconds": 1}}
    assert "BeforeContext" not in change
    assert cloud.status("s") == "REVIEW_IN_PROGRESS"
    cloud.api.execute_change_set(ChangeSetName=planned["ChangeSetId"], ClientRequestToken="t-1")
    assert cloud.settled("s") == "CREATE_COMPLETE"
    review, *rest = cloud.events("s")
    assert "ClientRequestToken" not in review
    assert {event["ClientRequestToken"] for event in rest} == {"t-1"}
    assert [(event["LogicalResourceId"], event["ResourceStatus"]) for event in rest] == [
        ("s", "CREATE_IN_PROGRESS"),
        ("Q", "CREATE_IN_PROGRESS"),
        ("Q", "CREATE_COMPLETE"),
        ("s", "CREATE_COMPLETE"),
    ]


def test_a_second_first_change_set_belongs_to_the_same_stack(cloud: Cloud) -> None:
    first = cloud.plan("s", body({"Q": queue(DelaySeconds=1)}), ChangeSetType="CREATE")
    second = cloud.plan("s", body({"Q": queue(DelaySeconds=2)}), ChangeSetType="CREATE")
    assert second["StackId"] == first["StackId"]
    cloud.api.execute_change_set(ChangeSetName=second["ChangeSetId"])
    assert cloud.settled("s") == "CREATE_COMPLETE"
    cloud.refused(
        "ChangeSetNotFound", cloud.api.describe_change_set, ChangeSetName=first["ChangeSetId"]
    )


def test_an_update_says_what_is_replaced_and_why(cloud: Cloud) -> None:
    cloud.create("s", body({"Q": queue(DelaySeconds=1), "Old": queue()}))
    planned = cloud.plan(
        "s",
        body(
            {
                "Q": queue(DelaySeconds=2, QueueName="named"),
                "New": queue(),
                "After": queue(QueueName={"Fn::Sub": "${New}-x"}),
            }
        ),
    )
    found = changes(planned)
    assert {name: change["Action"] for name, change in found.items()} == {
        "Q": "Modify",
        "Old": "Remove",
        "New": "Add",
        "After": "Add",
    }
    assert found["Q"]["Replacement"] == "True"
    assert found["Q"]["PolicyAction"] == "ReplaceAndDelete"
    assert found["Old"]["PolicyAction"] == "Delete"
    targets = {detail["Target"]["Name"]: detail["Target"] for detail in found["Q"]["Details"]}
    assert targets["DelaySeconds"]["RequiresRecreation"] == "Never"
    assert targets["DelaySeconds"]["Path"] == "/Properties/DelaySeconds"
    assert targets["DelaySeconds"]["BeforeValue"] == "1"
    assert targets["DelaySeconds"]["AfterValue"] == "2"
    assert targets["QueueName"]["RequiresRecreation"] == "Always"
    assert targets["QueueName"]["AttributeChangeType"] == "Add"
    later = json.loads(found["After"]["AfterContext"])["Properties"]["QueueName"]
    assert later == "{{changeSet:KNOWN_AFTER_APPLY}}"


@pytest.mark.parametrize(
    ("resource_type", "old", "new", "replacement"),
    [
        ("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/16"}, {"CidrBlock": "10.1.0.0/16"}, "True"),
        (
            "AWS::EC2::VPC",
            {"CidrBlock": "10.0.0.0/16"},
            {"CidrBlock": "10.0.0.0/16", "EnableDnsHostnames": True},
            "False",
        ),
        ("AWS::ECS::TaskDefinition", {"Cpu": "256"}, {"Cpu": "512"}, "True"),
        ("AWS::EC2::EIP", {"Domain": "vpc"}, {"Domain": "vpc", "Tags": []}, "False"),
    ],
)
def test_create_only_properties_are_those_of_the_published_schemas(
    cloud: Cloud,
    resource_type: str,
    old: dict[str, Any],
    new: dict[str, Any],
    replacement: str,
) -> None:
    cloud.create("s", body({"R": {"Type": resource_type, "Properties": old}}))
    planned = cloud.plan("s", body({"R": {"Type": resource_type, "Properties": new}}))
    assert changes(planned)["R"]["Replacement"] == replacement


def test_what_counts_as_a_change(cloud: Cloud) -> None:
    resources = {"Q": queue(DelaySeconds=1)}
    cloud.create("s", body(resources, Metadata={"spec": "a"}))
    for same in (body(resources, Metadata={"spec": "a"}), body(resources, Metadata={"spec": "b"})):
        planned = cloud.plan("s", same)
        assert (planned["Status"], planned["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
        assert planned["StatusReason"] == NO_CHANGES
    inner = cloud.plan("s", body({"Q": {**resources["Q"], "Metadata": {"spec": "b"}}}))
    assert changes(inner)["Q"]["Scope"] == ["Metadata"]
    assert changes(inner)["Q"]["Replacement"] == "False"
    tagged = cloud.plan("s", body(resources), Tags=[{"Key": "team", "Value": "x"}])
    assert changes(tagged)["Q"]["Scope"] == ["Tags"]
    outputs = cloud.plan("s", body(resources, Outputs={"A": {"Value": "1"}}))
    assert (outputs["ExecutionStatus"], outputs["Changes"]) == ("AVAILABLE", [])


def test_a_metadata_change_travels_with_another_change(cloud: Cloud) -> None:
    cloud.create("s", body({"Q": queue(DelaySeconds=1)}, Metadata={"spec": "a"}))
    cloud.change("s", body({"Q": queue(DelaySeconds=2)}, Metadata={"spec": "b"}))
    kept = cloud.api.get_template(StackName="s")["TemplateBody"]
    assert kept["Metadata"] == {"spec": "b"}


def test_a_change_set_of_before_another_update_is_obsolete(cloud: Cloud) -> None:
    cloud.create("s", body({"Q": queue(DelaySeconds=1)}))
    planned = cloud.plan("s", body({"Q": queue(DelaySeconds=2)}))
    cloud.api.update_stack(StackName="s", TemplateBody=body({"Q": queue(DelaySeconds=3)}))
    cloud.settled("s")
    described = cloud.api.describe_change_set(ChangeSetName=planned["ChangeSetId"])
    assert described["ExecutionStatus"] == "OBSOLETE"
    cloud.refused(
        "InvalidChangeSetStatus",
        cloud.api.execute_change_set,
        ChangeSetName=planned["ChangeSetId"],
    )


def test_executing_a_change_set_drops_the_others(cloud: Cloud) -> None:
    cloud.create("s", body({"Q": queue(DelaySeconds=1)}))
    other = cloud.plan("s", body({"Q": queue(DelaySeconds=9)}))
    cloud.change("s", body({"Q": queue(DelaySeconds=2)}))
    cloud.refused(
        "ChangeSetNotFound", cloud.api.describe_change_set, ChangeSetName=other["ChangeSetId"]
    )


def test_a_busy_stack_refuses_a_second_update(cloud: Cloud) -> None:
    cloud.create("s", body({"Q": queue()}))
    planned = cloud.plan("s", body({"Q": queue(DelaySeconds=2), **waiting()}))
    cloud.api.execute_change_set(ChangeSetName=planned["ChangeSetId"])
    refused = {"StackName": "s", "ChangeSetName": "c", "TemplateBody": body({"Q": queue()})}
    message = cloud.refused("ValidationError", cloud.api.create_change_set, **refused)
    assert "is in UPDATE_IN_PROGRESS state and can not be updated" in message
    signal(cloud, "s")
    assert cloud.settled("s") == "UPDATE_COMPLETE"


def test_existing_resources_are_imported(cloud: Cloud) -> None:
    url = cloud.client("sqs").create_queue(QueueName="theirs")["QueueUrl"]
    entry = {
        "ResourceType": "AWS::SQS::Queue",
        "LogicalResourceId": "Q",
        "ResourceIdentifier": {"QueueUrl": url},
    }
    template = body({"Q": {**queue(QueueName="theirs"), "DeletionPolicy": "Retain"}})
    planned = cloud.plan("s", template, ChangeSetType="IMPORT", ResourcesToImport=[entry])
    assert changes(planned)["Q"]["Action"] == "Import"
    cloud.api.execute_change_set(ChangeSetName=planned["ChangeSetId"])
    assert cloud.settled("s") == "IMPORT_COMPLETE"


# --- Parameters and secrets


def test_values_of_secret_parameters_are_never_shown(cloud: Cloud) -> None:
    template = body(
        {"P": {"Type": "AWS::SSM::Parameter", "Properties": {
            "Type": "String", "Value": {"Ref": "Word"}}}},
        Parameters={"Word": {"Type": "String", "NoEcho": True}},
    )  # fmt: skip

    def word(value: str) -> list[dict[str, str]]:
        return [{"ParameterKey": "Word", "ParameterValue": value}]

    cloud.create("s", template, Parameters=word("first-secret"))
    planned = cloud.plan("s", template, Parameters=word("other-secret"))
    assert changes(planned)["P"]["Action"] == "Modify"
    shown = json.dumps([planned, cloud.api.describe_stacks(StackName="s")], default=str)
    assert "****" in shown
    assert "-secret" not in shown
    cloud.api.execute_change_set(ChangeSetName=planned["ChangeSetId"])
    cloud.settled("s")
    kept = cloud.client("ssm").get_parameter(Name="/s/P")["Parameter"]["Value"]
    assert kept == "other-secret"


def test_parameters_must_be_those_of_the_template(cloud: Cloud) -> None:
    template = body({"Q": queue()}, Parameters={"Wanted": {"Type": "String"}})
    refuse = cloud.api.create_stack
    missing = cloud.refused("ValidationError", refuse, StackName="s", TemplateBody=template)
    assert "Wanted" in missing
    foreign = cloud.refused(
        "ValidationError",
        refuse,
        StackName="s",
        TemplateBody=body({"Q": queue()}),
        Parameters=[{"ParameterKey": "Other", "ParameterValue": "1"}],
    )
    assert foreign == "Parameters: [Other] do not exist in the template"


def test_references_types_and_capabilities_are_checked_before_anything_is_made(
    cloud: Cloud,
) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
    for template, code, words in (
        (body({"Q": queue(QueueName={"Ref": "Nobody"})}), "ValidationError", "[Nobody]"),
        (body({"Q": {"Type": "AWS::Nothing::Here"}}), "ValidationError", "AWS::Nothing::Here"),
        (body({"R": role}), "InsufficientCapabilitiesException", "[CAPABILITY_IAM]"),
    ):
        message = cloud.refused(
            code,
            cloud.api.create_change_set,
            StackName="s",
            ChangeSetName="c",
            ChangeSetType="CREATE",
            TemplateBody=template,
        )
        assert words in message
    assert cloud.api.list_stacks()["StackSummaries"] == []


# --- Failures


def test_a_failed_create_is_rolled_back(cloud: Cloud) -> None:
    failing = {"Q": queue(), "Bad": {**TOO_LONG, "DependsOn": "Q"}}
    assert cloud.create("s", body(failing)) == "ROLLBACK_COMPLETE"
    assert cloud.client("sqs").list_queues().get("QueueUrls", []) == []
    failed = [event for event in cloud.events("s") if event["ResourceStatus"] == "CREATE_FAILED"]
    assert [event["LogicalResourceId"] for event in failed] == ["Bad"]
    assert "VisibilityTimeout" in failed[0]["ResourceStatusReason"]
    for kind, words in (
        ("UPDATE", "is in ROLLBACK_COMPLETE state and can not be updated"),
        ("CREATE", "already exists and cannot be created again"),
    ):
        message = cloud.refused(
            "ValidationError",
            cloud.api.create_change_set,
            StackName="s",
            ChangeSetName="c",
            ChangeSetType=kind,
            TemplateBody=body({"Q": queue()}),
        )
        assert words in message


def test_a_failed_create_without_rollback_goes_on_from_where_it_failed(cloud: Cloud) -> None:
    failing = {"Q": queue(), "Bad": {**TOO_LONG, "DependsOn": "Q"}}
    assert cloud.create("s", body(failing), DisableRollback=True) == "CREATE_FAILED"
    assert len(cloud.client("sqs").list_queues()["QueueUrls"]) == 1
    mended = {"Q": queue(), "Bad": {**queue(VisibilityTimeout=9), "DependsOn": "Q"}}
    assert cloud.change("s", body(mended)) == "UPDATE_COMPLETE"


def test_a_failed_update_goes_back_to_what_was(cloud: Cloud) -> None:
    before = body({"Q": queue(DelaySeconds=1)}, Metadata={"spec": "a"})
    cloud.create("s", before, Tags=[{"Key": "team", "Value": "x"}])
    bad = body({"Q": queue(DelaySeconds=2), "Bad": {**TOO_LONG, "DependsOn": "Q"}})
    assert cloud.change("s", bad, Tags=[]) == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.api.get_template(StackName="s")["TemplateBody"] == json.loads(before)
    (stack,) = cloud.api.describe_stacks(StackName="s")["Stacks"]
    assert stack["Tags"] == [{"Key": "team", "Value": "x"}]
    (url,) = cloud.client("sqs").list_queues()["QueueUrls"]
    got = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])
    assert got["Attributes"]["DelaySeconds"] == "1"


def test_a_failed_update_without_rollback_is_rolled_back_on_demand(cloud: Cloud) -> None:
    cloud.create("s", body({"Q": queue(DelaySeconds=1)}))
    bad = body({"Q": queue(DelaySeconds=2), "Bad": {**TOO_LONG, "DependsOn": "Q"}})
    assert cloud.change("s", bad, DisableRollback=True) == "UPDATE_FAILED"
    cloud.api.rollback_stack(StackName="s")
    assert cloud.until("s", lambda s: s.endswith("ROLLBACK_COMPLETE"))


def waiting(seconds: int = 20) -> dict[str, Any]:
    """A wait in a stack, which holds it until `signal`."""
    return {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Wait": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "DependsOn": "Q",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": str(seconds)},
        },
    }


def await_event(cloud: Cloud, name: str, logical_id: str) -> None:
    deadline = time.monotonic() + 10
    while logical_id not in [event["LogicalResourceId"] for event in cloud.events(name)]:
        assert time.monotonic() < deadline, f"{name} never comes to {logical_id}"
        time.sleep(0.05)


def signal(cloud: Cloud, name: str, status: str = "SUCCESS") -> None:
    """Let the wait of a stack go, once it waits."""
    await_event(cloud, name, "Wait")
    handle = cloud.api.describe_stack_resource(StackName=name, LogicalResourceId="Handle")
    url = handle["StackResourceDetail"]["PhysicalResourceId"]
    answer = {"Status": status, "Reason": "r", "UniqueId": "1", "Data": "d"}
    # The handle is a presigned URL for an empty content type.
    asked = urllib.request.Request(url, json.dumps(answer).encode(), {"Content-Type": ""})
    asked.method = "PUT"
    with urllib.request.urlopen(asked, timeout=5) as done:
        assert done.status == 200


def test_a_stack_waits_for_its_signal(cloud: Cloud) -> None:
    cloud.api.create_stack(StackName="s", TemplateBody=body({"Q": queue(), **waiting()}))
    await_event(cloud, "s", "Wait")
    assert cloud.status("s") == "CREATE_IN_PROGRESS"
    signal(cloud, "s")
    assert cloud.settled("s") == "CREATE_COMPLETE"


def test_an_update_can_be_cancelled(cloud: Cloud) -> None:
    cloud.create("s", body({"Q": queue(DelaySeconds=1)}))
    cloud.refused("ValidationError", cloud.api.cancel_update_stack, StackName="s")
    after = {"Z": {**queue(), "DependsOn": "Wait"}}
    template = body({"Q": queue(DelaySeconds=2), **waiting(), **after})
    cloud.api.update_stack(StackName="s", TemplateBody=template)
    cloud.api.cancel_update_stack(StackName="s")
    signal(cloud, "s")
    assert cloud.settled("s") == "UPDATE_ROLLBACK_COMPLETE"


def test_a_rollback_that_fails_is_continued(cloud: Cloud) -> None:
    def address(team: str) -> dict[str, Any]:
        tags = [{"Key": "team", "Value": team}]
        return {"Q": {"Type": "AWS::EC2::EIP", "Properties": {"Tags": tags}}}

    cloud.create("s", body(address("a")))
    cloud.api.update_stack(StackName="s", TemplateBody=body({**address("b"), **waiting()}))
    await_event(cloud, "s", "Wait")
    (made,) = cloud.client("ec2").describe_addresses()["Addresses"]
    cloud.client("ec2").release_address(AllocationId=made["AllocationId"])
    signal(cloud, "s", "FAILURE")
    assert cloud.settled("s") == "UPDATE_ROLLBACK_FAILED"
    cloud.api.continue_update_rollback(StackName="s", ResourcesToSkip=["Q"])
    assert cloud.until("s", lambda s: s == "UPDATE_ROLLBACK_COMPLETE")


# --- Deletion


def test_a_deleted_stack_is_found_by_its_id_only(cloud: Cloud) -> None:
    cloud.create("s", body({"Q": queue()}))
    stack_id = cloud.api.describe_stacks(StackName="s")["Stacks"][0]["StackId"]
    cloud.api.delete_stack(StackName="s", ClientRequestToken="t-9")
    assert cloud.until(stack_id, lambda s: s == "DELETE_COMPLETE")
    cloud.refused("ValidationError", cloud.api.describe_stacks, StackName="s")
    assert {event.get("ClientRequestToken") for event in cloud.events(stack_id)} == {None, "t-9"}
    cloud.api.delete_stack(StackName="s")
    cloud.api.delete_stack(StackName="never-was")


def test_protection_and_retention(cloud: Cloud) -> None:
    kept = {**queue(QueueName="kept"), "DeletionPolicy": "Retain"}
    cloud.create("s", body({"Kept": kept, "Gone": queue()}), EnableTerminationProtection=True)
    message = cloud.refused("ValidationError", cloud.api.delete_stack, StackName="s")
    assert "TerminationProtection is enabled" in message
    cloud.api.update_termination_protection(StackName="s", EnableTerminationProtection=False)
    cloud.refused(
        "ValidationError", cloud.api.delete_stack, StackName="s", RetainResources=["Gone"]
    )
    stack_id = cloud.api.describe_stacks(StackName="s")["Stacks"][0]["StackId"]
    cloud.api.delete_stack(StackName="s")
    cloud.until(stack_id, lambda s: s == "DELETE_COMPLETE")
    skipped = [e for e in cloud.events(stack_id) if e["ResourceStatus"] == "DELETE_SKIPPED"]
    assert [event["LogicalResourceId"] for event in skipped] == ["Kept"]
    (url,) = cloud.client("sqs").list_queues()["QueueUrls"]
    assert url.endswith("/kept")


def test_a_bucket_that_holds_something_stops_a_deletion(cloud: Cloud) -> None:
    bucket = f"held-{cloud.account}"
    cloud.create(
        "s", body({"B": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}})
    )
    cloud.client("s3").put_object(Bucket=bucket, Key="k", Body=b"x")
    cloud.api.delete_stack(StackName="s")
    assert cloud.until("s", lambda s: s.startswith("DELETE_FAILED"))
    stack_id = cloud.api.describe_stacks(StackName="s")["Stacks"][0]["StackId"]
    cloud.api.delete_stack(StackName="s", RetainResources=["B"])
    cloud.until(stack_id, lambda s: s == "DELETE_COMPLETE")
    assert cloud.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


# --- Templates, policies, pages


def test_a_template_comes_back_byte_for_byte(cloud: Cloud) -> None:
    sent = "# a comment\nResources:\n  Q:   {Type: 'AWS::SQS::Queue'}\n"
    cloud.create("s", sent)
    assert cloud.api.get_template(StackName="s")["TemplateBody"] == sent


@pytest.mark.parametrize("style", ["path", "host"])
def test_a_large_template_comes_by_url(cloud: Cloud, style: str) -> None:
    large = body({"Q": queue()}, Metadata={"padding": "x" * 60_000})
    message = cloud.refused(
        "ValidationError", cloud.api.create_stack, StackName="s", TemplateBody=large
    )
    assert message.endswith("Member must have length less than or equal to 51200")
    bucket = f"{style}-{cloud.account}"
    store = cloud.client("s3")
    store.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    store.put_object(Bucket=bucket, Key="a/t.json", Body=large.encode())
    urls = {
        "path": f"{cloud.server.url}/{bucket}/a/t.json",
        "host": f"https://{bucket}.s3.eu-west-1.amazonaws.com/a/t.json",
    }
    cloud.api.create_stack(StackName="s", TemplateURL=urls[style])
    assert cloud.settled("s") == "CREATE_COMPLETE"


def test_a_stack_policy_is_kept_but_not_enforced(cloud: Cloud) -> None:
    cloud.create("s", body({"Q": queue(DelaySeconds=1)}))
    deny = {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    policy = json.dumps({"Statement": [deny]})
    cloud.api.set_stack_policy(StackName="s", StackPolicyBody=policy)
    assert cloud.api.get_stack_policy(StackName="s")["StackPolicyBody"] == policy
    assert cloud.change("s", body({"Q": queue(DelaySeconds=2)})) == "UPDATE_COMPLETE"
    assert "stack policy" in STILL_LOST


def test_stacks_and_events_come_in_pages(cloud: Cloud) -> None:
    for number in range(101):
        cloud.api.create_stack(StackName=f"s{number}", TemplateBody=body({"Q": queue()}))
    first = cloud.api.list_stacks()
    assert len(first["StackSummaries"]) == 100
    assert len(cloud.api.list_stacks(NextToken=first["NextToken"])["StackSummaries"]) == 1
    cloud.create("many", body({f"Q{number}": queue() for number in range(60)}))
    assert "NextToken" in cloud.api.describe_stack_events(StackName="many")
    assert len(cloud.events("many")) == 122


def test_stack_tags_reach_the_resources(cloud: Cloud) -> None:
    bucket = f"tags-{cloud.account}"
    named = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}
    cloud.create("s", body({"B": named}), Tags=[{"Key": "team", "Value": "x"}])
    tags = cloud.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
    found = {tag["Key"]: tag["Value"] for tag in tags}
    assert found["team"] == "x"
    assert found["aws:cloudformation:logical-id"] == "B"


# --- The server's options


def test_accounts_know_nothing_of_each_other_and_a_reset_forgets(tmp_path: Path) -> None:
    with ministack_server(tmp_path) as server:
        one, other = (server.client("sqs", account=number * 12) for number in "12")
        one.create_queue(QueueName="q")
        assert len(one.list_queues()["QueueUrls"]) == 1
        assert other.list_queues().get("QueueUrls", []) == []
        server.reset()
        assert one.list_queues().get("QueueUrls", []) == []


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with ministack_server(tmp_path_factory.mktemp("strict"), auth=True) as server:
        yield server


def test_with_auth_a_wrong_secret_and_a_missing_permission_are_refused(strict: MiniStack) -> None:
    boto3 = parts.module("boto3", package="boto3")
    root = strict.client("iam")
    assert strict.client("cloudformation").list_stacks()["StackSummaries"] == []
    root.create_user(UserName="reader")
    allow = {"Effect": "Allow", "Action": "cloudformation:ListStacks", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    root.put_user_policy(UserName="reader", PolicyName="p", PolicyDocument=document)
    key = root.create_access_key(UserName="reader")["AccessKey"]

    def reader(secret: str) -> Any:
        return boto3.client(
            "cloudformation",
            region_name="eu-west-1",
            endpoint_url=strict.url,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=secret,
        )

    allowed = reader(key["SecretAccessKey"])
    assert allowed.list_stacks()["StackSummaries"] == []
    with pytest.raises(botocore_exceptions.ClientError, match="not authorized"):
        allowed.create_stack(StackName="s", TemplateBody=body({"Q": queue()}))
    with pytest.raises(botocore_exceptions.ClientError, match="SignatureDoesNotMatch"):
        reader("wrong").list_stacks()
