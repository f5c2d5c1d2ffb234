"""What AWS's own APIs say of the compute of a whole deployment, on an emulator of them."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.aws.harness import describe, provider_at
from tests.testbed.ministack import MiniStack

Ask = Callable[..., Any]
IMAGE = {"repository": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tabular", "tag": "1"}


@pytest.fixture
def deployed(ministack: MiniStack, aws_account: str) -> Callable[..., Ask]:
    """Deploys a spec; gives clients of the account that it is in then."""

    def deploy(**compute: Any) -> Ask:
        provider = provider_at(ministack.url, aws_account)
        stack = provider.compile(describe(compute=compute, image=IMAGE))
        list(provider.engine.apply(provider.engine.preview(stack)))
        return functools.partial(ministack.client, account=aws_account)

    return deploy


def test_two_services_run_on_fargate(deployed: Callable[..., Ask]) -> None:
    ask = deployed(min_instances=2, workers=3, spot={"share": 60, "on_demand_base": 1})
    ecs = ask("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    names = ecs.list_services(cluster=cluster)["serviceArns"]
    services = ecs.describe_services(cluster=cluster, services=names)["services"]
    assert sorted(one["desiredCount"] for one in services) == [2, 3]
    for service in services:
        shares = {one["capacityProvider"]: one for one in service["capacityProviderStrategy"]}
        assert (shares["FARGATE"]["base"], shares["FARGATE_SPOT"]["weight"]) == (1, 60)
        task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])
        for container in task["taskDefinition"]["containerDefinitions"]:
            variables = {one["name"]: one["value"] for one in container["environment"]}
            assert variables["TABULAR_SECRET_KEY"].startswith("aws-sm:")
            assert variables["TABULAR_RELEASE"] != "none"
    (api,) = [one for one in services if one["loadBalancers"]]
    (group,) = ask("elbv2").describe_target_groups()["TargetGroups"]
    assert api["loadBalancers"][0]["targetGroupArn"] == group["TargetGroupArn"]
    assert group["Port"] == api["loadBalancers"][0]["containerPort"]


def test_two_groups_of_instances_run(deployed: Callable[..., Ask]) -> None:
    schedule = {"name": "off", "cron": "0 20 * * 1-5", "instances": 2}
    ask = deployed(type="ec2", instances=2, max_instances=4, workers=1, schedules=[schedule])
    groups = ask("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    sizes = {
        (one["MinSize"], one["DesiredCapacity"], one["MaxSize"]): one["HealthCheckType"]
        for one in groups
    }
    assert sizes == {(2, 2, 4): "ELB", (1, 1, 4): "EC2"}
    (action,) = ask("autoscaling").describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    assert (action["Recurrence"], action["DesiredCapacity"]) == ("0 20 * * 1-5", 2)
    templates = {one["LaunchTemplate"]["LaunchTemplateId"] for one in groups}
    for name in templates:
        (version,) = ask("ec2").describe_launch_template_versions(LaunchTemplateId=name)[
            "LaunchTemplateVersions"
        ]
        data = version["LaunchTemplateData"]
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        script = base64.b64decode(data["UserData"]).decode()
        assert script.startswith("#!/bin/bash\n")
        assert "TABULAR_SECRET_KEY=aws-sm:" in script


def test_a_function_waits_for_orders(deployed: Callable[..., Ask]) -> None:
    ask = deployed(type="lambda", memory="2Gi")
    (found,) = ask("lambda").list_functions()["Functions"]
    assert (found["PackageType"], found["MemorySize"], found["Timeout"]) == ("Image", 2048, 900)
    (rule,) = ask("events").list_rules()["Rules"]
    assert "tabular/incoming/*.json" in rule["EventPattern"]
    (target,) = ask("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"] == found["FunctionArn"]
    (bucket,) = [
        one["Name"]
        for one in ask("s3").list_buckets()["Buckets"]
        if one["Name"] in found["Environment"]["Variables"]["TABULAR_STORAGE_URL"]
    ]
    assert bucket in rule["EventPattern"]
    told = ask("s3").get_bucket_notification_configuration(Bucket=bucket)
    assert "EventBridgeConfiguration" in told


def test_a_queue_takes_jobs(deployed: Callable[..., Ask]) -> None:
    ask = deployed(type="batch", spot={}, workers=3)
    batch = ask("batch")
    (queue,) = batch.describe_job_queues()["jobQueues"]
    (environment,) = batch.describe_compute_environments()["computeEnvironments"]
    assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")
    (order,) = queue["computeEnvironmentOrder"]
    assert order["computeEnvironment"] == environment["computeEnvironmentArn"]
    resources = environment["computeResources"]
    assert (resources["type"], resources["maxvCpus"]) == ("FARGATE_SPOT", 3)
    (job,) = batch.describe_job_definitions()["jobDefinitions"]
    assert job["retryStrategy"]["evaluateOnExit"] == [{"onExitCode": "2", "action": "EXIT"}]
