"""Monitoring on AWS: what is kept, what raises an alarm, who is told, what a page shows."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.aws.applying.variants import referred
from tabular.deploy.aws.infrastructure import monitoring
from tabular.deploy.aws.infrastructure.log_groups import LEGAL_DAYS
from tabular.errors import TableError, TabularError, UnsupportedError, UsageError
from tabular.infra.database import Database, migrate
from tabular.infra.logs import configure_logging
from tabular.worker.jobs import Jobs
from tests.deploy.aws.linted import findings
from tests.deploy.aws.made import stack_of, wanted_of
from tests.testbed.ministack import MiniStack
from tests.worker.test_runner import Bench, Work, good, raising

ON = {"enabled": True}
FULL: dict[str, Any] = {
    "ha": True,
    "compute": {"workers": 2},
    "cache": {"type": "valkey"},
    "monitoring": {**ON, "notify": ["ops@example.com", "https://hooks.example.com/tabular"]},
    "policy": {"monthly_budget": 200},
}
KINDS = ("ecs-fargate", "ec2", "lambda", "batch")
SHOWN: dict[str, set[str]] = {
    "high_cpu": {"ApiHighCpuAlarm", "DatabaseHighCpuAlarm"},
    "low_memory": {"ApiLowMemoryAlarm", "WorkerLowMemoryAlarm", "CacheLowMemoryAlarm"},
    "api_errors": {"ApiErrorsAlarm", "LoadBalancerErrorsAlarm"},
    "high_latency": {"ApiLatencyAlarm"},
    "unhealthy_instances": {"UnhealthyTargetsAlarm", "ApiMissingAlarm", "WorkerMissingAlarm"},
    "queue_backlog": {"QueueBacklogAlarm", "DeadLettersAlarm"},
    "job_failures": {"JobFailuresAlarm"},
    "database_storage": {"DatabaseStorageAlarm"},
}


def made(**spec: Any) -> dict[str, Any]:
    """Properties by logical id."""
    return {name: one["Properties"] for name, one in monitoring.resources(wanted_of(spec)).items()}


def alarms(**spec: Any) -> dict[str, Any]:
    part = monitoring.resources(wanted_of(spec))
    return {
        name: one["Properties"]
        for name, one in part.items()
        if one["Type"] == "AWS::CloudWatch::Alarm"
    }


def reduced(**spec: Any) -> dict[str, str]:
    return {one.field: one.given for one in monitoring.reductions(wanted_of(spec))}


def refused(error: type[TabularError], where: str, **spec: Any) -> str:
    with pytest.raises(error) as caught:
        monitoring.resources(wanted_of(spec))
    assert caught.value.where == where
    assert caught.value.hint
    return caught.value.message


# --- Logs


@pytest.mark.parametrize(
    ("kind", "groups"),
    [
        ("ecs-fargate", {"ApiLogGroup", "WorkerLogGroup"}),
        ("ec2", {"ApiLogGroup", "WorkerLogGroup"}),
        ("lambda", {"FunctionLogGroup"}),
        ("batch", {"JobLogGroup"}),
    ],
)
def test_logs_are_kept_encrypted_whether_or_not_anything_is_watched(
    kind: str, groups: set[str]
) -> None:
    found = made(compute={"type": kind})
    assert found.keys() == groups
    for one in found.values():
        assert one == {"RetentionInDays": 30, "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}


@pytest.mark.parametrize(
    ("said", "kept"), [("90d", 90), ("45d", 60), ("1h", 1), ("25h", 3), ("3653d", 3653)]
)
def test_logs_are_kept_for_no_less_than_is_said(said: str, kept: int) -> None:
    block = {"log_retention": said}
    assert made(monitoring=block)["ApiLogGroup"]["RetentionInDays"] == kept
    exact = said == f"{kept}d"
    assert reduced(monitoring=block) == (
        {} if exact else {"spec.monitoring.log_retention": f"{kept}d"}
    )


def test_logs_are_not_kept_for_ever() -> None:
    refused(UsageError, "spec.monitoring.log_retention", monitoring={"log_retention": 3654})
    assert list(LEGAL_DAYS) == sorted(set(LEGAL_DAYS))


def test_metrics_are_kept_for_as_long_as_cloudwatch_does() -> None:
    assert reduced(monitoring={"retention": "30d"}) == {"spec.monitoring.retention": "455d"}
    assert reduced(monitoring={"retention": "455d"}) == {}
    assert reduced() == {}


# --- Alarms


def test_nothing_is_watched_unless_asked() -> None:
    assert alarms() == {}
    assert not {"AlarmTopic", "Dashboard"} & made().keys()


def test_the_usual_alarms() -> None:
    assert alarms(**FULL).keys() == set().union(*SHOWN.values())


@pytest.mark.parametrize("name", SHOWN)
def test_each_name_raises_its_own_alarms(name: str) -> None:
    spec = {**FULL, "monitoring": {**ON, "alarms": [name]}}
    found = alarms(**spec)
    assert found.keys() == SHOWN[name]
    for one in found.values():
        assert one["AlarmActions"] == one["OKActions"] == [{"Ref": "AlarmTopic"}]
        assert one["AlarmDescription"].endswith(".")


def minutes(alarm: dict[str, Any]) -> float:
    periods = {
        alarm.get("Period"),
        *(one["MetricStat"]["Period"] for one in alarm.get("Metrics", []) if "MetricStat" in one),
    } - {None}
    (period,) = periods
    assert period in (60, 300, 900)
    return float(alarm["EvaluationPeriods"] * period / 60)


def test_detail_makes_values_more_frequent_and_alarms_no_more_nervous() -> None:
    coarse = alarms(**FULL)
    fine = alarms(**{**FULL, "monitoring": {**ON, "detailed": True}})
    assert coarse.keys() == fine.keys()
    for name in coarse:
        assert minutes(coarse[name]) == minutes(fine[name]) >= 5
        assert coarse[name]["Threshold"] == fine[name]["Threshold"]
    assert (coarse["ApiHighCpuAlarm"]["Period"], fine["ApiHighCpuAlarm"]["Period"]) == (300, 60)
    # A count says how many in all of its time, so its time is one period.
    counted = [one for one in fine.values() if one.get("Statistic") == "Sum"]
    assert counted
    assert all(one["EvaluationPeriods"] == 1 for one in counted)


@pytest.mark.parametrize(
    ("kind", "cpu", "memory", "dimensions"),
    [
        (
            "ecs-fargate",
            ("AWS/ECS", "CPUUtilization"),
            ("AWS/ECS", "MemoryUtilization"),
            {"ClusterName", "ServiceName"},
        ),
        (
            "ec2",
            ("AWS/EC2", "CPUUtilization"),
            ("CWAgent", "mem_used_percent"),
            {"AutoScalingGroupName"},
        ),
    ],
)
def test_use_is_measured_where_it_is(
    kind: str, cpu: tuple[str, str], memory: tuple[str, str], dimensions: set[str]
) -> None:
    found = alarms(compute={"type": kind, "workers": 1}, monitoring=ON)
    for name, expected in (("ApiHighCpuAlarm", cpu), ("WorkerLowMemoryAlarm", memory)):
        alarm = found[name]
        assert (alarm["Namespace"], alarm["MetricName"]) == expected
        assert {one["Name"] for one in alarm["Dimensions"]} == dimensions
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    missing = {one["Id"]: one for one in found["WorkerMissingAlarm"]["Metrics"]}
    assert missing["whole"]["Expression"] == "wished - FILL(running, 0)"


def test_the_disk_of_the_database_is_watched_by_its_size() -> None:
    alarm = alarms(database={"size": "200Gi"}, monitoring=ON)["DatabaseStorageAlarm"]
    assert (alarm["MetricName"], alarm["ComparisonOperator"]) == (
        "FreeStorageSpace",
        "LessThanThreshold",
    )
    assert alarm["Threshold"] == 20 * 2**30


def test_without_workers_none_are_missed() -> None:
    found = alarms(compute={"workers": 0}, monitoring=ON)
    assert not {"WorkerMissingAlarm", "WorkerLowMemoryAlarm"} & found.keys()
    assert "ApiMissingAlarm" in found


@pytest.mark.parametrize(
    ("kind", "name"),
    [("lambda", "api_errors"), ("batch", "high_latency"), ("lambda", "database_storage")],
)
def test_an_alarm_on_what_is_not_there_is_refused(kind: str, name: str) -> None:
    words = refused(
        UnsupportedError,
        "spec.monitoring.alarms",
        compute={"type": kind},
        monitoring={**ON, "alarms": [name]},
    )
    assert name in words


def test_a_function_that_fails_raises_an_alarm() -> None:
    found = alarms(compute={"type": "lambda"}, monitoring=ON)
    assert found.keys() == {"FunctionErrorsAlarm", "FunctionThrottlesAlarm"}
    assert all(set(referred(one["Dimensions"])) == {"Function"} for one in found.values())


def test_batch_tells_of_jobs_that_failed() -> None:
    found = made(compute={"type": "batch"}, monitoring={**ON, "alarms": ["job_failures"]})
    rule = found["FailedJobs"]
    assert rule["EventPattern"]["detail"]["status"] == ["FAILED"]
    assert set(referred(rule["EventPattern"])) == {"JobQueue"}
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": "AlarmTopic"}
    transformer = target["InputTransformer"]
    words = re.findall(r"<(\w+)>", transformer["InputTemplate"])
    assert sorted(words) == sorted(transformer["InputPathsMap"])
    # EventBridge gives no context that a condition could look at.
    assert speakers(compute={"type": "batch"}, monitoring=ON)["events.amazonaws.com"] == {}


# --- Jobs that fail, counted from what a worker really logs


def matches(pattern: str, line: str) -> bool:
    """Whether a line of JSON fits a pattern of CloudWatch Logs.

    Neither an emulator of it nor AWS offline evaluates such patterns, so this reads just the
    form that is used, ``{ $.a = "x" && ($.b = "*y" || …) }``, and fails on any other. Source:
    "Filter pattern syntax" in the user guide of CloudWatch Logs.
    """
    whole = re.fullmatch(r"\{ (?P<first>\$\.\S+ = \"[^\"]+\") && \((?P<others>.+)\) \}", pattern)
    assert whole, pattern

    def holds(term: str) -> bool:
        read = re.fullmatch(r"\$\.(\w+) = \"(\*?)([^\"*]+)\"", term)
        assert read, term
        value = str(json.loads(line).get(read[1], ""))
        return value.endswith(read[3]) if read[2] else value == read[3]

    return holds(whole["first"]) and any(map(holds, whole["others"].split(" || ")))


@pytest.fixture
def lines() -> Iterator[Callable[[], list[str]]]:
    """What is logged meanwhile, as the service writes it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield lambda: stream.getvalue().splitlines()
    root.handlers[:], _ = before
    root.setLevel(before[1])


