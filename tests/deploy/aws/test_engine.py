"""The engine on CloudFormation: what it plans, applies and refuses, in good states and bad."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.aws.applying.changeset import ChangeSets
from tabular.deploy.aws.applying.follow import Heard
from tabular.deploy.aws.applying.operations import Operations
from tabular.deploy.aws.applying.purposes import Purpose, new_token, purpose_of
from tabular.deploy.aws.engine import CloudFormationEngine
from tabular.deploy.aws.words.document import resource
from tabular.deploy.events import EventStatus
from tabular.deploy.plan import Action
from tabular.deploy.provider import State
from tabular.deploy.stack import Stack
from tabular.errors import (
    ApplyError,
    BusyError,
    ConflictError,
    EngineError,
    NotFoundError,
    RefusedError,
    StalePlanError,
    UnsupportedError,
)
from tests.deploy.aws.cloud import (
    AT,
    IMPOSSIBLE,
    NAME,
    ONE,
    THREE,
    TWO,
    Cloud,
    deploy,
    destroy,
    roll_back,
    small,
    target,
    waiting,
)
from tests.testbed.ministack import REGION

PROD = target(environment="production")
FAILING = small(9, **IMPOSSIBLE)


def begun(cloud: Cloud, stack: Stack, *, until: str = "Wait") -> None:
    """A deploy that runs, and whose client is gone."""
    engine = cloud.engine()
    for event in engine.apply(engine.preview(stack)):
        if event.resource == until:
            return


def release(stack: Stack) -> str:
    return stack.fingerprint[:12]


def runs(cloud: Cloud) -> str:
    return cloud.engine().status(AT).release


# --- Bad states


def test_a_stack_left_under_review_is_taken_over(cloud: Cloud) -> None:
    made = cloud.parts().change_sets.make(NAME, REGION, ONE.to_bytes(), release(ONE), first=True)
    assert made is not None
    assert cloud.stacks() == {NAME: "REVIEW_IN_PROGRESS"}
    with pytest.raises(NotFoundError, match="nothing is deployed"):
        cloud.engine().status(AT)
    events = deploy(cloud.engine(), TWO)
    assert (runs(cloud), cloud.delays()) == (release(TWO), ["2"])
    assert cloud.open_change_sets() == []
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert cloud.described(AT)["StackId"] == made.stack_id


def test_a_first_deploy_that_fails_leaves_nothing_and_then_one_succeeds(cloud: Cloud) -> None:
    with pytest.raises(ApplyError, match="VisibilityTimeout") as caught:
        deploy(cloud.engine(), FAILING)
    assert caught.value.rolled_back
    assert (cloud.buckets(), cloud.queues()) == ([], [])
    assert cloud.stacks() == {NAME: "ROLLBACK_COMPLETE"}
    assert cloud.engine().status(AT).state is State.FAILED
    plan = cloud.engine().preview(ONE)
    assert {change.action for change in plan.changes} == {Action.CREATE}
    events = list(cloud.engine().apply(plan))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert (runs(cloud), cloud.delays()) == (release(ONE), ["1"])
    with pytest.raises(NotFoundError, match="no release before"):
        cloud.engine().preview_rollback(AT)


def test_what_was_kept_for_looking_at_it_is_removed_by_the_next_deploy(cloud: Cloud) -> None:
    with pytest.raises(ApplyError, match="left as CREATE_FAILED") as caught:
        deploy(cloud.engine(keep_failed=True), FAILING)
    assert not caught.value.rolled_back
    (orphan,) = cloud.buckets()
    deploy(cloud.engine(), ONE)
    assert runs(cloud) == release(ONE)
    (bucket,) = cloud.buckets()
    assert bucket != orphan


def test_whoever_follows_a_clearing_away_is_told_of_no_failed_apply(cloud: Cloud) -> None:
    """A deploy that first lets go of what was kept, and whose client died: the next one follows."""
    with pytest.raises(ApplyError):
        deploy(cloud.engine(keep_failed=True), FAILING)
    parts = cloud.parts()
    found = parts.stacks.find(AT)
    assert found is not None
    operations = Operations(parts.stacks, parts.change_sets, parts.follower)
    own = list(operations.undo(found, REGION, Heard(), Purpose.CLEAR))
    assert cloud.stacks() == {NAME: "ROLLBACK_COMPLETE"}
    assert list(cloud.engine().attach(AT)) == own
    deploy(cloud.engine(), ONE)
    assert cloud.delays() == ["1"]


def test_all_deployments_are_asked_about_at_the_same_time_and_told_in_order(cloud: Cloud) -> None:
    names = [f"demo{number}" for number in range(4)]
    for name in names:
        deploy(cloud.engine(), small(at=target(name)))
    open_, most, lock = 0, 0, threading.Lock()

    def asked(**_: Any) -> None:
        nonlocal open_, most
        with lock:
            open_ += 1
            most = max(most, open_)
        time.sleep(0.1)

    def answered(**_: Any) -> None:
        nonlocal open_
        with lock:
            open_ -= 1

    session = cloud.session()
    events = session.client("cloudformation", REGION).meta.events
    events.register("before-send", asked)
    events.register("after-call", answered)
    found = cloud.engine(session).list()
    assert [one.target.name for one in found] == names
    assert {one.state for one in found} == {State.READY}
    assert 2 <= most <= 8


def test_what_replaces_something_cannot_be_kept_for_looking_at_it(cloud: Cloud) -> None:
    """AWS finds that out in the middle, and leaves the update there."""
    vpc = resource("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/16"})
    other = resource("AWS::EC2::VPC", {"CidrBlock": "10.1.0.0/16"})
    deploy(cloud.engine(), small(more={"Vpc": vpc}))
    with pytest.raises(UnsupportedError, match="replaces Vpc") as caught:
        cloud.engine(keep_failed=True).preview(small(more={"Vpc": other}))
    assert (caught.value.where, bool(caught.value.hint)) == ("--disable-rollback", True)
    assert cloud.stacks() == {NAME: "CREATE_COMPLETE"}
    deploy(cloud.engine(), small(more={"Vpc": other}))
    deploy(cloud.engine(keep_failed=True), small(2, more={"Vpc": other}))


def test_another_key_for_a_vault_is_refused_with_the_way_to_it(cloud: Cloud) -> None:
    """A vault has a name, and AWS replaces nothing that has one."""

    def keyed(key: str) -> Stack:
        named = {"BackupVaultName": "tabular-copies", "EncryptionKeyArn": key}
        return small(more={"Vault": resource("AWS::Backup::BackupVault", named, kept=True)})

    keys = [f"arn:aws:kms:{REGION}:111122223333:key/{n}" for n in (1, 2)]
    deploy(cloud.engine(), keyed(keys[0]))
    with pytest.raises(UnsupportedError, match="another vault") as caught:
        cloud.engine().preview(keyed(keys[1]))
    assert caught.value.where == "spec.security.kms_key"
    assert "backup.enabled: false" in str(caught.value.hint)


def test_an_update_that_is_kept_for_looking_at_it_says_the_way_back(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    with pytest.raises(ApplyError, match="left as UPDATE_FAILED") as caught:
        deploy(cloud.engine(keep_failed=True), FAILING)
    assert f"rollback-stack --retain-except-on-create --stack-name {NAME}" in str(caught.value)
    assert cloud.engine().status(AT).state is State.DEGRADED
    with pytest.raises(ConflictError, match="UPDATE_FAILED") as refused:
        cloud.engine().preview(TWO)
    assert f"rollback-stack --retain-except-on-create --stack-name {NAME}" in str(refused.value)
    cloud.api.rollback_stack(StackName=NAME, RetainExceptOnCreate=True)
    cloud.settled(NAME)
    deploy(cloud.engine(), TWO)
    assert cloud.delays() == ["2"]


def address(team: str) -> dict[str, Any]:
    tags = [{"Key": "team", "Value": team}]
    return {"Address": {"Type": "AWS::EC2::EIP", "Properties": {"Tags": tags}}}


def test_a_rollback_of_aws_that_fails_is_continued_by_a_person(cloud: Cloud) -> None:
    deploy(cloud.engine(), small(1, more=address("a")))
    begun(cloud, small(2, more={**address("b"), **waiting(after="Address")}))
    (made,) = cloud.client("ec2").describe_addresses()["Addresses"]
    cloud.client("ec2").release_address(AllocationId=made["AllocationId"])
    cloud.signal(AT, "FAILURE")
    with pytest.raises(ApplyError, match="left as UPDATE_ROLLBACK_FAILED") as caught:
        list(cloud.engine().attach(AT))
    assert f"continue-update-rollback --stack-name {NAME}" in str(caught.value.hint)
    assert cloud.engine().status(AT).state is State.DEGRADED
    for command in (
        lambda: cloud.engine().preview(ONE),
        lambda: destroy(cloud.engine(), AT, data=True),
        lambda: destroy(cloud.engine(), AT, data=False),
    ):
        with pytest.raises(ConflictError, match="UPDATE_ROLLBACK_FAILED") as refused:
            command()
        assert f"continue-update-rollback --stack-name {NAME}" in str(refused.value.hint)
    cloud.api.continue_update_rollback(StackName=NAME, ResourcesToSkip=["Address"])
    cloud.settled(NAME)
    deploy(cloud.engine(), TWO)
    assert cloud.delays() == ["2"]


def test_a_stack_of_this_name_that_is_somebody_elses_is_left_alone(cloud: Cloud) -> None:
    theirs = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n"
    for body in (theirs, json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}})):
        cloud.api.create_stack(StackName=NAME, TemplateBody=body)
        cloud.settled(NAME)
        for command in (
            lambda: deploy(cloud.engine(), ONE),
            lambda: destroy(cloud.engine(), AT, data=True),
            lambda: cloud.engine().status(AT),
        ):
            with pytest.raises(ConflictError, match="none of this tool's") as caught:
                command()
            assert caught.value.code == "conflict.foreign"
        assert len(cloud.queues()) == 1
        assert cloud.engine().list() == ()
        cloud.api.delete_stack(StackName=NAME)
        cloud.until(lambda: str(cloud.stacks()), lambda found: found == "{}")


def test_change_sets_of_dead_clients_are_deleted_when_they_are_old(cloud: Cloud) -> None:
    """A client that died while it looked at a change; a young one may be another's at work."""
    deploy(cloud.engine(), ONE)
    cloud.parts().change_sets.make(NAME, REGION, TWO.to_bytes(), release(TWO), first=False)
    cloud.api.create_change_set(
        StackName=NAME,
        ChangeSetName="theirs",
        TemplateBody=small(5).to_bytes().decode(),
        Parameters=[{"ParameterKey": "Release", "ParameterValue": "x"}],
    )
    cloud.engine().preview(THREE)
    assert len(cloud.open_change_sets()) == 2
    parts = cloud.parts()
    later = ChangeSets(
        parts.stacks, parts.artifacts, now=lambda: datetime.now(UTC) + timedelta(minutes=20)
    )
    CloudFormationEngine(replace(parts, change_sets=later)).preview(THREE)
    assert cloud.open_change_sets() == ["theirs"]


