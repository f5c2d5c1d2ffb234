"""Generation alone: a function of Lambda, and a queue of Batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tabular.errors import UnsupportedError, UsageError
from tabular.worker import function, orders, partition
from tests.deploy.aws.infrastructure.compute_parts import made, part, reduced, refused
from tests.deploy.aws.linted import findings
from tests.deploy.aws.made import stack_of

LAMBDA, BATCH = {"type": "lambda"}, {"type": "batch"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "compute",
    [
        LAMBDA,
        {**LAMBDA, "max_instances": 5, "memory": "4Gi", "disk": "2Gi"},
        BATCH,
        {**BATCH, "spot": {}, "workers": 4, "disk": "100Gi"},
        {**BATCH, "spot": {}, "instance_type": "m5.2xlarge", "cpu": 4, "workers": 3},
    ],
)
def test_the_template_is_clean(compute: dict[str, Any], tmp_path: Path) -> None:
    assert findings(tmp_path, {"stack": stack_of({"compute": compute})}) == []


# --- Lambda


def test_an_upload_below_incoming_calls_the_function() -> None:
    found = made(compute=LAMBDA)
    pattern = found["FunctionRule"]["EventPattern"]
    assert pattern["detail-type"] == ["Object Created"]
    assert pattern["detail"]["bucket"]["name"] == [{"Ref": "Bucket"}]
    (wildcard,) = pattern["detail"]["object"]["key"]
    before, after = wildcard["wildcard"].split("*")
    assert (before, after) == (f"tabular/{orders.INCOMING}", orders.SUFFIX)
    (target,) = found["FunctionRule"]["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["Function", "Arn"]}
    permission = found["FunctionPermission"]
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": ["FunctionRule", "Arn"]}


def test_the_function_is_the_image_with_our_own_runtime() -> None:
    found = made(compute=LAMBDA)["Function"]
    assert found["PackageType"] == "Image"
    assert found["ImageConfig"]["Command"] == ["python", "-m", function.__name__]
    assert found["Architectures"] == ["x86_64"]
    assert found["Timeout"] == 900
    assert "VpcConfig" not in found
    variables = found["Environment"]["Variables"]
    assert variables["TABULAR_SECRET_KEY"] == {"Fn::Sub": "aws-sm:${SecretKey}"}
    assert "TABULAR_DATABASE_URL" not in variables
    assert "TABULAR_ADMIN_KEY" not in variables
    assert found["LoggingConfig"]["LogGroup"] == {"Ref": "FunctionLogGroup"}


@pytest.mark.parametrize(
    ("said", "mib"),
    [
        ({}, 3008),
        ({"memory": "4Gi"}, 4096),
        ({"cpu": 2}, 3538),
        ({"cpu": "100m"}, 177),
        ({"cpu": "10m"}, 128),
        ({"memory": "10240Mi"}, 10_240),
    ],
)
def test_memory_is_what_is_said_or_what_comes_with_the_cores(
    said: dict[str, Any], mib: int
) -> None:
    assert made(compute={**LAMBDA, **said})["Function"]["MemorySize"] == mib


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"memory": "10241Mi"}, "memory"),
        ({"memory": "100Mi"}, "memory"),
        ({"cpu": 6}, "cpu"),
        ({"disk": "11Gi"}, "disk"),
        ({"spot": {}}, "spot"),
    ],
)
def test_what_lambda_has_not_is_refused(said: dict[str, Any], where: str) -> None:
    refused(UnsupportedError, f"spec.compute.{where}", compute={**LAMBDA, **said})


def test_an_image_from_elsewhere_is_refused_for_lambda_takes_none() -> None:
    image = {"repository": "ghcr.io/example/tabular"}
    said = refused(UnsupportedError, "spec.image.repository", compute=LAMBDA, image=image)
    assert "ECR" in said
    image["repository"] = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tabular"
    made(compute=LAMBDA, image=image)


def test_the_most_at_a_time_is_reserved() -> None:
    assert made(compute={**LAMBDA, "max_instances": 7})["Function"][
        "ReservedConcurrentExecutions"
    ] == 7  # fmt: skip
    assert "ReservedConcurrentExecutions" not in made(compute=LAMBDA)["Function"]


def test_an_outage_is_tried_again() -> None:
    assert made(compute=LAMBDA)["FunctionRetries"]["MaximumRetryAttempts"] == 2


def test_what_lambda_decides_itself_is_told() -> None:
    assert reduced(compute=LAMBDA) == {}
    found = reduced(compute={**LAMBDA, "workers": 3, "cpu": 4, "memory": "1Gi"})
    assert set(found) == {"spec.compute.workers", "spec.compute.cpu"}
    bucket = reduced(compute=LAMBDA, storage={"bucket": "mine-already"})
    assert "EventBridge" in bucket["spec.storage.bucket"]


# --- Batch


def _job(**compute: Any) -> dict[str, Any]:
    found: dict[str, Any] = made(compute={**BATCH, **compute})["JobDefinition"]
    return found


def _resources(job: dict[str, Any]) -> dict[str, str]:
    return {one["Type"]: one["Value"] for one in job["ContainerProperties"]["ResourceRequirements"]}


@pytest.mark.parametrize(
    ("compute", "kind"),
    [
        ({}, "FARGATE"),
        ({"spot": {}}, "FARGATE_SPOT"),
        ({"spot": {"share": 0}}, "FARGATE"),
        ({"instance_type": "m5.2xlarge"}, "EC2"),
        ({"instance_type": "m5.2xlarge", "spot": {}}, "SPOT"),
    ],
)
def test_jobs_run_on_fargate_or_on_the_instances_that_are_named(
    compute: dict[str, Any], kind: str
) -> None:
    found = made(compute={**BATCH, **compute})
    environment = found["ComputeEnvironment"]["ComputeResources"]
    assert environment["Type"] == kind
    assert environment["Subnets"] == [{"Ref": "PrivateSubnet1"}, {"Ref": "PrivateSubnet2"}]
    platform = found["JobDefinition"]["PlatformCapabilities"]
    assert platform == ["FARGATE" if "FARGATE" in kind else "EC2"]
    (order,) = found["JobQueue"]["ComputeEnvironmentOrder"]
    assert order["ComputeEnvironment"] == {"Ref": "ComputeEnvironment"}


def test_a_queue_has_room_for_as_many_jobs_as_there_are_workers() -> None:
    environment = made(compute={**BATCH, "cpu": 2, "workers": 5})["ComputeEnvironment"]
    assert environment["ComputeResources"]["MaxvCpus"] == 10
    environment = made(compute={**BATCH, "cpu": 2, "workers": 5, "max_instances": 8})
    assert environment["ComputeEnvironment"]["ComputeResources"]["MaxvCpus"] == 16


def test_a_job_has_a_legal_size() -> None:
    assert _resources(_job()) == {"VCPU": "1", "MEMORY": "4096"}
    assert _resources(_job(cpu="500m", memory="2Gi")) == {"VCPU": "0.5", "MEMORY": "2048"}
    # Instances are sold by whole cores.
    on_instances = _job(cpu="1500m", memory="3Gi", instance_type="m5.2xlarge")
    assert _resources(on_instances) == {"VCPU": "2", "MEMORY": "3072"}
    refused(UsageError, "spec.compute.memory", compute={**BATCH, "cpu": 1, "memory": "30Gi"})


def test_a_job_is_a_step_of_an_order() -> None:
    job = _job()
    properties = job["ContainerProperties"]
    command = properties["Command"]
    assert command == ["python", "-m", partition.__name__, "Ref::step", "Ref::order"]
    assert set(job["Parameters"]) == {"step", "order"}
    assert properties["User"] == "10001:10001"
    assert properties["NetworkConfiguration"]["AssignPublicIp"] == "DISABLED"
    variables = {one["Name"] for one in properties["Environment"]}
    assert "TABULAR_STORAGE_URL" in variables
    assert "TABULAR_DATABASE_URL" not in variables
    options = properties["LogConfiguration"]["Options"]
    assert options["awslogs-group"] == {"Ref": "JobLogGroup"}


def test_a_job_is_tried_again_unless_it_says_that_it_is_of_no_use() -> None:
    retry = _job()["RetryStrategy"]
    assert retry["Attempts"] == 3
    assert retry["EvaluateOnExit"] == [{"OnExitCode": str(partition.FINAL), "Action": "EXIT"}]


def test_disks_of_jobs() -> None:
    storage = _job(disk="100Gi")["ContainerProperties"]["EphemeralStorage"]
    assert storage == {"SizeInGiB": 100}
    refused(UnsupportedError, "spec.compute.disk", compute={**BATCH, "disk": "300Gi"})
    found = made(compute={**BATCH, "disk": "300Gi", "instance_type": "m5.2xlarge"})
    data = found["JobLaunchTemplate"]["LaunchTemplateData"]
    assert data["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 300
    assert data["MetadataOptions"]["HttpTokens"] == "required"


def test_what_batch_gives_in_part_is_told_and_what_it_has_not_is_refused() -> None:
    assert reduced(compute={**BATCH, "workers": 4, "spot": {}}) == {}
    assert "100 %" in reduced(compute={**BATCH, "spot": {"share": 50}})["spec.compute.spot"]
    assert "spec.compute.min_instances" in reduced(compute={**BATCH, "min_instances": 1})
    spot = {"max_price": "0.3"}
    refused(UnsupportedError, "spec.compute.spot.max_price", compute={**BATCH, "spot": spot})
    tracing = {"tracing": True}
    assert "spec.monitoring.tracing" in reduced(compute=BATCH, monitoring=tracing)


@pytest.mark.parametrize("kind", ["lambda", "batch"])
def test_nothing_is_served_and_so_nothing_waits_for_a_listener(kind: str) -> None:
    for one in part(compute={"type": kind}).values():
        assert "Listener" not in one.get("DependsOn", ())