def counted(lines: list[str]) -> dict[str, int]:
    """What CloudWatch counts of these lines."""
    found: dict[str, int] = {}
    for name in ("JobsFailedFilter", "JobsSucceededFilter"):
        one = made(monitoring=ON)[name]
        (transformation,) = one["MetricTransformations"]
        assert one["LogGroupName"] == {"Ref": "WorkerLogGroup"}
        metric = transformation["MetricName"]
        found[metric] = sum(matches(one["FilterPattern"], line) for line in lines)
    return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    database = Database(f"sqlite:///{tmp_path}/tabular.db")
    migrate(database)
    yield Bench(tmp_path, database)
    database.close()


@pytest.mark.parametrize(
    ("work", "failed", "succeeded"),
    [
        (Work(good), 0, 1),
        (Work(raising(TableError("no table", where="t.csv:7", hint="mend it"))), 1, 0),
    ],
)
def test_jobs_are_counted_once_by_how_they_ended(
    bench: Bench, lines: Callable[[], list[str]], work: Work, failed: int, succeeded: int
) -> None:
    bench.run(bench.runner(work), bench.submit())
    assert counted(lines()) == {"JobsFailed": failed, "JobsSucceeded": succeeded}


def test_a_job_that_is_tried_again_has_not_failed(
    bench: Bench, lines: Callable[[], list[str]]
) -> None:
    crash = raising(TabularError("it ended by SIGSEGV", code="job.crashed"))
    bench.run(bench.runner(Work(crash, crash, good)), bench.submit())
    assert counted(lines()) == {"JobsFailed": 0, "JobsSucceeded": 1}