# --- Between the plan and the apply


def test_a_stack_deleted_past_us_in_between_makes_the_plan_stale(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    plan = cloud.engine().preview(TWO)
    cloud.api.delete_stack(StackName=NAME)
    cloud.until(lambda: str(cloud.stacks()), lambda found: found == "{}")
    with pytest.raises(StalePlanError):
        list(cloud.engine().apply(plan))
    assert cloud.stacks() == {}


def test_an_apply_of_somebody_else_in_between_makes_the_plan_stale(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    plan = cloud.engine().preview(TWO)
    deploy(cloud.engine(), THREE)
    with pytest.raises(StalePlanError):
        list(cloud.engine().apply(plan))
    assert cloud.delays() == ["3"]


def test_the_same_template_with_the_same_release_that_somebody_changed_is_seen(
    cloud: Cloud,
) -> None:
    """Past us a template may be changed and the parameter that names the release stays."""
    deploy(cloud.engine(), ONE)
    changed = json.loads(ONE.to_bytes())
    changed["Resources"]["Queue"]["Properties"]["DelaySeconds"] = 7
    keep = [{"ParameterKey": "Release", "UsePreviousValue": True}]
    cloud.api.update_stack(
        StackName=NAME,
        TemplateBody=json.dumps(changed),
        Parameters=keep,
    )
    cloud.settled(NAME)
    plan = cloud.engine().preview(ONE)
    assert [c.resource for c in plan.changes if c.action is Action.UPDATE] == ["Queue"]
    list(cloud.engine().apply(plan))
    assert cloud.delays() == ["1"]


class Elsewhere:
    """Another client that comes in between two calls of one, whatever those are."""

    def __init__(self, cloud: Cloud, before: str, act: Any) -> None:
        self.session = cloud.session()
        self._act, self._done = act, False
        events = self.session.client("cloudformation", REGION).meta.events
        events.register(f"before-call.cloudformation.{before}", self._come)

    def _come(self, **_: Any) -> None:
        if not self._done:
            self._done = True
            self._act()


def test_whoever_executes_second_is_told_that_the_plan_is_stale(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    other = Elsewhere(cloud, "ExecuteChangeSet", lambda: deploy(cloud.engine(), THREE))
    with pytest.raises(StalePlanError, match="changed while this plan"):
        deploy(cloud.engine(other.session), TWO)
    assert cloud.delays() == ["3"]
    assert cloud.open_change_sets() == []


@pytest.mark.parametrize(
    ("call", "kind"), [("CreateChangeSet", BusyError), ("ExecuteChangeSet", StalePlanError)]
)
def test_whoever_comes_while_another_apply_runs_is_told_so(
    cloud: Cloud, call: str, kind: type[RefusedError]
) -> None:
    deploy(cloud.engine(), ONE)
    plan = cloud.engine().preview(TWO)
    other = Elsewhere(cloud, call, lambda: begun(cloud, small(3, more=waiting())))
    with pytest.raises(kind) as caught:
        list(cloud.engine(other.session).apply(plan))
    assert "plan" in str(caught.value.hint)
    cloud.signal(AT)
    cloud.settled(NAME)
    assert cloud.delays() == ["3"]


def test_two_first_deploys_at_once(cloud: Cloud) -> None:
    other = Elsewhere(cloud, "CreateChangeSet", lambda: deploy(cloud.engine(), TWO))
    with pytest.raises(StalePlanError, match="already exists"):
        deploy(cloud.engine(other.session), ONE)
    assert cloud.delays() == ["2"]


# --- While something runs


def test_a_busy_stack_is_attached_to_and_not_planned_on(cloud: Cloud) -> None:
    stack = small(2, more=waiting())
    begun(cloud, stack)
    with pytest.raises(BusyError, match="CREATE_IN_PROGRESS") as caught:
        cloud.engine().preview(ONE)
    assert caught.value.exit_code == 3
    assert cloud.engine().status(AT).state is State.APPLYING
    cloud.signal(AT)
    events = list(cloud.engine().attach(AT))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    made = {event.resource for event in events if event.status is EventStatus.COMPLETE}
    assert {resource.id for resource in stack.resources} <= made
    assert runs(cloud) == release(stack)


def test_deploy_does_not_carry_on_while_a_destroy_runs(cloud: Cloud) -> None:
    """A destroy that keeps data is an update as any; the token says what it is a part of."""
    deploy(cloud.engine(), ONE)
    held = json.loads(ONE.to_bytes())
    held["Resources"] |= waiting()
    cloud.api.update_stack(
        StackName=NAME,
        TemplateBody=json.dumps(held),
        Parameters=[{"ParameterKey": "Release", "UsePreviousValue": True}],
        ClientRequestToken=new_token(Purpose.DESTROY),
    )
    with pytest.raises(BusyError, match="a destroy runs there") as caught:
        deploy(cloud.engine(), TWO)
    assert caught.value.code == "refused.destroying"
    assert "inferloop-tabular destroy" in str(caught.value.hint)
    # Another destroy follows it, and goes on.
    cloud.signal(AT)
    destroy(cloud.engine(), AT, data=False)
    assert cloud.engine().status(AT).state is State.RETAINED


def test_the_operations_of_a_destroy_say_what_they_are_a_part_of(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    stack_id = cloud.described(AT)["StackId"]
    destroy(cloud.engine(), AT, data=False)
    destroy(cloud.engine(), AT, data=True)
    events = cloud.api.describe_stack_events(StackName=stack_id)["StackEvents"]
    asked = ("UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
    begun = [
        event
        for event in events
        if event["PhysicalResourceId"] == stack_id and event["ResourceStatus"] in asked
    ]
    assert [purpose_of(event) for event in begun] == [Purpose.DESTROY] * 3


def test_a_deletion_past_us_is_a_destroy_too(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    cloud.api.delete_stack(StackName=NAME)
    if NAME in cloud.stacks():
        with pytest.raises(BusyError, match="a destroy runs there"):
            list(cloud.engine().attach(AT))
    cloud.until(lambda: str(cloud.stacks()), lambda found: found == "{}")


# --- Large ones


def padded(size: int) -> Stack:
    filler = {"Padding": {"Type": "AWS::SQS::Queue", "Metadata": {"padding": "x" * size}}}
    return small(1, more=filler)


def test_a_template_too_large_for_a_call_goes_by_the_bucket(cloud: Cloud) -> None:
    stack = padded(60_000)
    assert len(stack.to_bytes()) > 51_200
    deploy(cloud.engine(), stack)
    assert runs(cloud) == release(stack)
    assert cloud.engine().preview(stack).is_empty
    assert any("/templates/" in key for key in cloud.kept())
    deploy(cloud.engine(), padded(70_000))
    roll_back(cloud.engine(), AT)
    assert runs(cloud) == release(stack)
    destroy(cloud.engine(), AT, data=True)
    assert cloud.kept() == []


def test_a_template_too_large_for_cloudformation_is_refused(cloud: Cloud) -> None:
    stack = padded(1_000_001)
    with pytest.raises(RefusedError, match="1000000"):
        deploy(cloud.engine(), stack)
    assert cloud.stacks() == {}
    deploy(cloud.engine(), ONE)
    with pytest.raises(RefusedError, match="1000000"):
        cloud.engine().preview(stack)


def test_hundreds_of_resources_come_in_pages(cloud: Cloud) -> None:
    more = {f"P{number}": {"Type": "AWS::SNS::Topic", "Properties": {}} for number in range(300)}
    stack = small(1, more=more)
    events = deploy(cloud.engine(), stack)
    status = cloud.engine().status(AT)
    assert len(status.resources) == 304
    told = [event for event in events if event.status is EventStatus.COMPLETE and event.resource]
    assert len({event.resource for event in told}) == 305  # and the bucket of the releases
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    times = [event.time for event in events[1:]]
    assert times == sorted(times)
    renamed = {name: {**one, "Properties": {"DisplayName": "x"}} for name, one in more.items()}
    plan = cloud.engine().preview(small(1, more=renamed))
    assert plan.count(Action.UPDATE) == 301  # and the description
    # Whoever attaches is told the same, in the same order.
    again = list(cloud.engine().attach(AT))
    assert [(e.sequence, e.resource, e.status) for e in again] == [
        (e.sequence - 1, e.resource, e.status) for e in events[1:]
    ]


# --- What CloudFormation refuses


def test_a_template_that_cloudformation_refuses_changes_nothing(cloud: Cloud) -> None:
    wrong = small(
        1, more={"X": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "No"}}}}
    )
    with pytest.raises(EngineError, match=r"CloudFormation refuses the change: .*No") as caught:
        deploy(cloud.engine(), wrong)
    assert caught.value.code == "engine.change-set"
    deploy(cloud.engine(), ONE)
    with pytest.raises(EngineError, match="refuses the change"):
        cloud.engine().preview(wrong)
    assert cloud.open_change_sets() == []
    assert runs(cloud) == release(ONE)


def test_a_failed_update_names_its_causes_and_not_what_was_cancelled(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    with pytest.raises(ApplyError) as caught:
        deploy(cloud.engine(), FAILING)
    assert "was undone: Queue: " in caught.value.message
    assert "VisibilityTimeout" in caught.value.message
    assert "cancelled" not in caught.value.message
    assert caught.value.rolled_back
    assert (runs(cloud), cloud.delays()) == (release(ONE), ["1"])


# --- Rollback


def test_rollback_goes_back_release_by_release(cloud: Cloud) -> None:
    for stack in (ONE, TWO, THREE):
        deploy(cloud.engine(), stack)
    roll_back(cloud.engine(), AT)
    assert runs(cloud) == release(TWO)
    roll_back(cloud.engine(), AT)
    assert runs(cloud) == release(ONE)
    with pytest.raises(NotFoundError, match="no release before"):
        roll_back(cloud.engine(), AT)


def test_the_same_rollback_again_does_not_go_back_one_more(cloud: Cloud) -> None:
    for stack in (ONE, TWO, THREE):
        deploy(cloud.engine(), stack)
    engine = cloud.engine()
    next(engine.rollback(engine.preview_rollback(AT)))  # and this client is gone
    cloud.settled(NAME)
    again = cloud.engine().preview_rollback(AT)
    assert again.is_empty
    assert again.stack == TWO
    assert list(cloud.engine().rollback(again)) == []
    assert runs(cloud) == release(TWO)
    # Its end was seen now, so this is another one.
    roll_back(cloud.engine(), AT)
    assert runs(cloud) == release(ONE)


def test_a_deploy_after_a_rollback_that_nobody_saw_through(cloud: Cloud) -> None:
    for stack in (ONE, TWO):
        deploy(cloud.engine(), stack)
    engine = cloud.engine()
    next(engine.rollback(engine.preview_rollback(AT)))
    cloud.settled(NAME)
    deploy(cloud.engine(), THREE)
    assert cloud.engine().preview_rollback(AT).stack == ONE
    deploy(cloud.engine(), ONE)
    assert cloud.engine().preview_rollback(AT).stack == THREE


def test_rollback_after_there_and_back_again(cloud: Cloud) -> None:
    for stack in (ONE, TWO, ONE):
        deploy(cloud.engine(), stack)
    roll_back(cloud.engine(), AT)
    assert (runs(cloud), cloud.delays()) == (release(TWO), ["2"])


def test_a_failed_update_in_between_is_no_release(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    deploy(cloud.engine(), TWO)
    with pytest.raises(ApplyError):
        deploy(cloud.engine(), FAILING)
    deploy(cloud.engine(), THREE)
    roll_back(cloud.engine(), AT)
    assert runs(cloud) == release(TWO)


def test_rollback_where_the_record_is_missing_says_so(cloud: Cloud) -> None:
    for stack in (ONE, TWO):
        deploy(cloud.engine(), stack)
    s3 = cloud.client("s3")
    bucket = f"inferloop-tabular-{cloud.account}-{REGION}"
    s3.delete_object(Bucket=bucket, Key=f"{NAME}/releases/{release(ONE)}.json")
    with pytest.raises(NotFoundError, match=f"release {release(ONE)} is not kept") as caught:
        cloud.engine().preview_rollback(AT)
    assert str(caught.value.where).startswith(f"s3://{bucket}/")


def test_kept_data_has_no_release_to_roll_back(cloud: Cloud) -> None:
    for stack in (ONE, TWO):
        deploy(cloud.engine(), stack)
    destroy(cloud.engine(), AT, data=False)
    with pytest.raises(NotFoundError, match="only data is left"):
        cloud.engine().preview_rollback(AT)


def test_a_rollback_that_fails_leaves_the_present_release(cloud: Cloud) -> None:
    shrinking = small(1, more=waiting(2))
    begun(cloud, shrinking)
    cloud.signal(AT)
    cloud.settled(NAME)
    deploy(cloud.engine(), TWO)
    plan = cloud.engine().preview_rollback(AT)
    with pytest.raises(ApplyError, match="undone") as caught:
        list(cloud.engine().rollback(plan))  # nobody signals, and its wait runs out
    assert caught.value.rolled_back
    assert (runs(cloud), cloud.delays()) == (release(TWO), ["2"])
    # That attempt is no rollback that was seen through.
    assert cloud.engine().preview_rollback(AT).stack == shrinking


# --- Production


def test_production_is_protected_before_anything_is_made(cloud: Cloud) -> None:
    stack = small(1, at=PROD, more=waiting())
    begun(cloud, stack)
    assert cloud.described(PROD)["EnableTerminationProtection"] is True
    cloud.signal(PROD)
    list(cloud.engine().attach(PROD))
    with pytest.raises(cloud.api.exceptions.ClientError, match="TerminationProtection"):
        cloud.api.delete_stack(StackName=stack_name(PROD))


def test_production_goes_by_our_command_only(cloud: Cloud) -> None:
    stack = small(1, at=PROD)
    deploy(cloud.engine(), stack)
    destroy(cloud.engine(), PROD, data=False)
    assert cloud.described(PROD)["EnableTerminationProtection"] is True
    destroy(cloud.engine(), PROD, data=True)
    assert (cloud.stacks(), cloud.buckets()) == ({}, [])


def test_a_first_deploy_of_production_that_fails_can_be_repeated(cloud: Cloud) -> None:
    with pytest.raises(ApplyError):
        deploy(cloud.engine(), small(9, at=PROD, **IMPOSSIBLE))
    assert cloud.described(PROD)["EnableTerminationProtection"] is True
    deploy(cloud.engine(), small(1, at=PROD))
    assert cloud.delays() == ["1"]


def test_elsewhere_nothing_is_protected(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    assert cloud.described(AT)["EnableTerminationProtection"] is False


# --- The administrator's key


def key(cloud: Cloud, *, first: bool = True) -> str | None:
    return cloud.engine().issue_api_key(AT, "admin", only_first=first)


def test_the_first_key_is_shown_once(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    shown = key(cloud)
    assert shown is not None and len(shown) == 48
    assert key(cloud) is None
    deploy(cloud.engine(), TWO)
    assert key(cloud) is None
    deploy(cloud.engine(), ONE)
    assert key(cloud) is None


def test_the_first_key_is_shown_though_the_first_release_never_came_to_it(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)  # and its containers did not start
    deploy(cloud.engine(), TWO)
    assert key(cloud) is not None


def test_a_deploy_onto_kept_data_has_a_new_key_and_shows_that(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    shown = key(cloud)
    destroy(cloud.engine(), AT, data=False)
    deploy(cloud.engine(), ONE)
    again = key(cloud)
    assert again not in (None, shown)
    assert key(cloud) is None


def test_further_keys_are_the_services_own(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    with pytest.raises(UnsupportedError, match="made by the service") as caught:
        key(cloud, first=False)
    assert "aws secretsmanager get-secret-value" in str(caught.value.hint)
