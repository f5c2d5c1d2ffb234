"""A destroy, and what gets in its way: contents, locks, guards, other clients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tabular.deploy.aws.account.bucket import empty
from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.account.stacks import Found, Stacks, stack_name
from tabular.deploy.aws.applying.emptying import Emptier
from tabular.deploy.aws.words.document import resource
from tabular.deploy.events import EventStatus
from tabular.deploy.provider import State
from tabular.errors import (
    ApplyError,
    ConflictError,
    NotFoundError,
    RefusedError,
    WaitTimeoutError,
)
from tests.deploy.aws.cloud import (
    AT,
    IMPOSSIBLE,
    NAME,
    ONE,
    TWO,
    Clock,
    Cloud,
    deploy,
    destroy,
    small,
    target,
)
from tests.deploy.aws.scripted import Scripted
from tests.testbed.ministack import REGION


def fill(cloud: Cloud, *keys: str) -> str:
    """Put objects into the bucket of the deployment; its name."""
    (bucket,) = cloud.buckets()
    for key in keys:
        cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    return bucket


def gone(cloud: Cloud) -> bool:
    return (cloud.stacks(), cloud.buckets(), cloud.queues()) == ({}, [], [])


def test_kept_data_can_be_deleted_later(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    fill(cloud, "a")
    events = destroy(cloud.engine(), AT, data=False)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    kept = [event.resource for event in events if event.status is EventStatus.KEPT]
    assert kept == ["Bucket"]
    again = destroy(cloud.engine(), AT, data=False)
    assert [(event.resource, event.status) for event in again] == [("Bucket", EventStatus.KEPT)]
    events = destroy(cloud.engine(), AT, data=True)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert gone(cloud)


def test_all_versions_of_all_objects_are_deleted(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    bucket = fill(cloud)
    s3 = cloud.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    fill(cloud, "a", "a", "b", "c")
    s3.delete_object(Bucket=bucket, Key="b")
    destroy(cloud.engine(), AT, data=True)
    assert gone(cloud)


def test_more_versions_than_a_page_holds_are_deleted_page_by_page() -> None:
    where = {"Bucket": "b", "Prefix": "", "ExpectedBucketOwner": "1"}

    def page(key: str, **more: Any) -> dict[str, Any]:
        return {"Versions": [{"Key": key, "VersionId": f"v{key}"}], **more}

    def deletes(key: str) -> dict[str, Any]:
        objects = [{"Key": key, "VersionId": f"v{key}"}]
        return {"Bucket": "b", "Delete": {"Objects": objects, "Quiet": True},
                "ExpectedBucketOwner": "1"}  # fmt: skip

    following = {"IsTruncated": True, "NextKeyMarker": "k", "NextVersionIdMarker": "vk"}
    base = Scripted(
        s3=[
            ("list_object_versions", where, page("k", **following)),
            ("delete_objects", deletes("k"), {}),
            (
                "list_object_versions",
                {**where, "KeyMarker": "k", "VersionIdMarker": "vk"},
                {"DeleteMarkers": page("l")["Versions"], "IsTruncated": False},
            ),
            ("delete_objects", deletes("l"), {}),
        ]
    )
    empty(Session(Access(), base=base).client("s3", REGION), "b", owner="1")
    base.require_all()


def test_what_is_written_while_the_bucket_is_emptied_is_deleted_as_well(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    fill(cloud, "a")
    session = cloud.session()
    writes = iter(["late"])

    def write(**_: Any) -> None:
        for key in writes:
            fill(cloud, key)

    events = session.client("cloudformation", REGION).meta.events
    events.register("before-call.cloudformation.DeleteStack", write)
    destroy(cloud.engine(session), AT, data=True)
    assert gone(cloud)


def test_a_bucket_that_is_written_into_all_the_time_is_told_and_gone_on_with(
    cloud: Cloud,
) -> None:
    deploy(cloud.engine(), ONE)
    session = cloud.session()
    numbers = iter(range(100))

    def write(**_: Any) -> None:
        fill(cloud, f"k{next(numbers)}")

    events = session.client("cloudformation", REGION).meta.events
    events.register("before-call.cloudformation.DeleteStack", write)
    with pytest.raises(ApplyError, match="Bucket") as caught:
        destroy(cloud.engine(session), AT, data=True)
    assert "destroy" in str(caught.value.hint)
    assert not caught.value.rolled_back
    assert cloud.stacks() == {NAME: "DELETE_FAILED"}
    assert cloud.engine().status(AT).state is State.DEGRADED
    # Without the word it asks for it, and deploys are told what to do first.
    with pytest.raises(RefusedError, match="some of it may be gone") as refused:
        destroy(cloud.engine(), AT, data=False)
    assert refused.value.code == "refused.data-loss"
    assert "destroy --delete-data" in str(refused.value.hint)
    with pytest.raises(ConflictError, match="DELETE_FAILED") as conflict:
        cloud.engine().preview(TWO)
    assert "destroy --delete-data" in str(conflict.value.hint)
    assert len(cloud.buckets()) == 1
    destroy(cloud.engine(), AT, data=True)
    assert gone(cloud)


def test_a_locked_object_is_named_and_the_destroy_gone_on_with(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    (bucket,) = cloud.buckets()
    s3 = cloud.client("s3")
    # The emulator's CloudFormation makes no bucket with locks; another one takes its place.
    s3.delete_bucket(Bucket=bucket)
    where = {"LocationConstraint": REGION}
    s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True
    )
    later = datetime.now(UTC) + timedelta(days=1)
    made = s3.put_object(Bucket=bucket, Key="locked", Body=b"x", ObjectLockMode="COMPLIANCE",
                         ObjectLockRetainUntilDate=later)  # fmt: skip
    with pytest.raises(ConflictError, match="locked cannot be deleted") as caught:
        destroy(cloud.engine(), AT, data=True)
    assert caught.value.where == f"s3://{bucket}"
    assert "object lock" in str(caught.value.hint)
    assert s3.head_object(Bucket=bucket, Key="locked")["VersionId"] == made["VersionId"]
    with pytest.raises(ConflictError, match="a destroy with its data was begun") as refused:
        cloud.engine().preview(ONE)
    assert refused.value.code == "conflict.deleting"


def test_deploys_are_refused_onto_data_that_is_being_deleted(cloud: Cloud) -> None:
    """Between the steps of a destroy the stack looks at rest; a deploy would be deleted next."""
    deploy(cloud.engine(), ONE)
    fill(cloud, "a")
    session = cloud.session()
    refusals = []

    def come(**_: Any) -> None:
        try:
            deploy(cloud.engine(), TWO)
        except ConflictError as error:
            refusals.append(error.code)

    session.client("s3", REGION).meta.events.register("before-call.s3.DeleteObjects", come)
    destroy(cloud.engine(session), AT, data=True)
    assert set(refusals) == {"conflict.deleting"}
    assert gone(cloud)


DATABASE = {
    "Database": resource(
        "AWS::RDS::DBInstance",
        {
            "Engine": "postgres",
            "EngineVersion": "16",
            "DBInstanceClass": "db.m7g.large",
            "AllocatedStorage": "20",
            "MasterUsername": "tabular",
            "MasterUserPassword": "not-a-real-one",
            "DeletionProtection": True,
        },
        snapshot=True,
    )
}


def databases(cloud: Cloud) -> list[bool]:
    found = cloud.client("rds").describe_db_instances()["DBInstances"]
    return [one["DeletionProtection"] for one in found]


def test_the_guard_of_a_database_is_taken_off_first_and_only_for_good(cloud: Cloud) -> None:
    deploy(cloud.engine(), small(1, more=DATABASE))
    destroy(cloud.engine(), AT, data=False)
    assert databases(cloud) == [True]
    told = destroy(cloud.engine(), AT, data=True)
    assert databases(cloud) == []
    assert gone(cloud)
    assert EventStatus.FAILED not in {event.status for event in told}


def test_a_deletion_past_us_that_failed_is_explained(cloud: Cloud) -> None:
    """CloudFormation takes no update of such a stack, so nothing of ours could go on."""
    deploy(cloud.engine(), small(1, more=DATABASE))
    cloud.api.delete_stack(StackName=NAME)
    assert cloud.settled(NAME) == "DELETE_FAILED"
    for data in (False, True):
        with pytest.raises(ConflictError, match="past this tool") as caught:
            destroy(cloud.engine(), AT, data=data)
        assert f"delete-stack --stack-name {NAME}" in str(caught.value.hint)
        assert "Bucket" in str(caught.value.hint)
    assert databases(cloud) == [True]


def test_a_guarded_database_of_a_first_deploy_that_failed_goes_too(cloud: Cloud) -> None:
    failing = small(9, more=DATABASE, **IMPOSSIBLE)
    failing.template["Resources"]["Queue"]["DependsOn"] = ["Database"]
    with pytest.raises(ApplyError, match="left as CREATE_FAILED"):
        deploy(cloud.engine(keep_failed=True), failing)
    assert databases(cloud) == [True]
    deploy(cloud.engine(), ONE)
    assert databases(cloud) == []


def test_what_failed_at_first_goes_with_any_destroy(cloud: Cloud) -> None:
    for keep_failed in (False, True):
        with pytest.raises(ApplyError):
            deploy(cloud.engine(keep_failed=keep_failed), small(9, **IMPOSSIBLE))
        destroy(cloud.engine(), AT, data=False)
        assert gone(cloud)
        assert cloud.kept() == []


def test_a_destroy_leaves_what_was_kept_for_looking_at_it(cloud: Cloud) -> None:
    """A failed update that was kept is rolled back, then the service goes and the data stays."""
    deploy(cloud.engine(), ONE)
    fill(cloud, "a")
    with pytest.raises(ApplyError):
        deploy(cloud.engine(keep_failed=True), small(9, **IMPOSSIBLE))
    destroy(cloud.engine(), AT, data=False)
    assert cloud.engine().status(AT).state is State.RETAINED
    assert (len(cloud.buckets()), cloud.queues()) == (1, [])


def test_nothing_there_is_no_error_and_leaves_no_record(cloud: Cloud) -> None:
    assert destroy(cloud.engine(), AT, data=True) == []
    assert cloud.all_buckets() == []
    deploy(cloud.engine(), ONE)
    destroy(cloud.engine(), AT, data=True)
    assert cloud.kept() == []
    assert destroy(cloud.engine(), AT, data=False) == []
    with pytest.raises(NotFoundError):
        cloud.engine().status(AT)


def test_a_bucket_that_somebody_deleted_already_is_no_error(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    bucket = fill(cloud)
    cloud.client("s3").delete_bucket(Bucket=bucket)
    destroy(cloud.engine(), AT, data=True)
    assert gone(cloud)


def test_other_deployments_keep_their_records(cloud: Cloud) -> None:
    other = target("demo-2")
    for stack in (ONE, small(1, at=other), small(2, at=other)):
        deploy(cloud.engine(), stack)
    destroy(cloud.engine(), AT, data=True)
    assert {key.partition("/")[0] for key in cloud.kept()} == {stack_name(other)}
    assert cloud.engine().preview_rollback(other).stack == small(1, at=other)


# --- Vaults, in whose emulator nothing is deleted


VAULT = {
    "StackResourceSummaries": [
        {
            "LogicalResourceId": "BackupVault",
            "PhysicalResourceId": "vault",
            "ResourceType": "AWS::Backup::BackupVault",
            "LastUpdatedTimestamp": datetime.now(UTC),
            "ResourceStatus": "CREATE_COMPLETE",
        }
    ]
}
LISTED = "list_recovery_points_by_backup_vault"


def points(*names: str) -> dict[str, Any]:
    return {"RecoveryPoints": [{"RecoveryPointArn": name} for name in names]}


def emptied(clock: Clock, *calls: tuple[str, Any, Any]) -> Scripted:
    base = Scripted(cloudformation=[("list_stack_resources", None, VAULT)], backup=calls)
    session = Session(Access(), base=base)
    found = Found(NAME, "arn", "UPDATE_COMPLETE", "", datetime.now(UTC), {})
    Emptier(session, Stacks(session), sleep=clock.sleep, clock=clock.now).run(found, REGION)
    return base


def gone_point(name: str) -> tuple[str, Any, Any]:
    asked = {"BackupVaultName": "vault", "RecoveryPointArn": name}
    return ("delete_recovery_point", asked, {})


def test_copies_are_deleted_once_each_and_waited_for() -> None:
    in_vault = {"BackupVaultName": "vault"}
    base = emptied(
        Clock(real=0),
        (LISTED, in_vault, {**points("one"), "NextToken": "t"}),
        (LISTED, {**in_vault, "NextToken": "t"}, points("two")),
        gone_point("one"),
        gone_point("two"),
        (LISTED, in_vault, points("two")),
        (LISTED, in_vault, points()),
    )
    base.require_all()


def test_copies_that_do_not_go_are_told() -> None:
    stays = [(LISTED, None, points("one"))] * 400
    with pytest.raises(WaitTimeoutError, match="1 copies are still in the vault after 30 min") as e:
        emptied(Clock(real=0), stays[0], gone_point("one"), *stays)
    assert "destroy --delete-data" in str(e.value.hint)


def test_a_vault_that_somebody_deleted_is_no_error() -> None:
    emptied(Clock(real=0), (LISTED, None, {"Error": "ResourceNotFoundException"})).require_all()