def test_a_job_that_lost_its_last_worker_is_counted(
    bench: Bench, lines: Callable[[], list[str]]
) -> None:
    bench.jobs = Jobs(bench.database, max_tries=1, retry_delay=0.01, outage_limit=0.5)
    job_id = bench.submit()
    assert bench.jobs.claim("a worker that is gone") is not None
    assert bench.run(bench.runner(Work(good)), job_id).status == "failed"
    assert counted(lines()) == {"JobsFailed": 1, "JobsSucceeded": 0}


def test_the_alarm_on_jobs_is_about_their_share() -> None:
    alarm = alarms(monitoring=ON)["JobFailuresAlarm"]
    terms = {one["Id"]: one for one in alarm["Metrics"]}
    metrics = {
        name: one["MetricStat"]["Metric"]["MetricName"]
        for name, one in terms.items()
        if "MetricStat" in one
    }
    assert metrics == {"failed": "JobsFailed", "succeeded": "JobsSucceeded"}
    assert [name for name, one in terms.items() if one["ReturnData"]] == ["whole"]
    (transformation,) = made(monitoring=ON)["JobsFailedFilter"]["MetricTransformations"]
    namespace = terms["failed"]["MetricStat"]["Metric"]["Namespace"]
    assert transformation["MetricNamespace"] == namespace


