"""How many instances there are: by load, by the queue, by the clock."""

from __future__ import annotations

from typing import Any

import pytest

from tabular.errors import UnsupportedError, UsageError
from tests.deploy.aws.infrastructure.compute_parts import made, part, reduced, refused

BOUNDS = {"min_instances": 2, "max_instances": 6}
KINDS = ("ecs-fargate", "ec2")


def _tracking(policy: dict[str, Any]) -> dict[str, Any]:
    """The configuration of target tracking, which the two kinds name differently."""
    assert policy["PolicyType"] == "TargetTrackingScaling"
    found: dict[str, Any] = (
        policy.get("TargetTrackingScalingPolicyConfiguration")
        or policy["TargetTrackingConfiguration"]
    )
    return found


def _math(policy: dict[str, Any]) -> tuple[str, dict[str, tuple[str, str]]]:
    """The expression that is tracked, and name and statistic of its metrics by id."""
    queries = _tracking(policy)["CustomizedMetricSpecification"]["Metrics"]
    (tracked,) = [one for one in queries if one["ReturnData"]]
    inputs = {
        one["Id"]: (one["MetricStat"]["Metric"]["MetricName"], one["MetricStat"]["Stat"])
        for one in queries
        if one is not tracked
    }
    return tracked["Expression"], inputs


def _schedule(**schedule: Any) -> dict[str, Any]:
    return {"name": "nightly", "cron": "0 20 * * 1-5", "timezone": "Europe/Berlin", **schedule}


def test_a_service_goes_from_its_least_to_its_most() -> None:
    compute = {**BOUNDS, "instances": 3}
    found = made(compute=compute)
    # CloudFormation sets it anew with every release, whatever scaling has made of it.
    assert "DesiredCount" not in found["ApiService"]
    assert "DesiredCount" not in found["WorkerService"]
    assert reduced(compute=compute)["spec.compute.instances"] == "2 to start with"
    target = found["ApiScalingTarget"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    assert target["ResourceId"] == {"Fn::Sub": "service/${Cluster}/${ApiService.Name}"}
    assert target["ScalableDimension"] == "ecs:service:DesiredCount"
    assert "RoleARN" not in target  # Application Auto Scaling has a role of its own


def test_a_group_goes_from_its_least_to_its_most() -> None:
    group = made(compute={"type": "ec2", **BOUNDS, "instances": 3})["ApiGroup"]
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == ("2", "3", "6")


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("ecs-fargate", "ECSServiceAverageCPUUtilization"), ("ec2", "ASGAverageCPUUtilization")],
)
def test_processors_are_kept_busy_as_asked(kind: str, metric: str) -> None:
    compute = {"type": kind, **BOUNDS, "autoscaling": {"cpu_target": 55}}
    tracking = _tracking(made(compute=compute)["ApiCpuScaling"])
    assert tracking["TargetValue"] == 55
    assert tracking["PredefinedMetricSpecification"]["PredefinedMetricType"] == metric


def test_memory_is_kept_as_full_as_asked() -> None:
    more = {**BOUNDS, "autoscaling": {"memory_target": 80}}
    tracking = _tracking(made(compute=more)["ApiMemoryScaling"])
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "ECSServiceAverageMemoryUtilization"
    }
    # Of instances, only an agent on them knows; see the tests of the boot script.
    tracking = _tracking(made(compute={"type": "ec2", **more})["ApiMemoryScaling"])
    assert tracking["TargetValue"] == 80
    (query,) = tracking["CustomizedMetricSpecification"]["Metrics"]
    assert query["MetricStat"]["Metric"] == {
        "Namespace": "CWAgent",
        "MetricName": "mem_used_percent",
        "Dimensions": [{"Name": "AutoScalingGroupName", "Value": {"Ref": "ApiGroup"}}],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_requests_at_a_time_are_their_rate_times_their_duration(kind: str) -> None:
    compute = {"type": kind, **BOUNDS, "autoscaling": {"concurrency": 40}}
    policy = made(compute=compute)["ApiRequestsScaling"]
    assert _tracking(policy)["TargetValue"] == 40
    expression, inputs = _math(policy)
    assert inputs == {
        "requests": ("RequestCountPerTarget", "Sum"),
        "seconds": ("TargetResponseTime", "Average"),
    }
    # 1,200 requests a minute of 2 s each are 40 at a time.
    assert _value(expression, requests=1200.0, seconds=2.0) == 40


def _value(expression: str, **metrics: float) -> float:
    """The value of an expression of CloudWatch, of which only FILL and arithmetic are used."""

    def fill(value: float | None, otherwise: float) -> float:
        return otherwise if value is None else value

    names = {"FILL": fill, "__builtins__": {}, **metrics}
    return float(eval(expression, names))


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        ("ecs-fargate", ("CPUUtilization", "SampleCount")),
        ("ec2", ("GroupInServiceInstances", "Average")),
    ],
)
def test_workers_follow_the_jobs_that_wait_for_each(kind: str, metric: tuple[str, str]) -> None:
    found = made(compute={"type": kind, "workers": 2, "max_instances": 8})
    expression, inputs = _math(found["WorkerBacklogScaling"])
    assert inputs == {
        "waiting": ("ApproximateNumberOfMessagesVisible", "Maximum"),
        "workers": metric,
    }
    assert _value(expression, waiting=12.0, workers=4.0) == 3
    if kind == "ecs-fargate":
        target = found["WorkerScalingTarget"]
        assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 8)
    else:
        assert (found["WorkerGroup"]["MinSize"], found["WorkerGroup"]["MaxSize"]) == ("2", "8")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fixed_is_not_scaled_and_no_workers_are_none(kind: str) -> None:
    assert not [name for name in part(compute={"type": kind, "instances": 3}) if "Scaling" in name]
    found = made(compute={"type": kind, "workers": 0, "max_instances": 4})
    assert not [name for name in found if name.startswith("Worker") and "Scaling" in name]


