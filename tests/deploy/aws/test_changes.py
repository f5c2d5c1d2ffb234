"""What a change set says, told as a plan: what is replaced, what differs, what only hangs on it."""

from __future__ import annotations

from typing import Any

from tabular.deploy.aws.comparing.changes import all_new, planned
from tabular.deploy.aws.words.document import att, index, resource
from tabular.deploy.plan import Action, PropertyChange


def _template(**resources: Any) -> dict[str, Any]:
    return {"Resources": resources}


def _said(name: str, replacement: str = "False", **detail: Any) -> dict[str, Any]:
    target = {"Attribute": "Properties", "RequiresRecreation": "Never", **detail.pop("Target", {})}
    return {
        "LogicalResourceId": name,
        "ResourceType": "AWS::Any::Thing",
        "Action": "Modify",
        "Replacement": replacement,
        "Details": [{"Evaluation": "Static", **detail, "Target": target}],
    }


KEY = resource("AWS::KMS::Key", {"Description": "a"}, kept=True)
DATABASE = resource("AWS::RDS::DBInstance", {"KmsKeyId": att("Key", "Arn")}, snapshot=True)
RUNNING = _template(Key=KEY, Database=DATABASE)
HANGS_ON_KEY = {
    "Evaluation": "Dynamic",
    "CausingEntity": "Key.Arn",
    "Target": {"Name": "KmsKeyId", "RequiresRecreation": "Always"},
}


def test_a_store_whose_key_is_changed_in_place_is_not_replaced() -> None:
    said = [_said("Key"), _said("Database", "Conditional", **HANGS_ON_KEY)]
    _, database = planned(RUNNING, index(RUNNING), said)
    assert database.action is Action.UPDATE
    assert not database.loses_data


def test_a_store_whose_key_is_replaced_is_replaced_with_it() -> None:
    said = [_said("Key", "True"), _said("Database", "Conditional", **HANGS_ON_KEY)]
    key, database = planned(RUNNING, index(RUNNING), said)
    assert (key.action, database.action) == (Action.REPLACE, Action.REPLACE)
    assert database.loses_data


def test_a_store_that_its_own_change_may_replace_counts_as_replaced() -> None:
    own = {"Target": {"Name": "StorageType", "RequiresRecreation": "Conditionally"}}
    _, database = planned(RUNNING, index(RUNNING), [_said("Database", "Conditional", **own)])
    assert database.loses_data


def test_something_without_data_that_may_be_replaced_is_an_update() -> None:
    running = _template(Queue=resource("AWS::SQS::Queue", {"DelaySeconds": 1}))
    own = {"Target": {"Name": "DelaySeconds", "RequiresRecreation": "Conditionally"}}
    (queue,) = planned(running, index(running), [_said("Queue", "Conditional", **own)])
    assert queue.action is Action.UPDATE


def test_what_goes_and_what_is_not_touched() -> None:
    wanted = _template(Key=KEY)
    gone = {**_said("Database"), "Action": "Remove"}
    key, database = planned(RUNNING, index(wanted), [gone])
    assert (key.action, database.action) == (Action.NOOP, Action.DELETE)
    assert database.loses_data
    assert database.type == "AWS::RDS::DBInstance"


def test_where_the_templates_are_alike_the_change_set_says_what_differs() -> None:
    values = {"BeforeValue": '{"A": 1, "B": 2}', "AfterValue": '{"A": 1, "B": 3}'}
    (key, _) = planned(RUNNING, index(RUNNING), [_said("Key", Target={"Name": "Block", **values})])
    assert key.properties == (PropertyChange("Block.B", 2, 3),)


def test_what_only_hangs_on_a_change_shows_no_property() -> None:
    same = {"Name": "GroupName", "BeforeValue": "g", "AfterValue": "g"}
    (key, _) = planned(RUNNING, index(RUNNING), [_said("Key", Target=same)])
    assert (key.action, key.properties) == (Action.UPDATE, ())


def test_a_first_deploy_creates_everything() -> None:
    assert {change.action for change in all_new(index(RUNNING))} == {Action.CREATE}