# --- Who is told


def test_alarms_go_to_who_is_named() -> None:
    found = made(**FULL)
    subscriptions = [one for name, one in found.items() if name.startswith("Subscription")]
    assert sorted((one["Protocol"], one["Endpoint"]) for one in subscriptions) == [
        ("email", "ops@example.com"),
        ("https", "https://hooks.example.com/tabular"),
    ]
    assert found["AlarmTopic"]["KmsMasterKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}
    assert monitoring.outputs(wanted_of(FULL))["alarmTopic"][0] == {"Ref": "AlarmTopic"}


def speakers(**spec: Any) -> dict[str, dict[str, Any]]:
    """Conditions by service that may speak to the topic."""
    statements = made(**spec)["AlarmTopicPolicy"]["PolicyDocument"]["Statement"]
    return {
        one["Principal"]["Service"]: one.get("Condition", {})
        for one in statements
        if one["Effect"] == "Allow"
    }


def test_only_aws_for_this_account_and_over_tls_speaks_to_the_topic() -> None:
    own = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert speakers(**FULL) == {"cloudwatch.amazonaws.com": own, "budgets.amazonaws.com": own}
    (plain,) = (
        one
        for one in made(**FULL)["AlarmTopicPolicy"]["PolicyDocument"]["Statement"]
        if one["Effect"] == "Deny"
    )
    assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_key_lets_those_speak_who_may() -> None:
    for kind in ("ecs-fargate", "batch"):
        spec = {"compute": {"type": kind}, **{key: FULL[key] for key in ("monitoring", "policy")}}
        key = stack_of(spec).template["Resources"]["Key"]["Properties"]["KeyPolicy"]
        services = {
            service
            for one in key["Statement"]
            for service in [one["Principal"].get("Service", [])]
            for service in ([service] if isinstance(service, str) else service)
        }
        assert speakers(**spec).keys() <= services


def test_one_more_listener_moves_no_other() -> None:
    def listeners(*notify: str) -> dict[str, Any]:
        found = made(monitoring={**ON, "notify": notify})
        return {name: one for name, one in found.items() if name.startswith("Subscription")}

    one, two = listeners("b@example.com"), listeners("a@example.com", "b@example.com")
    assert one.items() <= two.items()
    assert len(two) == 2


@pytest.mark.parametrize(
    ("error", "who"),
    [
        (UnsupportedError, "http://hooks.example.com/x"),
        (UnsupportedError, "the night shift"),
        (UnsupportedError, "+49 30 1234567"),
        (UsageError, "https://ops:hunter22@hooks.example.com/x"),
        (UsageError, "https://hooks.example.com/x?token=abcdefghij"),
    ],
)
def test_who_cannot_be_told_is_refused_without_a_secret(
    error: type[TabularError], who: str
) -> None:
    words = refused(error, "spec.monitoring.notify", monitoring={**ON, "notify": [who]})
    assert "hunter22" not in words
    assert "abcdefghij" not in words


def test_nobody_is_told_silently_of_nothing() -> None:
    block = {"notify": ["ops@example.com"]}
    assert reduced(monitoring=block) == {"spec.monitoring.notify": "nobody is told"}
    assert "AlarmTopic" not in made(monitoring=block)


# --- The budget


def test_the_budget_tells_at_80_and_at_100_percent() -> None:
    spec = {"policy": {"monthly_budget": 200}, "monitoring": {"notify": ["ops@example.com"]}}
    part = monitoring.resources(wanted_of(spec, name="sales"))
    budget = part["Budget"]["Properties"]
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 200, "Unit": "USD"}
    assert budget["Budget"]["TimeUnit"] == "MONTHLY"
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:inferloop:deployment$sales"]}
    told = budget["NotificationsWithSubscribers"]
    assert [one["Notification"]["Threshold"] for one in told] == [80, 100]
    for one in told:
        assert one["Subscribers"] == [{"SubscriptionType": "SNS", "Address": {"Ref": "AlarmTopic"}}]
    assert {"AlarmTopic", "AlarmTopicPolicy"} <= part.keys()
    assert part["Budget"]["DependsOn"] == ["AlarmTopicPolicy"]
    assert any(name.startswith("Subscription") for name in part)
    assert alarms(**spec) == {}
    assert list(reduced(**spec)) == ["spec.policy.monthly_budget"]


