"""Imports into a stack: what is adopted, what is refused, and that nothing else happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tabular.deploy.aws.account.artifacts import Artifacts
from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.aws.applying.changeset import ChangeSet, ChangeSets
from tabular.deploy.aws.applying.follow import Heard
from tabular.deploy.aws.applying.judging import require_imported
from tabular.deploy.aws.importing.asked import importable, read
from tabular.deploy.aws.words.document import KEPT
from tabular.deploy.events import Event
from tabular.deploy.plan import Action
from tabular.deploy.provider import State
from tabular.deploy.stack import Stack
from tabular.errors import (
    ApplyError,
    RefusedError,
    StalePlanError,
    TabularError,
    UsageError,
)
from tests.deploy.aws.cloud import (
    AT,
    IMPOSSIBLE,
    NAME,
    Clock,
    Cloud,
    deploy,
    destroy,
    roll_back,
    small,
    target,
    waiting,
)
from tests.deploy.aws.harness import IMAGE
from tests.deploy.aws.made import stack_of
from tests.deploy.aws.scripted import Scripted
from tests.testbed.ministack import REGION

LOG = {"Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 30}}}
DATABASE: dict[str, Any] = {
    "Type": "AWS::RDS::DBInstance",
    "DeletionPolicy": "Snapshot",
    "Properties": {"Engine": "postgres", "EngineVersion": "16", "AllocatedStorage": "20",
                   "DBInstanceClass": "db.m6g.large", "MultiAZ": False, "MasterUsername": "tabular",
                   "ManageMasterUserPassword": True},
}  # fmt: skip


@pytest.fixture
def bucket(cloud: Cloud) -> str:
    """A bucket that somebody made by hand, with something in it."""
    s3 = cloud.client("s3")
    name = f"our-old-bucket-{cloud.account}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=name, Key="kept", Body=b"rows")
    return name


def adopt(cloud: Cloud, stack: Stack, *words: str) -> list[Event]:
    engine = cloud.engine()
    return list(engine.adopt(engine.preview_import(stack, words)))


def actions(cloud: Cloud, stack: Stack) -> dict[str, Action]:
    return {one.resource: one.action for one in cloud.engine().preview(stack).changes}


def refused(error: type[TabularError], ask: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        ask()
    assert caught.value.hint
    return f"{caught.value}"


# --- What is adopted


def test_a_bucket_is_adopted_where_nothing_is_deployed(cloud: Cloud, bucket: str) -> None:
    stack = small(1)
    plan = cloud.engine().preview_import(stack, [f"Bucket={bucket}"])
    assert [(one.resource, one.physical, one.later) for one in plan.adoptions] == [
        ("Bucket", bucket, ())
    ]
    assert cloud.stacks() == {}  # a look leaves nothing, not even a stack in review

    events = list(cloud.engine().adopt(plan))
    assert [one.sequence for one in events] == list(range(1, len(events) + 1))
    assert events[-1].reason == "IMPORT_COMPLETE"
    assert cloud.engine().status(AT).state is State.RETAINED
    assert actions(cloud, stack) == {
        "Bucket": Action.NOOP,
        "Queue": Action.CREATE,
        "AdminKey": Action.CREATE,
        "Description": Action.CREATE,
    }

    deploy(cloud.engine(), stack)
    assert cloud.engine().status(AT).outputs["bucket"] == bucket
    assert cloud.buckets() == [bucket]
    assert cloud.client("s3").get_object(Bucket=bucket, Key="kept")["Body"].read() == b"rows"


def test_what_comes_from_what_is_not_there_is_set_by_the_next_deploy(
    cloud: Cloud, bucket: str
) -> None:
    stack = stack_of({"image": IMAGE})
    plan = cloud.engine().preview_import(stack, [f"Bucket={bucket}"])
    assert plan.adoptions[0].later == (("BucketEncryption", "Key is not there yet"),)
    list(cloud.engine().adopt(plan))
    (change,) = [c for c in cloud.engine().preview(stack).changes if c.resource == "Bucket"]
    assert change.action is Action.UPDATE
    assert "BucketEncryption" in {one.path.partition(".")[0] for one in change.properties}
    deploy(cloud.engine(), stack)
    said = cloud.client("s3").get_bucket_encryption(Bucket=bucket)
    (rule,) = said["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_a_key_and_what_is_encrypted_with_it_are_adopted_together(
    cloud: Cloud, bucket: str
) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["KeyId"]
    cloud.client("logs").create_log_group(logGroupName="/old")
    stack = stack_of({"image": IMAGE})
    words = (f"Bucket={bucket}", f"Key={key}", "ApiLogGroup=/old")
    plan = cloud.engine().preview_import(stack, words)
    assert [(one.resource, one.later, one.unread) for one in plan.adoptions] == [
        ("Bucket", (), ()),
        ("Key", (), ("PendingWindowInDays",)),
        ("ApiLogGroup", (("DeletionPolicy", "until then no destroy deletes it"),), ()),
    ]
    list(cloud.engine().adopt(plan))
    assert actions(cloud, stack)["Key"] is Action.NOOP
    (log,) = [one for one in cloud.engine().preview(stack).changes if one.resource == "ApiLogGroup"]
    assert log.action is Action.UPDATE
    assert {"RetentionInDays", "Tags"} <= {one.path for one in log.properties}


def test_a_database_and_a_log_are_adopted_into_what_runs(cloud: Cloud) -> None:
    deploy(cloud.engine(), small(1))
    before = cloud.engine().status(AT)
    cloud.client("rds").create_db_instance(
        DBInstanceIdentifier="old-db", DBInstanceClass="db.m6g.large", Engine="postgres",
        AllocatedStorage=20, EngineVersion="16", MasterUsername="tabular",
        ManageMasterUserPassword=True,
    )  # fmt: skip
    cloud.client("logs").create_log_group(logGroupName="/old")
    wanted = small(1, more={**LOG, "Database": DATABASE})
    adopt(cloud, wanted, "Database=old-db", "Log=/old")

    after = cloud.engine().status(AT)
    assert (after.state, after.release, after.outputs) == (
        State.READY,
        before.release,
        before.outputs,
    )
    there = {one.id: one.detail for one in after.resources}
    assert (there["Database"], there["Log"]) == ("old-db", "/old")
    assert Action.CREATE not in actions(cloud, wanted).values()
    deploy(cloud.engine(), wanted)
    found = cloud.client("rds").describe_db_instances()["DBInstances"]
    assert [one["DBInstanceIdentifier"] for one in found] == ["old-db"]
    assert cloud.client("logs").describe_log_groups()["logGroups"][0]["logGroupName"] == "/old"


def test_a_database_of_a_spec_is_adopted_with_what_it_has_said_in_the_overrides(
    cloud: Cloud,
) -> None:
    cloud.client("rds").create_db_instance(
        DBInstanceIdentifier="old-db", DBInstanceClass="db.t4g.small", Engine="postgres",
        EngineVersion="16", AllocatedStorage=20, MasterUsername="tabular",
        MasterUserPassword="as-it-was-made",
    )  # fmt: skip
    has = {"DBSubnetGroupName": "old-net", "DBParameterGroupName": "old-parameters",
           "MasterUsername": "tabular",
           "KmsKeyId": "arn:aws:kms:eu-west-1:111122223333:key/k"}  # fmt: skip
    stack = stack_of({"image": IMAGE, "overrides": {"aws": {"Database": has}}})
    plan = cloud.engine().preview_import(stack, ["Database=old-db"])
    (one,) = plan.adoptions
    assert "VPCSecurityGroups" in dict(one.later)
    list(cloud.engine().adopt(plan))
    change = {one.resource: one for one in cloud.engine().preview(stack).changes}["Database"]
    assert change.action is not Action.CREATE and not change.loses_data


def test_what_is_otherwise_is_a_change_of_the_next_plan_and_the_deploy_makes_it(
    cloud: Cloud,
) -> None:
    """CloudFormation compares templates: what an import only claims would never be mended."""
    cloud.client("sqs").create_queue(QueueName="old", Attributes={"DelaySeconds": "9"})
    (url,) = cloud.queues()
    plan = cloud.engine().preview_import(small(3), [f"Queue={url}"])
    events = list(cloud.engine().adopt(plan))
    assert events[-1].reason == "UPDATE_COMPLETE"
    assert cloud.delays() == ["9"]  # as it was

    unlike = cloud.engine().unlike(plan)
    assert unlike.by_hand == () and cloud.engine().drift(AT) == ()
    (there,) = unlike.by_deploy
    said = [(one.path, one.before, str(one.after)) for one in there.properties]
    assert (there.resource, said) == ("Queue", [("DelaySeconds", 3, "9")])
    (change,) = [one for one in cloud.engine().preview(small(3)).changes if one.resource == "Queue"]
    assert (change.action, [one.path for one in change.properties]) == (
        Action.UPDATE,
        ["DelaySeconds"],
    )
    deploy(cloud.engine(), small(3))
    assert (cloud.queues(), cloud.delays()) == ([url], ["3"])


def test_what_only_a_new_one_could_have_is_left_as_drift(cloud: Cloud) -> None:
    """In the template it would have the next deploy replace the database."""
    cloud.client("rds").create_db_instance(
        DBInstanceIdentifier="old-db", DBInstanceClass="db.m6g.large", Engine="postgres",
        AllocatedStorage=20, EngineVersion="16", MasterUsername="tabular",
        StorageEncrypted=False, MultiAZ=True,
    )  # fmt: skip
    said = {**DATABASE["Properties"], "StorageEncrypted": True, "DeletionProtection": True}
    stack = small(1, more={"Database": {**DATABASE, "Metadata": {KEPT: True}, "Properties": said}})
    plan = cloud.engine().preview_import(stack, ["Database=old-db"])
    list(cloud.engine().adopt(plan))
    unlike = cloud.engine().unlike(plan)
    (by_deploy,), (by_hand,) = unlike.by_deploy, unlike.by_hand
    assert [one.path for one in by_deploy.properties] == ["DeletionProtection"]
    # Of a change of the second AWS says that it may replace an instance.
    assert [one.path for one in by_hand.properties] == ["MultiAZ", "StorageEncrypted"]
    assert actions(cloud, stack)["Database"] is Action.UPDATE


def test_what_was_adopted_and_not_yet_deployed_outlives_a_destroy(cloud: Cloud) -> None:
    cloud.client("logs").create_log_group(logGroupName="/old")
    deploy(cloud.engine(), small(1))
    adopt(cloud, small(1, more=LOG), "Log=/old")
    destroy(cloud.engine(), AT, data=False)
    assert cloud.client("logs").describe_log_groups()["logGroups"]


def test_a_rollback_leaves_what_was_adopted_in_the_account(cloud: Cloud) -> None:
    cloud.client("logs").create_log_group(logGroupName="/old")
    deploy(cloud.engine(), small(1))
    deploy(cloud.engine(), small(2))
    adopt(cloud, small(2, more=LOG), "Log=/old")
    roll_back(cloud.engine(), AT)
    assert cloud.delays() == ["1"]
    assert cloud.client("logs").describe_log_groups()["logGroups"]


def test_whoever_comes_later_sees_the_whole_import(cloud: Cloud, bucket: str) -> None:
    adopt(cloud, small(1), f"Bucket={bucket}")
    events = list(cloud.engine().attach(AT))
    assert events[0].resource == "" and events[-1].reason == "IMPORT_COMPLETE"
    assert {one.resource for one in events} == {"", "Bucket"}


def test_the_same_import_again_goes_on_after_a_client_that_died(cloud: Cloud) -> None:
    """It died when the log was imported, and what it is was not yet in the template."""
    cloud.client("logs").create_log_group(logGroupName="/old")
    stack = small(3, more=LOG)
    engine = cloud.engine()
    for event in engine.adopt(engine.preview_import(stack, ["Log=/old"])):
        if event.reason == "IMPORT_COMPLETE":
            break
    assert cloud.engine().drift(AT)
    adopt(cloud, stack, "Log=/old")
    assert cloud.engine().drift(AT) == ()
    assert adopt(cloud, stack, "Log=/old") == []
    assert cloud.open_change_sets() == []


def test_production_is_protected_from_the_beginning(cloud: Cloud, bucket: str) -> None:
    at = target(environment="production")
    adopt(cloud, small(1, at=at), f"Bucket={bucket}")
    assert cloud.described(at)["EnableTerminationProtection"] is True


def test_a_failed_first_deploy_is_removed_first(cloud: Cloud, bucket: str) -> None:
    with pytest.raises(ApplyError):
        deploy(cloud.engine(), small(1, **IMPOSSIBLE))
    assert cloud.stacks() == {NAME: "ROLLBACK_COMPLETE"}
    adopt(cloud, small(1), f"Bucket={bucket}")
    assert cloud.stacks() == {NAME: "IMPORT_COMPLETE"}


def test_a_failed_first_deploy_that_was_kept_is_not_removed(cloud: Cloud, bucket: str) -> None:
    with pytest.raises(ApplyError):
        deploy(cloud.engine(keep_failed=True), small(1, **IMPOSSIBLE))
    assert cloud.stacks() == {NAME: "CREATE_FAILED"}
    said = refused(
        RefusedError, lambda: cloud.engine().preview_import(small(1), [f"Bucket={bucket}"])
    )
    assert "CREATE_FAILED" in said and "have it deleted" in said
    assert cloud.stacks() == {NAME: "CREATE_FAILED"}


def test_a_stack_left_in_review_is_taken_over(cloud: Cloud, bucket: str) -> None:
    one = small(1)
    cloud.parts().change_sets.make(NAME, REGION, one.to_bytes(), "r1", first=True)
    adopt(cloud, one, f"Bucket={bucket}")
    assert cloud.stacks() == {NAME: "IMPORT_COMPLETE"}


def test_a_look_takes_away_no_stack_but_its_own(cloud: Cloud) -> None:
    """Somebody else's first deploy may begin while an import is looked at."""
    sets = cloud.parts().change_sets
    sets.make(NAME, REGION, small(1).to_bytes(), "r1", first=True)
    sets.abandon(NAME, REGION)
    assert cloud.stacks() == {NAME: "REVIEW_IN_PROGRESS"}
    deploy(cloud.engine(), small(1))
    sets.abandon(NAME, REGION)
    assert cloud.stacks() == {NAME: "CREATE_COMPLETE"}
    sets.abandon("no-such-stack", REGION)


