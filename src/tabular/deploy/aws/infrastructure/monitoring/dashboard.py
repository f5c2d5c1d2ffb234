"""The dashboard: users first, then what serves them, then what that stands on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tabular.deploy.aws.infrastructure.monitoring import measures
from tabular.deploy.aws.infrastructure.monitoring.alarms import arns
from tabular.deploy.aws.infrastructure.monitoring.failures import FAILED, SUCCEEDED
from tabular.deploy.aws.infrastructure.monitoring.groups import group_names
from tabular.deploy.aws.infrastructure.monitoring.measures import Measure, as_text
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, resource, sub

WIDTH, HEIGHT = 12, 6  # of 24 columns
_REGION = "${AWS::Region}"


def dashboard(wanted: Wanted) -> Document:
    """The dashboard."""
    widgets = [_at(number, one) for number, one in enumerate(_widgets(wanted))]
    body = json.dumps({"widgets": widgets}, separators=(",", ":"), sort_keys=True)
    return resource("AWS::CloudWatch::Dashboard", {"DashboardBody": sub(body)})


def _at(number: int, widget: Document) -> Document:
    place = {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "width": WIDTH, "height": HEIGHT}
    return {**widget, **place}


def _widgets(wanted: Wanted) -> Iterator[Document]:
    if found := arns(wanted):
        yield {
            "type": "alarm",
            "properties": {"title": "Alarms", "alarms": [as_text(one) for one in found]},
        }
    for title, lines in _charts(wanted):
        yield _chart(wanted, title, lines)
    yield _errors(wanted)


def _charts(wanted: Wanted) -> Iterator[tuple[str, Sequence[Measure]]]:
    if wanted.served:
        yield from _users(wanted)
        yield from _programs(wanted)
    if wanted.kind == "lambda":
        yield from _function()
    if wanted.database_engine:
        yield from _database()
    if wanted.cache_engine:
        yield (
            "Cache",
            [
                measures.cache("Memory, %", "DatabaseMemoryUsagePercentage", "Maximum"),
                measures.cache("Processor, %", "EngineCPUUtilization", "Average"),
            ],
        )


def _users(wanted: Wanted) -> Iterator[tuple[str, Sequence[Measure]]]:
    yield (
        "Requests",
        [
            measures.balancer("All", "RequestCount", "Sum"),
            measures.targets("Failed by the API", "HTTPCode_Target_5XX_Count", "Sum"),
            measures.balancer("Reached no API", "HTTPCode_ELB_5XX_Count", "Sum"),
        ],
    )
    yield (
        "Time of an answer, s",
        [measures.targets(share, "TargetResponseTime", share) for share in ("p50", "p95", "p99")],
    )
    yield (
        "Jobs",
        [
            measures.jobs("Succeeded", SUCCEEDED),
            measures.jobs("Failed", FAILED),
        ],
    )
    yield (
        "Queue",
        [
            measures.queue("Waiting", "ApproximateNumberOfMessagesVisible", "Maximum"),
            measures.queue("Longest wait, s", "ApproximateAgeOfOldestMessage", "Maximum"),
        ],
    )


def _programs(wanted: Wanted) -> Iterator[tuple[str, Sequence[Measure]]]:
    present = measures.programs(wanted)
    counted = [measure(wanted, one) for one in present for measure in _COUNTS]
    yield "Instances", counted
    yield (
        "Instances of the API, as the load balancer sees them",
        [
            measures.targets("Ready", "HealthyHostCount", "Minimum"),
            measures.targets("Not ready", "UnHealthyHostCount", "Maximum"),
        ],
    )
    used = [measure(wanted, one) for one in present for measure in (measures.cpu, measures.memory)]
    yield "Processors and memory, %", used


_COUNTS = (measures.wished, measures.running)


def _function() -> Iterator[tuple[str, Sequence[Measure]]]:
    yield (
        "Generations",
        [
            measures.function("All", "Invocations", "Sum"),
            measures.function("Failed", "Errors", "Sum"),
            measures.function("Turned away", "Throttles", "Sum"),
        ],
    )
    yield "Time of a generation, ms", [measures.function("p95", "Duration", "p95")]


def _database() -> Iterator[tuple[str, Sequence[Measure]]]:
    yield (
        "Database",
        [
            measures.database("Processor, %", "CPUUtilization", "Average"),
            measures.database("Connections", "DatabaseConnections", "Maximum"),
        ],
    )
    yield (
        "Database, bytes",
        [
            measures.database("Room on the disk", "FreeStorageSpace", "Minimum"),
            measures.database("Free memory", "FreeableMemory", "Minimum"),
        ],
    )


def _chart(wanted: Wanted, title: str, lines: Sequence[Measure]) -> Document:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "region": _REGION,
            "view": "timeSeries",
            "period": measures.period(wanted),
            "metrics": [_line(one) for one in lines],
        },
    }


def _line(measure: Measure) -> list[Any]:
    pairs = [text for name, value in measure.dimensions for text in (name, as_text(value))]
    how = {"stat": measure.statistic, "label": measure.title}
    return [measure.namespace, measure.metric, *pairs, how]


def _errors(wanted: Wanted) -> Document:
    sources = " | ".join(f"SOURCE '${{{name}}}'" for name in group_names(wanted))
    query = (
        f"{sources} | fields @timestamp, logger, message | filter level in ['ERROR', 'CRITICAL'] "
        "| sort @timestamp desc | limit 50"
    )
    return {
        "type": "log",
        "properties": {"title": "Errors", "region": _REGION, "view": "table", "query": query},
    }