def test_a_budget_that_tells_nobody_says_so() -> None:
    assert reduced(policy={"monthly_budget": 200}).keys() == {
        "spec.policy.monthly_budget",
        "spec.monitoring.notify",
    }


def test_the_tag_that_the_budget_counts_by_is_on_what_costs() -> None:
    template = stack_of(FULL, name="sales").template
    tag = {"Key": "inferloop:deployment", "Value": "sales"}
    assert tag in template["Resources"]["LoadBalancer"]["Properties"]["Tags"]


# --- The page


def page(**spec: Any) -> dict[str, Any]:
    """The dashboard as AWS gets it, everything filled in."""
    body = made(**spec)["Dashboard"]["DashboardBody"]["Fn::Sub"]
    filled = re.sub(r"\$\{([A-Za-z0-9.:]+)\}", lambda found: f"the/{found[1]}", body)
    assert "${" not in filled
    whole: dict[str, Any] = json.loads(filled)
    return whole


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("detailed", [True, False])
def test_the_page_is_json_whose_charts_have_their_place(kind: str, detailed: bool) -> None:
    block = {**ON, "detailed": detailed}
    widgets = page(compute={"type": kind}, monitoring=block)["widgets"]
    places = {(one["x"], one["y"]) for one in widgets}
    assert len(places) == len(widgets) >= 1
    assert all(one["x"] + one["width"] <= 24 for one in widgets)
    for one in widgets:
        if one["type"] == "metric":
            assert one["properties"]["period"] == (60 if detailed else 300)
            for line in one["properties"]["metrics"]:
                assert len(line) % 2 == 1  # namespace, metric, pairs, how
                assert {"stat", "label"} == line[-1].keys()