def test_a_cooldown_is_kept_in_both_directions() -> None:
    compute = {**BOUNDS, "autoscaling": {"cooldown": "5m"}}
    tracking = _tracking(made(compute=compute)["ApiCpuScaling"])
    assert (tracking["ScaleInCooldown"], tracking["ScaleOutCooldown"]) == (300, 300)
    policy = made(compute={"type": "ec2", **compute})["ApiCpuScaling"]
    assert policy["EstimatedInstanceWarmup"] == 300


@pytest.mark.parametrize(
    ("schedule", "action"),
    [
        ({"instances": 1}, {"MinCapacity": 1, "MaxCapacity": 1}),
        ({"min_instances": 0, "max_instances": 1}, {"MinCapacity": 0, "MaxCapacity": 1}),
        ({"min_instances": 4}, {"MinCapacity": 4}),
    ],
)
def test_a_service_changes_its_bounds_by_the_clock(
    schedule: dict[str, Any], action: dict[str, int]
) -> None:
    found = made(compute={**BOUNDS, "schedules": [_schedule(**schedule)]})
    assert found["ApiScalingTarget"]["ScheduledActions"] == [
        {
            "ScheduledActionName": "nightly",
            "Schedule": "cron(0 20 ? * 2-6 *)",
            "Timezone": "Europe/Berlin",
            "ScalableTargetAction": action,
        }
    ]


def test_a_group_changes_its_size_by_the_clock() -> None:
    schedule = _schedule(instances=2, min_instances=1, max_instances=3)
    found = made(compute={"type": "ec2", **BOUNDS, "schedules": [schedule]})
    assert found["ApiSchedule1"] == {
        "AutoScalingGroupName": {"Ref": "ApiGroup"},
        "Recurrence": "0 20 * * 1-5",
        "TimeZone": "Europe/Berlin",
        "MinSize": 1,
        "MaxSize": 3,
        "DesiredCapacity": 2,
    }


def test_a_fixed_service_may_still_go_by_the_clock() -> None:
    found = made(compute={"instances": 2, "schedules": [_schedule(instances=1)]})
    assert found["ApiScalingTarget"]["MaxCapacity"] == 2
    assert "ApiCpuScaling" not in found


def test_what_a_service_does_between_new_bounds_is_up_to_its_scaling() -> None:
    schedule = _schedule(instances=2, min_instances=1, max_instances=3)
    spec = {**BOUNDS, "schedules": [schedule]}
    assert "1 to 3" in reduced(compute=spec)["spec.compute.schedules.0.instances"]
    assert reduced(compute={"type": "ec2", **spec}) == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "schedule",
    [
        {"min_instances": 7},  # above max_instances
        {"max_instances": 1},  # below min_instances
        {"min_instances": 3, "max_instances": 1},
        {"instances": 9, "min_instances": 1, "max_instances": 4},
    ],
)
def test_bounds_that_cross_are_refused(kind: str, schedule: dict[str, int]) -> None:
    compute = {"type": kind, **BOUNDS, "schedules": [_schedule(**schedule)]}
    assert "nightly" in refused(UsageError, "spec.compute.schedules.0", compute=compute)


@pytest.mark.parametrize("kind", KINDS)
def test_two_schedules_of_one_name_are_refused(kind: str) -> None:
    compute = {"type": kind, "schedules": [_schedule(instances=1), _schedule(instances=2)]}
    refused(UsageError, "spec.compute.schedules.1.name", compute=compute)


@pytest.mark.parametrize("kind", KINDS)
def test_times_that_aws_cannot_say_are_refused(kind: str) -> None:
    compute = {"type": kind, "schedules": [_schedule(instances=1, cron="0 20 1 * 1-5")]}
    refused(UnsupportedError, "spec.compute.schedules.0.cron", compute=compute)
    compute["schedules"] = [_schedule(instances=1, cron="0 25 * * *")]
    refused(UsageError, "spec.compute.schedules.0.cron", compute=compute)


@pytest.mark.parametrize("kind", ["lambda", "batch"])
def test_what_runs_only_while_there_is_work_has_no_size_to_schedule(kind: str) -> None:
    compute = {"type": kind, "schedules": [_schedule(instances=1)]}
    refused(UnsupportedError, "spec.compute.schedules", compute=compute)