def test_a_look_does_not_wait_for_what_somebody_else_does(cloud: Cloud) -> None:
    engine = cloud.engine()
    for event in engine.apply(engine.preview(small(1, more=waiting()))):
        if event.resource == "Wait":
            break
    clock, parts = Clock(), cloud.parts()
    sets = ChangeSets(parts.stacks, parts.artifacts, sleep=clock.sleep, clock=clock.now)
    sets.abandon(NAME, REGION)
    assert clock.slept == [] and cloud.stacks() == {NAME: "CREATE_IN_PROGRESS"}
    cloud.signal(AT)
    cloud.settled(NAME)


# --- What is refused


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["Bucket"], UsageError, "does not say which resource"),
        (["=b"], UsageError, "does not say which resource"),
        (["Buckt=b"], UsageError, "did you mean 'Bucket'"),
        (["Bucket=b", "Bucket=c"], UsageError, "named twice: Bucket"),
        (["Queue=q", "DeadLetterQueue=q"], UsageError, "named twice: q"),
        (["ApiService=x"], UsageError, "ApiService=ServiceArn|Cluster"),
        (["QueuePolicy=x"], RefusedError, "imports no AWS::SQS::QueuePolicy"),
        (["BucketPolicy=b"], RefusedError, "as Bucket, PolicyDocument comes from Bucket,"),
        (["Database=d"], RefusedError, "import DatabaseParameterGroup, DatabaseSubnetGroup, Key"),
        (["Bucket=no-such-bucket-anywhere"], RefusedError, "Bucket not found"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_leaves_nothing(
    cloud: Cloud, words: list[str], error: type[TabularError], said: str
) -> None:
    stack = stack_of({"image": IMAGE})
    assert said in refused(error, lambda: cloud.engine().preview_import(stack, words))
    assert cloud.stacks() == {}


@pytest.mark.parametrize(
    "type_",
    ["AWS::Batch::JobDefinition", "AWS::EC2::LaunchTemplate", "AWS::ECS::TaskDefinition",
     "AWS::Lambda::Function"],
)  # fmt: skip
def test_what_may_hold_secrets_is_not_imported(type_: str) -> None:
    wanted = {"It": {"Type": type_, "Properties": {}}, **LOG}
    said = refused(RefusedError, lambda: read(["It=there"], wanted, {}))
    assert f"{type_} is not imported" in said and "secrets" in said
    with pytest.raises(UsageError) as caught:
        read(["Unlike=there"], wanted, {})
    assert caught.value.hint == "it has Log"


@pytest.mark.parametrize("shown", ["203.0.113.7", "203.0.113.7|eipalloc-1"])
def test_an_id_of_several_parts_is_the_one_that_the_stack_shows_a_part_of(shown: str) -> None:
    wanted = {"Address": {"Type": "AWS::EC2::EIP", "Properties": {}}}
    word = "Address=203.0.113.7|eipalloc-1"
    (one,) = read([word], wanted, {"Address": shown})
    assert one.there
    said = refused(RefusedError, lambda: read([word], wanted, {"Address": "203.0.113.8"}))
    assert "in the stack already" in said


def test_what_an_import_took_back_is_not_the_stacks() -> None:
    """Else a later destroy would delete what somebody uses."""
    listed = [
        {"LogicalResourceId": name, "ResourceType": "AWS::S3::Bucket", "ResourceStatus": status,
         "LastUpdatedTimestamp": datetime(2026, 11, 1, tzinfo=UTC)}
        for name, status in (
            ("Ours", "IMPORT_COMPLETE"),
            ("Gone", "DELETE_COMPLETE"),
            ("Theirs", "IMPORT_ROLLBACK_COMPLETE"),
        )
    ]  # fmt: skip
    answer = ("list_stack_resources", None, {"StackResourceSummaries": listed})
    stacks = Stacks(Session(Access(), base=Scripted(cloudformation=[answer])))
    found = Found(NAME, "id", "IMPORT_ROLLBACK_COMPLETE", "", datetime.now(UTC), {})
    assert [one["LogicalResourceId"] for one in stacks.resources(found, REGION)] == ["Ours"]


def test_what_another_stack_owns_is_refused_by_its_name(cloud: Cloud) -> None:
    deploy(cloud.engine(), small(1))
    (owned,) = cloud.buckets()
    other = target("other")
    said = refused(
        RefusedError,
        lambda: cloud.engine().preview_import(small(1, at=other), [f"Bucket={owned}"]),
    )
    assert "already exists in stack" in said and f"stack/{NAME}/" in said
    assert list(cloud.stacks()) == [NAME]


def test_what_is_in_the_stack_already_is_refused(cloud: Cloud, bucket: str) -> None:
    deploy(cloud.engine(), small(1))
    said = refused(
        RefusedError, lambda: cloud.engine().preview_import(small(1), [f"Bucket={bucket}"])
    )
    assert "Bucket is in the stack already: tabular-" in said
    assert cloud.open_change_sets() == []


def test_a_name_in_the_spec_is_not_given_to_another_one(cloud: Cloud, bucket: str) -> None:
    named = {"Store": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "the-other"}}}
    said = refused(
        RefusedError,
        lambda: cloud.engine().preview_import(small(1, more=named), [f"Store={bucket}"]),
    )
    assert "its BucketName is the-other" in said


