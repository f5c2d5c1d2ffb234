"""A stack in each state that CloudFormation has: planned on, waited for, or the way out is said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest

from tabular.deploy.aws.account.stacks import release_of, stack_name
from tabular.deploy.aws.words.names import RELEASE
from tabular.deploy.plan import Action
from tabular.deploy.provider import State
from tabular.errors import BusyError, ConflictError, NotFoundError
from tests.deploy.aws.cloud import Cloud, small, target
from tests.deploy.aws.scripted import Scripted
from tests.testbed.ministack import ACCOUNT, REGION

ARN = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack_name(target())}/1"
REASON = "Resource update cancelled"

FINE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE")  # fmt: skip
# Nothing of them was ever finished, so the next apply begins anew.
UNBORN = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS")
BUSY = (
    "CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS", "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_IN_PROGRESS",
    "IMPORT_ROLLBACK_IN_PROGRESS",
)  # fmt: skip
STUCK = {
    "UPDATE_ROLLBACK_FAILED": "continue-update-rollback --stack-name tabular-",
    "DELETE_FAILED": "inferloop-tabular destroy --delete-data",
    "UPDATE_FAILED": "rollback-stack",
    "IMPORT_ROLLBACK_FAILED": "AWS's support",
}
GONE = ("DELETE_COMPLETE",)


def scripted(status: str, *more: tuple[str, Any, dict[str, Any]]) -> Scripted:
    """An account whose one stack is in this state, and was deployed as `small()` is."""
    stack = small()
    described = {
        "StackName": stack_name(stack.target),
        "StackId": ARN,
        "StackStatus": status,
        "StackStatusReason": REASON,
        "CreationTime": datetime(2026, 11, 1, tzinfo=UTC),
        "Parameters": [{"ParameterKey": RELEASE, "ParameterValue": release_of(stack)}],
    }
    template = {"TemplateBody": stack.to_bytes().decode()}
    script: list[tuple[str, Any, dict[str, Any]]] = [
        ("describe_stacks", None, {"Stacks": [described]})
    ]
    if status not in GONE:
        script.append(("get_template", None, template))
    return Scripted(cloudformation=[*script, *more])


def engine(base: Scripted) -> Any:
    cloud = Cloud("http://127.0.0.1:9", ACCOUNT)
    return cloud.engine(cloud.session(base=base))


def test_every_state_of_cloudformation_is_in_one_of_the_lists() -> None:
    model = botocore.session.get_session().get_service_model("cloudformation")
    known = [*FINE, *UNBORN, *BUSY, *STUCK, *GONE]
    assert sorted(known) == sorted(model.shape_for("StackStatus").enum)


@pytest.mark.parametrize("status", BUSY)
def test_a_plan_waits_for_what_runs(status: str) -> None:
    base = scripted(status)
    with pytest.raises(BusyError, match=status) as caught:
        engine(base).preview(small(2))
    assert caught.value.code == "refused.busy"
    assert caught.value.where == ARN
    assert "inferloop-tabular status" in str(caught.value.hint)
    base.require_all()


@pytest.mark.parametrize("status", STUCK)
def test_a_state_that_a_person_has_to_leave_comes_with_the_way_out(status: str) -> None:
    base = scripted(status)
    with pytest.raises(ConflictError, match=f"{status}: {REASON}") as caught:
        engine(base).preview(small(2))
    assert caught.value.code == "conflict.stack"
    assert caught.value.where == ARN
    assert STUCK[status] in str(caught.value.hint)
    base.require_all()


@pytest.mark.parametrize("status", [*UNBORN, *GONE])
def test_where_nothing_was_ever_finished_everything_is_new(status: str) -> None:
    nothing = ("list_stack_resources", None, {"StackResourceSummaries": []})
    base = scripted(status, *([] if status in GONE else [nothing]))
    plan = engine(base).preview(small(2))
    assert {change.action for change in plan.changes} == {Action.CREATE}
    assert len(plan.changes) == len(small(2).resources)
    base.require_all()


@pytest.mark.parametrize("status", FINE)
def test_what_runs_as_it_was_asked_for_is_left_alone(status: str) -> None:
    plan = engine(scripted(status)).preview(small())
    assert plan.is_empty


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *[(status, State.APPLYING) for status in BUSY],
        *[(status, State.DEGRADED) for status in STUCK],
        *[(status, State.FAILED) for status in UNBORN if status != "REVIEW_IN_PROGRESS"],
    ],
)
def test_status_says_the_state_and_its_reason(status: str, state: State) -> None:
    nothing = ("list_stack_resources", None, {"StackResourceSummaries": []})
    found = engine(scripted(status, nothing)).status(target())
    assert found.state is state
    assert f"{status}: {REASON}" in found.detail


@pytest.mark.parametrize("status", ["REVIEW_IN_PROGRESS", *GONE])
def test_what_was_never_there_or_is_gone_is_no_deployment(status: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        engine(scripted(status)).status(target())
    assert caught.value.hint


def test_a_stack_of_this_name_that_says_nothing_of_itself_is_left_alone() -> None:
    """Somebody else's: it is neither planned on, nor told of, nor taken down."""
    described = {
        "StackName": stack_name(target()),
        "StackId": ARN,
        "StackStatus": "CREATE_COMPLETE",
        "CreationTime": datetime(2026, 11, 1, tzinfo=UTC),
    }
    script = [
        ("describe_stacks", None, {"Stacks": [described]}),
        ("get_template", None, {"TemplateBody": '{"Resources": {"A": {"Type": "B"}}}'}),
    ]
    for act in (
        lambda engine: engine.preview(small()),
        lambda engine: engine.status(target()),
        lambda engine: list(engine.destroy(target(), delete_data=True)),
    ):
        base = Scripted(cloudformation=script, sts=[])
        with pytest.raises(ConflictError) as caught:
            act(engine(base))
        assert caught.value.code == "conflict.foreign"
        assert caught.value.where == ARN
        assert "--name" in str(caught.value.hint)