def test_the_page_shows_what_alarms_are_about() -> None:
    widgets = page(**FULL)["widgets"]
    shown = {
        (line[0], line[1])
        for one in widgets
        if one["type"] == "metric"
        for line in one["properties"]["metrics"]
    }
    watched = {
        (one["Namespace"], one["MetricName"])
        for one in alarms(**FULL).values()
        if "MetricName" in one
    }
    assert watched <= shown
    (board,) = (one for one in widgets if one["type"] == "alarm")
    assert {one.removeprefix("the/") for one in board["properties"]["alarms"]} == {
        f"{name}.Arn" for name in alarms(**FULL)
    }
    (errors,) = (one for one in widgets if one["type"] == "log")
    assert errors["properties"]["query"].startswith(
        "SOURCE 'the/ApiLogGroup' | SOURCE 'the/WorkerLogGroup' | fields"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_is_watched_and_shown_is_there(kind: str) -> None:
    spec = {**FULL, "compute": {"type": kind, "workers": 1}}
    if kind in ("lambda", "batch"):
        del spec["cache"]
    there = stack_of(spec).template["Resources"].keys()
    assert set(referred(monitoring.resources(wanted_of(spec)))) <= there


def test_panels_of_prometheus_are_a_file() -> None:
    panel = {"metric": "synthdata_generation_rate"}
    block = {
        **ON,
        "dashboards": [{"name": "All", "panels": [panel]}],
        "exporters": [{"type": "prometheus", "endpoints": {"aws": "prometheus.internal"}}],
    }
    found = reduced(monitoring=block)
    assert "export --format grafana" in found["spec.monitoring.dashboards"]
    assert "export --format prometheus" in found["spec.monitoring.exporters"]


# --- Others read it as it is meant


def test_aws_sees_alarms_a_page_and_who_listens(ministack: MiniStack, aws_account: str) -> None:
    spec = {"compute": {"type": "lambda"}, "monitoring": FULL["monitoring"]}
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Version": "2012-10-17"}}}
    queue = {"Type": "AWS::SQS::Queue"}
    part = monitoring.resources(wanted_of(spec))
    template = {"Resources": {"Key": key, "Function": queue, **part}}
    engine = ministack.client("cloudformation", account=aws_account)
    engine.create_stack(StackName="seen", TemplateBody=json.dumps(template))
    engine.get_waiter("stack_create_complete").wait(
        StackName="seen", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    metrics = ministack.client("cloudwatch", account=aws_account)
    topic = engine.describe_stack_resource(StackName="seen", LogicalResourceId="AlarmTopic")
    arn = topic["StackResourceDetail"]["PhysicalResourceId"]
    seen = metrics.describe_alarms()["MetricAlarms"]
    assert {(one["MetricName"], *one["AlarmActions"]) for one in seen} == {
        ("Errors", arn),
        ("Throttles", arn),
    }
    (listed,) = metrics.list_dashboards()["DashboardEntries"]
    body = metrics.get_dashboard(DashboardName=listed["DashboardName"])["DashboardBody"]
    (board, *_) = json.loads(body)["widgets"]
    assert set(board["properties"]["alarms"]) == {one["AlarmArn"] for one in seen}
    told = ministack.client("sns", account=aws_account).list_subscriptions_by_topic(TopicArn=arn)
    assert {one["Protocol"] for one in told["Subscriptions"]} == {"email", "https"}
    (group,) = ministack.client("logs", account=aws_account).describe_log_groups()["logGroups"]
    assert timedelta(days=group["retentionInDays"]) == timedelta(days=30)


@pytest.mark.slow
def test_the_linter_of_aws_finds_nothing(tmp_path: Path) -> None:
    stacks = {
        kind: {
            "compute": {"type": kind},
            "monitoring": FULL["monitoring"],
            "policy": FULL["policy"],
        }
        for kind in KINDS
    }
    ours = {name for spec in stacks.values() for name in monitoring.resources(wanted_of(spec))}
    found = findings(tmp_path, {label: stack_of(spec) for label, spec in stacks.items()})
    assert [one for one in found if one.rpartition("Resources.")[2].split(".")[0] in ours] == []
