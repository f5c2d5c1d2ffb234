"""Rules that Prometheus raises alarms by.

The service promises that 99.5 % of its answers over 30 days are no failures of its own. An alarm
comes when that is being used up so fast that somebody should be woken: by two windows each, as the
long one keeps short peaks quiet and the short one ends the alarm soon after the trouble.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tabular.deploy.monitoring.scrape import EXPORTER, JOB
from tabular.deploy.spec import Deployment

ON_PREMISES = "onprem"  # elsewhere the vendor makes the backups, and the service knows of none
OBJECTIVE = 0.995
BUDGET = 1 - OBJECTIVE
# How many times faster than allowed, over which windows, for how long, and how bad that is.
_BURNS = (
    ("Fast", 14.4, "1h", "5m", "2m", "critical"),
    ("Slow", 6.0, "6h", "30m", "15m", "warning"),
)
_WHERE = ("provider", "region")
_SERIES = "tabular_request_seconds_count"


def rules(deployment: Deployment, region: str | None = None) -> dict[str, Any]:
    """The rule file as plain data.

    Args:
        deployment: of which ``monitoring.alarms`` chooses among those that have a name there;
            the others are always raised.
        region: label of its series, where a Prometheus may have others' as well.
    """
    spec, own = deployment.spec, "" if region is None else f'region="{region}"'
    made = [*_rules(workers=spec.compute.workers), ("unhealthy_instances", _no_api(own))]
    if spec.backup.enabled and spec.provider == ON_PREMISES:
        made.append((None, _backup_old(spec.backup.schedule, own)))
    if region is not None and "prometheus" in spec.onprem.operators:
        made.append(("database_storage", _volume_full(region)))
    chosen = spec.monitoring.alarms
    found = [rule for alarm, rule in made if chosen is None or alarm is None or alarm in chosen]
    recorded = [_ratio(window) for window in ("5m", "30m", "1h", "6h")]
    return {
        "groups": [
            {"name": f"{JOB}-slo", "rules": recorded},
            {"name": JOB, "rules": found},
        ]
    }


def _ratio(window: str) -> dict[str, Any]:
    by = f" by ({', '.join(_WHERE)})"
    failed = f'sum{by} (rate({_SERIES}{{status=~"5.."}}[{window}]))'
    everything = f"sum{by} (rate({_SERIES}[{window}]))"
    # Without a failure there is no series, which is a ratio of none and not an unknown one.
    return {
        "record": f"tabular:request_failures:ratio_rate{window}",
        "expr": f"({failed} or 0 * {everything}) / {everything}",
    }


def _rules(workers: int) -> Iterator[tuple[str | None, dict[str, Any]]]:
    for name, factor, long, short, wait, severity in _BURNS:
        limit = f"{factor * BUDGET:.6g}"
        expression = (
            f"tabular:request_failures:ratio_rate{long} > {limit} and "
            f"tabular:request_failures:ratio_rate{short} > {limit}"
        )
        what = f"Failures use the allowance up {factor:g} times too fast"
        yield "api_errors", _rule(f"TabularErrorBudget{name}", expression, wait, severity, what)
    yield (
        "api_errors",
        _rule(
            "TabularErrors",
            "sum by (provider, region, kind) (increase(tabular_errors_total[10m])) > 10",
            "5m",
            "warning",
            "More than ten errors of the kind {{ $labels.kind }} in ten minutes",
        ),
    )
    yield (
        "high_latency",
        _rule(
            "TabularSlow",
            "histogram_quantile(0.95, sum by (provider, region, le) "
            '(rate(tabular_request_seconds_bucket{route!="/v1/datasets"}[10m]))) > 5',
            "10m",
            "warning",
            "One request in twenty takes more than 5 s",
        ),
    )
    yield (
        "job_failures",
        _rule(
            "TabularJobsFail",
            "sum by (provider, region, kind) "
            '(increase(tabular_jobs_finished_total{status="failed"}[15m])) / '
            "sum by (provider, region, kind) (increase(tabular_jobs_finished_total[15m])) > 0.2",
            "5m",
            "warning",
            "More than a fifth of the {{ $labels.kind }} jobs fail",
        ),
    )
    yield (
        "queue_backlog",
        _rule(
            "TabularQueueOld",
            "max by (provider, region) (tabular_queue_oldest_seconds) > 900",
            "5m",
            "warning",
            "A job has been waiting for more than a quarter of an hour",
        ),
    )
    if workers:
        yield (
            "unhealthy_instances",
            _rule(
                "TabularNoWorkers",
                "max by (provider, region) (tabular_workers) < 1",
                "2m",
                "critical",
                "No worker gives a sign of life",
            ),
        )
    yield (
        "unhealthy_instances",
        _rule(
            "TabularTargetDown",
            f'up{{job=~"{JOB}.*|{EXPORTER}.*"}} == 0',
            "5m",  # a pod that waits for its image or its database has an address already
            "critical",
            "{{ $labels.instance }} does not answer",
        ),
    )
    yield (
        "unhealthy_instances",
        _rule(
            "TabularPartDown",
            'max by (provider, region, part) (tabular_part_up{part!="workers"}) < 1',
            "2m",
            "critical",
            "{{ $labels.part }} does not answer",
        ),
    )
    yield (
        "database_storage",
        _rule(
            "TabularDiskFull",
            "min by (provider, region, instance, part) "
            "(tabular_disk_free_bytes / tabular_disk_size_bytes) < 0.1",
            "5m",
            "warning",
            "Less than a tenth of the disk of the {{ $labels.part }} is free",
        ),
    )
    yield (
        None,
        _rule(
            "TabularCertificateEnds",
            "min by (provider, region, certificate) (tabular_certificate_left_seconds) < 1209600",
            "10m",
            "warning",
            "The certificate {{ $labels.certificate }} ends within two weeks",
        ),
    )


def _no_api(own: str) -> dict[str, Any]:
    """Where addresses are discovered, those of processes that are gone are not there to be down."""
    where = ",".join(filter(None, (f'job="{JOB}"', own)))
    what = "There is no API: none of its processes has an address"
    return _rule("TabularNoApi", f"absent(up{{{where}}})", "2m", "critical", what)


def _volume_full(namespace: str) -> dict[str, Any]:
    """Of a cluster's own Prometheus, which asks the nodes: one of ours may not."""
    free, size = (
        f'kubelet_volume_stats_{what}_bytes{{namespace="{namespace}"}}'
        for what in ("available", "capacity")
    )
    expression = f"min by (namespace, persistentvolumeclaim) ({free} / {size}) < 0.1"
    what = "Less than a tenth of the volume {{ $labels.persistentvolumeclaim }} is free"
    return _rule("TabularVolumeFull", expression, "5m", "warning", what)


def _backup_old(schedule: str, own: str) -> dict[str, Any]:
    late = _late(schedule)
    braces = f"{{{own}}}" if own else ""
    age = f"max by (provider, region) (tabular_backup_age_seconds{braces})"
    expression = f"{age} > {late.total_seconds():.0f}"
    what = "The last whole backup was made {{ $value | humanizeDuration }} ago"
    return _rule("TabularBackupOld", expression, "10m", "critical", what)


def _late(schedule: str) -> timedelta:
    """An age that no backup reaches while the schedule is kept, however long one takes.

    Args:
        schedule: minute, hour, day of the month, month, weekday.
    """
    _, _, day, month, weekday = schedule.split()
    if month != "*":
        return timedelta(days=367)
    if weekday != "*":  # which adds to days of the month, where both are said
        return timedelta(days=8)
    return timedelta(days=32) if day != "*" else timedelta(hours=36)


def _rule(name: str, expression: str, wait: str, severity: str, what: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": wait,
        "labels": {"severity": severity},
        "annotations": {
            "summary": what,
            "runbook": f"docs/observability.md#{name.lower()}",
        },
    }
