"""What is measured and who is told: Prometheus and Grafana, or objects of the cluster's operator.

Dashboards and rules are those that every provider exports; here they travel in the values, so the
release that runs is the spec that it was made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta

from tabular.deploy.monitoring import alerts, grafana, scrape
from tabular.deploy.onprem.secrets.given import GivenSecret
from tabular.errors import UnsupportedError

from . import existing as secrets
from .wanted import Values, Wanted, said, size

OPERATOR = "prometheus"
PASSWORD_KEY = "grafana-password"  # noqa: S105 - the name of a key
# Of the disk, for what is kept: Prometheus needs the rest for what it writes and compacts.
_KEPT = 0.8
_OWN = (scrape.JOB, scrape.WORKERS)
_EVERYWHERE = ["0.0.0.0/0", "::/0"]


def values(wanted: Wanted) -> Values:
    """Values of monitoring; none where it is off.

    Raises:
        UnsupportedError: somebody is to be told by mail, or the operator's own things are asked
            for.
        NotFoundError, UsageError: a panel that cannot be drawn.
    """
    monitoring = wanted.spec.monitoring
    if not monitoring.enabled:
        return {}
    boards = grafana.dashboards(wanted.deployment)
    found: Values = {
        "enabled": True,
        "rules": alerts.rules(wanted.deployment, wanted.target.region),
        "dashboards": {
            name: json.dumps(model, indent=2, sort_keys=True) + "\n"
            for name, model in sorted(boards.items())
        },
    }
    if OPERATOR in wanted.operators:
        _refuse_with_operator(wanted)
        return {"monitoring": {**found, "operator": OPERATOR}}
    jobs = scrape.prometheus(wanted.deployment)["scrape_configs"]
    others = [job for job in jobs if job["job_name"] not in _OWN]
    if others:
        found |= {"scrapeConfigs": others, "scrapeCidrs": _EVERYWHERE}
    hooks = [_hook(at, number) for number, at in enumerate(monitoring.notify)]
    found |= said(
        prometheus=_prometheus(wanted),
        grafana=_grafana(wanted),
        alertmanager={"webhooks": hooks} if hooks else None,
    )
    return {"monitoring": found}


def given(wanted: Wanted) -> Iterator[GivenSecret]:
    """The password of Grafana's administrator, if the spec has one."""
    own = wanted.spec.monitoring.grafana
    if own is not None and wanted.spec.monitoring.enabled:
        yield from secrets.given(
            own.admin_password, PASSWORD_KEY, "spec.monitoring.grafana.admin_password"
        )


def _prometheus(wanted: Wanted) -> Values:
    monitoring = wanted.spec.monitoring
    found: Values = {"retention": _duration(monitoring.retention)}
    if monitoring.size is not None:
        found["persistence"] = {"size": size(monitoring.size)}
        found["retentionSize"] = f"{int(monitoring.size * _KEPT) // 2**20}MB"
    return found


def _grafana(wanted: Wanted) -> Values:
    own = wanted.spec.monitoring.grafana
    if own is None:
        return {}
    if not own.enabled:
        return {"enabled": False}
    where = "spec.monitoring.grafana.admin_password"
    return said(
        adminUser=own.admin_user,
        persistence=None if own.size is None else {"size": size(own.size)},
        **secrets.references(own.admin_password, where, "admin-password"),
    )


def _hook(told: str, number: int) -> str | Values:
    """A webhook as it is written, or the key of a Secret that has it."""
    where = f"spec.monitoring.notify[{number}]"
    if told.startswith(secrets.SCHEME):
        name, _, key = told.removeprefix(secrets.SCHEME).partition("/")
        if name and key and "/" not in key:
            return {"name": name, "key": key}
    elif re.fullmatch(r"https?://[^/?#@\s]+([/?#]\S*)?", told):
        return told
    raise UnsupportedError(
        f"in a cluster nobody can be told at {told!r}: there is no mail server",
        where=where,
        hint="give the URL of a webhook that takes Alertmanager's JSON, or k8s:NAME/KEY of a "
        "Secret that has it; for mail name the operator prometheus, whose Alertmanager is yours",
    )


def _refuse_with_operator(wanted: Wanted) -> None:
    monitoring = wanted.spec.monitoring
    given_ = {
        "notify": monitoring.notify,
        "exporters": monitoring.exporters,
        "grafana": monitoring.grafana is not None and monitoring.grafana.enabled,
        "size": monitoring.size,
    }
    for name, value in given_.items():
        if value:
            raise UnsupportedError(
                f"with the Prometheus operator, {name} is the affair of the cluster's own "
                "Prometheus, Alertmanager and Grafana",
                where=f"spec.monitoring.{name}",
                hint="leave it out: monitors, rules and dashboards are made for them; or take "
                "prometheus out of onprem.operators, to have servers of the deployment's own",
            )


def _duration(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
