"""A deployment is ready when its services run, and says what is the matter when they do not.

What only a real account shows is answered here in the shape of AWS's own models: the stubs of
botocore refuse an answer, and a question, that the service's API does not have.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from tabular.deploy.aws.account.stacks import Found
from tabular.deploy.aws.running.health import Health
from tabular.deploy.aws.running.state import status_of
from tabular.deploy.provider import State, Status
from tests.deploy.aws.harness import IMAGE, describe, provider_at
from tests.deploy.aws.made import stack_of
from tests.testbed.ministack import MiniStack

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REGION = "eu-west-1"
Reply = dict[str, Any]
MODELS = botocore.session.Session()  # one, since each reads all models of AWS anew
OPERATIONS = {
    "ecs": "describe_services",
    "autoscaling": "describe_auto_scaling_groups",
    "elbv2": "describe_target_health",
    "rds": "describe_db_instances",
    "elasticache": "describe_replication_groups",
    "sqs": "get_queue_attributes",
    "lambda": "get_function_configuration",
}


class Account:
    """Services that answer as they are told, in this order."""

    def __init__(self, replies: Mapping[str, list[Any]]) -> None:
        self._clients: dict[str, Any] = {}
        self._stubs = []
        for service, answers in replies.items():
            client = MODELS.create_client(
                service, REGION, aws_access_key_id="a", aws_secret_access_key="b"
            )
            stub = Stubber(client)
            for answer in answers:
                operation, reply = (
                    answer if isinstance(answer, tuple) else (OPERATIONS[service], answer)
                )
                if isinstance(reply, str):
                    stub.add_client_error(operation, service_error_code=reply)
                else:
                    stub.add_response(operation, reply)
            stub.activate()
            self._clients[service] = client
            self._stubs.append(stub)

    def client(self, service: str, region: str) -> Any:
        assert region == REGION
        return self._clients[service]

    def all_was_asked(self) -> None:
        for stub in self._stubs:
            stub.assert_no_pending_responses()


@functools.cache
def _template(spec: str) -> Mapping[str, Any]:
    return stack_of(json.loads(spec), region=REGION).template


def _found(spec: Mapping[str, Any], **said: Any) -> Found:
    template = _template(json.dumps(spec))
    return Found(
        **{
            "name": "tabular-x",
            "id": "arn:x",
            "status": "CREATE_COMPLETE",
            "reason": "",
            "updated": NOW,
            "template": template,
            **said,
        }
    )


def _status(found: Found, replies: Mapping[str, list[Any]], without: str = "") -> Status:
    """The status of a stack whose services answer so."""
    account = Account(replies)
    resources = [
        {
            "LogicalResourceId": id_,
            "ResourceType": one["Type"],
            "PhysicalResourceId": f"arn:aws:x:{REGION}:1:y/{id_}",
            "ResourceStatus": "CREATE_COMPLETE",
        }
        for id_, one in found.template["Resources"].items()
        if id_ != without
    ]
    findings = Health(account).of(found, resources, REGION)  # type: ignore[arg-type]
    account.all_was_asked()
    return status_of(found, resources, findings)


def _service(
    running: int, desired: int, *events: str, rollout: str = "COMPLETED", balanced: bool = False
) -> Reply:
    service: Reply = {
        "desiredCount": desired,
        "runningCount": running,
        "deployments": [{"rolloutState": rollout, "rolloutStateReason": "tasks failed to start"}],
        "events": [{"createdAt": NOW, "message": f"(service api) {one}"} for one in events],
    }
    if balanced:
        service["loadBalancers"] = [{"targetGroupArn": "arn", "containerPort": 8000}]
    return {"services": [service]}


def _targets(*states: str) -> Reply:
    reason = {"Reason": "Target.FailedHealthChecks", "Description": "Health checks failed: [503]"}
    return {
        "TargetHealthDescriptions": [
            {"TargetHealth": {"State": one, **({} if one == "healthy" else reason)}}
            for one in states
        ]
    }


def _fargate(**replies: Any) -> dict[str, list[Any]]:
    """Answers of a deployment of three API tasks and one worker where all is well."""
    steady = "has reached a steady state."
    well = {
        "api": _service(3, 3, steady, balanced=True),
        "worker": _service(1, 1, steady),
        "targets": _targets("healthy", "healthy", "healthy"),
        "database": {"DBInstances": [{"DBInstanceStatus": "available"}]},
        "cache": {"ReplicationGroups": [{"Status": "available"}]},
        "queue": {"Attributes": {}},
        **replies,
    }
    return {
        "ecs": [well["api"], well["worker"]],
        "elbv2": [well["targets"]],
        "rds": [well["database"]],
        "elasticache": [well["cache"]],
        "sqs": [{"Attributes": {}}, well["queue"]],
    }


FARGATE = {"compute": {"instances": 3, "workers": 1}}


def test_all_is_well() -> None:
    status = _status(_found(FARGATE), _fargate())
    assert (status.state, status.detail) == (State.READY, "")


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        pytest.param(
            {"api": _service(1, 3, "was unable to place a task.", balanced=True)},
            "ApiService: 1 of 3 tasks run; last: was unable to place a task.",
            id="tasks-are-missing",
        ),
        pytest.param(
            {"worker": _service(0, 1, "has started 1 tasks: (task 0a1b).")},
            "WorkerService: 0 of 1 tasks run; last: has started 1 tasks: (task 0a1b).",
            id="a-worker-that-crashes-is-started-again-and-again",
        ),
        pytest.param(
            {
                "worker": _service(
                    1,
                    1,
                    "has started 1 tasks: (task 0a1b).",
                    "is unable to consistently start tasks successfully.",
                    "has reached a steady state.",
                )
            },
            "WorkerService: 1 of 1 tasks run; last: is unable to consistently start tasks",
            id="seen-between-two-crashes",
        ),
        pytest.param(
            {"api": _service(3, 3, "has begun.", rollout="FAILED", balanced=True)},
            "ApiService: 3 of 3 tasks run; last: tasks failed to start",
            id="a-failed-rollout",
        ),
        pytest.param(
            {"api": {"services": [], "failures": [{"reason": "MISSING"}]}, "targets": _targets()},
            "ApiService: is gone",
            id="a-service-that-somebody-deleted",
        ),
        pytest.param(
            {"targets": _targets("healthy", "unhealthy", "draining")},
            "TargetGroup: 1 of 3 targets are healthy; draining: Health checks failed: [503]; "
            "unhealthy: Health checks failed: [503]",
            id="targets-fail-their-checks",
        ),
        pytest.param(
            {"targets": _targets()}, "TargetGroup: 0 of 3 targets are healthy", id="no-targets"
        ),
        pytest.param(
            {"database": {"DBInstances": [{"DBInstanceStatus": "storage-full"}]}},
            "Database: the database is storage-full",
            id="the-database-is-full",
        ),
        pytest.param(
            {"database": "DBInstanceNotFound"},
            "Database: cannot be asked: DBInstanceNotFound",
            id="the-database-is-gone",
        ),
        pytest.param(
            {"cache": {"ReplicationGroups": [{"Status": "create-failed"}]}},
            "Cache: the cache is create-failed",
            id="the-cache-failed",
        ),
        pytest.param(
            {"queue": "AccessDenied"},
            "Queue: cannot be asked: these credentials may not",
            id="what-cannot-be-asked-is-not-well",
        ),
    ],
)
def test_what_does_not_run_is_said(replies: dict[str, Any], words: str) -> None:
    status = _status(_found(FARGATE), _fargate(**replies))
    assert status.state is State.DEGRADED
    assert status.detail.startswith(words)


@pytest.mark.parametrize("word", ["backing-up", "modifying", "storage-optimization"])
def test_a_database_at_work_serves(word: str) -> None:
    database = {"DBInstances": [{"DBInstanceStatus": word}]}
    assert _status(_found(FARGATE), _fargate(database=database)).state is State.READY


def test_trouble_that_is_over_is_over() -> None:
    api = _service(3, 3, "has reached a steady state.", "was unable to place a.", balanced=True)
    assert _status(_found(FARGATE), _fargate(api=api)).detail == ""


def test_growth_takes_its_time_and_is_well_meanwhile() -> None:
    found = _found({"compute": {"min_instances": 2, "max_instances": 9, "workers": 1}})
    api = _service(3, 6, "has started 3 tasks.", balanced=True)
    status = _status(found, _fargate(api=api, targets=_targets("healthy", "healthy", "initial")))
    assert status.state is State.READY
    assert status.detail == "ApiService: 3 of 6 tasks run, more are starting"
    api = _service(1, 6, "has started 5 tasks.", balanced=True)
    status = _status(found, _fargate(api=api, targets=_targets("healthy")))
    assert status.state is State.DEGRADED
    assert "TargetGroup: 1 of 2 targets are healthy" in status.detail


def test_nothing_is_missed_at_night() -> None:
    api, night = _service(0, 0, "has reached a steady state.", balanced=True), _targets()
    assert _status(_found(FARGATE), _fargate(api=api, targets=night)).state is State.READY


def test_a_service_without_its_cluster_is_gone() -> None:
    replies = {**_fargate(targets=_targets()), "ecs": []}
    status = _status(_found(FARGATE), replies, without="Cluster")
    assert status.detail.startswith("ApiService: its cluster is gone")


def _group(serving: int, desired: int, least: int, *, balanced: bool = False) -> Reply:
    instance = {
        "InstanceId": "i-1",
        "AvailabilityZone": "a",
        "LifecycleState": "InService",
        "HealthStatus": "Healthy",
        "ProtectedFromScaleIn": False,
    }
    ill = {**instance, "HealthStatus": "Unhealthy"}
    return {
        "AutoScalingGroups": [
            {
                "AutoScalingGroupName": "g",
                "MinSize": least,
                "MaxSize": 9,
                "DesiredCapacity": desired,
                "DefaultCooldown": 300,
                "AvailabilityZones": ["a"],
                "HealthCheckType": "ELB",
                "CreatedTime": NOW,
                "Instances": [*[instance] * serving, ill],
                "TargetGroupARNs": ["arn"] if balanced else [],
            }
        ]
    }


def test_instances_that_are_missing_are_explained_by_their_group() -> None:
    activity = {
        "ActivityId": "1",
        "AutoScalingGroupName": "g",
        "Cause": "x",
        "StartTime": NOW,
        "StatusCode": "Failed",
        "StatusMessage": "You have requested more vCPU capacity than your current limit",
    }
    replies = {
        **_fargate(targets=_targets("healthy")),
        "autoscaling": [
            _group(1, 2, 2, balanced=True),
            ("describe_scaling_activities", {"Activities": [activity]}),
            _group(1, 1, 1),
        ],
    }
    del replies["ecs"]
    spec = {"compute": {"type": "ec2", "instances": 2, "workers": 1}}
    status = _status(_found(spec), replies)
    assert status.state is State.DEGRADED
    assert status.detail == (
        "ApiGroup: 1 of 2 instances are in service; last: You have requested more vCPU capacity "
        "than your current limit. TargetGroup: 1 of 2 targets are healthy"
    )


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"State": "Active", "LastUpdateStatus": "Successful"}, ""),
        ({"State": "Inactive"}, ""),
        (
            {"State": "Failed", "StateReason": "the image is gone"},
            "Function: the function is Failed: the image is gone",
        ),
        (
            {
                "State": "Active",
                "LastUpdateStatus": "Failed",
                "LastUpdateStatusReason": "no access",
            },
            "Function: its last update failed: no access",
        ),
    ],
)
def test_a_function(reply: Reply, words: str) -> None:
    found = _found({"compute": {"type": "lambda"}})
    queues = sum(one["Type"] == "AWS::SQS::Queue" for one in found.template["Resources"].values())
    status = _status(found, {"lambda": [reply], "sqs": [{"Attributes": {}}] * queues})
    assert status.detail == words
    assert status.state is (State.DEGRADED if words else State.READY)


def test_batch_without_capacity() -> None:
    environment = {
        "computeEnvironmentName": "e",
        "computeEnvironmentArn": "arn",
        "state": "ENABLED",
        "status": "INVALID",
        "statusReason": "CLIENT_ERROR - the role may not",
    }
    queue = {
        "jobQueueName": "q",
        "jobQueueArn": "arn",
        "state": "ENABLED",
        "status": "VALID",
        "priority": 1,
        "computeEnvironmentOrder": [],
    }
    replies = {
        "batch": [
            ("describe_compute_environments", {"computeEnvironments": [environment]}),
            ("describe_job_queues", {"jobQueues": [queue]}),
        ]
    }
    status = _status(_found({"compute": {"type": "batch"}}), replies)
    assert status.state is State.DEGRADED
    assert status.detail == (
        "ComputeEnvironment: ENABLED, INVALID: CLIENT_ERROR - the role may not"
    )


@pytest.mark.parametrize("word", ["UPDATE_IN_PROGRESS", "ROLLBACK_COMPLETE"])
def test_nothing_is_asked_where_nothing_is_finished(word: str) -> None:
    status = _status(_found(FARGATE, status=word), {})
    assert status.state in (State.APPLYING, State.FAILED)


def test_a_stack_that_is_stuck_says_whether_it_serves() -> None:
    found = _found(FARGATE, status="UPDATE_ROLLBACK_FAILED", reason="Queue: gone")
    api = _service(0, 3, "has begun.", balanced=True)
    status = _status(found, _fargate(api=api, targets=_targets()))
    assert status.detail.startswith("UPDATE_ROLLBACK_FAILED: Queue: gone. ApiService: 0 of 3 tasks")


def test_the_services_themselves_are_asked(ministack: MiniStack, aws_account: str) -> None:
    provider = provider_at(ministack.url, aws_account)
    deployment = describe(compute={"instances": 2, "workers": 1}, image=IMAGE)
    list(provider.engine.apply(provider.engine.preview(provider.compile(deployment))))
    target = provider.target(deployment)
    assert provider.engine.status(target).state is State.READY
    ecs = ministack.client("ecs", account=aws_account)
    (cluster,) = ecs.list_clusters()["clusterArns"]
    (service,) = [
        one
        for one in ecs.list_services(cluster=cluster)["serviceArns"]
        if one.endswith("ApiService")
    ]
    task = ecs.list_tasks(cluster=cluster, serviceName=service.rpartition("/")[2])["taskArns"][0]
    ecs.stop_task(cluster=cluster, task=task)
    rds = ministack.client("rds", account=aws_account)
    (database,) = rds.describe_db_instances()["DBInstances"]
    rds.stop_db_instance(DBInstanceIdentifier=database["DBInstanceIdentifier"])
    (status,) = provider.engine.list()
    assert status.state is State.DEGRADED
    assert status.detail == (
        "ApiService: 1 of 2 tasks run. TargetGroup: 1 of 2 targets are healthy. "
        "Database: the database is stopped"
    )
