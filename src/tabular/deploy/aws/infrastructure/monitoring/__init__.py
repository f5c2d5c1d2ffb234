"""What is seen of a deployment, and who is told: logs, alarms, a dashboard, a budget.

groups    log groups                 measures   what CloudWatch measures
alarms    what wakes somebody        failures   jobs that fail
topic     who is told                dashboard  everything on one page
budget    when spending nears its limit
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from tabular.deploy.aws.infrastructure.log_groups import retention_days
from tabular.deploy.aws.infrastructure.monitoring.alarms import alarms, names
from tabular.deploy.aws.infrastructure.monitoring.budget import TAG, budget
from tabular.deploy.aws.infrastructure.monitoring.dashboard import dashboard
from tabular.deploy.aws.infrastructure.monitoring.failures import counted, told
from tabular.deploy.aws.infrastructure.monitoring.groups import group_names, log_groups
from tabular.deploy.aws.infrastructure.monitoring.topic import topic
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Part, ref
from tabular.deploy.spec.quantities import format_duration
from tabular.deploy.stack import Reduction

__all__ = ["outputs", "reductions", "resources"]

# "Metrics retention" in the user guide of CloudWatch.
METRICS_KEPT = timedelta(days=455)


def resources(wanted: Wanted) -> Part:
    """Log groups always; alarms, charts and who is told where the spec asks for them.

    Raises:
        UsageError, UnsupportedError: it asks for what CloudWatch has not.
    """
    part = log_groups(wanted)
    if _tells(wanted):
        part |= topic(wanted)
    if wanted.spec.monitoring.enabled:
        part |= counted(wanted) | alarms(wanted)
        part["Dashboard"] = dashboard(wanted)
        if "job_failures" in names(wanted):
            part |= told(wanted)
    return part | budget(wanted)


def _tells(wanted: Wanted) -> bool:
    """Whether there is anything to tell."""
    return bool(names(wanted)) or wanted.spec.policy.monthly_budget is not None


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What is given only in part."""
    monitoring = wanted.spec.monitoring
    said = monitoring.model_fields_set
    kept = timedelta(days=retention_days(wanted))
    if "log_retention" in said and kept != monitoring.log_retention:
        yield Reduction(
            "spec.monitoring.log_retention",
            format_duration(monitoring.log_retention),
            f"{kept.days}d",
            "CloudWatch keeps logs for certain numbers of days only; this is the next longer one",
        )
    if "retention" in said and monitoring.retention != METRICS_KEPT:
        yield Reduction(
            "spec.monitoring.retention",
            format_duration(monitoring.retention),
            f"{METRICS_KEPT.days}d",
            "CloudWatch keeps every metric for 15 months, by the hour after 63 days",
        )
    if monitoring.exporters or monitoring.dashboards:
        yield from _prometheus(wanted)
    yield from _telling(wanted)


def _prometheus(wanted: Wanted) -> Iterator[Reduction]:
    monitoring = wanted.spec.monitoring
    for key, asked, name in (
        ("exporters", monitoring.exporters, "prometheus"),
        ("dashboards", monitoring.dashboards, "grafana"),
    ):
        if asked:
            yield Reduction(
                f"spec.monitoring.{key}",
                str(len(asked)),
                f"a file: `inferloop-tabular export --format {name}`",
                "the service's own metrics are Prometheus's, which CloudWatch does not scrape",
            )


def _telling(wanted: Wanted) -> Iterator[Reduction]:
    monitoring, limit = wanted.spec.monitoring, wanted.spec.policy.monthly_budget
    if monitoring.notify and not _tells(wanted):
        yield Reduction(
            "spec.monitoring.notify",
            ", ".join(monitoring.notify),
            "nobody is told",
            "there are no alarms; set monitoring.enabled",
        )
    if limit is None:
        return
    yield Reduction(
        "spec.policy.monthly_budget",
        f"{limit} USD",
        f"counted by the tag {TAG}, in all environments of this name",
        "AWS counts by a tag only once it is activated as a cost allocation tag of the account",
    )
    if not monitoring.notify:
        yield Reduction(
            "spec.monitoring.notify",
            f"a budget of {limit} USD",
            "a topic that nobody listens to",
            "name mail addresses or URLs, or subscribe to the output alarmTopic",
        )


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """Where to look and where to listen."""
    found: dict[str, tuple[Any, str]] = {
        f"{name[0].lower()}{name[1:]}": (ref(name), "Log group of CloudWatch.")
        for name in group_names(wanted)
    }
    if _tells(wanted):
        found["alarmTopic"] = (ref("AlarmTopic"), "Topic that alarms are sent to.")
    if wanted.spec.monitoring.enabled:
        found["dashboard"] = (ref("Dashboard"), "Name of the dashboard in CloudWatch.")
    return found
