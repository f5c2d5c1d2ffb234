"""Alarms: what each name of the spec comes to, with its limit and how long it has to last.

An alarm wakes somebody, so each is about harm to users or harm to come. Workers that use all of
their processors do what they are there for, and raise none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tabular.deploy.aws.infrastructure import database
from tabular.deploy.aws.infrastructure.monitoring import measures
from tabular.deploy.aws.infrastructure.monitoring.failures import FAILED, SUCCEEDED
from tabular.deploy.aws.infrastructure.monitoring.measures import Measure
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource, sub
from tabular.errors import UnsupportedError

GIB = 2**30
BUSY, FULL = 85, 90  # percent
SLOW = 5.0  # seconds that one request in twenty may take
FAILURES = 10  # answers of 5xx in five minutes
OLD = 900  # seconds that a job may wait for a worker
SHARE_FAILED, LEAST_FAILED = 0.2, 3  # of the jobs that ended in a quarter of an hour
ROOM = 0.1  # of the database's disk


@dataclass(frozen=True, slots=True)
class Watch:
    """One alarm.

    Attributes:
        id: logical id.
        words: what is wrong.
        over: it is raised above this; below it if ``under``.
        minutes: for how long.
        terms: what is measured, by the name that ``expression`` has for it.
        expression: of metric math; the only term itself if empty.
        under: whether small values are bad.
    """

    id: str
    words: str
    over: float
    minutes: int
    terms: Mapping[str, Measure]
    expression: str = ""
    under: bool = False


def alarms(wanted: Wanted) -> Part:
    """The alarms of a deployment.

    Raises:
        UnsupportedError: one is named of which this deployment has nothing to measure.
    """
    return {watch.id: _alarm(wanted, watch) for watch in watches(wanted)}


def names(wanted: Wanted) -> tuple[str, ...]:
    """Names of the spec that are wanted: those it lists, or all that this deployment has."""
    monitoring = wanted.spec.monitoring
    if not monitoring.enabled:
        return ()
    return tuple(_BY_NAME) if monitoring.alarms is None else monitoring.alarms


def watches(wanted: Wanted) -> Iterator[Watch]:
    """What is watched, in the order of the names.

    Raises:
        UnsupportedError: see :func:`alarms`.
    """
    said = wanted.spec.monitoring.alarms is not None
    for name in names(wanted):
        found = list(_BY_NAME[name](wanted))
        told_otherwise = name == "job_failures" and wanted.kind == "batch"
        if said and not found and not told_otherwise:
            raise UnsupportedError(
                f"this deployment has nothing to measure for {name}",
                where="spec.monitoring.alarms",
                hint=f"leave {name} out; compute.type is {wanted.kind}",
            )
        yield from found


def _high_cpu(wanted: Wanted) -> Iterator[Watch]:
    if wanted.served:
        words = f"The API has used more than {BUSY} % of its processors."
        yield _one("ApiHighCpuAlarm", words, measures.cpu(wanted, "Api"), BUSY, 15)
    if wanted.database_engine:
        words = f"The database has used more than {FULL} % of its processors."
        measure = measures.database("Database: processor, %", "CPUUtilization", "Average")
        yield _one("DatabaseHighCpuAlarm", words, measure, FULL, 15)


def _low_memory(wanted: Wanted) -> Iterator[Watch]:
    for program in measures.programs(wanted):
        words = f"Program {program}: less than {100 - FULL} % of the memory is free."
        yield _one(f"{program}LowMemoryAlarm", words, measures.memory(wanted, program), FULL, 10)
    if wanted.cache_engine:
        measure = measures.cache("Cache: memory, %", "DatabaseMemoryUsagePercentage", "Maximum")
        words = f"The cache has used more than {FULL} % of its memory."
        yield _one("CacheLowMemoryAlarm", words, measure, FULL, 10)


def _api_errors(wanted: Wanted) -> Iterator[Watch]:
    if not wanted.served:
        return
    failed = measures.targets("Failed by the API", "HTTPCode_Target_5XX_Count", "Sum")
    words = f"The API has failed more than {FAILURES} requests in five minutes."
    yield _one("ApiErrorsAlarm", words, failed, FAILURES, 5)
    lost = measures.balancer("Reached no API", "HTTPCode_ELB_5XX_Count", "Sum")
    words = f"More than {FAILURES} requests in five minutes reached no API that answers."
    yield _one("LoadBalancerErrorsAlarm", words, lost, FAILURES, 5)


def _high_latency(wanted: Wanted) -> Iterator[Watch]:
    if wanted.served:
        measure = measures.targets("Time of an answer, p95", "TargetResponseTime", "p95")
        words = f"One request in twenty takes more than {SLOW:g} s."
        yield _one("ApiLatencyAlarm", words, measure, SLOW, 10)


def _unhealthy(wanted: Wanted) -> Iterator[Watch]:
    if not wanted.served:
        return
    sick = measures.targets("Not ready", "UnHealthyHostCount", "Maximum")
    yield _one("UnhealthyTargetsAlarm", "An instance of the API is not ready.", sick, 0, 10)
    for program in measures.programs(wanted):
        terms = {
            "wished": measures.wished(wanted, program),
            "running": measures.running(wanted, program),
        }
        yield Watch(
            f"{program}MissingAlarm",
            f"Program {program}: fewer run than should.",
            0,
            15,
            terms,
            # Where none runs, nobody may be there to count to nought.
            "wished - FILL(running, 0)",
        )


def _queue_backlog(wanted: Wanted) -> Iterator[Watch]:
    if not wanted.served:
        return
    age = measures.queue("Longest wait, s", "ApproximateAgeOfOldestMessage", "Maximum")
    words = f"A job has been waiting for a worker for more than {OLD // 60} minutes."
    yield _one("QueueBacklogAlarm", words, age, OLD, 5)
    dead = measures.queue(
        "Dead letters", "ApproximateNumberOfMessagesVisible", "Maximum", "DeadLetterQueue"
    )
    yield _one("DeadLettersAlarm", "A job's id was delivered too often.", dead, 0, 5)


def _job_failures(wanted: Wanted) -> Iterator[Watch]:
    if wanted.kind == "lambda":
        errors = measures.function("Failed", "Errors", "Sum")
        yield _one("FunctionErrorsAlarm", "A generation has failed.", errors, 0, 15)
        throttled = measures.function("Turned away", "Throttles", "Sum")
        words = "The account's limit on functions that run at once turns generations away."
        yield _one("FunctionThrottlesAlarm", words, throttled, 0, 15)
    if wanted.served:
        terms = {
            "failed": measures.jobs("Jobs that failed", FAILED),
            "succeeded": measures.jobs("Jobs that succeeded", SUCCEEDED),
        }
        ended = "FILL(failed, 0) + FILL(succeeded, 0)"
        yield Watch(
            "JobFailuresAlarm",
            f"More than {SHARE_FAILED:.0%} of the jobs fail.",
            SHARE_FAILED,
            15,
            terms,
            f"IF(FILL(failed, 0) >= {LEAST_FAILED}, FILL(failed, 0) / ({ended}), 0)",
        )


def _database_storage(wanted: Wanted) -> Iterator[Watch]:
    if wanted.database_engine:
        measure = measures.database("Database: room, bytes", "FreeStorageSpace", "Minimum")
        words = f"Less than {ROOM:.0%} of the database's disk is free."
        disk = database.resources(wanted)["Database"]["Properties"]["AllocatedStorage"]
        room = int(ROOM * int(disk) * GIB)
        yield Watch("DatabaseStorageAlarm", words, room, 5, {"free": measure}, under=True)


_BY_NAME: Mapping[str, Callable[[Wanted], Iterator[Watch]]] = {
    "high_cpu": _high_cpu,
    "low_memory": _low_memory,
    "api_errors": _api_errors,
    "high_latency": _high_latency,
    "unhealthy_instances": _unhealthy,
    "queue_backlog": _queue_backlog,
    "job_failures": _job_failures,
    "database_storage": _database_storage,
}


def _one(id_: str, words: str, measure: Measure, over: float, minutes: int) -> Watch:
    return Watch(id_, words, over, minutes, {"value": measure})


def _alarm(wanted: Wanted, watch: Watch) -> Document:
    seconds = measures.period(wanted)
    if any(measure.statistic == "Sum" for measure in watch.terms.values()):
        seconds = 60 * watch.minutes  # what is counted is counted over the whole time
    topic = [ref("AlarmTopic")]
    return resource(
        "AWS::CloudWatch::Alarm",
        {
            "AlarmDescription": watch.words,
            "ComparisonOperator": "LessThanThreshold" if watch.under else "GreaterThanThreshold",
            "Threshold": watch.over,
            "EvaluationPeriods": 60 * watch.minutes // seconds,
            # What is not there does no harm; what should be there is watched by its number.
            "TreatMissingData": "notBreaching",
            "AlarmActions": topic,
            "OKActions": topic,
            **(_math(watch, seconds) if watch.expression else _metric(watch, seconds)),
        },
    )


def _metric(watch: Watch, seconds: int) -> Document:
    (measure,) = watch.terms.values()
    extended = measure.statistic.startswith("p")
    return {
        **_named(measure),
        "Period": seconds,
        "ExtendedStatistic" if extended else "Statistic": measure.statistic,
    }


def _math(watch: Watch, seconds: int) -> Document:
    terms = [
        {
            "Id": name,
            "MetricStat": {
                "Metric": _named(measure),
                "Period": seconds,
                "Stat": measure.statistic,
            },
            "ReturnData": False,
        }
        for name, measure in watch.terms.items()
    ]
    whole = {"Id": "whole", "Expression": watch.expression, "ReturnData": True}
    return {"Metrics": [*terms, whole]}


def _named(measure: Measure) -> Document:
    space = sub(measure.namespace) if "${" in measure.namespace else measure.namespace
    dimensions = [{"Name": name, "Value": value} for name, value in measure.dimensions]
    named: Document = {"Namespace": space, "MetricName": measure.metric}
    return named | ({"Dimensions": dimensions} if dimensions else {})


def arns(wanted: Wanted) -> list[Document]:
    """Of all alarms."""
    return [att(watch.id, "Arn") for watch in watches(wanted)]
