"""The API and the workers on ECS with Fargate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.image.staging import RECIPE
from tabular.errors import UnsupportedError
from tests.deploy.aws.infrastructure.compute_parts import EXISTING, made, part, reduced, refused
from tests.deploy.aws.linted import findings
from tests.deploy.aws.made import stack_of

CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0b7f4a61"
LARGE: dict[str, Any] = {
    "compute": {
        "min_instances": 2,
        "max_instances": 6,
        "workers": 2,
        "disk": "50Gi",
        "spot": {"share": 60, "on_demand_base": 1},
        "autoscaling": {"memory_target": 70, "concurrency": 40, "cooldown": "5m"},
        "schedules": [{"name": "off", "cron": "0 20 * * 1-5", "instances": 1}],
    },
    "monitoring": {"enabled": True, "tracing": True},
}


def _containers(task: str, **spec: Any) -> dict[str, Any]:
    found = made(**spec)[task]["ContainerDefinitions"]
    return {one["Name"]: one for one in found}


def _variables(container: dict[str, Any]) -> dict[str, Any]:
    return {one["Name"]: one["Value"] for one in container["Environment"]}


@pytest.mark.slow
@pytest.mark.parametrize("spec", [{}, LARGE, {"compute": {"workers": 0}}])
def test_the_template_is_clean(spec: dict[str, Any], tmp_path: Path) -> None:
    assert findings(tmp_path, {"stack": stack_of(spec)}) == []


def test_the_cheapest_deployment_is_one_api_and_one_worker_of_one_core() -> None:
    found = made()
    for prefix in ("Api", "Worker"):
        task, service = found[f"{prefix}Task"], found[f"{prefix}Service"]
        assert (task["Cpu"], task["Memory"]) == ("1024", "4096")
        assert task["RequiresCompatibilities"] == ["FARGATE"]
        assert task["NetworkMode"] == "awsvpc"
        assert task["RuntimePlatform"]["CpuArchitecture"] == "X86_64"
        assert service["DesiredCount"] == 1
        assert service["LaunchType"] == "FARGATE"
        assert "CapacityProviderStrategy" not in service
    # The first cluster of an account is refused with them.
    assert "CapacityProviders" not in found["Cluster"]
    assert not [name for name in found if "Scaling" in name]


def test_tasks_have_no_public_address_and_the_groups_rules() -> None:
    for prefix in ("Api", "Worker"):
        network = made()[f"{prefix}Service"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
        assert network["SecurityGroups"] == [{"Fn::GetAtt": ["ServiceSecurityGroup", "GroupId"]}]
        assert network["Subnets"] == [{"Ref": "PrivateSubnet1"}, {"Ref": "PrivateSubnet2"}]


@pytest.mark.parametrize("task", ["ApiTask", "WorkerTask"])
def test_every_container_of_ours_is_locked_down_and_logs_without_waiting(task: str) -> None:
    for container in _containers(task).values():
        assert container["User"] == "10001:10001"
        assert container["ReadonlyRootFilesystem"] is True
        assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert container["LinuxParameters"]["InitProcessEnabled"] is True
        options = container["LogConfiguration"]["Options"]
        assert options["mode"] == "non-blocking"
        group = "WorkerLogGroup" if task == "WorkerTask" else "ApiLogGroup"
        assert options["awslogs-group"] == {"Ref": group}


def test_the_one_folder_that_may_be_written_is_a_volume_that_the_image_declares() -> None:
    for task in ("ApiTask", "WorkerTask"):
        names = [one["Name"] for one in made()[task]["Volumes"]]
        for container in _containers(task).values():
            (mount,) = container["MountPoints"]
            assert mount == {"SourceVolume": names[0], "ContainerPath": "/tmp"}
    # Fargate mounts a volume as root's own, unless the image says otherwise of this very path.
    recipe = RECIPE.read_text(encoding="utf-8")
    assert re.search(r'^VOLUME \["/tmp"\]$', recipe, re.MULTILINE)


def test_an_api_starts_once_its_migration_succeeded() -> None:
    found = _containers("ApiTask")
    assert list(found) == ["migrate", "api"]
    assert found["migrate"]["Essential"] is False
    assert found["migrate"]["Command"] == ["python", "-m", "tabular.api", "migrate"]
    assert "HealthCheck" not in found["migrate"]  # ECS refuses to wait for the end of one
    assert found["api"]["DependsOn"] == [{"ContainerName": "migrate", "Condition": "SUCCESS"}]
    assert found["api"]["Essential"] is True
    assert found["api"]["PortMappings"] == [{"ContainerPort": 8000, "Protocol": "tcp"}]


@pytest.mark.parametrize(
    ("task", "name", "asked"),
    [("ApiTask", "api", ":8000/health"), ("WorkerTask", "worker", ":9000/health")],
)
def test_a_container_is_asked_whether_it_is_well(task: str, name: str, asked: str) -> None:
    container = _containers(task)[name]
    command = container["HealthCheck"]["Command"]
    assert command[:3] == ["CMD", "python", "-c"]
    assert asked in command[3]
    # Not /ready: ECS ends what is not well, and that mends no database.
    assert "/ready" not in command[3]
    if name == "worker":
        assert _variables(container)["TABULAR_METRICS_PORT"] == "9000"


def test_the_load_balancer_finds_the_api_and_nobody_finds_a_worker() -> None:
    found = part()
    api = found["ApiService"]["Properties"]
    assert api["LoadBalancers"] == [
        {"ContainerName": "api", "ContainerPort": 8000, "TargetGroupArn": {"Ref": "TargetGroup"}}
    ]
    assert api["HealthCheckGracePeriodSeconds"] == 60
    assert "LoadBalancers" not in found["WorkerService"]["Properties"]
    assert "Listener" in found["ApiService"]["DependsOn"]
    # Images come over these routes, so they have to be there first.
    for service in ("ApiService", "WorkerService"):
        assert {"PrivateRoute1", "PrivateRoute2"} <= set(found[service]["DependsOn"])


def test_a_release_that_does_not_start_is_taken_back_without_a_gap() -> None:
    for prefix in ("Api", "Worker"):
        how = made()[f"{prefix}Service"]["DeploymentConfiguration"]
        assert how["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        assert (how["MinimumHealthyPercent"], how["MaximumPercent"]) == (100, 200)


def test_secrets_are_references_and_only_who_needs_it_gets_the_administrators() -> None:
    api, worker = _containers("ApiTask"), _containers("WorkerTask")
    for container in (*api.values(), *worker.values()):
        variables = _variables(container)
        assert list(variables) == sorted(variables)
        assert variables["TABULAR_SECRET_KEY"] == {"Fn::Sub": "aws-sm:${SecretKey}"}
        assert "{aws-sm:${DatabaseSecret}#password}" in str(variables["TABULAR_DATABASE_URL"])
        assert variables["TABULAR_RELEASE"] == {"Ref": "Release"}
    assert "TABULAR_ADMIN_KEY" in _variables(api["api"])
    assert "TABULAR_ADMIN_KEY" in _variables(api["migrate"])
    assert "TABULAR_ADMIN_KEY" not in _variables(worker["worker"])


@pytest.mark.parametrize(
    ("networking", "kind"),
    [({}, "Private"), ({"certificate": CERTIFICATE}, "Public")],
)  # fmt: skip
def test_the_api_believes_what_the_load_balancer_says_of_a_client(
    networking: dict[str, Any], kind: str
) -> None:
    api = _containers("ApiTask", networking=networking)["api"]
    assert _variables(api)["TABULAR_TRUSTED_PROXIES"] == {
        "Fn::Join": [
            ",", [{"Fn::GetAtt": [f"{kind}Subnet{one}", "CidrBlock"]} for one in (1, 2)],
        ]
    }  # fmt: skip


def test_of_an_existing_network_the_load_balancers_addresses_are_not_known() -> None:
    found = part(networking=EXISTING)
    assert "DependsOn" not in found["WorkerService"]
    (api,) = [
        one
        for one in found["ApiTask"]["Properties"]["ContainerDefinitions"]
        if one["Name"] == "api"
    ]
    assert "TABULAR_TRUSTED_PROXIES" not in _variables(api)
    assert "spec.networking.network" in reduced(networking=EXISTING)


@pytest.mark.parametrize(
    ("disk", "gib"), [("20Gi", None), ("21Gi", 21), ("20481Mi", 21), ("200Gi", 200)]
)
def test_the_disk_of_a_task(disk: str, gib: int | None) -> None:
    task = made(compute={"disk": disk})["ApiTask"]
    assert task.get("EphemeralStorage", {}).get("SizeInGiB") == gib


def test_a_larger_disk_than_fargate_has_is_refused() -> None:
    said = refused(UnsupportedError, "spec.compute.disk", compute={"disk": "201Gi"})
    assert "200 GiB" in said
    assert "ec2" in said


@pytest.mark.parametrize(
    ("spot", "strategy"),
    [
        ({}, [("FARGATE_SPOT", 0, 100)]),
        ({"share": 60, "on_demand_base": 2}, [("FARGATE", 2, 40), ("FARGATE_SPOT", 0, 60)]),
        ({"share": 100, "on_demand_base": 1}, [("FARGATE", 1, 0), ("FARGATE_SPOT", 0, 100)]),
        ({"share": 0}, [("FARGATE", 0, 100)]),
    ],
)
def test_a_share_of_the_tasks_is_spot(spot: dict[str, Any], strategy: list[Any]) -> None:
    found = made(compute={"spot": spot})
    for prefix in ("Api", "Worker"):
        got = found[f"{prefix}Service"]["CapacityProviderStrategy"]
        assert [(one["CapacityProvider"], one["Base"], one["Weight"]) for one in got] == strategy
        assert set(found["Cluster"]["CapacityProviders"]) == {"FARGATE", "FARGATE_SPOT"}


def test_nobody_bids_for_fargate_spot() -> None:
    refused(UnsupportedError, "spec.compute.spot.max_price", compute={"spot": {"max_price": "0.1"}})


@pytest.mark.parametrize(("enabled", "insights"), [(True, "enabled"), (False, "disabled")])
def test_insights_are_for_who_wants_to_monitor(enabled: bool, insights: str) -> None:
    cluster = made(monitoring={"enabled": enabled})["Cluster"]
    assert cluster["ClusterSettings"] == [{"Name": "containerInsights", "Value": insights}]


def test_traces_go_to_x_ray_through_a_collector_that_nobody_depends_on() -> None:
    for task, name in (("ApiTask", "api"), ("WorkerTask", "worker")):
        found = _containers(task, monitoring={"enabled": True, "tracing": True})
        assert found["collector"]["Essential"] is False
        assert "awsxray" in _variables(found["collector"])["AOT_CONFIG_CONTENT"]
        sent = _variables(found[name])["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        assert sent == "http://127.0.0.1:4318/v1/traces"


def test_who_has_a_collector_gets_none() -> None:
    monitoring = {"tracing": True, "otlp_endpoint": "otel.internal:4318"}
    api = _containers("ApiTask", monitoring=monitoring)
    assert "collector" not in api
    assert _variables(api["api"])["TABULAR_OTLP_ENDPOINT"] == "http://otel.internal:4318"


def test_a_collector_needs_a_way_to_its_image() -> None:
    said = refused(
        UnsupportedError,
        "spec.monitoring.tracing",
        monitoring={"tracing": True},
        networking={"nat": "none"},
    )
    assert "otlp_endpoint" in said