def test_a_plan_that_became_stale_is_refused(cloud: Cloud, bucket: str) -> None:
    plan = cloud.engine().preview_import(small(1), [f"Bucket={bucket}"])
    deploy(cloud.engine(), small(2))
    with pytest.raises(StalePlanError):
        list(cloud.engine().adopt(plan))


def test_what_went_in_the_meantime_is_refused_and_leaves_nothing(cloud: Cloud, bucket: str) -> None:
    plan = cloud.engine().preview_import(small(1), [f"Bucket={bucket}"])
    s3 = cloud.client("s3")
    s3.delete_object(Bucket=bucket, Key="kept")
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(RefusedError, match="Bucket not found"):
        list(cloud.engine().adopt(plan))
    assert cloud.stacks() == {}


def test_nothing_is_imported_while_an_operation_runs(cloud: Cloud, bucket: str) -> None:
    engine = cloud.engine()
    for event in engine.apply(engine.preview(small(1, more=waiting()))):
        if event.resource == "Wait":
            break
    with pytest.raises(RefusedError, match="CREATE_IN_PROGRESS"):
        cloud.engine().preview_import(small(1), [f"Bucket={bucket}"])
    cloud.signal(AT)
    cloud.settled(NAME)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("IMPORT_ROLLBACK_COMPLETE", "was taken back: Bucket: gone"),
        ("IMPORT_ROLLBACK_FAILED", "left as IMPORT_ROLLBACK_FAILED"),
    ],
)
def test_a_failed_import_is_told_with_its_cause(status: str, said: str) -> None:
    heard = Heard(failures=[("Bucket", "gone")], status=status)
    with pytest.raises(ApplyError) as caught:
        require_imported("arn:aws:cloudformation:eu-west-1:1:stack/s/0", heard)
    assert said in caught.value.message and caught.value.hint
    assert caught.value.rolled_back == status.endswith("ROLLBACK_COMPLETE")


def test_an_import_is_carried_out_with_nothing_that_is_said_of_what_is_made() -> None:
    """CloudFormation takes neither flag for an import; the emulator takes both."""
    said = {"StackName": "s", "ChangeSetName": "c", "ClientRequestToken": "t"}
    base = Scripted(cloudformation=[("execute_change_set", said, {})])
    session = Session(Access(), base=base)
    sets = ChangeSets(Stacks(session), Artifacts(session))
    sets.execute(ChangeSet("c", "s", (), imports=True), REGION, "t")
    base.require_all()


# --- What is known of the types


def test_the_identifiers_are_those_that_the_emulator_measured() -> None:
    known = {type_: one.identifier for type_, one in importable().items()}
    assert known["AWS::S3::Bucket"] == ("BucketName",)
    assert known["AWS::SQS::Queue"] == ("QueueUrl",)
    assert known["AWS::KMS::Key"] == ("KeyId",)
    assert "AWS::IAM::Policy" not in known
